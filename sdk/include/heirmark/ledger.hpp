// The issuance ledger (specs/ledger.md): one record for each response that a server gives out. Public digests in a Merkle tree with signed
// checkpoints; token ids and likeliest tokens sealed to a key that the server does not have.
//
//   auto ledger = heirmark::Ledger::open("ledger", {.key_id = key_id, .model = "acme-70b"}).value();     // the server
//   heirmark::Issued issued(request_id, "default", prompt);
//   issued.add(token, status, top);                      // for each token: in memory alone
//   auto ticket = ledger.append(std::move(issued));      // never waits for the disk
//   ledger.wait(ticket.value(), std::chrono::seconds(1));   // on the disk, if somebody must know
//
//   auto reader = heirmark::LedgerReader::open("ledger").value();                                          // the provider
//   auto check = reader.verify({.secret = &secret, .published = kept}).value();          // check.problems is empty
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>
#include <heirmark/sampler.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

class Keystore;
namespace ledger {
struct Packed;
}

/// ledger.json: what a ledger is. Public.
struct LedgerInfo {
  std::string id;        ///< 16 hex digits
  std::string created;   ///< time
  std::string seal_key;  ///< X25519 public key, 64 hex digits: responses are sealed to it
  std::string log_key;   ///< Ed25519 public key, 64 hex digits: checkpoints are signed with its private key, which the server has
  [[nodiscard]] static Result<LedgerInfo> parse(std::string_view bytes);
  [[nodiscard]] std::string bytes() const;
};

/// Makes the folder of a new ledger (which must not exist, or be empty) and puts the secret that opens its responses into `store`. `time` is
/// YYYY-MM-DDThh:mm:ssZ.
[[nodiscard]] Result<LedgerInfo> make_ledger(const std::filesystem::path& folder, Keystore& store, std::string_view time);

/// One response while it is made: packed as it grows (some 100 bytes a token with 16 likeliest tokens). Holds text of customers: wiped when it ends,
/// but not what growing left behind in freed memory.
class Issued {
 public:
  /// `account` is a name as in the subkeys file; `bad_input` of append() if not.
  Issued(const RequestId& request_id, std::string_view account, std::span<const TokenId> prompt);
  Issued(Issued&&) noexcept;
  Issued& operator=(Issued&&) noexcept;
  ~Issued();

  /// One token. `top` has at most 1,024 entries, in any order, p from 1, no token twice, sum of p at most 2^32: what a sampler's top tokens are up to the first unused place.
  /// They are recorded in the ledger's order, p descending, then token ascending. Empty: the token was certain (forced by a grammar, or by the engine).
  /// `bad_input` changes nothing.
  [[nodiscard]] Result<void> add(TokenId token, RowStatus status, std::span<const IssuedToken> top);

  /// Forgets all tokens but the first `tokens`: an engine took them back. More than there are changes nothing.
  void truncate(std::uint32_t tokens) noexcept;

  [[nodiscard]] std::uint32_t tokens() const noexcept;         ///< added so far
  [[nodiscard]] std::uint32_t marked_tokens() const noexcept;  ///< of them, those that the key chose
  [[nodiscard]] std::size_t bytes() const noexcept;            ///< memory that it holds

 private:
  friend class Ledger;
  std::unique_ptr<ledger::Packed> packed_;
};

/// How a ledger is doing.
struct LedgerStatus {
  std::uint64_t appended = 0;  ///< taken by append(): the last ticket
  std::uint64_t durable = 0;   ///< tickets up to this one are on the disk
  std::uint64_t refused = 0;   ///< responses that append() refused because the queue was full
  std::uint64_t queued_bytes = 0;
  std::uint64_t records = 0;   ///< in the ledger, all servers since it was made
  std::string error;           ///< why writing fails just now; empty when it does not
};

/// The writing side, which a server holds open. Any number of threads may append. Only one at a time has a ledger: a second open() is `io`.
class Ledger {
 public:
  struct Options {
    std::string key_id;         ///< of the subkeys that mark, 16 hex digits; empty: nothing is marked
    std::string model;          ///< ASCII text, 1 to 256 bytes
    std::string config_digest;  ///< SHA-256 of how the model is served, 64 hex digits, or empty
    std::size_t queue_bytes = std::size_t{256} << 20;        ///< of responses that are not yet on the disk; more are refused
    std::chrono::milliseconds linger{20};                    ///< how long the first response of a batch waits for others
    std::chrono::seconds checkpoint_every{3600};             ///< aligned to the clock, 1 s .. 1 day
    std::function<std::int64_t()> clock;                     ///< seconds since 1970, UTC; empty: the system's
  };
  /// `bad_input`: no ledger or a damaged one; `key`: no permission; `io`: another server has it, or the disk fails.
  [[nodiscard]] static Result<Ledger> open(const std::filesystem::path& folder, const Options& options);
  /// Would open() find what it needs, for this user? Header, log key and permissions are looked at; nothing is written, and a server may have the ledger open.
  [[nodiscard]] static Result<void> may_open(const std::filesystem::path& folder);

