// The audit: a registered plan, the queries it asks for, and the verdict that follows from them (specs/formats.md,
// specs/statistics.md).
//
//   auto plan = heirmark::make_plan(request, "case-17").value();        // writes the case's folder
//   heirmark::run_audit("case-17", *suspect, {}).value();               // all queries; resumable; seals transcript.json
//   auto verdict = heirmark::write_verdict("case-17", "opening.json", now, {}).value();
//
// The folder of a case: plan.json commitment.json suspect.json prompts.jsonl ledger.jsonl transcript/ transcript.json
// opening.json verdict.json statements/ trust/ bag/.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>
#include <heirmark/suspect.hpp>

namespace heirmark {

enum class Channel : std::uint8_t { c1 = 1, c2 = 2, c3 = 3 };
[[nodiscard]] std::string_view channel_name(Channel channel) noexcept;  ///< "c1", "c2", "c3"

/// One channel of a plan. Weights are in 10^-6 and sum to 10^6 over the plan's channels.
struct ChannelPlan {
  Channel channel = Channel::c1;
  std::uint32_t weight = 1'000'000;
  std::uint32_t texts = 0;               ///< c1: how many texts the suspect writes
  std::uint32_t tokens_per_text = 0;     ///< c1: at most so many tokens each
  CountRule count_rule = CountRule::distinct;  ///< c1
  std::uint32_t decoys = 0;              ///< c1: M decoys per class, 0 for none
  std::uint32_t temperature_milli = 1000;  ///< c1
  std::uint32_t samples = 0;             ///< c2: tokens drawn for each context
  std::uint32_t top = 0;                 ///< c3: listed tokens for each context
};

/// plan.json. A value of this type that parse() or make_plan() returned is valid.
struct Plan {
  std::string plan_id;                 ///< 16 hex digits
  std::uint64_t attempt = 1;
  std::string date;
  std::string commitment, opening;     ///< digests
  std::string key_id, path, profile;
  std::uint64_t family_size = 0;
  std::string ledger;                  ///< digest, or ""
  std::uint64_t ledger_responses = 0;
  std::string suspect;                 ///< digest
  std::string prompts;                 ///< digest, or ""
  std::string alpha;                   ///< decimal string
  std::uint64_t multiplicity = 1;
  std::string h1, h2;
  std::vector<ChannelPlan> channels;
  std::uint64_t fit_responses = 0;
  std::uint32_t controls = 0;

  [[nodiscard]] static Result<Plan> parse(std::string_view bytes);
  [[nodiscard]] Result<void> validate() const;
  [[nodiscard]] std::string bytes() const;   ///< canonical
  [[nodiscard]] std::string digest() const;  ///< SHA-256 of bytes() in hex
  [[nodiscard]] const ChannelPlan* find(Channel channel) const noexcept;  ///< nullptr when the plan does not use it
};

/// What a plan is made from. Files are copied into the case's folder.
struct PlanRequest {
  std::filesystem::path commitment, suspect;
  std::filesystem::path prompts;   ///< token file; needed by c1, else empty
  std::filesystem::path ledger;    ///< ledger file; needed by c2 and c3, else empty
  /// The provider's statements and public key, made with the commitment and the ledger; empty: not there yet.
  std::filesystem::path commitment_statement, ledger_statement, provider_key;
  std::vector<std::filesystem::path> stamps;  ///< time stamps of those statements, under the names of stamp_file (evidence.hpp)
  std::string date;                ///< now, YYYY-MM-DDThh:mm:ssZ
  std::string alpha = "0.000001";
  std::uint64_t attempt = 1;
  std::uint64_t multiplicity = 0;  ///< 0: as `attempt`
  std::string h1, h2;              ///< empty: the standard sentences
  std::vector<ChannelPlan> channels;  ///< empty: default_channels(), with fit_decoys
  bool fit_decoys = false;            ///< c1: where `channels` have more decoys than the family has beside the controls, those it has
  std::optional<std::uint64_t> fit_responses;  ///< empty: a tenth of the ledger, at least 1 and at most 32, when c3 is used
  std::uint32_t controls = 4;
  /// Called with the folder, complete but not at its place yet: where the plan is signed and checked. With its error no plan is left behind.
  std::function<Result<void>(const std::filesystem::path& folder)> sign;
};
/// c1 (500 texts of 128 tokens, 4,095 decoys) with prompts, c2 (4 samples) and c3 (top 16) with a ledger. Weights: c1 200,000 beside
/// c2 100,000 and c3 700,000; without prompts c2 200,000 and c3 800,000.
[[nodiscard]] std::vector<ChannelPlan> default_channels(bool prompts, bool ledger);

/// Checks everything a run will need and writes the folder, which must not exist or be empty. Returns the plan.
[[nodiscard]] Result<Plan> make_plan(const PlanRequest& request, const std::filesystem::path& folder);

/// One writer at a time in a case's folder. run_audit takes it by itself; hold it from write_verdict to make_bag (evidence.hpp) where another
/// process may be at work: a bag of two verdicts is invalid.
class CaseLock {
 public:
  /// `io` if another has it.
  [[nodiscard]] static Result<CaseLock> take(const std::filesystem::path& folder);
  CaseLock(CaseLock&&) noexcept;
  ~CaseLock();

