// The tournament over all 2,048 bins: each layer moves mass towards the bins whose bit is set, leaving its expectation unchanged.
#pragma once
#include <cstdint>

#include "core/context.hpp"
#include "core/dmath.hpp"

namespace heirmark::marks::tournament {

/// Sum of 2,048 doubles by halving, in place: s[i] += s[i + 1024], then 512, .. 1. Every vector width gives the same bits.
HEIRMARK_HD_INLINE double sum_by_halving(double* s) {
  for (std::uint32_t half = core::kBins / 2; half > 0; half /= 2)
    for (std::uint32_t i = 0; i < half; ++i) s[i] = core::d_add(s[i], s[i + half]);
  return s[0];
}

/// masses: S_b on entry, p_b after the last layer on return. coarse: the window's words. scratch: 2,048 doubles.
HEIRMARK_HD_INLINE void play(double* masses, const std::uint32_t* coarse, int layers, double* scratch) {
  for (std::uint32_t b = 0; b < core::kBins; ++b) scratch[b] = masses[b];
  const double total = sum_by_halving(scratch);
  for (std::uint32_t b = 0; b < core::kBins; ++b) masses[b] = core::d_div(masses[b], total);
  for (int layer = 1; layer <= layers; ++layer) {
    const int shift = 32 - layer;
    for (std::uint32_t b = 0; b < core::kBins; ++b)
      scratch[b] = core::d_mul(masses[b], static_cast<double>(static_cast<std::int32_t>(coarse[b] >> shift & 1)));
    const double green = sum_by_halving(scratch);
    for (std::uint32_t b = 0; b < core::kBins; ++b) {
      const double g = static_cast<double>(static_cast<std::int32_t>(coarse[b] >> shift & 1));
      masses[b] = core::d_mul(masses[b], core::d_sub(core::d_add(1.0, g), green));
    }
  }
}

}  // namespace heirmark::marks::tournament