  /// Takes a response and gives its ticket: 1, 2, .. Does not wait for the disk. On an error the response stays the caller's. `io`: the queue is
  /// full, and the message says why; the ledger counts the refusal, and the number becomes part of the ledger as soon as something can be
  /// written. `bad_input`: no token, or no good account; `usage`: closed.
  [[nodiscard]] Result<std::uint64_t> append(Issued&& issued);
  /// Waits until that ticket, and all before it, is on the disk. `io` after the time, with what fails.
  [[nodiscard]] Result<void> wait(std::uint64_t ticket, std::chrono::milliseconds at_most) const;
  [[nodiscard]] LedgerStatus status() const;
  [[nodiscard]] const LedgerInfo& info() const noexcept;
  [[nodiscard]] bool is_open() const noexcept;  ///< not closed
  /// Writes what is queued and a last checkpoint, and lets the ledger go. `io`: what could not be written within the time is lost, and the
  /// message says how much; a write that has begun is waited for. Other threads may be in any call. The destructor does the same with 10 s.
  [[nodiscard]] Result<void> close(std::chrono::milliseconds at_most = std::chrono::seconds(60));

  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

 private:
  struct Impl;
  explicit Ledger(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// The secret that opens a ledger's responses; from Keystore::ledger_secret.
struct LedgerSecret {
  Secret32 secret;
};

/// A line of the ledger (specs/ledger.md, "Records").
struct LedgerRecord {
  enum class Kind : std::uint8_t { response, lost, purge };
  Kind kind = Kind::response;
  std::uint64_t seq = 0;
  std::string time;
  std::string line;                ///< canonical JSON with its line feed: what the tree holds
  // response
  std::string key_id, model;
  std::uint64_t tokens = 0, marked_tokens = 0;
  bool sealed = false;             ///< its sealed part is still there
  // lost, purge
  std::uint64_t responses = 0;
  std::string before;              ///< purge
};
struct LedgerCheckpoint {
  std::uint64_t size = 0;
  std::string time, root;  ///< root: 64 hex digits
  std::string note;        ///< the signed note, as published
};
struct LedgerSummary {
  std::uint64_t records = 0, responses = 0, tokens = 0, marked_tokens = 0, lost = 0, purged = 0;
  std::string first, last;  ///< times
};

/// What verify() found. `problems` is empty for a good ledger.
struct LedgerCheck {
  LedgerSummary summary;
  std::uint64_t checkpoints = 0, covered = 0;  ///< covered: records under the last checkpoint
  std::uint64_t opened = 0;                    ///< sealed parts that were opened and fit their digests
  std::string root;                            ///< of all records
  std::vector<std::string> problems;           ///< at most 100
};

/// The reading side; a server may be writing. One thread at a time.
class LedgerReader {
 public:
  [[nodiscard]] static Result<LedgerReader> open(const std::filesystem::path& folder);
  [[nodiscard]] const LedgerInfo& info() const noexcept;

  using EachRecord = std::function<Result<void>(const LedgerRecord&)>;
  /// Records first <= seq < end, in order.
  [[nodiscard]] Result<void> each(std::uint64_t first, std::uint64_t end, const EachRecord& record) const;
  [[nodiscard]] Result<std::vector<LedgerCheckpoint>> checkpoints() const;
  [[nodiscard]] Result<std::uint64_t> size() const;

  /// Recomputes everything: lines, order, tree, checkpoints and their signatures, sealed parts, purges; with the secret also what is inside
  /// the sealed parts. An error is about reading; what is wrong with the ledger is in the check.
  struct VerifyOptions {
    const LedgerSecret* secret = nullptr;        ///< null: sealed parts are compared with their digests and not opened
    std::span<const std::string> published;      ///< checkpoints that somebody kept: the ledger must still hold what they cover. One that is none of this ledger's in form is `bad_input`
    std::function<bool(double)> progress;        ///< gets a share; false stops
    std::span<const std::string> published_names = {};  ///< what messages call them, for example files; those without one are counted from 1
  };
  [[nodiscard]] Result<LedgerCheck> verify(const VerifyOptions& options) const;

  struct Filter {
    std::set<std::string, std::less<>> accounts;  ///< empty: all
    std::string from, until;                      ///< times, from <= t < until; empty: no bound
    std::string key_id;                           ///< empty: all
    bool unmarked = false;                        ///< also responses of which the key chose nothing
    std::uint64_t sample = 0;                     ///< of each account at most so many: those whose lines have the least SHA-256; 0: all. Everything is opened to find them, and they again
  };
  using EachResponse = std::function<Result<void>(const LedgerRecord&, IssuedResponse&&)>;
  /// Opens the responses, in order, and checks each against its digests (`invalid_evidence` names the record). A position without likeliest
  /// tokens has its own token with p = 2^32 - 1.
  [[nodiscard]] Result<void> each_response(const LedgerSecret& secret, const Filter& filter, const EachResponse& response,
                                           const std::function<bool(double)>& progress) const;

  LedgerReader(LedgerReader&&) noexcept;
  LedgerReader& operator=(LedgerReader&&) noexcept;
  ~LedgerReader();

 private:
  struct Impl;
  explicit LedgerReader(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// Removes the sealed parts of responses before a time, for good, and records that; the digests stay. With accounts (and the secret) only
/// theirs. A server may be writing. Returns how many. `io` if they are removed but another program keeps the old bytes on the disk by reading longer than
/// `wait`: the same call again finishes it. `invalid_evidence` if some do not open, so that nobody can say whose they are: the others are removed; or, before
/// anything is, if the ledger does not keep a tree.
[[nodiscard]] Result<std::uint64_t> purge_ledger(const std::filesystem::path& folder, std::string_view before, std::string_view now,
                                                 const LedgerSecret* secret, const std::set<std::string, std::less<>>& accounts,
                                                 std::chrono::milliseconds wait = std::chrono::seconds(30));

}  // namespace heirmark
