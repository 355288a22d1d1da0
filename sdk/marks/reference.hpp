// The oracle: specs/marks.md read literally, every bin summed, every word asked for, nothing skipped. The sampler's fast paths are
// tested against it and must give the same token, always.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "marks/rule.hpp"

namespace heirmark::marks {

/// Tokens that survive min-p, top-k and top-p, as e_v; 0 for the others (and for a survivor whose e_v is 0). At least one logit is
/// finite and none is +inf; NaN counts as -inf.
[[nodiscard]] std::vector<double> reference_kept(std::span<const float> logits, const Filter& filter);

/// S_b times the scheme's change: what the race runs on. 2,048 values.
[[nodiscard]] std::vector<double> reference_masses(std::span<const double> kept, const Rule& rule, const core::KeyWords& mark);

/// Bin and token of a row.
[[nodiscard]] Draw reference_draw(std::span<const float> logits, const Filter& filter, const Rule& rule, const RowKeys& keys);

/// The token at temperature 0. A greenlist rule adds delta to the tokens of green bins; any other rule changes nothing.
[[nodiscard]] std::uint32_t reference_greedy(std::span<const float> logits, const Rule& rule, const core::KeyWords& mark);

/// x_token - ln(sum of exp x_v) over all finite tokens.
[[nodiscard]] double reference_log_prob(std::span<const float> logits, double temperature, std::uint32_t token);

/// The first `count` tokens of the order that survive truncation and have p > 0, each with p = min(2^32 - 1, floor(2^32 m_v / Q)).
struct Share { std::uint32_t token, p; };
[[nodiscard]] std::vector<Share> reference_top(std::span<const float> logits, const Filter& filter, std::size_t count);

}  // namespace heirmark::marks
