// Recomputes a ledger from its bytes.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/files.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/reader_impl.hpp"

namespace heirmark {
namespace {
constexpr std::size_t kMostProblems = 100;

struct Purge { std::uint64_t responses; std::string before, digest; };

class Verifier {
 public:
  Verifier(ledger::Database& database, const LedgerInfo& info, const LedgerReader::VerifyOptions& options) : database_(database), info_(info), options_(options) {
    if (options.secret != nullptr) opener_.emplace(database, info, options.secret->secret);
  }

  Result<LedgerCheck> run() {
    auto transaction = ledger::Transaction::begin(database_, false);
    if (!transaction) return transaction.error();
    const auto state = ledger::read_state(database_);
    if (!state && state.error().code != ErrorCode::invalid_evidence) return state.error();
    if (!state) problem(state.error().message);
    const double expected = state ? static_cast<double>(std::max<std::uint64_t>(state->tree.size(), 1)) : 1;
    if (opener_ && !opener_->ours()) problem("ledger.json: sealKey is not that of the ledger's secret; what was sealed to it is for somebody else");
    if (auto done = compare_log_key(); !done) return done.error();
    if (auto done = read_checkpoints(); !done) return done.error();
    if (auto done = read_published(); !done) return done.error();
    if (auto done = read_sessions(); !done) return done.error();
    auto select = database_.prepare("SELECT seq, line, sealed, purged FROM records ORDER BY seq");
    if (!select) return select.error();
    for (;;) {
      const auto row = select->step();
      if (!row) return row.error();
      if (!*row) break;
      const bool numbered = select->kind(0) == Kind::integer;
      const std::uint64_t seq = select->number(0);
      if (!numbered || seq != tree_.size()) {
        problem("record " + std::to_string(tree_.size()) + " is missing");
        break;
      }
      if (select->kind(1) != Kind::text) problem(seq, "its line is no TEXT");
      if (!select->is_null(2) && select->kind(2) != Kind::blob) problem(seq, "its sealed part is no BLOB");
      if (!select->is_null(3) && select->kind(3) != Kind::integer) problem(seq, "purged is no INTEGER");
      const std::optional<std::uint64_t> purged = select->is_null(3) ? std::nullopt : std::optional(select->number(3));
      if (auto done = record(seq, select->text(1), select->is_null(2) ? std::nullopt : std::optional(select->blob(2)), purged); !done) return done.error();
      tree_.add(select->text(1));
      compare_checkpoint();
      if (options_.progress && !options_.progress(std::min(1.0, static_cast<double>(seq + 1) / expected))) return Error{ErrorCode::stopped, "stopped"};
    }
    check_purges();
    out_.summary.records = tree_.size();
    out_.root = crypto::hex_encode(tree_.root());
    if (state) compare_state(*state);
    for (const auto& [size, checkpoint] : checkpoints_)
      if (size > tree_.size()) problem("a checkpoint covers " + std::to_string(size) + " records, the ledger has " + std::to_string(tree_.size()));
    for (const auto& [size, roots] : published_)
      if (size > tree_.size()) problem("a published checkpoint covers " + std::to_string(size) + " records, the ledger has " + std::to_string(tree_.size()));
    return std::move(out_);
  }

 private:
  using Kind = ledger::Statement::Kind;

  void problem(std::string what) {
    if (out_.problems.size() < kMostProblems) out_.problems.push_back(std::move(what));
  }
  void problem(std::uint64_t seq, const std::string& what) { problem("record " + std::to_string(seq) + ": " + what); }

  /// The log key as other tools read it, where it is there.
  Result<void> compare_log_key() {
    const std::filesystem::path file = database_.file().parent_path() / ledger::kPublicFile;
    if (files::is_missing(file)) return {};
    const auto key = ledger::log_public_key(info_);
    if (!key) return key.error();
    const auto pem = files::read(file, 4096);
    if (!pem) return pem.error();
    if (*pem != key->pem()) problem(std::string(ledger::kPublicFile) + ": not the log key that ledger.json names");
    return {};
  }

