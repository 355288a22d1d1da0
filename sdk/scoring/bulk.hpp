// The sums of evaluate.hpp on a device (kernels/score.hpp): the same integers, many keys at once.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/score.hpp"
#include "scoring/evaluate.hpp"

namespace heirmark::scoring {

/// How much of the work is on the device at a time. The integers do not depend on it.
struct BulkLimits {
  std::uint32_t keys = 8192;        ///< 6 MB; one batch is derived while the last one is scored
  std::uint32_t terms = 1u << 22;  ///< 100 MB; less if half of the device's free memory is less
};

/// A chunk of the pairs as terms: entries [from, to) of all runs in a row, without their padding. Those of one class, sign,
/// rotation and slot lie together; slot = 16 s + class for a pair between checkpoints s - 1 and s.
[[nodiscard]] kernels::ScoreTerms score_terms(const PairColumns& pairs, std::span<const std::uint64_t> checkpoints,
                                              std::uint64_t from, std::uint64_t to, std::uint32_t key_lanes);

/// evaluate_growth of evaluate.hpp.
[[nodiscard]] Result<Evaluation> evaluate_growth(kernels::ScoreDevice& device, const WordRule& rule,
                                                 const PairColumns& pairs, const WindowKeys& keys,
                                                 std::span<const std::uint64_t> checkpoints, const Progress& progress,
                                                 const BulkLimits& limits = {});

/// evaluate_decoys of evaluate.hpp. `threads` derive keys.
[[nodiscard]] Result<Decoys> evaluate_decoys(kernels::ScoreDevice& device, const WordRule& rule,
                                             const PairColumns& pairs, const Derive& derive, std::uint64_t first,
                                             std::uint64_t count, std::uint64_t size, const MemberStatistic& live,
                                             unsigned threads, const Progress& progress, const BulkLimits& limits = {});

}  // namespace heirmark::scoring
