// specs/vectors/keys.json, which an independent program wrote, and what openings and commitments must refuse.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

#include <heirmark/keys.hpp>

#include "base/files.hpp"
#include "crypto/hex.hpp"
#include "crypto/sha256.hpp"
#include "json/value.hpp"
#include "keys/members.hpp"

using namespace heirmark;
using json::Value;

namespace {
const Value& vectors() {
  static const Value value = json::parse(files::read(HEIRMARK_SOURCE_DIR "/specs/vectors/keys.json").value()).value();
  return value;
}
const json::Array& section(const char* name) { return *vectors().find(name)->if_array(); }
const std::string& text(const Value& value, const char* name) { return *value.find(name)->if_string(); }
std::string hex(const Secret32& secret) { return crypto::hex_encode(secret.expose_secret()); }
Secret32 secret_of(const std::string& digits) { return Secret32(std::span<const std::uint8_t, 32>(crypto::hex_decode(digits).value().data(), 32)); }
}  // namespace

TEST_CASE("derivation gives the vectors", "[keys]") {
  REQUIRE(section("derivation").size() >= 6);
  for (const Value& c : section("derivation")) {
    CAPTURE(text(c, "id"));
    const Secret32 family = crypto::expand(secret_of(text(c, "root")), "heirmark/v1/family/" + text(c, "family"));
    CHECK(hex(family) == text(c, "familyKey"));
    const EpochSecret epoch(crypto::expand(family, "heirmark/v1/epoch/" + text(c, "epoch")));
    CHECK(hex(epoch.expose_family_secret()) == text(c, "familySecret"));
    CHECK(epoch.key_id() == text(c, "keyId"));
    CHECK(hex(epoch.coin()) == text(c, "coin"));
    const keys::MemberKeys many(epoch);
    for (const Value& member : *c.find("members")->if_array()) {
      const auto i = static_cast<std::uint32_t>(*member.find("index")->if_integer());
      CAPTURE(i);
      CHECK(hex(epoch.member(i)) == text(member, "secret"));
      const json::Array& window = *member.find("window")->if_array();
      const auto all = epoch.windows(i);
      keys::MemberKeys::Windows fast;
      many.windows(i, fast);
      for (std::uint32_t k = 0; k < 16; ++k) {
        CHECK(hex(epoch.window(i, k)) == *window[k].if_string());
        CHECK(hex(all[k]) == *window[k].if_string());
        CHECK(crypto::hex_encode(fast[k]) == *window[k].if_string());
      }
      std::vector<std::string> accounts;
      for (const auto& [account, key] : *member.find("issuance")->if_object()) {
        CHECK(hex(epoch.issuance(i, account)) == *key.if_string());
        accounts.push_back(account);
      }
      const Subkeys subkeys = epoch.subkeys(i, accounts);
      CHECK(hex(subkeys.coin) == text(c, "coin"));
      for (std::size_t k = 0; k < 16; ++k) CHECK(hex(subkeys.window[k]) == *window[k].if_string());
      REQUIRE(subkeys.issuance.size() == accounts.size());
      for (std::size_t a = 0; a < accounts.size(); ++a) CHECK(hex(subkeys.issuance[a]) == text(*member.find("issuance"), accounts[a].c_str()));
    }
  }
}

TEST_CASE("the bulk path equals the plain one on many members", "[keys]") {
  const EpochSecret epoch(secret_of(std::string(64, '5')));
  const keys::MemberKeys many(epoch);
  bool same = true;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::uint32_t member = i * 55987;
    keys::MemberKeys::Windows fast;
    many.windows(member, fast);
    const auto plain = epoch.windows(member);
    for (std::size_t c = 0; c < 16; ++c) same = same && std::equal(fast[c].begin(), fast[c].end(), plain[c].expose_secret().begin());
  }
  CHECK(same);
}

TEST_CASE("valid openings and commitments are read and written back", "[keys]") {
  for (const Value& c : section("valid")) {
    CAPTURE(text(c, "id"));
    const auto opening = Opening::parse(text(c, "opening"));
    INFO((opening ? "" : opening.error().message));
    REQUIRE(opening.ok());
    CHECK(opening->bytes() == text(c, "opening"));
    CHECK(opening->digest() == text(c, "digest"));
    const auto commitment = Commitment::parse(text(c, "commitment"));
    INFO((commitment ? "" : commitment.error().message));
    REQUIRE(commitment.ok());
    CHECK(commitment->bytes() == text(c, "commitment"));
    CHECK(commitment->digest == opening->digest());
    CHECK(commitment->path == opening->path().text());
    CHECK(commitment->key_id == opening->key_id());
    CHECK(commitment->family_size == opening->family_size());
    CHECK(commitment->profile == opening->profile().name);
    CHECK(opening->live_index() < opening->family_size());
    CHECK(opening->epoch().key_id() == opening->key_id());
    const std::string account = "default";
    const Subkeys live = opening->live_subkeys({&account, 1});
    CHECK(live.window[5].equals(opening->epoch().window(opening->live_index(), 5)));
    CHECK(live.coin.equals(opening->coin()));
  }
}

