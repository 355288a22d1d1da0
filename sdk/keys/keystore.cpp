// The keystore (specs/keys.md, "Keystore"): a folder of sealed records under one passphrase.
#include <heirmark/keys.hpp>

#include <sys/stat.h>

#include <algorithm>

#include "base/files.hpp"
#include "base/text.hpp"
#include "crypto/secretbox.hpp"
#include "crypto/sha256.hpp"
#include "crypto/signature.hpp"
#include "json/value.hpp"
#include "keys/objects.hpp"

namespace heirmark {
namespace {

constexpr std::string_view kHeader = "HEIRMARK-KEYSTORE", kRoot = "root.key", kCheck = "check";
constexpr std::string_view kDefaultAccount = "default";
constexpr std::uint64_t kLongestFile = 1 << 16;

std::string epoch_file(const KeyPath& path) { return path.family + "@" + path.epoch + ".key"; }
std::string signer_file(std::string_view name) { return std::string(name) + ".sign"; }
std::string_view text_of(const crypto::Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string last_day(const std::string& epoch) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = std::stoi(epoch.substr(0, 4)), month = std::stoi(epoch.substr(5));
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return epoch + "-" + std::to_string(kDays[month - 1] + (month == 2 && leap ? 1 : 0));
}

KeyInfo info_of(const Commitment& commitment) {
  return {commitment.path, commitment.key_id, commitment.profile, commitment.scheme, commitment.family_size,
          commitment.not_before, commitment.not_after, commitment.purpose, commitment.digest};
}

bool is_text(std::string_view text) {
  return !text.empty() && text.size() <= 4096 && std::all_of(text.begin(), text.end(), [](char ch) { return ch >= 0x20 && ch <= 0x7e; });
}

/// Wipes a buffer that held a secret, whatever way its scope is left.
struct Wiped {
  crypto::Bytes bytes;
  ~Wiped() { crypto::wipe(bytes); }
};

}  // namespace

bool Keystore::exists(const std::filesystem::path& folder) {
  return !files::is_missing(folder / kHeader);
}

Result<Keystore> Keystore::create(const std::filesystem::path& folder, const Passphrase& passphrase, Cost cost) {
  const auto bounds = [](const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high) -> Result<void> {
    if (value >= low && value <= high) return {};
    return Error{ErrorCode::usage, "the passphrase hash's " + std::string(name) + " must be from " + std::to_string(low) + " to " + std::to_string(high)};
  };
  if (auto good = bounds("opslimit", cost.opslimit, crypto::kLeastCost.opslimit, crypto::kGreatestCost.opslimit); !good) return good.error();
  if (auto good = bounds("memlimit", cost.memlimit, crypto::kLeastCost.memlimit, crypto::kGreatestCost.memlimit); !good) return good.error();
  std::error_code ec;
  if (std::filesystem::exists(folder / kHeader, ec)) return Error{ErrorCode::usage, folder.string() + ": there is a keystore already"};
  if (ec) return files::failure(folder, ec.value(), files::Access::write);
  if (!files::is_missing(folder / kRoot))
    return Error{ErrorCode::usage, (folder / kRoot).string() + ": is there without " + std::string(kHeader) +
                                       ": another process is making this keystore, or was stopped while it did; if so, remove the file"};
  std::filesystem::create_directories(folder, ec);
  if (ec) return files::failure(folder, ec.value(), files::Access::write);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ec);

  std::array<std::uint8_t, crypto::kSaltBytes> salt{};
  if (auto random = crypto::random_bytes(salt); !random) return random.error();
  auto master = crypto::password_hash(crypto::bytes_of(passphrase.expose_secret()), salt, {cost.opslimit, cost.memlimit});
  if (!master) return master.error();

  Keystore store;
  store.folder_ = folder;
  store.master_ = *std::move(master);
  const auto check = crypto::seal(store.master_, kCheck, {});
  if (!check) return check.error();
  // The root goes first: a folder with a header always has one.
  Wiped root{crypto::Bytes(32)};
  if (auto random = crypto::random_bytes(root.bytes); !random) return random.error();
  if (auto sealed = store.seal_file(std::string(kRoot), root.bytes); !sealed) return sealed.error();
  const std::string header = json::canonical(json::Object{{"type", "heirmark/keystore/v1"}, {"opslimit", cost.opslimit}, {"memlimit", cost.memlimit},
                                                          {"salt", crypto::hex_encode(salt)}, {"check", crypto::hex_encode(*check)}}) + "\n";
  if (auto written = files::write_new(folder / kHeader, header, 0600); !written) return written.error();
  return store;
}

