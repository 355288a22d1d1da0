// exp and log in double that give the same bits with every compiler, on every CPU and on the GPU.
//
// They are made of IEEE + - * / and bit operations alone, with no fused operation to disagree about; on the GPU the roundings
// are asked for by name, since its compiler fuses by default. Errors are below 2 ulp (tested against multiprecision). exp_neg is
// free of branches, so that loops over it become vector code. Method: W. J. Cody, W. Waite, "Software Manual for the Elementary
// Functions", 1980: reduction by multiples of ln 2 held in two parts, then a series.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/hd.hpp"

namespace heirmark::core {

#if defined(__CUDA_ARCH__)
HEIRMARK_HD_INLINE double d_add(double a, double b) { return __dadd_rn(a, b); }
HEIRMARK_HD_INLINE double d_sub(double a, double b) { return __dsub_rn(a, b); }
HEIRMARK_HD_INLINE double d_mul(double a, double b) { return __dmul_rn(a, b); }
HEIRMARK_HD_INLINE double d_div(double a, double b) { return __ddiv_rn(a, b); }
HEIRMARK_HD_INLINE std::uint64_t d_bits(double x) { return static_cast<std::uint64_t>(__double_as_longlong(x)); }
HEIRMARK_HD_INLINE double d_from_bits(std::uint64_t x) { return __longlong_as_double(static_cast<long long>(x)); }
#else
HEIRMARK_HD_INLINE double d_add(double a, double b) { return a + b; }
HEIRMARK_HD_INLINE double d_sub(double a, double b) { return a - b; }
HEIRMARK_HD_INLINE double d_mul(double a, double b) { return a * b; }
HEIRMARK_HD_INLINE double d_div(double a, double b) { return a / b; }
HEIRMARK_HD_INLINE std::uint64_t d_bits(double x) { std::uint64_t u; std::memcpy(&u, &x, sizeof u); return u; }
HEIRMARK_HD_INLINE double d_from_bits(std::uint64_t u) { double x; std::memcpy(&x, &u, sizeof x); return x; }
#endif

namespace detail {
inline constexpr double kLog2E = 0x1.71547652b82fep0;
// ln 2 = kLn2High + kLn2Low: 32 significant bits, so that small multiples of the first part are exact, and the rest.
inline constexpr double kLn2High = 0x1.62e42feep-1;
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
inline constexpr double kRoundShift = 0x1.8p52;  // adding it rounds to an integer, which then sits in the low bits
inline constexpr double kExpZero = -708.0;       // below it exp_neg gives 0: no draw can tell (specs/marks.md: u >= 2^-65)

/// Taylor's coefficients 1/2! .. 1/13!. The rest, r^14/14! with |r| <= 0.3466, is below 2^-57.
HEIRMARK_HD_INLINE double exp_tail(double r) {
  double p = 1.0 / 6227020800.0;
  p = d_add(d_mul(p, r), 1.0 / 479001600.0);
  p = d_add(d_mul(p, r), 1.0 / 39916800.0);
  p = d_add(d_mul(p, r), 1.0 / 3628800.0);
  p = d_add(d_mul(p, r), 1.0 / 362880.0);
  p = d_add(d_mul(p, r), 1.0 / 40320.0);
  p = d_add(d_mul(p, r), 1.0 / 5040.0);
  p = d_add(d_mul(p, r), 1.0 / 720.0);
  p = d_add(d_mul(p, r), 1.0 / 120.0);
  p = d_add(d_mul(p, r), 1.0 / 24.0);
  p = d_add(d_mul(p, r), 1.0 / 6.0);
  return d_add(d_mul(p, r), 0.5);
}

/// s (f^2/2 + R) - f^2/2 = ln(1 + f) - f with s = f/(2 + f), R = sum over i >= 1 of 2 s^2i/(2i + 1), |s| <= 0.1716: eleven terms
/// leave less than 2^-60 of the whole.
HEIRMARK_HD_INLINE double log_rest(double f, double k_ln2_low) {
  const double s = d_div(f, d_add(2.0, f)), z = d_mul(s, s);
  double p = 2.0 / 23.0;
  p = d_add(d_mul(p, z), 2.0 / 21.0);
  p = d_add(d_mul(p, z), 2.0 / 19.0);
  p = d_add(d_mul(p, z), 2.0 / 17.0);
  p = d_add(d_mul(p, z), 2.0 / 15.0);
  p = d_add(d_mul(p, z), 2.0 / 13.0);
  p = d_add(d_mul(p, z), 2.0 / 11.0);
  p = d_add(d_mul(p, z), 2.0 / 9.0);
  p = d_add(d_mul(p, z), 2.0 / 7.0);
  p = d_add(d_mul(p, z), 2.0 / 5.0);
  p = d_add(d_mul(p, z), 2.0 / 3.0);
  const double half_square = d_mul(d_mul(0.5, f), f);
  return d_sub(d_add(d_mul(s, d_add(half_square, d_mul(p, z))), k_ln2_low), half_square);
}

/// x = 2^k (1 + f), f in [sqrt 1/2 - 1, sqrt 2 - 1]; x positive and normal.
struct Split { double k, f; };
HEIRMARK_HD_INLINE Split split(double x) {
  // Adding the difference of the bit patterns of 1 and sqrt 1/2 carries into the exponent exactly when the fraction is above sqrt 2.
  const std::uint64_t bits = d_bits(x) + (0x3FF0000000000000ull - 0x3FE6A09E667F3BCDull);
  const auto k = static_cast<std::int32_t>(bits >> 52) - 1023;
  const double m = d_from_bits((bits & 0xFFFFFFFFFFFFFull) + 0x3FE6A09E667F3BCDull);
  return {static_cast<double>(k), d_sub(m, 1.0)};
}

/// e^r, |r| <= 0.3466, and k of x = k ln 2 + r, for -745 <= x <= 709.78. `shifted` has k in its low bits.
struct Reduced { double value, k, shifted; };
HEIRMARK_HD_INLINE Reduced exp_reduced(double x) {
  const double shifted = d_add(d_mul(x, kLog2E), kRoundShift), k = d_sub(shifted, kRoundShift);
  const double r = d_sub(d_sub(x, d_mul(k, kLn2High)), d_mul(k, kLn2Low));
  return {d_add(1.0, d_add(r, d_mul(d_mul(r, r), exp_tail(r)))), k, shifted};
}

/// 2^n for -1022 <= n <= 1023.
HEIRMARK_HD_INLINE double power_of_two(std::int32_t n) { return d_from_bits(static_cast<std::uint64_t>(n + 1023) << 52); }
}  // namespace detail

/// e^x for x <= 0; 0 below -708 (and for -inf). x is not NaN.
HEIRMARK_HD_INLINE double exp_neg(double x) {
  const detail::Reduced e = detail::exp_reduced(x < detail::kExpZero ? detail::kExpZero : x);
  const double power = d_from_bits((d_bits(e.shifted) + 1023) << 52);
  return x < detail::kExpZero ? 0.0 : d_mul(e.value, power);
}

/// e^x for any x but NaN: 0 below -745, +infinity above 709.78, subnormal between. Equal to exp_neg where that is not 0.
HEIRMARK_HD_INLINE double dexp(double x) {
  if (x < -745.0) return 0.0;
  if (x > 709.78) return d_from_bits(0x7FF0000000000000ull);
  const detail::Reduced e = detail::exp_reduced(x);
  const auto k = static_cast<std::int32_t>(e.k);
  if (k < -1021) return d_mul(d_mul(e.value, detail::power_of_two(k + 1000)), detail::power_of_two(-1000));
  return k > 1022 ? d_mul(d_mul(e.value, 2.0), detail::power_of_two(k - 1)) : d_mul(e.value, detail::power_of_two(k));
}

/// ln x for finite x > 0.
HEIRMARK_HD_INLINE double dlog(double x) {
  const bool subnormal = d_bits(x) < 0x0010000000000000ull;
  const detail::Split s = detail::split(subnormal ? d_mul(x, 0x1p54) : x);
  const double k = subnormal ? d_sub(s.k, 54.0) : s.k;
  return d_add(d_mul(k, detail::kLn2High), d_add(s.f, detail::log_rest(s.f, d_mul(k, detail::kLn2Low))));
}

/// (word + 1/2) / 2^64 as a double, from below: never above the true value.
HEIRMARK_HD_INLINE double unit_below(std::uint64_t word) { return d_mul(static_cast<double>(word >> 11), 0x1p-53); }

/// -ln(1 - u), u = (word + 1/2) / 2^64: an Exp(1) variable from a uniform word (specs/marks.md, "gumbel"). At least 2^-65.
HEIRMARK_HD_INLINE double neg_log1m(std::uint64_t word) {
  if (word < 1ull << 62) {  // u < 1/4: 1 - u would lose u's low bits
    const double u = d_mul(static_cast<double>(2 * word + 1), 0x1p-65);
    return d_sub(u, detail::log_rest(-u, 0.0));
  }
  // 1 - u = (c + 1/2) / 2^64 with c = ~word. high + low = c + 1/2 exactly.
  const std::uint64_t c = ~word;
  double high = 0, low = 0;
  if (c < 1ull << 52) {
    high = d_add(static_cast<double>(c), 0.5);
  } else {
    high = static_cast<double>(c | 1);  // the half counts as a sticky bit
    low = d_add(static_cast<double>(static_cast<std::int64_t>(c - static_cast<std::uint64_t>(high))), 0.5);
  }
  const detail::Split s = detail::split(high);
  const double k = d_sub(64.0, s.k);
  const double rest = detail::log_rest(s.f, -d_mul(k, detail::kLn2Low));
  return d_sub(d_sub(d_mul(k, detail::kLn2High), d_add(s.f, rest)), d_div(low, high));
}

}  // namespace heirmark::core
