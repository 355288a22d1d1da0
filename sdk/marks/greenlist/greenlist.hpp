// Green bins: a share gamma of the bins, chosen by the window's words, gets e^delta times its mass.
#pragma once
#include <cstdint>

#include "core/dmath.hpp"

namespace heirmark::marks::greenlist {

HEIRMARK_HD_INLINE bool is_green(std::uint32_t coarse, std::uint32_t gamma) { return coarse < gamma; }

/// e^delta, 0 <= delta <= 700.
HEIRMARK_HD_INLINE double boost(double delta) { return core::d_div(1.0, core::exp_neg(-delta)); }

}  // namespace heirmark::marks::greenlist