 private:
  struct Impl;
  explicit CaseLock(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

struct RunProgress {
  std::string_view channel;   ///< "c1" or "issued"
  std::uint64_t done = 0, total = 0;  ///< queries of all channels, those of earlier runs included
};
struct RunOptions {
  std::function<bool(const RunProgress&)> progress;  ///< after each batch; false stops with ErrorCode::stopped
  std::function<std::string()> now;                  ///< the time; empty: the system's clock
  std::uint32_t batch = 16;                          ///< texts in one generate request
};
/// Makes the plan's queries that are not yet in the transcript, then seals it with transcript.json. Killed at any byte, the
/// same call goes on. A sealed transcript is checked and left alone. Refuses with `invalid_evidence` when the files no longer fit
/// the plan, and with `bad_input` a suspect whose answers depend on the token that they are about (specs/formats.md, "Suspect protocol").
[[nodiscard]] Result<void> run_audit(const std::filesystem::path& folder, Suspect& suspect, const RunOptions& options);

/// transcript.json.
struct TranscriptFile { std::string path, sha256; std::uint64_t lines = 0; };
struct Transcript {
  std::string plan;  ///< digest
  SuspectHello hello;
  std::string started, ended;
  std::uint64_t queries = 0;
  std::vector<TranscriptFile> files;
  [[nodiscard]] static Result<Transcript> parse(std::string_view bytes);
  [[nodiscard]] std::string bytes() const;
};

/// Reads a ledger file strictly; the message begins with NAME:LINE. `vocab` 0: ids up to kMaxVocab.
[[nodiscard]] Result<std::vector<IssuedResponse>> parse_ledger(std::string_view bytes, std::uint32_t vocab = 0, const std::string& name = "ledger.jsonl");
/// One line of a ledger, with its line feed, checked as the reader checks it. `time` is YYYY-MM-DDThh:mm:ssZ.
[[nodiscard]] Result<std::string> ledger_line(const IssuedResponse& response, std::uint64_t seq, std::string_view time);

enum class Outcome : std::uint8_t { supports, inconclusive, does_not_support };
[[nodiscard]] std::string_view outcome_name(Outcome outcome) noexcept;

/// verdict.json as values. Numbers that are decimal strings there are strings here, with the same digits.
struct VerdictGrowth { std::uint64_t n = 0; std::string log10_p, log10_e; };
struct VerdictClass { std::uint32_t window_class = 0; std::uint64_t pairs = 0, ge = 0; std::string statistic; };
struct VerdictAccount { std::string account; std::uint64_t responses = 0; std::string log10_e; bool named = false; };
struct VerdictHistogram { std::string low, width, live; std::vector<std::uint64_t> counts; };
struct VerdictChannel {
  Channel channel = Channel::c1;
  std::uint32_t weight = 0;
  std::uint64_t n = 0;                 ///< pairs (c1) or usable contexts (c2, c3)
  std::string log10_p, log10_e;
  std::vector<VerdictGrowth> growth;
  // c1
  std::string statistic, scheme, count_rule, log10_p_prf, log10_p_saddlepoint, log10_p_rank;
  std::uint64_t positions = 0, repeats = 0, tainted = 0, off_coin = 0, decoys = 0;
  std::vector<VerdictClass> classes;
  VerdictHistogram histogram;
  // c2 and c3; in them `tainted` counts the window contexts that a prompt showed
  std::uint64_t responses = 0, issuance = 0, window = 0;
  std::vector<VerdictAccount> accounts;
  std::string alpha, beta;             ///< c3: the fitted baseline
};
struct VerdictControl { std::string name, log10_p, log10_e; };
struct Verdict {
  std::string date, plan, transcript, opening, commitment, ledger, suspect;
  Outcome outcome = Outcome::inconclusive;
  std::string log10_p, log10_e, alpha;
  std::uint64_t multiplicity = 1;
  std::vector<VerdictChannel> channels;
  std::vector<VerdictControl> controls;
  [[nodiscard]] static Result<Verdict> parse(std::string_view bytes);
  [[nodiscard]] std::string bytes() const;
};

/// The raw bytes a verdict follows from. Empty views for files that the plan does not use.
struct VerdictInputs {
  std::string_view plan, transcript, opening, commitment, suspect, prompts, ledger, c1, issued;
};
struct VerdictOptions {
  Device device = Device::cpu;            ///< of the sums of C1; the bytes do not depend on it. Where it fails: `io`
  unsigned threads = 1;                   ///< the bytes do not depend on it
  std::function<bool(double)> progress;   ///< 0..1; false stops with ErrorCode::stopped
};
/// The verdict, a pure function of the bytes and `date`. Inputs that are not bound to each other give `invalid_evidence`.
[[nodiscard]] Result<Verdict> compute_verdict(const VerdictInputs& inputs, std::string_view date, const VerdictOptions& options);

/// Computes the verdict of a case's folder, puts the opening into it and writes verdict.json.
[[nodiscard]] Result<Verdict> write_verdict(const std::filesystem::path& folder, const std::filesystem::path& opening, std::string_view date,
                                            const VerdictOptions& options);

}  // namespace heirmark
