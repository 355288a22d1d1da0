// The subkeys file: what it holds, every form that is refused, and who may be able to read it.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <heirmark/keys.hpp>
#include <heirmark/subkeys.hpp>

#include "base/files.hpp"
#include "json/value.hpp"

using namespace heirmark;

namespace {
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { char name[] = "/tmp/heirmark-subkeys-XXXXXX"; path = ::mkdtemp(name); }
  ~Folder() { std::error_code ignored; fs::remove_all(path, ignored); }
  fs::path path;
};

struct World {
  Folder tmp;
  Keystore store = Keystore::create(tmp.path / "keys", Passphrase(std::string("x")), Keystore::Cost::least()).value();
  std::vector<std::string> accounts{"alice", "bob"};
  World() { REQUIRE(store.new_epoch("acme-70b/2026-11", profiles::tournament_2026_11(), {}).ok()); }
  [[nodiscard]] SubkeysFile file() const { return store.subkeys_file("acme-70b/2026-11", accounts).value(); }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}
}  // namespace

TEST_CASE("a subkeys file gives back what the keystore would give", "[keys]") {
  const World world;
  const SubkeysFile made = world.file();
  const SubkeysFile read = SubkeysFile::parse(made.bytes()).value();
  CHECK(read.path.text() == "acme-70b/2026-11");
  CHECK(read.key_id == world.store.info("acme-70b/2026-11")->key_id);
  CHECK(read.profile.name == profiles::tournament_2026_11().name);
  CHECK(read.accounts == world.accounts);
  const Subkeys direct = world.store.subkeys("acme-70b/2026-11", world.accounts).value();
  CHECK(read.subkeys.coin.equals(direct.coin));
  for (std::size_t c = 0; c < Subkeys::kClasses; ++c) CHECK(read.subkeys.window[c].equals(direct.window[c]));
  REQUIRE(read.subkeys.issuance.size() == 2);
  for (std::size_t a = 0; a < 2; ++a) CHECK(read.subkeys.issuance[a].equals(direct.issuance[a]));
  CHECK(read.bytes() == made.bytes());
}

TEST_CASE("a subkeys file is canonical JSON with the page's members and nothing above a subkey", "[keys]") {
  World world;
  const std::string bytes = world.file().bytes();
  const auto value = json::parse_canonical(bytes);
  REQUIRE(value.ok());
  CHECK(value->if_object()->size() == 8);
  CHECK(*value->find("type")->if_string() == "heirmark/subkeys/v1");
  CHECK(value->find("window")->if_array()->size() == 16);
  CHECK(value->find("issuance")->if_array()->size() == 2);
  const Opening opening = world.store.open_for("acme-70b/2026-11", "x", "2026-12-01T09:00:00Z").value();
  const auto opened = json::parse_canonical(opening.bytes()).value();
  for (const char* member : {"familySecret", "nonce"}) CHECK(bytes.find(*opened.find(member)->if_string()) == std::string::npos);
  CHECK(bytes.find("liveIndex") == std::string::npos);
}

TEST_CASE("every truncation and every changed byte of a subkeys file that breaks its form is refused", "[keys]") {
  const World world;
  const std::string good = world.file().bytes();
  for (std::size_t end = 0; end < good.size(); ++end) CHECK_FALSE(SubkeysFile::parse(std::string_view(good).substr(0, end)).ok());
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char ch : {' ', '"', '\\', '\0', '\n', 'G', '}', '\xff'}) {
      if (good[i] == ch) continue;
      std::string changed = good;
      changed[i] = ch;
      CAPTURE(i, ch);
      const auto parsed = SubkeysFile::parse(changed);
      REQUIRE_FALSE(parsed.ok());
      CHECK(parsed.error().code == ErrorCode::bad_input);
    }
    CHECK_FALSE(SubkeysFile::parse(std::string(good).insert(i, " ")).ok());
  }
  for (const char* more : {"\n", " ", "x", "{}"}) CHECK_FALSE(SubkeysFile::parse(good + more).ok());
}

