// The keystore: what it makes, what it refuses, and that damage is always noticed.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

#include <heirmark/keys.hpp>

#include "base/files.hpp"
#include "crypto/sha256.hpp"
#include "crypto/signature.hpp"
#include "json/value.hpp"

using namespace heirmark;

namespace {
namespace fs = std::filesystem;
constexpr Keystore::Cost kCheap = Keystore::Cost::least();
const std::string kPath = "acme-70b/2026-11";

class Folder {
 public:
  Folder() { char name[] = "/tmp/heirmark-keys-XXXXXX"; path = ::mkdtemp(name); }
  ~Folder() { std::error_code ignored; fs::remove_all(path, ignored); }
  fs::path path;
};

Passphrase right() { return Passphrase(std::string("correct horse")); }
std::size_t entries(const fs::path& folder) { return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator())); }
mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}
Keystore make(const fs::path& folder) { return Keystore::create(folder, right(), kCheap).value(); }
}  // namespace

TEST_CASE("a keystore keeps its keys from one opening to the next", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  CHECK_FALSE(Keystore::exists(folder));
  std::string secret_coin;
  KeyInfo made;
  {
    Keystore store = make(folder);
    CHECK(store.list()->empty());
    made = store.new_epoch(kPath, profiles::standard_2026_11(), {}).value();
  }
  CHECK(Keystore::exists(folder));
  CHECK(made.path == kPath);
  CHECK(made.profile == "standard-2026-11");
  CHECK(made.scheme == "gumbel");
  CHECK(made.family_size == 1u << 20);
  CHECK(made.not_before == "2026-11-01");
  CHECK(made.not_after == "2026-11-30");
  CHECK(made.purpose == Keystore::kDefaultPurpose);

  Keystore store = Keystore::open(folder, right()).value();
  REQUIRE(store.list()->size() == 1);
  CHECK(store.list()->front().key_id == made.key_id);
  CHECK(store.info(kPath)->commitment_digest == made.commitment_digest);
  const Commitment commitment = store.commitment(kPath).value();
  CHECK(Commitment::parse(commitment.bytes())->digest == made.commitment_digest);
  const Opening opening = store.open_for(kPath, "Court of Appeal", "2026-12-01T09:00:00Z").value();
  CHECK(opening.digest() == commitment.digest);
  CHECK(opening.key_id() == commitment.key_id);
  CHECK(opening.live_index() < opening.family_size());

  const std::string accounts[] = {"alice", "bob"};
  const Subkeys subkeys = store.subkeys(kPath, accounts).value();
  CHECK(subkeys.coin.equals(opening.coin()));
  for (std::uint32_t c = 0; c < 16; ++c) CHECK(subkeys.window[c].equals(opening.epoch().window(opening.live_index(), c)));
  REQUIRE(subkeys.issuance.size() == 2);
  CHECK(subkeys.issuance[1].equals(opening.epoch().issuance(opening.live_index(), "bob")));
  CHECK(store.subkeys(kPath)->issuance[0].equals(opening.epoch().issuance(opening.live_index(), "default")));
}