Result<Keystore> Keystore::open(const std::filesystem::path& folder, const Passphrase& passphrase) {
  const std::filesystem::path header = folder / kHeader;
  const auto bytes = files::read(header, kLongestFile);
  if (!bytes) {
    if (files::is_missing(header)) return Error{ErrorCode::key, folder.string() + ": no keystore here (make one with: heirmark key new)"};
    return bytes.error();
  }
  const auto value = json::parse_canonical(*bytes);
  if (!value) return value.error().at(header.string());
  keys::Members members(*value, "heirmark/keystore/v1");
  const auto limit = [&members](const char* name, std::uint64_t low, std::uint64_t high) {
    return static_cast<std::uint64_t>(members.integer(name, static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)));
  };
  const std::uint64_t opslimit = limit("opslimit", crypto::kLeastCost.opslimit, crypto::kGreatestCost.opslimit);
  const std::uint64_t memlimit = limit("memlimit", crypto::kLeastCost.memlimit, crypto::kGreatestCost.memlimit);
  const std::string salt_text = members.hex("salt", 2 * crypto::kSaltBytes), check_text = members.hex("check", 80);
  if (auto good = members.finish(); !good) return good.error().at(header.string());
  const crypto::Bytes salt = crypto::hex_decode(salt_text).value(), check = crypto::hex_decode(check_text).value();

  auto master = crypto::password_hash(crypto::bytes_of(passphrase.expose_secret()), std::span<const std::uint8_t, crypto::kSaltBytes>(salt.data(), crypto::kSaltBytes),
                                      {opslimit, memlimit});
  if (!master) return master.error().at(header.string());
  if (!crypto::unseal(*master, kCheck, check)) return Error{ErrorCode::key, folder.string() + ": wrong passphrase"};
  Keystore store;
  store.folder_ = folder;
  store.master_ = *std::move(master);
  return store;
}

Result<std::vector<std::uint8_t>> Keystore::unseal_file(const std::string& name) const {
  const auto sealed = files::read(file_of(name), kLongestFile);
  if (!sealed) return sealed.error();
  auto plaintext = crypto::unseal(master_, name, crypto::bytes_of(*sealed));
  if (!plaintext) return Error{ErrorCode::bad_input, file_of(name).string() + ": damaged: it does not open under this keystore's passphrase"};
  return plaintext;
}

Result<void> Keystore::seal_file(const std::string& name, std::span<const std::uint8_t> plaintext) const {
  const auto sealed = crypto::seal(master_, name, plaintext);
  if (!sealed) return sealed.error();
  return files::write_new(file_of(name), text_of(*sealed), 0600);
}

Result<KeyInfo> Keystore::new_epoch(std::string_view path_text, const Profile& profile, const EpochOptions& options) {
  auto path = KeyPath::parse(path_text);
  if (!path) return path.error();
  const std::uint32_t n = options.family_size;
  if (n < 2 || n > 1u << 24 || (n & (n - 1)) != 0) return Error{ErrorCode::usage, "the family size must be a power of two from 2 to 2^24"};
  if (const auto known = profiles::find(profile.name); !known) return known.error();
  if (!files::is_missing(file_of(epoch_file(*path)))) return Error{ErrorCode::usage, path->text() + ": this epoch has a key already"};

  Wiped root;
  if (auto bytes = unseal_file(std::string(kRoot)); bytes) root.bytes = *std::move(bytes);
  else return bytes.error();
  if (root.bytes.size() != 32) return Error{ErrorCode::bad_input, file_of(std::string(kRoot)).string() + ": damaged"};
  const Secret32 family = crypto::expand(Secret32(std::span<const std::uint8_t, 32>(root.bytes.data(), 32)), "heirmark/v1/family/" + path->family);

  Opening opening;
  opening.path_ = *path;
  opening.profile_ = profile;
  opening.epoch_ = EpochSecret(crypto::expand(family, "heirmark/v1/epoch/" + path->epoch));
  opening.key_id_ = opening.epoch_.key_id();
  opening.family_size_ = n;
  std::array<std::uint8_t, 4> random{};
  if (auto done = crypto::random_bytes(random); !done) return done.error();
  if (auto done = crypto::random_bytes(opening.nonce_); !done) return done.error();
  // N is a power of two, so the low bits of a uniform word are uniform.
  opening.live_index_ = (static_cast<std::uint32_t>(random[0]) << 24 | static_cast<std::uint32_t>(random[1]) << 16 |
                         static_cast<std::uint32_t>(random[2]) << 8 | random[3]) & (n - 1);
  crypto::wipe(random);

  Commitment commitment{path->text(), opening.key_id_, n, std::string(profile.name), std::string(scheme_name(profile.scheme)), "xchacha20-bins2048-v1",
                        options.not_before.empty() ? path->epoch + "-01" : options.not_before, options.not_after.empty() ? last_day(path->epoch) : options.not_after,
                        options.purpose.empty() ? std::string(kDefaultPurpose) : options.purpose, opening.digest()};
  if (auto checked = Commitment::parse(commitment.bytes()); !checked) return Error{ErrorCode::usage, checked.error().message};

  std::string plaintext = opening.bytes();
  plaintext += commitment.bytes();
  auto sealed = seal_file(epoch_file(*path), crypto::bytes_of(plaintext));
  crypto::wipe({reinterpret_cast<std::uint8_t*>(plaintext.data()), plaintext.size()});
  if (!sealed) return sealed.error();
  return info_of(commitment);
}