TEST_CASE("errors of a subkeys file name the member and no secret", "[keys]") {
  const World world;
  const std::string good = world.file().bytes();
  const auto value = json::parse_canonical(good).value();
  const std::string coin = *value.find("coin")->if_string(), window = *value.find("window")->if_array()->back().if_string();
  const std::string issuance = *value.find("issuance")->if_array()->back().if_string();
  const struct { std::string bytes, word; } cases[] = {
      {"", "accounts"},
      {"{}\n", "accounts"},
      {"[" + good, "accounts"},
      {replaced(good, "[\"alice\",\"bob\"]", "[]"), "account"},
      {replaced(good, "[\"alice\",\"bob\"]", "[\"alice\",\"alice\"]"), "twice"},
      {replaced(good, "\"alice\"", "\"Alice\""), "Alice"},
      {replaced(good, "\"bob\"]", "\"bob\",\"carol\"]"), "fewer subkeys"},
      {replaced(good, ",\"bob\"]", "]"), "more subkeys"},
      {replaced(good, coin, coin.substr(1)), "coin"},
      {replaced(good, coin, coin + "0"), "coin"},
      {replaced(good, coin, "A" + coin.substr(1)), "coin"},
      {replaced(good, issuance, ""), "issuance"},
      {replaced(good, ",\"" + window + "\"]", "]"), "window"},
      {replaced(good, window + "\"]", window + "\",\"" + window + "\"]"), "window"},
      {replaced(good, "tournament-2026-11", "tournament-2025-01"), "profile"},
      {replaced(good, "acme-70b/2026-11", "acme-70b/2026-13"), "path"},
      {replaced(good, "acme-70b/2026-11", std::string(300, 'a')), "path"},
      {replaced(good, "heirmark/subkeys/v1", "heirmark/opening/v1"), "type"},
      {replaced(good, "\"keyId\":\"", "\"keyId\":\"0"), "keyId"},
      {replaced(good, "]}", "],\"x\":1}"), "end of the object"}};
  for (const auto& [bytes, word] : cases) {
    CAPTURE(word);
    const auto parsed = SubkeysFile::parse(bytes);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().code == ErrorCode::bad_input);
    CHECK(parsed.error().message.find(word) != std::string::npos);
    for (const std::string& secret : {coin, window, issuance}) CHECK(parsed.error().message.find(secret.substr(8, 16)) == std::string::npos);
  }
}

TEST_CASE("a subkeys file that others can read or change is refused", "[keys]") {
  const World world;
  const fs::path file = world.tmp.path / "subkeys.json";
  REQUIRE(files::write_atomic(file, world.file().bytes(), 0600).ok());
  CHECK(SubkeysFile::read(file).ok());
  REQUIRE(::chmod(file.c_str(), 0400) == 0);
  CHECK(SubkeysFile::read(file).ok());
  for (const mode_t mode : {0644u, 0604u, 0602u, 0620u, 0666u, 0601u}) {
    CAPTURE(mode);
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto read = SubkeysFile::read(file);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().code == ErrorCode::key);
    CHECK(read.error().message.find(file.string() + ": ") == 0);
  }
  // Its group may read a file that root owns, and no other.
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  CHECK(SubkeysFile::read(file).ok() == (::geteuid() == 0));
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  if (::geteuid() == 0) {
    REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
    CHECK(SubkeysFile::read(file).error().code == ErrorCode::key);
  }
}

TEST_CASE("a subkeys file comes through a pipe too, and reading has a limit", "[keys]") {
  World world;
  // More than one buffer's worth, less than a pipe holds.
  world.accounts.clear();
  for (int i = 0; i < 100; ++i) world.accounts.push_back("account-" + std::to_string(i));
  const std::string bytes = world.file().bytes();
  const auto through_pipe = [](const std::string& text) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    auto read = SubkeysFile::read("/dev/fd/" + std::to_string(ends[0]));
    ::close(ends[0]);
    return read;
  };
  CHECK(through_pipe(bytes)->accounts == world.accounts);
  CHECK(through_pipe(bytes.substr(0, 5000)).error().code == ErrorCode::bad_input);
  CHECK(SubkeysFile::read(world.tmp.path).error().code == ErrorCode::bad_input);
  CHECK(SubkeysFile::read(world.tmp.path / "none").error().code == ErrorCode::bad_input);
  const auto endless = SubkeysFile::read("/dev/zero");
  REQUIRE_FALSE(endless.ok());
  CHECK(endless.error().code == ErrorCode::bad_input);
  CHECK(endless.error().message.find("bytes allowed") != std::string::npos);
}