TEST_CASE("files are private, and the log tells who received an opening", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  REQUIRE(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  REQUIRE(store.new_signer("provider", "ed25519").ok());
  REQUIRE(store.open_for(kPath, "a\"b", "2026-12-01T09:00:00Z").ok());
  REQUIRE(store.open_for(kPath, "c", "2026-12-02T09:00:00Z").ok());
  CHECK(mode_of(folder) == 0700);
  for (const auto& entry : fs::directory_iterator(folder)) CHECK(mode_of(entry.path()) == 0600);
  CHECK(entries(folder) == 5);
  const std::string key_id = store.info(kPath)->key_id;
  CHECK(files::read(folder / "openings.log").value() ==
        "{\"keyId\":\"" + key_id + "\",\"path\":\"acme-70b/2026-11\",\"recipient\":\"a\\\"b\",\"time\":\"2026-12-01T09:00:00Z\"}\n" +
            "{\"keyId\":\"" + key_id + "\",\"path\":\"acme-70b/2026-11\",\"recipient\":\"c\",\"time\":\"2026-12-02T09:00:00Z\"}\n");
}

TEST_CASE("nothing secret stands in a keystore in the clear", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  REQUIRE(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  const Opening opening = store.open_for(kPath, "x", "2026-12-01T09:00:00Z").value();
  const auto raw = opening.epoch().expose_family_secret().expose_secret();
  const std::string needle(raw.begin(), raw.begin() + 8);
  const std::string digits = opening.bytes().substr(opening.bytes().find("familySecret") + 15, 16);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string bytes = files::read(entry.path()).value();
    CHECK(bytes.find(needle) == std::string::npos);
    CHECK(bytes.find(digits) == std::string::npos);
    CHECK(bytes.find("correct horse") == std::string::npos);
    CHECK(bytes.find("liveIndex") == std::string::npos);
  }
}

TEST_CASE("two keystores and two epochs have other secrets, and live indices spread", "[keys]") {
  const Folder tmp;
  Keystore a = make(tmp.path / "a"), b = make(tmp.path / "b");
  CHECK(a.new_epoch(kPath, profiles::standard_2026_11(), {})->key_id != b.new_epoch(kPath, profiles::standard_2026_11(), {})->key_id);
  CHECK(a.new_epoch("acme-70b/2026-12", profiles::standard_2026_11(), {})->key_id != a.info(kPath)->key_id);
  // 40 fair bits are all equal with probability 2^-39, 2e-12.
  bool seen[2] = {false, false};
  for (int year = 0; year < 40; ++year) {
    const std::string path = "two/" + std::to_string(2000 + year) + "-01";
    REQUIRE(a.new_epoch(path, profiles::standard_2026_11(), {"", "", "", 2}).ok());
    seen[a.open_for(path, "test", "2026-12-01T09:00:00Z")->live_index()] = true;
  }
  CHECK((seen[0] && seen[1]));
}

TEST_CASE("rotation takes the next month with the same profile", "[keys]") {
  const Folder tmp;
  Keystore store = make(tmp.path / "keys");
  CHECK(store.rotate("acme-70b").error().code == ErrorCode::key);
  REQUIRE(store.new_epoch("acme-70b/2026-12", profiles::tournament_2026_11(), {"", "", "a purpose", 1024}).ok());
  REQUIRE(store.new_epoch("acme-70b/2025-01", profiles::standard_2026_11(), {}).ok());
  REQUIRE(store.new_epoch("acme/2030-01", profiles::standard_2026_11(), {}).ok());
  const KeyInfo next = store.rotate("acme-70b").value();
  CHECK(next.path == "acme-70b/2027-01");
  CHECK(next.profile == "tournament-2026-11");
  CHECK(next.family_size == 1024);
  CHECK(next.purpose == "a purpose");
  CHECK(next.not_before == "2027-01-01");
  CHECK(next.not_after == "2027-01-31");
  CHECK(store.list()->size() == 4);
}

TEST_CASE("impossible requests are refused and change nothing", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  REQUIRE(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  const std::string before = files::read(folder / "acme-70b@2026-11.key").value();
  const auto refused = [&](const auto& result, ErrorCode code) {
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == code);
    CHECK_FALSE(result.error().message.empty());
  };
  refused(store.new_epoch(kPath, profiles::standard_2026_11(), {}), ErrorCode::usage);  // a second time
  refused(store.new_epoch("acme-70b", profiles::standard_2026_11(), {}), ErrorCode::bad_input);
  refused(store.new_epoch("../x/2026-11", profiles::standard_2026_11(), {}), ErrorCode::bad_input);
  for (const std::uint32_t size : {0u, 1u, 3u, 1000u, (1u << 24) + 1, 1u << 25, 0xFFFFFFFFu}) refused(store.new_epoch("x/2026-11", profiles::standard_2026_11(), {"", "", "", size}), ErrorCode::usage);
  refused(store.new_epoch("x/2026-11", profiles::standard_2026_11(), {"2026-11-31", "", "", 2}), ErrorCode::usage);
  refused(store.new_epoch("x/2026-11", profiles::standard_2026_11(), {"2026-12-01", "2026-11-30", "", 2}), ErrorCode::usage);
  refused(store.new_epoch("x/2026-11", profiles::standard_2026_11(), {"", "", "tr\xC3\xA4ining", 2}), ErrorCode::usage);
  refused(store.new_epoch("x/2026-11", Profile{"mine", Scheme::gumbel}, {}), ErrorCode::bad_input);
  refused(store.info("acme-70b/2026-12"), ErrorCode::key);
  refused(store.commitment("other/2026-11"), ErrorCode::key);
  refused(store.subkeys("other/2026-11"), ErrorCode::key);
  refused(store.open_for("other/2026-11", "x", "2026-12-01T09:00:00Z"), ErrorCode::key);
  const std::string bad_account[] = {"Alice"};
  refused(store.subkeys(kPath, bad_account), ErrorCode::usage);
  refused(store.subkeys(kPath, std::span<const std::string>()), ErrorCode::usage);
  for (const char* recipient : {"", "a\nb", "\xFF"}) refused(store.open_for(kPath, recipient, "2026-12-01T09:00:00Z"), ErrorCode::usage);
  for (const char* time : {"", "now", "2026-12-01", "2026-12-01T09:00:00Z\n"}) refused(store.open_for(kPath, "x", time), ErrorCode::usage);
  refused(store.signer("nobody"), ErrorCode::key);
  refused(store.new_signer("a/b", "ed25519"), ErrorCode::usage);
  refused(store.new_signer("provider", "rsa"), ErrorCode::usage);
  CHECK(entries(folder) == 3);
  CHECK(files::read(folder / "acme-70b@2026-11.key").value() == before);
}

TEST_CASE("a wrong passphrase is told from damage", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  make(folder);
  for (const char* wrong : {"", "correct hors", "correct horse ", "Correct horse"}) {
    const auto store = Keystore::open(folder, Passphrase(std::string(wrong)));
    REQUIRE_FALSE(store.ok());
    CHECK(store.error().code == ErrorCode::key);
    CHECK(store.error().message.find("wrong passphrase") != std::string::npos);
  }
  const auto nothing = Keystore::open(tmp.path / "none", right());
  REQUIRE_FALSE(nothing.ok());
  CHECK(nothing.error().code == ErrorCode::key);
}

TEST_CASE("the cost of the passphrase hash is moderate, is kept, and has bounds", "[keys]") {
  const Folder tmp;
  const auto cost_of = [](const fs::path& folder) {
    const auto header = json::parse_canonical(files::read(folder / "HEIRMARK-KEYSTORE").value()).value();
    return std::pair(*header.find("opslimit")->if_integer(), *header.find("memlimit")->if_integer());
  };
  REQUIRE(Keystore::create(tmp.path / "default", right()).ok());
  CHECK(cost_of(tmp.path / "default") == std::pair<std::int64_t, std::int64_t>(3, 268'435'456));
  CHECK(Keystore::open(tmp.path / "default", right()).ok());
  // What the first version made, libsodium's "interactive", opens as before.
  REQUIRE(Keystore::create(tmp.path / "old", right(), {2, 67'108'864}).ok());
  CHECK(cost_of(tmp.path / "old") == std::pair<std::int64_t, std::int64_t>(2, 67'108'864));
  CHECK(Keystore::open(tmp.path / "old", right()).ok());
  for (const Keystore::Cost cost : {Keystore::Cost{0, 8192}, {1, 8191}, {1, 0}, {17, 8192}, {1, (1u << 30) + 1}, {UINT64_MAX, UINT64_MAX}}) {
    const auto store = Keystore::create(tmp.path / "refused", right(), cost);
    REQUIRE_FALSE(store.ok());
    CHECK(store.error().code == ErrorCode::usage);
    CHECK_FALSE(fs::exists(tmp.path / "refused"));
  }
}

TEST_CASE("a hostile header is refused before it costs anything", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys", file = folder / "HEIRMARK-KEYSTORE";
  make(folder);
  const std::string good = files::read(file).value();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    REQUIRE(files::write_atomic(file, bytes, 0600).ok());
    const auto store = Keystore::open(folder, right());
    REQUIRE_FALSE(store.ok());
    CHECK(store.error().code == ErrorCode::bad_input);
    return store.error().message;
  };
  // The member is named: the value was refused as it was read, and no hash was begun.
  for (const char* memory : {"1073741825", "2147483648", "9007199254740991", "8191", "0", "-1"}) CHECK(with("\"memlimit\":8192", std::string("\"memlimit\":") + memory).find("memlimit") != std::string::npos);
  for (const char* passes : {"17", "9007199254740991", "0", "-1"}) CHECK(with("\"opslimit\":1", std::string("\"opslimit\":") + passes).find("opslimit") != std::string::npos);
}

