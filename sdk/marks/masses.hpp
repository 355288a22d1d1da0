// Integer masses of tokens (specs/marks.md, top-p and "Top tokens"): integers, so that no order of summation matters.
#pragma once
#include <cstdint>

#include "core/dmath.hpp"
#include "core/hd.hpp"

namespace heirmark::marks {

inline constexpr double kMassUnit = 0x1p40;  ///< m_v = floor(2^40 e_v)
inline constexpr double kNoMass = 27.8;      ///< nats below the greatest logit where m_v is surely 0: e^-27.8 < 2^-40

HEIRMARK_HD_INLINE std::uint64_t mass_of(double e) { return static_cast<std::uint64_t>(core::d_mul(e, kMassUnit)); }

/// floor(2^32 mass / total), 2^32 - 1 for all of it. mass <= 2^40, mass <= total < 2^60.
HEIRMARK_HD_INLINE std::uint32_t share_of(std::uint64_t mass, std::uint64_t total) {
  std::uint64_t share = (mass << 23) / total, rest = (mass << 23) % total;
  for (int i = 0; i < 3; ++i) {  // three bits at a time stay inside 63
    rest <<= 3;
    share = share << 3 | rest / total;
    rest %= total;
  }
  return share > 0xFFFFFFFFu ? 0xFFFFFFFFu : static_cast<std::uint32_t>(share);
}

}  // namespace heirmark::marks
