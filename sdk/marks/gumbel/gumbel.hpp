// The race: an exponential clock for each bin, the first to ring wins; the same again for the tokens inside it.
#pragma once
#include <cstdint>

#include "core/context.hpp"
#include "core/dmath.hpp"

namespace heirmark::marks::gumbel {

/// E_b of a bin from its two words.
HEIRMARK_HD_INLINE double bin_time(std::uint32_t coarse, std::uint32_t fine) {
  return core::neg_log1m(static_cast<std::uint64_t>(coarse) << 32 | fine);
}

/// The inner draw of one bin: masses[j] of token bin + 2048 j, words[j] = u64@8j of hm-inner, both in order of j. A token that does
/// not take part has mass 0. Returns the winning j; the first one on a tie. At least one mass is positive.
HEIRMARK_HD_INLINE std::uint32_t inner_draw(const double* masses, const std::uint64_t* words, std::uint32_t count) {
  std::uint32_t winner = 0;
  double best = 0;
  bool any = false;
  for (std::uint32_t j = 0; j < count; ++j) {
    if (!(masses[j] > 0)) continue;
    // -ln(1 - u) >= u, so most tokens need no logarithm. The factor outweighs the roundings of both sides.
    if (any && core::unit_below(words[j]) * (1 - 0x1p-40) > best * masses[j]) continue;
    const double time = core::d_div(core::neg_log1m(words[j]), masses[j]);
    if (!any || time < best) { best = time; winner = j; any = true; }
  }
  return winner;
}

}  // namespace heirmark::marks::gumbel