TEST_CASE("every truncation and every changed bit of the header is noticed", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  make(folder);
  const fs::path file = folder / "HEIRMARK-KEYSTORE";
  const std::string good = files::read(file).value();
  const auto try_open = [&](const std::string& bytes) {
    REQUIRE(files::write_atomic(file, bytes, 0600).ok());
    const auto store = Keystore::open(folder, right());
    if (store) return false;
    return (store.error().code == ErrorCode::key || store.error().code == ErrorCode::bad_input) && store.error().message.find(folder.string()) != std::string::npos;
  };
  for (std::size_t end = 0; end < good.size(); ++end) CHECK(try_open(good.substr(0, end)));
  // A changed limit may ask for 2^31 bytes of memory: the test leaves that line's digits alone and changes every other byte.
  const std::size_t limits = good.find("\"memlimit\""), after = good.find("\"salt\"");
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (i >= limits && i < after) continue;
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    CAPTURE(i);
    CHECK(try_open(changed));
  }
  CHECK(try_open(good + "\n"));
  CHECK(try_open(good + good));
  CHECK_FALSE(try_open(good));
}

TEST_CASE("every truncation and every changed bit of a sealed file is noticed", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  REQUIRE(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  REQUIRE(store.new_signer("provider", "p256").ok());
  const auto use = [&](const std::string& name) -> Result<void> {
    if (name == "root.key") {
      if (auto made = store.new_epoch("fresh/2026-11", profiles::standard_2026_11(), {}); !made) return made.error();
      fs::remove(folder / "fresh@2026-11.key");
    } else if (name == "provider.sign") {
      if (auto found = store.signer("provider"); !found) return found.error();
    } else if (auto found = store.info(kPath); !found) {
      return found.error();
    }
    return {};
  };
  for (const std::string name : {"root.key", "acme-70b@2026-11.key", "provider.sign"}) {
    CAPTURE(name);
    const std::string good = files::read(folder / name).value();
    REQUIRE(use(name).ok());
    const auto noticed = [&](const std::string& bytes) {
      REQUIRE(files::write_atomic(folder / name, bytes, 0600).ok());
      const auto done = use(name);
      return !done && (done.error().code == ErrorCode::bad_input || done.error().code == ErrorCode::key) && done.error().message.find(name) != std::string::npos;
    };
    bool all = true;
    for (std::size_t end = 0; end < good.size(); end += name == "root.key" ? std::size_t{1} : std::size_t{7}) all = all && noticed(good.substr(0, end));
    CHECK(all);
    for (std::size_t i = 0; i < good.size(); ++i) {
      std::string changed = good;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      all = all && noticed(changed);
    }
    CHECK(all);
    CHECK(noticed(good + "x"));
    CHECK(noticed(""));
    REQUIRE(files::write_atomic(folder / name, good, 0600).ok());
    CHECK(use(name).ok());
  }
}

TEST_CASE("a sealed file under another name is refused", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  REQUIRE(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  REQUIRE(store.new_signer("a", "ed25519").ok());
  fs::copy_file(folder / "acme-70b@2026-11.key", folder / "acme-70b@2026-12.key");
  fs::copy_file(folder / "a.sign", folder / "b.sign");
  CHECK_FALSE(store.info("acme-70b/2026-12").ok());
  CHECK_FALSE(store.signer("b").ok());
  // A file of another keystore under the same name.
  Keystore other = Keystore::create(tmp.path / "other", right(), kCheap).value();
  REQUIRE(other.new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  fs::copy_file(tmp.path / "other" / "acme-70b@2026-11.key", folder / "acme-70b@2026-11.key", fs::copy_options::overwrite_existing);
  CHECK_FALSE(store.info(kPath).ok());
}

TEST_CASE("a keystore is made once, and of many makers one wins", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  constexpr int kMakers = 6;
  pid_t children[kMakers];
  for (pid_t& child : children) {
    child = ::fork();
    if (child == 0) ::_exit(Keystore::create(folder, right(), kCheap).ok() ? 0 : 1);
  }
  int winners = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    winners += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  CHECK(winners == 1);
  CHECK(entries(folder) == 2);
  auto store = Keystore::open(folder, right());
  REQUIRE(store.ok());
  CHECK(store->new_epoch(kPath, profiles::standard_2026_11(), {}).ok());
  const auto again = Keystore::create(folder, right(), kCheap);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::usage);
}

TEST_CASE("of many processes that make one epoch one wins", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  pid_t children[6];
  for (pid_t& child : children) {
    child = ::fork();
    if (child == 0) ::_exit(store.new_epoch(kPath, profiles::standard_2026_11(), {}).ok() ? 0 : 1);
  }
  int winners = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    winners += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  CHECK(winners == 1);
  CHECK(store.info(kPath).ok());
  CHECK(entries(folder) == 3);
}

TEST_CASE("signing keys are kept sealed and sign", "[keys]") {
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  {
    Keystore store = make(folder);
    REQUIRE(store.new_signer("provider", "ed25519").ok());
    REQUIRE(store.new_signer("auditor", "p256").ok());
    CHECK(store.new_signer("provider", "p256").error().code == ErrorCode::usage);
  }
  const Keystore store = Keystore::open(folder, right()).value();
  const auto signers = store.signers();
  REQUIRE(signers.ok());
  REQUIRE(signers->size() == 2);
  CHECK(signers->at(0).name == "auditor");
  CHECK(signers->at(0).algorithm == "p256");
  CHECK(signers->at(1).algorithm == "ed25519");
  for (const SignerInfo& info : *signers) {
    const std::string message = "a message";
    const auto signature = store.sign(info.name, crypto::bytes_of(message));
    REQUIRE(signature.ok());
    const auto key = crypto::PublicKey::from_pem(info.public_pem);
    REQUIRE(key.ok());
    CHECK(key->key_id() == info.key_id);
    CHECK(key->verify(crypto::bytes_of(message), *signature).ok());
    CHECK_FALSE(key->verify(crypto::bytes_of("another"), *signature).ok());
  }
  CHECK(store.sign("nobody", {}).error().code == ErrorCode::key);
}

TEST_CASE("the record format is the one that the page says", "[keys]") {
  // Opened by hand from specs/keys.md: header, master, root, and the epoch's file.
  const Folder tmp;
  const fs::path folder = tmp.path / "keys";
  Keystore store = make(folder);
  const KeyInfo info = store.new_epoch(kPath, profiles::standard_2026_11(), {}).value();
  const std::string header = files::read(folder / "HEIRMARK-KEYSTORE").value();
  const auto value = json::parse_canonical(header);
  REQUIRE(value.ok());
  REQUIRE(value->if_object()->size() == 5);
  CHECK(*value->find("type")->if_string() == "heirmark/keystore/v1");
  CHECK(*value->find("opslimit")->if_integer() == 1);
  CHECK(*value->find("memlimit")->if_integer() == 8192);
  CHECK(value->find("salt")->if_string()->size() == 32);
  CHECK(value->find("check")->if_string()->size() == 80);
  CHECK(files::read(folder / "root.key")->size() == 24 + 32 + 16);
  const std::string opening = store.open_for(kPath, "x", "2026-12-01T09:00:00Z")->bytes();
  CHECK(crypto::sha256_hex(opening) == info.commitment_digest);
  CHECK(files::read(folder / "acme-70b@2026-11.key")->size() == 24 + opening.size() + store.commitment(kPath)->bytes().size() + 16);
  CHECK(opening.back() == '\n');
}

TEST_CASE("a passphrase is the first line of a descriptor", "[keys]") {
  const auto from = [](const std::string& bytes) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    ::close(ends[1]);
    auto passphrase = Passphrase::read_fd(ends[0]);
    ::close(ends[0]);
    return passphrase;
  };
  CHECK(from("secret\nmore\n")->expose_secret() == "secret");
  CHECK(from("secret")->expose_secret() == "secret");
  CHECK(from("secret\r\n")->expose_secret() == "secret");
  CHECK(from(" \xC3\xA9 \n")->expose_secret() == " \xC3\xA9 ");
  CHECK(from(std::string(1024, 'x') + "\n")->expose_secret().size() == 1024);
  CHECK(from(std::string(1025, 'x') + "\n").error().code == ErrorCode::key);
  CHECK(from("").error().code == ErrorCode::key);
  CHECK(from("\n").error().code == ErrorCode::key);
  CHECK(Passphrase::read_fd(-1).error().code == ErrorCode::key);
  CHECK(right().equals(right()));
  CHECK_FALSE(right().equals(Passphrase(std::string("x"))));
  Passphrase moved = right(), target = std::move(moved);
  CHECK(target.equals(right()));
  CHECK(moved.expose_secret().empty());
}