Result<Keystore::Epoch> Keystore::load(std::string_view path_text) const {
  const auto path = KeyPath::parse(path_text);
  if (!path) return path.error();
  const std::string name = epoch_file(*path);
  if (files::is_missing(file_of(name))) return Error{ErrorCode::key, folder_.string() + ": no key " + path->text()};
  Wiped record;
  if (auto bytes = unseal_file(name); bytes) record.bytes = *std::move(bytes);
  else return bytes.error();
  const std::string_view text = text_of(record.bytes);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return Error{ErrorCode::bad_input, file_of(name).string() + ": damaged"};
  auto opening = Opening::parse(text.substr(0, end + 1));
  if (!opening) return opening.error().at(file_of(name).string());
  auto commitment = Commitment::parse(text.substr(end + 1));
  if (!commitment) return commitment.error().at(file_of(name).string());
  return Epoch{*std::move(opening), *std::move(commitment)};
}

Result<std::vector<KeyInfo>> Keystore::list() const {
  std::vector<KeyInfo> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(folder_, ec), end; !ec && it != end; it.increment(ec)) {
    std::string name = it->path().filename().string();
    const std::size_t at = name.find('@');
    if (it->path().extension() != ".key" || at == std::string::npos) continue;
    name.resize(name.size() - 4);
    name[at] = '/';
    const auto epoch = load(name);
    if (!epoch) return epoch.error().message.find(folder_.string()) == 0 ? epoch.error() : epoch.error().at(it->path().string());
    out.push_back(info_of(epoch->commitment));
  }
  if (ec) return files::failure(folder_, ec.value(), files::Access::read);
  std::sort(out.begin(), out.end(), [](const KeyInfo& a, const KeyInfo& b) { return a.path < b.path; });
  return out;
}

Result<KeyInfo> Keystore::info(std::string_view path) const {
  const auto epoch = load(path);
  if (!epoch) return epoch.error();
  return info_of(epoch->commitment);
}

Result<KeyInfo> Keystore::rotate(std::string_view family) {
  const auto all = list();
  if (!all) return all.error();
  const KeyInfo* latest = nullptr;
  for (const KeyInfo& info : *all)
    if (info.path.substr(0, info.path.find('/')) == family) latest = &info;  // sorted: the last is the latest
  if (latest == nullptr) return Error{ErrorCode::key, folder_.string() + ": no key of the family " + text::printable(family, 64)};
  const auto profile = profiles::find(latest->profile);
  if (!profile) return profile.error();
  return new_epoch(KeyPath::parse(latest->path)->next_epoch().text(), *profile, {"", "", latest->purpose, latest->family_size});
}

Result<Commitment> Keystore::commitment(std::string_view path) const {
  auto epoch = load(path);
  if (!epoch) return epoch.error();
  return std::move(epoch->commitment);
}

Result<SubkeysFile> Keystore::subkeys_file(std::string_view path, std::span<const std::string> accounts) const {
  if (auto good = SubkeysFile::check_accounts(accounts); !good) return Error{ErrorCode::usage, good.error().message};
  const auto epoch = load(path);
  if (!epoch) return epoch.error();
  const Opening& opening = epoch->opening;
  return SubkeysFile{opening.path(), opening.key_id(), opening.profile(), {accounts.begin(), accounts.end()}, opening.live_subkeys(accounts)};
}

Result<Subkeys> Keystore::subkeys(std::string_view path, std::span<const std::string> accounts) const {
  auto file = subkeys_file(path, accounts);
  if (!file) return file.error();
  return std::move(file->subkeys);
}

Result<Subkeys> Keystore::subkeys(std::string_view path) const {
  const std::string account(kDefaultAccount);
  return subkeys(path, {&account, 1});
}

