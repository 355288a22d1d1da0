#include "ledger/folder.hpp"

#include <system_error>

#include <heirmark/keys.hpp>

#include "base/files.hpp"
#include "base/text.hpp"
#include "base/wipe.hpp"
#include "crypto/secretbox.hpp"
#include "json/value.hpp"
#include "keys/objects.hpp"
#include "ledger/packed.hpp"

namespace heirmark {
namespace fs = std::filesystem;
namespace {
constexpr const char* kWithin = "new";
constexpr std::string_view kHidden = ".new.";  // what NewFolder makes of it
}  // namespace

Result<LedgerInfo> LedgerInfo::parse(std::string_view bytes) {
  const auto value = json::parse_canonical(bytes);
  if (!value) return value.error();
  keys::Members members(*value, "heirmark/issuance-ledger/v1");
  LedgerInfo out;
  out.id = members.hex("ledgerId", 16);
  out.created = members.text("created");
  if (!text::is_time(out.created)) members.fail("member \"created\": expected a time YYYY-MM-DDThh:mm:ssZ");
  out.seal_key = members.hex("sealKey", 64);
  out.log_key = members.hex("logKey", 64);
  if (auto good = members.finish(); !good) return good.error();
  return out;
}

std::string LedgerInfo::bytes() const {
  return json::canonical(json::Object{{"type", "heirmark/issuance-ledger/v1"}, {"ledgerId", id}, {"created", created}, {"sealKey", seal_key}, {"logKey", log_key}}) + "\n";
}

namespace {
/// Is the folder empty, but for what a call that was killed left there? That goes away: a hidden folder, and files that had moved up from it
/// while the header, which goes last, had not.
Result<bool> cleared(const fs::path& folder) {
  std::vector<fs::path> hidden, moved;
  bool whole = false;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(kHidden) && it->is_directory(error)) {
      hidden.push_back(it->path());
      whole = whole || fs::exists(it->path() / ledger::kHeaderFile, error);
    } else if (name == ledger::kDatabaseFile || name == ledger::kSecretFile || name == ledger::kPublicFile) {
      moved.push_back(it->path());
    } else {
      return false;
    }
  }
  if (error) return files::failure(folder, error.value(), files::Access::write);
  if (!moved.empty() && !whole) return false;
  moved.insert(moved.end(), hidden.begin(), hidden.end());
  for (const fs::path& path : moved) {
    fs::remove_all(path, error);
    if (error) return files::failure(path, error.value(), files::Access::write);
  }
  return true;
}
}  // namespace

Result<LedgerInfo> make_ledger(const fs::path& folder, Keystore& store, std::string_view time) {
  if (!text::is_time(time)) return Error{ErrorCode::usage, "the time of a ledger is written YYYY-MM-DDThh:mm:ssZ"};
  std::error_code error;
  const bool there = !files::is_missing(folder);
  std::unique_ptr<files::FolderLock> lock;
  if (there) {
    const Error taken{ErrorCode::usage, folder.string() + ": is there already, and not an empty folder"};
    if (!fs::is_directory(folder, error)) return error ? files::failure(folder, error.value(), files::Access::write) : taken;
    auto got = files::FolderLock::take(folder, false);
    if (!got) return got.error();
    if (*got == nullptr) return Error{ErrorCode::io, folder.string() + ": another command is at work in this folder"};
    lock = std::move(got).value();
    const auto empty = cleared(folder);
    if (!empty) return empty.error();
    if (!*empty) return taken;
    fs::permissions(folder, fs::perms::owner_all, error);
  }
  if (error) return files::failure(folder, error.value(), files::Access::write);
  // Whole or not at all. A folder that is there may be a volume, which nothing can be renamed over: there the files are made in a folder
  // within and move up.
  auto made = files::NewFolder::beside(there ? folder / kWithin : folder);
  if (!made) return made.error();

  std::array<std::uint8_t, 8> id{};
  if (auto done = crypto::random_bytes(id); !done) return done.error();
  const auto log_key = crypto::PrivateKey::generate(crypto::Algorithm::ed25519);
  if (!log_key) return log_key.error();
  const auto log_public = log_key->public_key();
  if (!log_public) return log_public.error();
  const auto raw = log_public->raw_ed25519();
  if (!raw) return raw.error();
  ledger::WipedBytes der;
  if (auto bytes = log_key->expose_secret_der(); bytes) der.bytes = *std::move(bytes);
  else return bytes.error();

  if (auto opened = ledger::Database::open(made->path() / ledger::kDatabaseFile, ledger::Database::Access::create); !opened) return opened.error();
  fs::permissions(made->path() / ledger::kDatabaseFile, fs::perms::owner_read | fs::perms::owner_write, error);
  const std::string_view secret(reinterpret_cast<const char*>(der.bytes.data()), der.bytes.size());
  if (auto done = files::write_new(made->path() / ledger::kSecretFile, secret, 0600); !done) return done.error();
  if (auto done = files::write_new(made->path() / ledger::kPublicFile, log_public->pem()); !done) return done.error();
  // What is left to do can hardly fail: a secret of no ledger would stay in the keystore.
  LedgerInfo info;
  info.id = crypto::hex_encode(id);
  info.created = time;
  info.log_key = crypto::hex_encode(*raw);
  if (auto key = store.new_ledger_secret(info.id); key) info.seal_key = *key;
  else return key.error();
  if (auto done = files::write_new(made->path() / ledger::kHeaderFile, info.bytes()); !done) return done.error();
  if (!there) {
    if (auto done = made->rename(); !done) return done.error();
    return info;
  }
  for (const auto& name : {ledger::kDatabaseFile, ledger::kSecretFile, ledger::kPublicFile, ledger::kHeaderFile}) {
    if (auto done = files::rename(made->path() / name, folder / name); !done) return done.error();
  }
  return info;
}

