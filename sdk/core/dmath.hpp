// exp and log in double, built from IEEE + - * / and bit operations only, so that every compiler, instruction set and GPU gives the same
// bits. Errors are below 2 ulp (tested against multiprecision). Method: W. J. Cody, W. Waite, "Software Manual for the
// Elementary Functions", 1980: reduction by multiples of ln 2 held in two parts, then a series.
#pragma once
#include <cstdint>

#include "core/hd.hpp"

namespace heirmark::core {
namespace detail {
inline constexpr double kLn2High = 0x1.62e42fee00000p-1;  ///< 33 bits: n * kLn2High is exact for |n| < 2^20
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
inline constexpr double kLog2E = 0x1.71547652b82fep+0;
inline constexpr double kRound = 0x1.8p52;  ///< adding and subtracting it rounds to the nearest integer

HEIRMARK_HD inline std::uint64_t bits_of(double x) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint64_t>(__double_as_longlong(x));
#else
  return __builtin_bit_cast(std::uint64_t, x);
#endif
}
HEIRMARK_HD inline double double_of(std::uint64_t bits) {
#if defined(__CUDA_ARCH__)
  return __longlong_as_double(static_cast<long long>(bits));
#else
  return __builtin_bit_cast(double, bits);
#endif
}
/// 2^n for -1022 <= n <= 1023.
HEIRMARK_HD inline double power_of_two(int n) { return double_of(static_cast<std::uint64_t>(n + 1023) << 52); }

/// ln(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1], plus k ln 2. Series of 2 atanh(s), s = f / (2 + f).
HEIRMARK_HD inline double log_reduced(double f, double k) {
  const double s = f / (2.0 + f), z = s * s;
  double r = 2.0 / 23;
  r = r * z + 2.0 / 21;
  r = r * z + 2.0 / 19;
  r = r * z + 2.0 / 17;
  r = r * z + 2.0 / 15;
  r = r * z + 2.0 / 13;
  r = r * z + 2.0 / 11;
  r = r * z + 2.0 / 9;
  r = r * z + 2.0 / 7;
  r = r * z + 2.0 / 5;
  r = r * z + 2.0 / 3;
  r = r * z;
  const double half = 0.5 * f * f;
  return k * kLn2High - ((half - (s * (half + r) + k * kLn2Low)) - f);
}
}  // namespace detail

/// e^x. 0 below -745, +infinity above 709.78; x must not be NaN.
HEIRMARK_HD inline double dexp(double x) {
  if (x < -745.0) return 0.0;
  if (x > 709.78) return detail::double_of(0x7ff0000000000000u);
  const double n = (x * detail::kLog2E + detail::kRound) - detail::kRound;
  const double high = x - n * detail::kLn2High, low = n * detail::kLn2Low, r = high - low;
  double q = 1.0 / 6227020800.0;
  q = q * r + 1.0 / 479001600.0;
  q = q * r + 1.0 / 39916800.0;
  q = q * r + 1.0 / 3628800.0;
  q = q * r + 1.0 / 362880.0;
  q = q * r + 1.0 / 40320.0;
  q = q * r + 1.0 / 5040.0;
  q = q * r + 1.0 / 720.0;
  q = q * r + 1.0 / 120.0;
  q = q * r + 1.0 / 24.0;
  q = q * r + 1.0 / 6.0;
  q = q * r + 0.5;
  // The reduction's rounding error, (high - r) - low, is put back to first order.
  const double e = 1.0 + (high + (r * r * q + ((high - r) - low) * r - low));
  const int k = static_cast<int>(n);
  if (k >= -1021) return k > 1022 ? e * 2.0 * detail::power_of_two(k - 1) : e * detail::power_of_two(k);
  return e * detail::power_of_two(k + 1000) * detail::power_of_two(-1000);
}

/// ln x for finite x > 0.
HEIRMARK_HD inline double dlog(double x) {
  std::uint64_t bits = detail::bits_of(x);
  int k = 0;
  if (bits < 0x0010000000000000u) {  // subnormal
    bits = detail::bits_of(x * 0x1p54);
    k = -54;
  }
  k += static_cast<int>(bits >> 52) - 1023;
  std::uint64_t mantissa = bits & 0x000fffffffffffffu;
  if (mantissa > 0x6a09e667f3bcdu) {  // above sqrt(2): halve, so that the reduced argument lies around 1
    mantissa |= 0x3fe0000000000000u;
    ++k;
  } else {
    mantissa |= 0x3ff0000000000000u;
  }
  return detail::log_reduced(detail::double_of(mantissa) - 1.0, static_cast<double>(k));
}

/// -ln(1 - u) for u = (word + 1/2) / 2^64: an Exp(1) variate from a uniform word, accurate at both ends (specs/marks.md).
HEIRMARK_HD inline double neg_log1m(std::uint64_t word) {
  constexpr double kUnit = 0x1p-64;
  if (word >> 63 != 0) return -dlog((static_cast<double>(~word) + 0.5) * kUnit);
  const double u = (static_cast<double>(word) + 0.5) * kUnit;
  if (u < 0.28) return -detail::log_reduced(-u, 0.0);
  const double rest = 1.0 - u, lost = (1.0 - rest) - u;  // exact: what the subtraction rounded away
  return -(dlog(rest) + lost / rest);
}

}  // namespace heirmark::core
