// Retention: sealed parts go, digests stay, and the ledger says so.
#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "ledger/reader_impl.hpp"

namespace heirmark {
namespace {
// Of one purge record. A server waits for the lock no longer than these take to be overwritten.
constexpr std::size_t kAtOnce = 4096;
constexpr std::uint64_t kBytesAtOnce = 32 << 20;
constexpr auto kMoment = std::chrono::milliseconds(100);  // how long a server that wants to write may find the log locked while it is emptied

struct Found { std::uint64_t seq, bytes; };

/// One transaction: takes the sealed parts that are still there, and records that.
Result<std::uint64_t> remove(ledger::Database& database, std::span<const Found> found, std::string_view before, std::string_view now) {
  auto transaction = ledger::Transaction::begin(database, true);
  if (!transaction) return transaction.error();
  auto state = ledger::read_state(database);
  if (!state) return state.error();
  const std::uint64_t purge = state->tree.size();
  std::vector<std::uint64_t> gone;
  {
    auto there = database.prepare("SELECT 1 FROM records WHERE seq = ? AND sealed IS NOT NULL");
    if (!there) return there.error();
    auto update = database.prepare("UPDATE records SET sealed = NULL, purged = ? WHERE seq = ?");
    if (!update) return update.error();
    for (const auto& [seq, bytes] : found) {
      there->reset();
      const auto row = there->bind(0, seq).step();
      if (!row) return row.error();
      if (!*row) continue;  // another purge was faster
      if (auto done = update->bind(0, purge).bind(1, seq).run(); !done) return done.error();
      gone.push_back(seq);
    }
    there->reset();
    if (gone.empty()) return std::uint64_t{0};
    auto insert = database.prepare(ledger::kInsertRecord);
    if (!insert) return insert.error();
    const std::string time = std::max(std::string(now), state->time);
    if (auto done = ledger::insert_record(*insert, *state, ledger::purge_line(purge, time, before, gone), time, {}); !done) return done.error();
  }
  if (auto done = ledger::write_state(database, *state); !done) return done.error();
  if (auto done = transaction->commit(); !done) return done.error();
  return gone.size();
}

/// Empties the write-ahead log; false if a reader holds on to it for longer than `wait`. SQLite keeps servers from writing while it waits for readers, so it waits for moments.
Result<bool> empty_log(ledger::Database& database, std::chrono::milliseconds wait) {
  const auto end = std::chrono::steady_clock::now() + wait;
  database.wait_for_locks(static_cast<int>(kMoment.count()));
  auto checkpoint = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!checkpoint) return checkpoint.error();
  for (;;) {
    const auto row = checkpoint->step();
    if (!row) return row.error();
    if (*row && checkpoint->number(0) == 0) return true;
    checkpoint->reset();
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(2 * kMoment);
  }
}
}  // namespace

Result<std::uint64_t> purge_ledger(const std::filesystem::path& folder, std::string_view before, std::string_view now, const LedgerSecret* secret,
                                   const std::set<std::string, std::less<>>& accounts, std::chrono::milliseconds wait) {
  for (const auto& [name, time] : {std::pair("before", before), std::pair("now", now)})
    if (!text::is_time(time)) return Error{ErrorCode::usage, std::string(name) + ": \"" + text::printable(time, 40) + "\" is no time YYYY-MM-DDThh:mm:ssZ"};
  if (before > now) return Error{ErrorCode::usage, "a purge cannot be of responses to come: " + std::string(before) + " is after " + std::string(now)};
  if (!accounts.empty() && secret == nullptr) return Error{ErrorCode::usage, "which responses are an account's is sealed: the ledger's secret is needed"};
  const auto info = ledger::read_info(folder);
  if (!info) return info.error();
  auto database = ledger::Database::open(folder / ledger::kDatabaseFile, ledger::Database::Access::write);
  if (!database) return database.error();
  database->wait_for_locks(static_cast<int>(wait.count()));  // a server holds the lock for the moment of a commit
  // Which they are is looked for without the lock: opening an account's responses may take long, and a server must go on.
  std::vector<Found> found;
  std::uint64_t unread = 0, first_unread = 0;  // whose they are cannot be known
  {
    auto transaction = ledger::Transaction::begin(*database, false);
    if (!transaction) return transaction.error();
    const auto state = ledger::read_state(*database);
    if (!state) return state.error();
    const auto end = ledger::first_at(*database, state->tree.size(), before);
    if (!end) return end.error();
    auto select = database->prepare("SELECT seq, line, length(sealed), sealed FROM records WHERE seq < ? AND sealed IS NOT NULL ORDER BY seq");
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
        const auto opened = opener->open(*record, select->blob(3));
        if (!opened && opened.error().code == ErrorCode::key && !opener->ours()) return opened.error().at(where);
        if (!opened && opened.error().code == ErrorCode::io) return opened.error().at(where);
        if (!opened) {
          if (unread++ == 0) first_unread = select->number(0);
          continue;
        }
        if (!accounts.contains(opened->packed.account)) continue;
      }
      found.push_back({select->number(0), select->number(2)});
    }
  }
  std::uint64_t gone = 0;
  for (std::size_t at = 0, end = 0; at < found.size(); at = end) {
    for (std::uint64_t bytes = 0; end < found.size() && end - at < kAtOnce && (end == at || bytes + found[end].bytes <= kBytesAtOnce); ++end) bytes += found[end].bytes;
    const auto removed = remove(*database, std::span<const Found>(found).subspan(at, end - at), before, now);
    if (!removed) return removed.error();
    gone += *removed;
  }
  // Until now the old pages stand in the write-ahead log and in the file: this writes the overwritten ones over them and empties the log. Also
  // when nothing was found: an earlier purge may not have come so far.
  const auto emptied = empty_log(*database, wait);
  if (!emptied) return emptied.error();
  if (!*emptied)
    return Error{ErrorCode::io, folder.string() + ": " + std::to_string(gone) + " responses are removed, but a program that reads the ledger keeps their old bytes on the disk; purge again when it has ended"};
  if (unread > 0)
    return Error{ErrorCode::invalid_evidence, folder.string() + ": " + std::to_string(gone) + " responses are removed; of " + std::to_string(unread) + ", the first record " +
                                                  std::to_string(first_unread) + ", nobody can say whose they are: their sealed parts do not open (heirmark ledger verify --sealed)"};
  return gone;
}

}  // namespace heirmark