namespace ledger {

Result<LedgerInfo> read_info(const fs::path& folder) {
  const fs::path file = folder / kHeaderFile;
  const auto bytes = files::read(file, 1 << 16);
  if (!bytes) {
    if (files::is_missing(file)) return Error{ErrorCode::bad_input, folder.string() + ": no ledger here (make one with: heirmark ledger new)"};
    return bytes.error();
  }
  auto info = LedgerInfo::parse(*bytes);
  if (!info) return info.error().at(file.string());
  return info;
}

Result<crypto::PublicKey> log_public_key(const LedgerInfo& info) {
  const auto raw = crypto::hex_decode(info.log_key);
  if (!raw) return raw.error();
  return crypto::PublicKey::from_ed25519(std::span<const std::uint8_t, 32>(raw->data(), 32));
}

Result<crypto::PrivateKey> read_log_key(const fs::path& folder, const LedgerInfo& info) {
  const fs::path file = folder / kSecretFile;
  auto text = files::read_secret(file, 4096);
  if (!text) return text.error();
  auto key = crypto::PrivateKey::from_der(crypto::bytes_of(*text));
  wipe(*text);
  if (!key) return Error{ErrorCode::bad_input, file.string() + ": not a signing key"};
  const auto public_key = key->public_key();
  if (!public_key) return public_key.error();
  const auto raw = public_key->raw_ed25519();
  if (!raw || crypto::hex_encode(*raw) != info.log_key) return Error{ErrorCode::bad_input, file.string() + ": not the key that ledger.json names"};
  return key;
}

std::string associated(const LedgerInfo& info, std::uint64_t seq) { return "heirmark/v1/ledger/" + info.id + "/" + std::to_string(seq); }

Result<Secret32> open_session(const Secret32& secret, std::span<const std::uint8_t> sealed) {
  WipedBytes key;
  if (auto bytes = crypto::box_open(secret, sealed); bytes) key.bytes = *std::move(bytes);
  else return Error{ErrorCode::key, "not this ledger's secret, or damaged"};
  if (key.bytes.size() != 32) return Error{ErrorCode::bad_input, "a session's key is not 32 bytes"};
  return Secret32(std::span<const std::uint8_t, 32>(key.bytes.data(), 32));
}

Result<State> read_state(Database& database) {
  const auto wrong = [&database](std::string_view what) { return Error{ErrorCode::invalid_evidence, database.file().string() + ": " + std::string(what)}; };
  auto select = database.prepare("SELECT size, peaks, time FROM tree LIMIT 2");
  if (!select) return select.error();
  auto row = select->step();
  if (!row) return row.error();
  if (!*row) return wrong("the table tree has no row");
  if (select->kind(0) != Statement::Kind::integer) return wrong("the table tree: size is no INTEGER");
  if (select->kind(1) != Statement::Kind::blob) return wrong("the table tree: peaks is no BLOB");
  if (select->kind(2) != Statement::Kind::text) return wrong("the table tree: time is no TEXT");
  auto tree = Tree::from(select->number(0), select->text(1));
  if (!tree) return wrong(tree.error().message);
  State out{*std::move(tree), std::string(select->text(2))};
  // What is recorded next is not earlier than this: it has to be a time.
  if (out.tree.size() == 0 && !out.time.empty()) return wrong("the tree has a time and no record");
  if (out.tree.size() != 0 && !text::is_time(out.time)) return wrong("the tree's time is no time");
  row = select->step();
  if (!row) return row.error();
  if (*row) return wrong("the table tree has more than one row");
  return out;
}

Result<void> write_state(Database& database, const State& state) {
  auto update = database.prepare("UPDATE tree SET size = ?, peaks = ?, time = ?");
  if (!update) return update.error();
  const std::string peaks = state.tree.bytes();
  return update->bind(0, state.tree.size()).bind(1, crypto::bytes_of(peaks)).bind(2, state.time).run();
}

Result<void> insert_record(Statement& insert, State& state, std::string_view line, std::string_view time, std::span<const std::uint8_t> sealed) {
  insert.bind(0, state.tree.size()).bind(1, line);
  if (sealed.empty()) insert.bind_null(2);
  else insert.bind(2, sealed);
  if (auto done = insert.run(); !done) return done;
  state.tree.add(line);
  state.time = time;
  return {};
}

}  // namespace ledger
}  // namespace heirmark
