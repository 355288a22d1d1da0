#include "ledger/database.hpp"

#include <sqlite3.h>

#include <utility>

#include "base/files.hpp"

namespace heirmark::ledger {
namespace {
// "hmlg": what `file` would show, and what keeps us from writing into somebody else's database.
constexpr int kApplicationId = 0x686d6c67, kVersion = 1;

// WAL and FULL: a commit is one append and one fsync, readers never wait, and a commit that returned survives a power cut (sqlite.org/wal.html,
// pragma synchronous). secure_delete: what a purge removes is overwritten.
constexpr const char* kSettings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;";
constexpr const char* kSchema =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, line TEXT NOT NULL, sealed BLOB, purged INTEGER) STRICT;"
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;"
    "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;"
    "CREATE TABLE tree (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL, time TEXT NOT NULL) STRICT;"
    "INSERT INTO tree VALUES (1, 0, x'', '');"
    "PRAGMA application_id = 1752001639;"
    "PRAGMA user_version = 1;"
    "COMMIT;";
static_assert(kApplicationId == 1752001639);
}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)), failed_(other.failed_) {}
Statement::~Statement() { sqlite3_finalize(statement_); }
Statement& Statement::bound(int result) noexcept {
  if (failed_ == SQLITE_OK) failed_ = result;
  return *this;
}
Statement& Statement::bind(int parameter, std::uint64_t value) { return bound(sqlite3_bind_int64(statement_, parameter + 1, static_cast<sqlite3_int64>(value))); }
Statement& Statement::bind(int parameter, std::string_view text) {
  return bound(sqlite3_bind_text64(statement_, parameter + 1, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
Statement& Statement::bind(int parameter, std::span<const std::uint8_t> blob) {
  static constexpr std::uint8_t kNone = 0;
  return bound(sqlite3_bind_blob64(statement_, parameter + 1, blob.empty() ? &kNone : blob.data(), blob.size(), SQLITE_TRANSIENT));
}
Statement& Statement::bind_null(int parameter) { return bound(sqlite3_bind_null(statement_, parameter + 1)); }
Result<bool> Statement::step() {
  if (const int failed = std::exchange(failed_, SQLITE_OK); failed != SQLITE_OK) {
    sqlite3_reset(statement_);
    return database_->failure(failed);
  }
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  Result<bool> out = false;
  if (result != SQLITE_DONE) out = database_->failure();
  sqlite3_reset(statement_);
  return out;
}
Result<void> Statement::run() {
  const auto row = step();
  reset();
  if (!row) return row.error();
  return {};
}
void Statement::reset() { sqlite3_reset(statement_); }
Statement::Kind Statement::kind(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_NULL: return Kind::null;
    case SQLITE_INTEGER: return Kind::integer;
    case SQLITE_TEXT: return Kind::text;
    case SQLITE_BLOB: return Kind::blob;
    default: return Kind::other;
  }
}
std::uint64_t Statement::number(int column) const { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column)); }
std::string_view Statement::text(int column) const {
  const auto bytes = blob(column);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::span<const std::uint8_t> Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const std::uint8_t*>(data), data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Database::Database(Database&& other) noexcept : file_(std::move(other.file_)), handle_(std::exchange(other.handle_, nullptr)) {}
Database::~Database() { sqlite3_close_v2(handle_); }

Result<Database> Database::open(const std::filesystem::path& file, Access access) {
  // SQLite says "unable to open" of everything: what the system says of the name is told first.
  if (access != Access::create) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) return error && error != std::errc::no_such_file_or_directory
        ? files::failure(file, error.value(), files::Access::read) : Error{ErrorCode::bad_input, file.string() + ": no ledger here (make one with: heirmark ledger new)"};
  }
  sqlite3* handle = nullptr;
  const int flags = access == Access::create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : access == Access::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  const int opened = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database out(file, handle);
  if (opened != SQLITE_OK) return handle == nullptr ? Error{ErrorCode::io, "out of memory"} : out.failure();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  out.wait_for_locks(2000);
  if (access == Access::create) {
    if (auto done = out.run(kSettings); !done) return done.error();
    if (auto done = out.run(kSchema); !done) return done.error();
    return out;
  }
  {
    const auto number = [&out](const char* sql) -> Result<std::uint64_t> {
      auto statement = out.prepare(sql);
      if (!statement) return statement.error();
      const auto row = statement->step();
      if (!row) return row.error();
      return *row ? statement->number(0) : 0;
    };
    const auto application = number("PRAGMA application_id"), version = number("PRAGMA user_version");
    if (!application) return application.error();
    if (!version) return version.error();
    if (*application != kApplicationId) return Error{ErrorCode::bad_input, file.string() + ": not the database of a ledger"};
    if (*version != kVersion) return Error{ErrorCode::bad_input, file.string() + ": a ledger of version " + std::to_string(*version) + "; this is for version 1"};
  }
  // Exactly our tables: a view could stand for a table and a trigger could write.
  if (auto done = out.run("PRAGMA trusted_schema=OFF"); !done) return done.error();
  {
    auto select = out.prepare("SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)"
                              " WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type <> 'table')");
    if (!select) return select.error();
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row || select->text(0) != "checkpoints records sessions tree") return Error{ErrorCode::bad_input, file.string() + ": not the tables of a ledger"};
  }
  if (access == Access::write) {
    if (auto done = out.run(kSettings); !done) return done.error();
  }
  return out;
}

void Database::wait_for_locks(int milliseconds) { sqlite3_busy_timeout(handle_, milliseconds); }

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure();
  return {};
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr) != SQLITE_OK) return failure();
  return Statement(*this, statement);
}

Error Database::failure() const { return failure(sqlite3_extended_errcode(handle_)); }

Error Database::failure(int result) const {
  const auto say = [this](ErrorCode code, std::string_view what) { return Error{code, file_.string() + ": " + std::string(what)}; };
  switch (result & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return say(ErrorCode::io, "locked by another program");
    case SQLITE_FULL: return say(ErrorCode::io, "the disk is full");
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return say(ErrorCode::key, "may not be written");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return say(ErrorCode::bad_input, "damaged, or not the database of a ledger");
    case SQLITE_CANTOPEN: return say(ErrorCode::io, "cannot be opened");
    case SQLITE_NOMEM: return say(ErrorCode::io, "out of memory");
    case SQLITE_TOOBIG: return say(ErrorCode::io, "too large for a database");
    case SQLITE_ERROR: return say(ErrorCode::bad_input, std::string("damaged: ") + sqlite3_errmsg(handle_));
    default: return say(ErrorCode::io, sqlite3_errmsg(handle_));
  }
}

Result<Transaction> Transaction::begin(Database& database, bool write) {
  if (auto done = database.run(write ? "BEGIN IMMEDIATE" : "BEGIN"); !done) return done.error();
  return Transaction(database);
}
Transaction::Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
Transaction::~Transaction() {
  if (database_ != nullptr) (void)database_->run("ROLLBACK");
}
Result<void> Database::in_its_place() {
  int moved = 0;
  if (const int result = sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved); result != SQLITE_OK) return failure(result);
  if (moved != 0) return Error{ErrorCode::io, file_.string() + ": was moved or deleted"};
  return {};
}

Result<void> Transaction::commit() {
  if (auto done = database_->run("COMMIT"); !done) return done;
  database_ = nullptr;
  return {};
}

}  // namespace heirmark::ledger