  Result<void> read_checkpoints() {
    const auto key = ledger::log_public_key(info_);
    if (!key) return key.error();
    auto select = database_.prepare("SELECT size, note FROM checkpoints ORDER BY size");
    if (!select) return select.error();
    std::string before;
    for (;;) {
      const auto row = select->step();
      if (!row) return row.error();
      if (!*row) return {};
      ++out_.checkpoints;
      if (select->kind(0) != Kind::integer) { problem("a checkpoint's size is no INTEGER"); continue; }
      const std::string name = "checkpoint at " + std::to_string(select->number(0));
      if (select->kind(1) != Kind::text) problem(name + ": its note is no TEXT");
      auto checkpoint = ledger::parse_checkpoint(select->text(1), info_.id, *key);
      if (!checkpoint) { problem(name + ": " + checkpoint.error().message); continue; }
      if (checkpoint->size != select->number(0) || checkpoint->size == 0) { problem(name + ": is of " + std::to_string(checkpoint->size)); continue; }
      if (checkpoint->time < before) problem(name + ": is earlier than the one before it");
      before = checkpoint->time;
      const std::uint64_t size = checkpoint->size;
      if (!checkpoints_.emplace(size, *std::move(checkpoint)).second) problem(name + ": is there twice");
    }
  }

  Result<void> read_sessions() {
    constexpr std::size_t kSealedKey = 80;
    auto select = database_.prepare("SELECT id, sealed FROM sessions");
    if (!select) return select.error();
    for (;;) {
      const auto row = select->step();
      if (!row) return row.error();
      if (!*row) return {};
      if (select->kind(0) != Kind::integer) { problem("a session's id is no INTEGER"); continue; }
      const std::uint64_t id = select->number(0);
      const bool good = select->kind(1) == Kind::blob && select->blob(1).size() == kSealedKey;
      if (!good) problem("session " + std::to_string(id) + ": its key is no BLOB of " + std::to_string(kSealedKey) + " bytes");
      if (!sessions_.emplace(id, good).second) problem("session " + std::to_string(id) + ": is there twice");
    }
  }

  Result<void> read_published() {
    const auto key = ledger::log_public_key(info_);
    if (!key) return key.error();
    for (std::size_t i = 0; i < options_.published.size(); ++i) {
      const std::string name = i < options_.published_names.size() ? options_.published_names[i] : "published checkpoint " + std::to_string(i + 1);
      auto checkpoint = ledger::parse_checkpoint(options_.published[i], info_.id, *key);
      if (!checkpoint && checkpoint.error().code == ErrorCode::bad_input) return checkpoint.error().at(name);
      if (!checkpoint) problem(name + ": " + checkpoint.error().message);
      else published_[checkpoint->size].insert(checkpoint->root);
    }
    return {};
  }

  void compare_state(const ledger::State& state) {
    if (state.tree.size() != tree_.size() || state.tree.root() != tree_.root()) problem("the tree that the ledger keeps is not that of its records");
    else if (state.time < out_.summary.last || state.time > time_)  // a time to come would be that of all further records
      problem("the time that the ledger keeps, " + state.time + ", is not its last record's or checkpoint's");
  }

  void compare_checkpoint() {
    if (const auto published = published_.find(tree_.size()); published != published_.end())
      for (const std::string& root : published->second)
        if (root != crypto::hex_encode(tree_.root())) problem("the published checkpoint of " + std::to_string(tree_.size()) + " records has another root than the ledger's records");
    const auto checkpoint = checkpoints_.find(tree_.size());
    if (checkpoint == checkpoints_.end()) return;
    const std::string before = time_;
    time_ = std::max(before, checkpoint->second.time);  // nothing after it is earlier than it
    if (checkpoint->second.root != crypto::hex_encode(tree_.root())) problem("checkpoint at " + std::to_string(tree_.size()) + ": another root than that of the records");
    else out_.covered = tree_.size();
    if (checkpoint->second.time < before) problem("checkpoint at " + std::to_string(tree_.size()) + ": is earlier than a record that it covers");
  }

