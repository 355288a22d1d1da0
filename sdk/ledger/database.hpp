// SQLite, as far as the ledger needs it. The only file of the project, with its .cpp, that includes sqlite3.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace heirmark::ledger {

/// A prepared statement: bind, step, read. Parameters and columns count from 0.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();
  Statement& bind(int parameter, std::uint64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::span<const std::uint8_t> blob);
  Statement& bind_null(int parameter);
  /// Is there a row? Begins again after the last one. Fails, once, for a parameter that could not be bound: SQLite would take NULL in its place.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] Result<void> run();  ///< step() that expects no row
  void reset();
  enum class Kind : std::uint8_t { null, integer, text, blob, other };
  [[nodiscard]] Kind kind(int column) const;  ///< of the value as it is stored, until it is read as another
  [[nodiscard]] bool is_null(int column) const { return kind(column) == Kind::null; }
  [[nodiscard]] std::uint64_t number(int column) const;
  [[nodiscard]] std::string_view text(int column) const;  ///< valid until the next step; bytes of a blob too
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;

 private:
  friend class Database;
  Statement(class Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}
  Statement& bound(int result) noexcept;
  class Database* database_;
  sqlite3_stmt* statement_;
  int failed_ = 0;  ///< SQLite's code of the first bind since the last step that failed
};

class Database {
 public:
  enum class Access : std::uint8_t { read, write, create };
  /// Opens ledger.db and checks that it is one. `key` permissions, `bad_input` missing or damaged, `io` the rest.
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& file, Access access);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  [[nodiscard]] Result<void> run(const char* sql);
  [[nodiscard]] Result<Statement> prepare(const char* sql);
  /// What the last failed call means to a person: "ledger.db: the disk is full".
  [[nodiscard]] Error failure() const;            ///< of the last call
  [[nodiscard]] Error failure(int result) const;  ///< of a call that gave this code
  /// `io` if the file was moved or deleted: what is written goes where nobody will look for it.
  [[nodiscard]] Result<void> in_its_place();
  /// How long a call waits for another program's lock.
  void wait_for_locks(int milliseconds);
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

 private:
  Database(std::filesystem::path file, sqlite3* handle) : file_(std::move(file)), handle_(handle) {}
  std::filesystem::path file_;
  sqlite3* handle_;
};

/// Rolls back when left without commit().
class Transaction {
 public:
  /// `write` takes the writer's lock at once, so that the transaction cannot fail half-way for another's sake.
  [[nodiscard]] static Result<Transaction> begin(Database& database, bool write);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  [[nodiscard]] Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace heirmark::ledger
