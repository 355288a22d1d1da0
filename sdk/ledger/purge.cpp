// Retention: sealed parts go, digests stay, and the ledger says so.
#include <optional>

#include "base/text.hpp"
#include "ledger/reader_impl.hpp"

namespace heirmark {

Result<std::uint64_t> purge_ledger(const std::filesystem::path& folder, std::string_view before, std::string_view now, const LedgerSecret* secret,
                                   const std::set<std::string, std::less<>>& accounts) {
  for (const std::string_view time : {before, now})
    if (!text::is_time(time)) return Error{ErrorCode::usage, "\"" + text::printable(time, 40) + "\" is no time YYYY-MM-DDThh:mm:ssZ"};
  if (before > now) return Error{ErrorCode::usage, "a purge cannot be of responses to come: " + std::string(before) + " is after " + std::string(now)};
  if (!accounts.empty() && secret == nullptr) return Error{ErrorCode::usage, "which responses are an account's is sealed: the ledger's secret is needed"};
  const auto info = ledger::read_info(folder);
  if (!info) return info.error();
  auto database = ledger::Database::open(folder / ledger::kDatabaseFile, ledger::Database::Access::write);
  if (!database) return database.error();
  database->wait_for_locks(30'000);  // a server holds the lock for the moment of a commit
  std::vector<std::uint64_t> gone;
  {
    auto transaction = ledger::Transaction::begin(*database, true);
    if (!transaction) return transaction.error();
    auto state = ledger::read_state(*database);
    if (!state) return state.error();
    const auto end = ledger::first_at(*database, state->tree.size(), before);
    if (!end) return end.error();
    auto select = database->prepare("SELECT seq, line, sealed FROM records WHERE seq < ? AND sealed IS NOT NULL ORDER BY seq");
    if (!select) return select.error();
    select->bind(0, *end);
    std::optional<ledger::Opener> opener;
    if (!accounts.empty()) opener.emplace(*database, *info, secret->secret);
    for (;;) {
      const auto row = select->step();
      if (!row) return row.error();
      if (!*row) break;
      if (opener) {
        const std::string where = "record " + std::to_string(select->number(0));
        const auto record = ledger::parse_record(select->text(1), select->number(0));
        if (!record) return Error{ErrorCode::invalid_evidence, where + ": " + record.error().message};
        const auto opened = opener->open(*record, select->blob(2));
        if (!opened) return opened.error().at(where);
        if (!accounts.contains(opened->packed.account)) continue;
      }
      gone.push_back(select->number(0));
    }
    if (gone.empty()) return std::uint64_t{0};
    const std::uint64_t purge = state->tree.size();
    {
      auto update = database->prepare("UPDATE records SET sealed = NULL, purged = ? WHERE seq = ?");
      if (!update) return update.error();
      for (const std::uint64_t seq : gone) {
        if (auto done = update->bind(0, purge).bind(1, seq).run(); !done) return done.error();
      }
      auto insert = database->prepare(ledger::kInsertRecord);
      if (!insert) return insert.error();
      const std::string time = std::max(std::string(now), state->time);
      if (auto done = ledger::insert_record(*insert, *state, ledger::purge_line(purge, time, before, gone), time, {}); !done) return done.error();
    }
    if (auto done = ledger::write_state(*database, *state); !done) return done.error();
    if (auto done = transaction->commit(); !done) return done.error();
  }
  // Until now the old pages stand in the write-ahead log and in the file: this writes the overwritten ones over them and empties the log.
  if (auto done = database->run("PRAGMA wal_checkpoint(TRUNCATE)"); !done) return done.error();
  return gone.size();
}

}  // namespace heirmark
