#include "stats/numeric.hpp"

#include <algorithm>
#include <array>
#include <heirmark/stats.hpp>

namespace heirmark::stats {

namespace {

// 1/3, 1/5, 1/7, ..
constexpr auto kOddReciprocals = [] {
  std::array<double, 16> list{};
  for (std::size_t i = 0; i < list.size(); ++i) list[i] = 1.0 / static_cast<double>(2 * i + 3);
  return list;
}();

// 1/2!, 1/3!, ..
constexpr auto kFactorialReciprocals = [] {
  std::array<double, 18> list{};
  double factorial = 1;
  for (std::size_t i = 0; i < list.size(); ++i) list[i] = 1.0 / (factorial *= static_cast<double>(i + 2));
  return list;
}();

template <class Coefficients>
double horner(const Coefficients& c, std::size_t terms, double x) {
  double sum = 0;
  for (std::size_t i = terms; i > 0; --i) sum = sum * x + c[i - 1];
  return sum;
}

}  // namespace

double minus_log1p(double u) {
  if (std::fabs(u) > 0.5) return u - std::log1p(u);
  // With v = u / (2 + u): ln(1 + u) = 2 (v + v^3/3 + v^5/5 + ..), and u - 2 v = u v. |v| <= 1/3.
  const double v = u / (2 + u);
  const double v2 = v * v;
  return v * (u - 2 * v2 * horner(kOddReciprocals, v2 < 1e-3 ? 6 : 16, v2));
}

double expm1_minus(double u) {
  if (std::fabs(u) > 1) return std::expm1(u) - u;
  return u * u * horner(kFactorialReciprocals, std::fabs(u) < 0.05 ? 9 : 18, u);
}

double deviance(double x, double m, double diff) {
  if (x <= 0) return m;
  if (std::fabs(diff) <= 0.5 * x) return x * minus_log1p(diff / x);
  return diff - x * std::log(m / x);
}

double stirling_error(double n) {
  // n = 1..16 from a 60-digit oracle; above, the next term of the series is below 1e-18.
  static constexpr std::array<double, 16> kSmall{
      0.08106146679532726,  0.0413406959554093,    0.02767792568499834,  0.020790672103765093,
      0.016644691189821193, 0.013876128823070748,  0.01189670994589177,  0.010411265261972096,
      0.009255462182712733, 0.00833056343336287,   0.007573675487951841, 0.00694284010720953,
      0.006408994188004207, 0.0059513701127588475, 0.005554733551962801, 0.0052076559196096404};
  if (n <= 16) return kSmall[static_cast<std::size_t>(n) - 1];
  const double r = 1 / (n * n);
  return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * (691.0 / 360360)))))) /
         n;
}

double log_sum_exp(std::span<const double> values) {
  double top = -kInfinity;
  for (const double v : values) top = std::max(top, v);
  if (!std::isfinite(top)) return top;
  double sum = 0;
  for (const double v : values) sum += std::exp(v - top);
  return top + std::log(sum);
}

}  // namespace heirmark::stats
