// The exact integer score of a word (specs/prf.md, "Score of a word"; specs/scoring.md, weights and score').
//
// score(c) = floor(2^24 * -ln((c + 1) / 2^32)) is defined by real arithmetic. score() computes in double with a proven
// error bound and asks score_exact(), which works in 128-bit integers, in the one case of 2^20 where that bound reaches
// an integer.
#pragma once
#include <cstdint>

#include "core/dmath.hpp"

namespace heirmark::marks {

inline constexpr std::uint32_t kScoreBits = 24;          ///< a score's unit is 2^-24 nats
inline constexpr std::uint32_t kMaxScore = 372'130'558;  ///< score(0)
inline constexpr std::uint32_t kScoreUpZero = 1u << 30;  ///< score'(0)
inline constexpr std::uint32_t kWeightBits = 8;          ///< a count weight's unit is 2^-8

namespace detail {
using Wide = unsigned __int128;
inline constexpr Wide kLn2Q120 =
    static_cast<Wide>(0xb17217f7d1cf79ull) << 64 | 0xabc9e3b39803f2f6ull;  // floor(2^120 ln 2)

/// floor(a b / 2^128).
HEIRMARK_HD constexpr Wide multiply_high(Wide a, Wide b) {
  constexpr Wide low = 0xFFFFFFFFFFFFFFFFull;
  const Wide a0 = a & low, a1 = a >> 64, b0 = b & low, b1 = b >> 64;
  const Wide middle = a1 * b0 + ((a0 * b0) >> 64);
  const Wide other = a0 * b1 + (middle & low);
  return a1 * b1 + (middle >> 64) + (other >> 64);
}

/// ln n = exponent * ln 2 + (negative ? -1 : 1) * part / 2^128, |part / 2^128| <= 0.3466, 1 <= n < 2^62.
struct Logarithm {
  int exponent;
  bool negative;
  Wide part;
};

/// n = 2^k m with m in [1/sqrt 2, sqrt 2]; ln m = 2 artanh z, z = (m - 1)/(m + 1), |z| <= 0.1716, by its series. Each
/// of the at most 26 terms is short by at most 2^-127, and z by 2^-120: `part` is short of the truth by less than
/// 2^-117.
HEIRMARK_HD constexpr Logarithm logarithm(std::uint64_t n) {
  int k = 0;
  while (k < 62 && (n >> (k + 1)) != 0) ++k;
  // Above sqrt 2 take the next power: (n / 2^k)^2 > 2. Either choice is right near the border; it only bounds z.
  if (static_cast<Wide>(n) * n > static_cast<Wide>(1) << (2 * k + 1)) ++k;
  const std::uint64_t power = std::uint64_t{1} << k;
  const bool negative = n < power;
  const Wide denominator = static_cast<Wide>(n) + power;
  Wide remainder = negative ? power - n : n - power;
  Wide z = 0;  // in 2^-120
  for (int step = 0; step < 3; ++step) {
    remainder <<= 40;
    z = z << 40 | remainder / denominator;
    remainder %= denominator;
  }
  z <<= 8;
  const Wide square = multiply_high(z, z);
  Wide sum = 0, term = z;
  for (unsigned i = 1; term != 0; i += 2) {
    sum += term / i;
    term = multiply_high(term, square);
  }
  return {k, negative, 2 * sum};
}
}  // namespace detail

/// score(c), by integers alone. Its error before the floor is below 2^-89 units, while no c but 2^32 - 1, where it is
/// exact, comes nearer than 2^-37 to an integer (tests/unit/scoring proves this over all 2^32 words).
HEIRMARK_HD constexpr std::uint32_t score_exact(std::uint32_t c) {
  const detail::Logarithm log = detail::logarithm(std::uint64_t{c} + 1);
  const detail::Wide base = static_cast<detail::Wide>(32 - log.exponent) * detail::kLn2Q120, part = log.part >> 8;
  return static_cast<std::uint32_t>((log.negative ? base + part : base - part) >> (120 - kScoreBits));
}

/// floor(2^8 ln(1 + count)), count < 2^62 - 1.
HEIRMARK_HD constexpr std::int64_t log_weight(std::uint64_t count) {
  const detail::Logarithm log = detail::logarithm(count + 1);
  const detail::Wide base = static_cast<detail::Wide>(log.exponent) * detail::kLn2Q120, part = log.part >> 8;
  return static_cast<std::int64_t>((log.negative ? base - part : base + part) >> (120 - kWeightBits));
}

/// floor(2^8 sqrt(count)), count < 2^46.
HEIRMARK_HD constexpr std::int64_t sqrt_weight(std::uint64_t count) {
  const std::uint64_t square = count << (2 * kWeightBits);
  std::uint64_t root = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const std::uint64_t next = root | std::uint64_t{1} << bit;
    if (next * next <= square) root = next;
  }
  return static_cast<std::int64_t>(root);
}