  Result<void> record(std::uint64_t seq, std::string_view line, std::optional<std::span<const std::uint8_t>> sealed, std::optional<std::uint64_t> purged) {
    const auto parsed = ledger::parse_record(line, seq);
    if (!parsed) return problem(seq, parsed.error().message), Result<void>();
    const LedgerRecord& record = parsed->record;
    if (record.time < time_) problem(seq, "is earlier than the one before it");
    time_ = std::max(time_, record.time);
    LedgerSummary& summary = out_.summary;
    if (summary.first.empty()) summary.first = record.time;
    summary.last = record.time;
    if (record.kind != LedgerRecord::Kind::response) {
      if (sealed || purged) problem(seq, "has a sealed part");
      if (record.kind == LedgerRecord::Kind::lost) summary.lost += record.responses;
      else purges_.emplace(seq, Purge{record.responses, record.before, parsed->purged});
      if (record.kind == LedgerRecord::Kind::purge && record.before > record.time) problem(seq, "a purge of responses to come");
      return {};
    }
    ++summary.responses;
    summary.tokens += record.tokens;
    summary.marked_tokens += record.marked_tokens;
    if (purged) {
      ++summary.purged;
      if (sealed) problem(seq, "is purged and still has its sealed part");
      if (*purged <= seq) problem(seq, "is purged by a record that is not after it");
      gone_[*purged].push_back(seq);
      times_of_gone_[*purged] = record.time;
      return {};
    }
    if (!sealed) return problem(seq, "its sealed part is missing, and no purge says so"), Result<void>();
    if (crypto::hex_encode(crypto::sha256(*sealed)) != parsed->sealed) return problem(seq, "the sealed part is not the one that was recorded"), Result<void>();
    const auto session = ledger::session_of(*sealed);
    if (!session) return problem(seq, session.error().message), Result<void>();
    const auto known = sessions_.find(*session);
    if (known == sessions_.end()) return problem(seq, "its session is missing: its sealed part can never be opened"), Result<void>();
    if (!known->second) return problem(seq, "its session's key is malformed: its sealed part can never be opened"), Result<void>();
    if (opener_) {
      const auto opened = opener_->open(*parsed, *sealed);
      // Another ledger's secret opens nothing and is not the sealKey's: a mistake of the caller's, not of the ledger.
      if (!opened && opened.error().code == ErrorCode::key && !opener_->ours() && out_.opened == 0) return opened.error().at("record " + std::to_string(seq));
      if (!opened) problem(seq, opened.error().message);
      else ++out_.opened;
    }
    return {};
  }

  void check_purges() {
    for (const auto& [purge, seqs] : gone_) {
      const auto said = purges_.find(purge);
      if (said == purges_.end()) { problem(purge, "is no purge, but responses say that it removed them"); continue; }
      if (said->second.responses != seqs.size() || said->second.digest != ledger::seqs_digest(seqs)) problem(purge, "removed other responses than it says");
      if (times_of_gone_[purge] >= said->second.before) problem(purge, "removed a response that is not before " + said->second.before);
    }
    for (const auto& [seq, purge] : purges_)
      if (!gone_.contains(seq)) problem(seq, "a purge of responses that are still there");
  }

  ledger::Database& database_;
  const LedgerInfo& info_;
  const LedgerReader::VerifyOptions& options_;
  std::optional<ledger::Opener> opener_;
  ledger::Tree tree_;
  std::string time_;
  std::map<std::uint64_t, LedgerCheckpoint> checkpoints_;
  std::map<std::uint64_t, std::set<std::string>> published_;  ///< size -> roots
  std::map<std::uint64_t, bool> sessions_;                    ///< id -> has its key the form of one
  std::map<std::uint64_t, Purge> purges_;
  std::map<std::uint64_t, std::vector<std::uint64_t>> gone_;  ///< seq of a purge -> what it removed
  std::map<std::uint64_t, std::string> times_of_gone_;        ///< seq of a purge -> the latest of them
  LedgerCheck out_;
};
}  // namespace

Result<LedgerCheck> LedgerReader::verify(const VerifyOptions& options) const { return Verifier(impl_->database, impl_->info, options).run(); }

}  // namespace heirmark
