// Scoring and C1 detection: tokens -> pairs -> integers -> p and e (specs/scoring.md, specs/statistics.md).
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <heirmark/keys.hpp>
#include <heirmark/profile.hpp>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

enum class CountRule : std::uint8_t { distinct, sqrt2, log2 };
[[nodiscard]] Result<CountRule> parse_count_rule(std::string_view name);
[[nodiscard]] std::string_view count_rule_name(CountRule rule) noexcept;

/// One text: the first prompt_tokens of tokens are context and are never scored.
struct TokenText {
  std::vector<TokenId> tokens;
  std::size_t prompt_tokens = 0;
};

/// A (window, bin) pair with its integer weight (1 unless a count rule weighs).
struct Pair {
  std::array<std::uint32_t, 4> window;
  std::uint16_t bin;
  std::uint8_t window_class;
  std::int64_t weight;
};

/// The pairs of a text collection, and what was left out. Pairs stand in order of first occurrence.
struct PairSet {
  std::vector<Pair> pairs;
  std::uint64_t positions = 0, repeats = 0, tainted = 0, off_coin = 0;
  bool weighted = false;
  int weight_bits = 0;  ///< the unit of a weight is 2^-weight_bits
};

/// Collects pairs over texts (specs/scoring.md, "C1 text"): two passes, taint first. `coin` is the epoch's coin subkey.
[[nodiscard]] Result<PairSet> collect_pairs(const Profile& profile, const Secret32& coin, std::span<const TokenText> texts, CountRule rule);

/// A token and its probability in 2^-32.
struct IssuedToken { TokenId token; std::uint32_t p; };

/// Reading mode: a text that the suspect read, with its next-token probabilities q = floor(2^32 probability) for each position from
/// prompt_tokens on, and optionally those of a base model.
struct ReadingPosition { std::vector<IssuedToken> top, base; };
struct ReadingText {
  std::vector<TokenId> tokens;
  std::size_t prompt_tokens = 0;
  std::vector<ReadingPosition> positions;  ///< tokens.size() - prompt_tokens of them
};
/// Collects weighted pairs, weights of both signs in 2^-16 (specs/scoring.md, "C1 reading"). The result goes to detect() like any other.
[[nodiscard]] Result<PairSet> collect_reading_pairs(const Profile& profile, const Secret32& coin, std::span<const ReadingText> texts);

/// Integer statistics of one member: X per class. 128-bit, since weighted sums may pass 2^63.
using Integer = __int128;
struct MemberStatistic {
  std::array<Integer, 16> by_class{};
  [[nodiscard]] Integer total() const noexcept;
};

/// Where the sums over the pairs are made. The integers, and so every byte of a result, are the same.
enum class Device : std::uint8_t { cpu, cuda };
[[nodiscard]] Result<Device> parse_device(std::string_view name);
/// Can this build and machine score there? `io`, with what is missing, if not: nothing ever falls back to another device.
[[nodiscard]] Result<void> check_device(Device device);

struct DetectOptions {
  CountRule count_rule = CountRule::distinct;
  std::uint64_t decoys = 0;       ///< M; 0: no rank
  Device device = Device::cpu;
  unsigned threads = 1;           ///< with a device: of the derivation of keys
  std::uint64_t growth_points = 0;  ///< how many checkpoints of p and e over the pairs to return, 0..64
  std::function<bool(double)> progress;  ///< called with 0..1; false stops with ErrorCode::stopped
};

/// One class in the result.
struct ClassResult { std::uint32_t window_class; std::uint64_t pairs; std::uint64_t ge; Integer statistic; };
/// Histogram of the decoys' total statistics: counts[i] decoys in [low + i width, low + (i+1) width).
struct Histogram { Integer low = 0, width = 1, live = 0; std::vector<std::uint64_t> counts; };
struct GrowthPoint { std::uint64_t n; double log_p; double log_e; };

/// Result of C1. Natural logarithms.
struct Detection {
  Scheme scheme{};
  std::uint64_t n = 0;
  Integer statistic = 0;            ///< X, the exact integer
  double value = 0;                 ///< X in its natural unit (nats for gumbel, counts otherwise)
  double log_p_prf = 0;
  std::optional<double> log_p_saddlepoint;  ///< when weighted
  std::optional<double> log_p_rank;         ///< when decoys > 0
  double log_p = 0;                 ///< max of the two
  double log_e = 0;
  std::uint64_t positions = 0, repeats = 0, tainted = 0, off_coin = 0;
  std::vector<ClassResult> classes;
  Histogram histogram;
  std::vector<GrowthPoint> growth;
};

/// C1 for member `member` of the opening's family (the live one when empty).
[[nodiscard]] Result<Detection> detect(const Opening& opening, const PairSet& pairs, const DetectOptions& options,
                                       std::optional<std::uint32_t> member = {});

/// C1 for the live member, with what a server has: no decoys (`usage`), so no rank. For a server to see that it marks; evidence needs the opening.
[[nodiscard]] Result<Detection> detect(const SubkeysFile& keys, const PairSet& pairs, const DetectOptions& options);

/// A response of the ledger (specs/formats.md) as far as scoring needs it. phat[t] = {(token, p in 2^-32)}.
struct IssuedResponse {
  RequestId request_id;
  std::string account;
  std::vector<TokenId> prompt, tokens;
  std::vector<std::vector<IssuedToken>> phat;
};

/// A usable position and the key's choice there (specs/scoring.md, "Issued log").
struct IssuedChoice {
  std::uint32_t response, position;
  bool window;          ///< window position, else issuance
  std::int32_t choice;  ///< index into phat[position], or -1 for the rest
};
/// Recomputes the key's choices over the whole ledger for one member of the family. Gumbel profiles only (`usage` otherwise).
/// A malformed distribution is `bad_input` and names response and position.
[[nodiscard]] Result<std::vector<IssuedChoice>> issued_choices(const Opening& opening, std::span<const IssuedResponse> ledger,
                                                               std::optional<std::uint32_t> member = {});

}  // namespace heirmark