Result<Opening> Keystore::open_for(std::string_view path, std::string_view recipient, std::string_view time) {
  if (!is_text(recipient)) return Error{ErrorCode::usage, "a recipient is 1 to 4096 printable ASCII characters"};
  if (!text::is_time(time)) return Error{ErrorCode::usage, "the time of an opening is written YYYY-MM-DDThh:mm:ssZ"};
  auto epoch = load(path);
  if (!epoch) return epoch.error();
  const json::Value line = json::Object{{"keyId", epoch->opening.key_id()}, {"path", epoch->opening.path().text()}, {"recipient", recipient}, {"time", time}};
  // Logged before it is handed out: an opening that left without a line would be worse than a line without an opening.
  if (auto logged = files::append(folder_ / "openings.log", json::canonical(line) + "\n", 0600); !logged) return logged.error();
  return std::move(epoch->opening);
}

Result<SignerInfo> Keystore::new_signer(std::string_view name, std::string_view algorithm) {
  if (!is_key_name(name)) return Error{ErrorCode::usage, "\"" + text::printable(name, 80) + "\" is no signer's name: expected 1 to 64 of a-z 0-9 . _ -"};
  if (algorithm != "ed25519" && algorithm != "p256") return Error{ErrorCode::usage, "unknown signature algorithm; known: ed25519, p256"};
  const auto key = crypto::PrivateKey::generate(algorithm == "p256" ? crypto::Algorithm::p256 : crypto::Algorithm::ed25519);
  if (!key) return key.error();
  Wiped der;
  if (auto bytes = key->expose_secret_der(); bytes) der.bytes = *std::move(bytes);
  else return bytes.error();
  if (auto sealed = seal_file(signer_file(name), der.bytes); !sealed) return sealed.error();
  return signer(name);
}

namespace {
Result<crypto::PrivateKey> private_key(Result<std::vector<std::uint8_t>> der, const std::string& where) {
  if (!der) return der.error();
  const Wiped wiped{*std::move(der)};
  auto key = crypto::PrivateKey::from_der(wiped.bytes);
  if (!key) return key.error().at(where);
  return key;
}
}  // namespace

Result<SignerInfo> Keystore::signer(std::string_view name) const {
  if (!is_key_name(name) || files::is_missing(file_of(signer_file(name))))
    return Error{ErrorCode::key, folder_.string() + ": no signer \"" + text::printable(name, 64) + "\""};
  const auto key = private_key(unseal_file(signer_file(name)), file_of(signer_file(name)).string());
  if (!key) return key.error();
  const auto public_key = key->public_key();
  if (!public_key) return public_key.error();
  return SignerInfo{std::string(name), std::string(crypto::algorithm_name(key->algorithm())), public_key->key_id(), public_key->pem()};
}

Result<std::vector<SignerInfo>> Keystore::signers() const {
  std::vector<SignerInfo> out;
  std::error_code ec;
  for (std::filesystem::directory_iterator it(folder_, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().extension() != ".sign") continue;
    auto found = signer(it->path().stem().string());
    if (!found) return found.error();
    out.push_back(*std::move(found));
  }
  if (ec) return files::failure(folder_, ec.value(), files::Access::read);
  std::sort(out.begin(), out.end(), [](const SignerInfo& a, const SignerInfo& b) { return a.name < b.name; });
  return out;
}

Result<std::vector<std::uint8_t>> Keystore::sign(std::string_view name, std::span<const std::uint8_t> message) const {
  if (const auto known = signer(name); !known) return known.error();
  const auto key = private_key(unseal_file(signer_file(name)), file_of(signer_file(name)).string());
  if (!key) return key.error();
  return key->sign(message);
}

namespace {
bool is_ledger_id(std::string_view id) { return id.size() == 16 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
std::string ledger_file(std::string_view id) { return std::string(id) + ".ledger"; }
}  // namespace

Result<std::string> Keystore::new_ledger_secret(std::string_view ledger_id) {
  if (!is_ledger_id(ledger_id)) return Error{ErrorCode::usage, "a ledger's id is 16 lower-case hex digits"};
  const auto keys = crypto::new_box_keys();
  if (!keys) return keys.error();
  if (auto sealed = seal_file(ledger_file(ledger_id), keys->secret.expose_secret()); !sealed) return sealed.error();
  return crypto::hex_encode(keys->public_key);
}

Result<Secret32> Keystore::ledger_secret(std::string_view ledger_id) const {
  if (!is_ledger_id(ledger_id) || files::is_missing(file_of(ledger_file(ledger_id))))
    return Error{ErrorCode::key, folder_.string() + ": no secret of the ledger " + text::printable(ledger_id, 64)};
  Wiped secret;
  if (auto bytes = unseal_file(ledger_file(ledger_id)); bytes) secret.bytes = *std::move(bytes);
  else return bytes.error();
  if (secret.bytes.size() != 32) return Error{ErrorCode::bad_input, file_of(ledger_file(ledger_id)).string() + ": damaged"};
  return Secret32(std::span<const std::uint8_t, 32>(secret.bytes.data(), 32));
}

}  // namespace heirmark
