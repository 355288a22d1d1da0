// Tails of the gamma, binomial and normal distributions in the log domain (specs/statistics.md, "p from the PRF").
//
// One plan for all three: the density at the threshold in saddle-point form (deviance and Stirling error, so that
// nothing large is subtracted from anything large), times a continued fraction whose elements are all positive on the
// tail's own side of the mean. On the other side the complementary tail is computed the same way and ln p =
// log1p(-complement). The fractions need O(n^(1/3)) elements at the mean and a few far from it.
#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"

namespace heirmark::stats {
namespace {

using Element = FractionElement;
// No promotion to long double: its width differs between platforms.
using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

// I_x(a, b) B(a, b) / (x^a y^b), inverted: DiDonato and Morris (1992), eq. 9. `lead` = a y - b x >= -1.
double beta_fraction(double a, double b, double x, double lead) {
  const double b0 = a * (lead + 1) / (a + 1);
  return positive_fraction(b0, b - 1, [=](double m) {
    const double d = a + 2 * m - 1;
    const double num = (m * (a + m - 1) / d) * ((a + b + m - 1) / d) * (b - m) * x * x;
    const double den = m + m * (b - m) * x / d + (a + m) * (lead + 1 + m * (2 - x)) / (a + 2 * m + 1);
    return Element{num, den};
  });
}

// (1 - Phi(z)) by the complementary error function, for z where it is far from underflow.
double plain_normal_tail(double z) { return 0.5 * boost::math::erfc(z * 0.70710678118654752, Policy()); }

}  // namespace

double log_gamma_tail(std::uint64_t count, double t) {
  if (!(t > 0) || count == 0) return 0;  // also for NaN: against the accuser
  if (t == kInfinity) return -kInfinity;
  if (count == 1) return -t;
  const double n = static_cast<double>(count);
  const double diff = t - n;
  // ln of t^n e^-t / Gamma(n).
  const double density = 0.5 * (std::log(n) - kLogTwoPi) - stirling_error(n) - deviance(n, t, diff);
  if (diff >= 0) {
    // Legendre: Q = density / (t + 1 - n + 1 (n - 1) / (t + 3 - n + 2 (n - 2) / ..)).
    const double f = positive_fraction(diff + 1, n - 1, [=](double k) {
      return Element{k * (n - k), diff + 2 * k + 1};
    });
    return std::min(0.0, density - std::log(f));
  }
  // Noerlund: P = density / (n - t + 1 t / (n + 1 - t + 2 t / ..)).
  const double f = positive_fraction(-diff, kInfinity, [=](double k) { return Element{k * t, k - diff}; });
  return std::log1p(-std::min(1.0, std::exp(density - std::log(f))));
}

double log_binomial_tail(std::uint64_t trials, double q, std::uint64_t successes) {
  if (successes == 0 || !(q < 1)) return 0;
  if (successes > trials || q <= 0) return -kInfinity;
  const double n = static_cast<double>(trials), k = static_cast<double>(successes);
  if (successes == trials) return n * std::log(q);
  if (successes == 1) {
    const double log_none = n * std::log1p(-q);
    return log_none < -1 ? std::log1p(-std::exp(log_none)) : std::log(-std::expm1(log_none));
  }
  const double y = 1 - q;
  const double excess = -std::fma(n, q, -k);  // k - n q, rounded once
  const double rest = n - k;
  // ln of k y C(n, k) q^k y^(n-k) = q^a y^b / B(a, b) with a = k, b = n - k + 1.
  const double density = 0.5 * (std::log(k) + std::log(n / rest) - kLogTwoPi) + std::log(y) + stirling_error(n) -
                         stirling_error(k) - stirling_error(rest) - deviance(k, n * q, -excess) -
                         deviance(rest, n * y, excess);
  const double lead = excess - q;  // a y - b q
  if (lead >= 0) return std::min(0.0, density - std::log(beta_fraction(k, rest + 1, q, lead)));
  return std::log1p(-std::min(1.0, std::exp(density - std::log(beta_fraction(rest + 1, k, y, -lead)))));
}

double mills_ratio(double z) {
  if (z < 8) return plain_normal_tail(z) * std::exp(0.5 * z * z + 0.5 * kLogTwoPi);
  // Laplace: 1 / (z + 1 / (z + 2 / (z + ..))).
  return 1 / positive_fraction(z, kInfinity, [=](double k) { return Element{k, z}; });
}

double log_normal_tail(double z) {
  if (!(z > -kInfinity)) return 0;
  if (z == kInfinity) return -kInfinity;
  if (z < -0.5) return std::log1p(-plain_normal_tail(-z));
  if (z < 8) return std::log(plain_normal_tail(z));
  return -0.5 * z * z - 0.5 * kLogTwoPi + std::log(mills_ratio(z));
}

double normal_quantile_from_log_tail(double log_p) {
  if (!(log_p < 0)) return -kInfinity;
  if (log_p == -kInfinity) return kInfinity;
  if (log_p > -kLogTwo) return -normal_quantile_from_log_tail(std::log(-std::expm1(log_p)));
  // ln(1 - Phi) is concave and falls: from the second step on, Newton comes down to the root from the right.
  double z = std::sqrt(-2 * log_p - kLogTwoPi > 0.25 ? -2 * log_p - kLogTwoPi : 0.25);
  for (int step = 0; step < 100; ++step) {
    const double move = (log_normal_tail(z) - log_p) * mills_ratio(std::max(z, 0.0));
    z += move;
    if (std::fabs(move) <= 4e-16 * std::fabs(z)) break;
  }
  return z;
}

}  // namespace heirmark::stats
