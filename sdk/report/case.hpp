// What the report reads of a bag: the objects of data/ as values (specs/formats.md, specs/evidence.md). The opening is
// never read: a report holds no secret.
#pragma once
#include <cstdint>
#include <filesystem>
#include <heirmark/result.hpp>
#include <optional>
#include <string>
#include <vector>

namespace heirmark::report {

/// A decimal string of an object: the text as it stands there and its value.
struct Decimal {
  std::string text;
  double value = 0;
};

struct PlanChannel {
  std::string channel;  ///< c1, c2 or c3
  std::uint64_t weight = 0;
  std::uint64_t texts = 0, tokens_per_text = 0, decoys = 0, temperature_milli = 0;  ///< c1
  std::string count_rule;                                                           ///< c1
  std::uint64_t samples = 0;                                                        ///< c2
  std::uint64_t top = 0;                                                            ///< c3
};
struct Plan {
  std::string plan_id, date, commitment, opening, key_id, path, profile, ledger, suspect, prompts, h1, h2, stop;
  std::uint64_t attempt = 0, family_size = 0, ledger_responses = 0, multiplicity = 0, fit_responses = 0, controls = 0;
  Decimal alpha;
  std::vector<PlanChannel> channels;
};
struct Commitment {
  std::string path, key_id, profile, scheme, prf, not_before, not_after, purpose, digest;
  std::uint64_t family_size = 0;
};
struct Suspect {
  std::string name, released, weights;
  std::uint64_t vocab = 0;
  std::vector<std::string> command;
};
struct TranscriptFile {
  std::string path, sha256;
  std::uint64_t lines = 0;
};
struct Transcript {
  std::string plan, hello_name, weights_digest, started, ended;
  std::uint64_t hello_vocab = 0, context = 0, queries = 0;
  std::vector<TranscriptFile> files;
  [[nodiscard]] const TranscriptFile* find(std::string_view path) const noexcept;
};

struct Growth {
  std::uint64_t n = 0;
  Decimal log10_p, log10_e;
};
struct WindowClass {
  std::uint64_t number = 0, pairs = 0, ge = 0;
  std::string statistic;
};
struct Histogram {
  std::string low, width, live;
  std::vector<std::uint64_t> counts;
};
struct Account {
  std::string name;
  std::uint64_t responses = 0;
  Decimal log10_e;
  bool named = false;
};
struct Channel {
  std::string channel;
  std::uint64_t weight = 0, n = 0;
  Decimal log10_p, log10_e;
  std::vector<Growth> growth;
  std::uint64_t tainted = 0;
  // c1
  std::string statistic, scheme, count_rule;
  std::uint64_t positions = 0, repeats = 0, off_coin = 0, decoys = 0;
  Decimal log10_p_prf;
  std::optional<Decimal> log10_p_saddlepoint, log10_p_rank;
  std::vector<WindowClass> classes;
  Histogram histogram;
  // c2 and c3
  std::uint64_t responses = 0, issuance = 0, window = 0;
  std::vector<Account> accounts;
  std::string alpha, beta;  ///< c3
  [[nodiscard]] bool text() const noexcept { return channel == "c1"; }
};
struct Control {
  std::string name;
  Decimal log10_p, log10_e;
};
enum class Outcome : std::uint8_t { supports, inconclusive, does_not_support };
struct Verdict {
  std::string date, plan, transcript, opening, commitment, ledger, suspect, method, outcome_name;
  Outcome outcome = Outcome::inconclusive;
  Decimal log10_p, log10_e, alpha;
  std::uint64_t multiplicity = 0;
  std::vector<Channel> channels;
  std::vector<Control> controls;
  [[nodiscard]] const Channel* find(std::string_view channel) const noexcept;
};

/// What a signed statement says. The report shows it; only a verifier checks the signature.
struct Statement {
  std::string object;        ///< commitment, ledger, plan, transcript or verdict
  std::string file, sha256;  ///< its subject
  std::string date, signer, key_id;
};
/// A time stamp on a statement that checks by the certificate in it; whether that is to be trusted is not for a report to say.
struct Stamp {
  std::string object, file, time, authority;  ///< time: not later than this
};
/// A public key of trust/.
struct PublicKey {
  std::string role;       ///< provider or auditor
  std::string algorithm;  ///< Ed25519, ECDSA P-256 or ""
};
/// A file of data/.
struct Item {
  std::string path;
  std::uint64_t bytes = 0;
};

struct Case {
  Plan plan;
  Commitment commitment;
  Suspect suspect;
  Transcript transcript;
  Verdict verdict;
  std::vector<Statement> statements;  ///< those that are there, in the order of making
  std::vector<Stamp> stamps;  ///< in the order of the statements
  std::vector<PublicKey> keys;
  std::vector<Item> items;  ///< sorted by path
  [[nodiscard]] const Statement* statement(std::string_view object) const noexcept;
  /// The latest time of a stamp on the object's statement, which says least: a report vouches for no authority. "" without one that is not before the date of signing.
  [[nodiscard]] std::string stamped(std::string_view object) const;
  [[nodiscard]] const PlanChannel* planned(std::string_view channel) const noexcept;
  /// The key id that the role signed with: "" when nothing of that role is signed.
  [[nodiscard]] std::string signer_key(std::string_view role) const;
};

/// Reads a bag's data/ folder. An object that is missing, malformed or not bound to the others is an error that names
/// file and field.
[[nodiscard]] Result<Case> read_case(const std::filesystem::path& bag);

}  // namespace heirmark::report