TEST_CASE("invalid openings are refused, and no message holds the secret", "[keys]") {
  const std::string secret = text(section("derivation")[0], "familySecret");
  REQUIRE(section("invalidOpening").size() >= 60);
  for (const Value& c : section("invalidOpening")) {
    CAPTURE(text(c, "reason"));
    const auto opening = Opening::parse(text(c, "bytes"));
    REQUIRE_FALSE(opening.ok());
    CHECK(opening.error().code == ErrorCode::bad_input);
    CHECK(opening.error().message.find(secret.substr(0, 16)) == std::string::npos);
  }
}

TEST_CASE("invalid commitments are refused", "[keys]") {
  REQUIRE(section("invalidCommitment").size() >= 28);
  for (const Value& c : section("invalidCommitment")) {
    CAPTURE(text(c, "reason"));
    const auto commitment = Commitment::parse(text(c, "bytes"));
    REQUIRE_FALSE(commitment.ok());
    CHECK(commitment.error().code == ErrorCode::bad_input);
  }
}

TEST_CASE("a commitment states a purpose, in ASCII text", "[keys]") {
  const std::string good = text(section("valid")[0], "commitment"), usual = "training provenance";
  const auto with = [&](const std::string& purpose) {
    std::string bytes = good;
    return Commitment::parse(bytes.replace(bytes.find(usual), usual.size(), purpose));
  };
  for (const std::string& purpose : {std::string("x"), std::string(1024, 'x'), std::string(4096, '~')}) CHECK(with(purpose).value().purpose == purpose);
  CHECK(with("").error().message == "commitment: member \"purpose\" is empty");
  CHECK(with(std::string(4097, 'x')).error().message == "commitment: member \"purpose\": longer than 4096 characters");
  CHECK(with("tr\xC3\xA4ining").error().message == "commitment: member \"purpose\": expected printable ASCII");
}

TEST_CASE("a commitment ends no earlier than it begins, and its family size is a power of two", "[keys]") {
  const std::string good = text(section("valid")[0], "commitment");
  const auto with = [&](const std::string& old, const std::string& other) {
    std::string bytes = good;
    return Commitment::parse(bytes.replace(bytes.find(old), old.size(), other));
  };
  CHECK(with("\"notAfter\":\"2026-11-30\"", "\"notAfter\":\"2026-11-01\"").ok());
  const auto before = with("\"notAfter\":\"2026-11-30\"", "\"notAfter\":\"2026-10-31\"");
  REQUIRE_FALSE(before.ok());
  CHECK(before.error().message == "commitment: member \"notAfter\" lies before \"notBefore\"");
  for (const char* size : {"2", "4", "1048576", "16777216"}) CHECK(with("\"familySize\":1048576", std::string("\"familySize\":") + size).ok());
  for (const char* size : {"0", "1", "3", "6", "1048575", "1048577", "16777215", "16777217", "33554432"}) {
    CAPTURE(size);
    const auto wrong = with("\"familySize\":1048576", std::string("\"familySize\":") + size);
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().message.find("member \"familySize\"") != std::string::npos);
  }
}

TEST_CASE("every truncation of an opening is refused, and a changed bit never gives the same digest", "[keys]") {
  const std::string bytes = text(section("valid")[0], "opening");
  const std::string digest = text(section("valid")[0], "digest");
  for (std::size_t end = 0; end < bytes.size(); ++end) CHECK_FALSE(Opening::parse(bytes.substr(0, end)).ok());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto opening = Opening::parse(changed);
      if (opening) CHECK(opening->digest() != digest);  // the nonce or the live index: bound by the digest alone
    }
  }
}

TEST_CASE("names and paths", "[keys]") {
  for (const char* good : {"a", "0", "acme-70b", "a.b_c-d", "a..", "0123456789012345678901234567890123456789012345678901234567890123"}) CHECK(is_key_name(good));
  for (const char* bad : {"", ".a", "-a", "_a", "A", "a b", "a/b", "a@b", "\xC3\xA9", "a\n", "01234567890123456789012345678901234567890123456789012345678901234"})
    CHECK_FALSE(is_key_name(bad));
  const auto path = KeyPath::parse("acme-70b/2026-11");
  REQUIRE(path.ok());
  CHECK(path->family == "acme-70b");
  CHECK(path->epoch == "2026-11");
  CHECK(path->next_epoch().text() == "acme-70b/2026-12");
  CHECK(path->next_epoch().next_epoch().text() == "acme-70b/2027-01");
  for (const char* bad : {"", "/", "a", "a/", "/2026-11", "a/2026-1", "a/2026-00", "a/2026-13", "a/2026/11", "a/2026-11/", "a/b/2026-11", "a/2026-1x", "a/ 026-11", "a/-026-11",
                          "A/2026-11", "a/2026-11 ", "../2026-11"}) {
    CAPTURE(bad);
    CHECK_FALSE(KeyPath::parse(bad).ok());
  }
}