/// The double path. y = (32 - k) A - 2^24 ln m with A = 2^24 ln 2, N = c + 1 = 2^k m, m in (0.707, 1.4143], ln m = 2
/// artanh z. Errors, in units of the score (2^24 nats): A is off by 2^-30, times at most 32: 2^-25; rounding of the
/// product and of the difference, both below 2^29: 2^-24 each at most; the series stops after z^17: 2^(24+1) 0.1716^19
/// / 19 / (1 - z^2) < 2^-27; its evaluation, ten roundings relative 2^-53 of at most 2^22.5: < 2^-26. In all below
/// 2^-22, with or without fused operations. kScoreMargin is 2^-21.
inline constexpr double kScoreMargin = 0x1p-21;
inline constexpr double kScoreLn2 = 11629079.968045203;  // 2^24 ln 2
inline constexpr double kScoreSqrt2 = 1.4142;            // where m is halved; any value near sqrt 2 will do

/// 2^24 * -ln((c + 1) / 2^32) within 2^-22.
HEIRMARK_HD inline double score_approximation(std::uint32_t c) noexcept {
  const std::uint64_t bits = core::d_bits(static_cast<double>(std::uint64_t{c} + 1));
  double exponent = static_cast<double>(static_cast<std::int32_t>(bits >> 52) - 1023);
  double m = core::d_from_bits((bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > kScoreSqrt2) {
    m *= 0.5;
    exponent += 1;
  }
  const double z = (m - 1) / (m + 1), w = z * z;
  double series = 1.0 / 17;
  series = series * w + 1.0 / 15;
  series = series * w + 1.0 / 13;
  series = series * w + 1.0 / 11;
  series = series * w + 1.0 / 9;
  series = series * w + 1.0 / 7;
  series = series * w + 1.0 / 5;
  series = series * w + 1.0 / 3;
  series = series * w + 1.0;
  return (32 - exponent) * kScoreLn2 - z * 0x1p25 * series;
}

/// Does the approximation decide score(c)? Then it is in `score`.
HEIRMARK_HD inline bool score_decided(std::uint32_t c, std::uint32_t& score) noexcept {
  const double y = score_approximation(c);
  score = static_cast<std::uint32_t>(y > 0 ? y : 0);
  const double fraction = y - score;
  return fraction >= kScoreMargin && fraction <= 1 - kScoreMargin;
}

/// score(c).
inline std::uint32_t score(std::uint32_t c) noexcept {
  std::uint32_t whole = 0;
  return score_decided(c, whole) ? whole : score_exact(c);
}

/// score'(c) = ceil(2^24 * -ln(c / 2^32)) for c > 0 and 2^30 for c = 0: the score of a pair of negative weight. No such
/// logarithm is an integer, so the ceiling is one more than the floor.
inline std::uint32_t score_up(std::uint32_t c) noexcept { return c == 0 ? kScoreUpZero : score(c - 1) + 1; }

}  // namespace heirmark::marks
