// Opening and commitment (specs/keys.md).
#include <heirmark/keys.hpp>

#include <algorithm>

#include "base/files.hpp"
#include "crypto/secretbox.hpp"
#include "crypto/sha256.hpp"
#include "json/value.hpp"
#include "keys/objects.hpp"

namespace heirmark {
namespace {
constexpr std::string_view kPrf = "xchacha20-bins2048-v1";
constexpr std::int64_t kLargestFamily = 1 << 24;
constexpr std::uint64_t kLongestFile = 1 << 16;
constexpr std::size_t kLongestText = 4096;  // "ASCII text" of specs/formats.md

Secret32 secret_of(const std::string& hex) {
  crypto::Bytes bytes = crypto::hex_decode(hex).value_or(crypto::Bytes(32));
  bytes.resize(32);
  Secret32 secret{std::span<const std::uint8_t, 32>(bytes.data(), 32)};
  crypto::wipe(bytes);
  return secret;
}
bool power_of_two(std::int64_t n) { return n >= 2 && (n & (n - 1)) == 0; }
}  // namespace

Result<Opening> Opening::parse(std::string_view bytes) {
  auto value = json::parse_canonical(bytes);
  if (!value) return value.error().at("opening");
  const struct Wiped {
    json::Value& value;
    ~Wiped() { json::wipe(value); }
  } wiped{*value};
  keys::Members members(*value, "heirmark/opening/v1");
  Opening out;
  const std::string path = members.text("path"), profile = members.text("profile"), nonce = members.hex("nonce", 64);
  std::string secret = members.hex("familySecret", 64);
  out.key_id_ = members.hex("keyId", 16);
  const std::int64_t size = members.integer("familySize", 2, kLargestFamily), live = members.integer("liveIndex", 0, kLargestFamily - 1);
  if (auto good = members.finish(); !good) return good.error().at("opening");

  auto parsed_path = KeyPath::parse(path);
  if (!parsed_path) return parsed_path.error().at("opening: member \"path\"");
  const auto found = profiles::find(profile);
  if (!found) return found.error().at("opening: member \"profile\"");
  if (!power_of_two(size)) return Error{ErrorCode::bad_input, "opening: member \"familySize\": not a power of two"};
  if (live >= size) return Error{ErrorCode::bad_input, "opening: member \"liveIndex\": not below the family size"};
  out.path_ = *std::move(parsed_path);
  out.profile_ = *found;
  out.family_size_ = static_cast<std::uint32_t>(size);
  out.live_index_ = static_cast<std::uint32_t>(live);
  out.epoch_ = EpochSecret(secret_of(secret));
  crypto::wipe({reinterpret_cast<std::uint8_t*>(secret.data()), secret.size()});
  const crypto::Bytes nonce_bytes = crypto::hex_decode(nonce).value();
  std::copy(nonce_bytes.begin(), nonce_bytes.end(), out.nonce_.begin());
  if (out.epoch_.key_id() != out.key_id_) return Error{ErrorCode::bad_input, "opening: member \"keyId\" does not follow from the family secret"};
  return out;
}

Result<Opening> Opening::read(const std::filesystem::path& file) {
  auto bytes = files::read(file, kLongestFile);
  if (!bytes) return bytes.error();
  auto opening = parse(*bytes);
  crypto::wipe({reinterpret_cast<std::uint8_t*>(bytes->data()), bytes->size()});
  if (!opening) return opening.error().at(file.string());
  return opening;
}

std::string Opening::bytes() const {
  json::Object members{{"type", "heirmark/opening/v1"}, {"path", path_.text()},       {"keyId", key_id_}, {"familySize", family_size_},
                       {"liveIndex", live_index_},      {"profile", profile_.name}, {"nonce", crypto::hex_encode(nonce_)}};
  members.emplace("familySecret", crypto::hex_encode(epoch_.expose_family_secret().expose_secret()));
  json::Value value(std::move(members));
  std::string out = json::canonical(value, kLongestFile);
  json::wipe(value);
  out += '\n';
  return out;
}

std::string Opening::digest() const { return crypto::sha256_hex(bytes()); }

Result<Commitment> Commitment::parse(std::string_view bytes) {
  const auto value = json::parse_canonical(bytes);
  if (!value) return value.error().at("commitment");
  keys::Members members(*value, "heirmark/commitment/v1");
  Commitment out;
  out.path = members.text("path");
  out.key_id = members.hex("keyId", 16);
  const std::int64_t size = members.integer("familySize", 2, kLargestFamily);
  out.family_size = static_cast<std::uint32_t>(size);
  out.profile = members.text("profile");
  out.scheme = members.text("scheme");
  out.prf = members.text("prf");
  out.not_before = members.date("notBefore");
  out.not_after = members.date("notAfter");
  out.purpose = members.text("purpose", kLongestText);
  if (out.purpose.empty()) members.fail("member \"purpose\" is empty");
  out.digest = members.hex("digest", 64);
  if (auto good = members.finish(); !good) return good.error().at("commitment");
  if (const auto path = KeyPath::parse(out.path); !path) return path.error().at("commitment: member \"path\"");
  const auto profile = profiles::find(out.profile);
  if (!profile) return profile.error().at("commitment: member \"profile\"");
  if (out.scheme != scheme_name(profile->scheme)) return Error{ErrorCode::bad_input, "commitment: member \"scheme\" is not the profile's"};
  if (out.prf != kPrf) return Error{ErrorCode::bad_input, "commitment: member \"prf\": unknown"};
  if (!power_of_two(size)) return Error{ErrorCode::bad_input, "commitment: member \"familySize\": not a power of two"};
  if (out.not_after < out.not_before) return Error{ErrorCode::bad_input, "commitment: member \"notAfter\" lies before \"notBefore\""};
  return out;
}

std::string Commitment::bytes() const {
  return json::canonical(json::Object{{"type", "heirmark/commitment/v1"}, {"path", path}, {"keyId", key_id}, {"familySize", family_size}, {"profile", profile},
                                      {"scheme", scheme}, {"prf", prf}, {"notBefore", not_before}, {"notAfter", not_after}, {"purpose", purpose}, {"digest", digest}}) +
         "\n";
}

}  // namespace heirmark
