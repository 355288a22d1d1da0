// Tails against exact sums in 100-digit arithmetic, their monotonicity and their edges.
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

#include "exact.hpp"

using namespace heirmark::stats;
using exact::Real;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool near(double value, double truth, double relative) {
  return std::fabs(value - truth) <= relative * std::fabs(truth);
}
}  // namespace

TEST_CASE("binomial tails of small n equal the sum over outcomes") {
  for (const double q : {1e-9, 0x1p-32, .01, .25, 1. / 3, .5, .75, .999, 1 - 0x1p-40}) {
    for (std::uint64_t n = 1; n <= 60; n += n < 20 ? 1 : 13) {
      const auto tails = exact::upper_tails(exact::weighted_bernoulli({{1, n}}, Real(q)));
      for (std::uint64_t k = 0; k <= n; ++k) {
        const double truth = exact::log_of(tails.at(static_cast<std::int64_t>(k)));
        INFO("n=" << n << " q=" << q << " k=" << k << " truth " << truth << " got " << log_binomial_tail(n, q, k));
        if (std::fabs(truth) < 1e-80) continue;  // 100 digits end there
        if (k == 0) CHECK(log_binomial_tail(n, q, k) == 0);
        else CHECK(near(log_binomial_tail(n, q, k), truth, 1e-13));
      }
    }
  }
}

TEST_CASE("gamma tails of small n equal the Poisson sum") {
  for (const double t : {1e-3, .1, .7, 1., 1.5, 4., 9.99, 16., 16.5, 30., 59., 100., 700., 1e5}) {
    Real term = exp(-Real(t)), sum = 0;
    for (std::uint64_t n = 1; n <= 80; ++n) {
      sum += term;
      term *= Real(t) / n;
      const double truth = exact::log_of(sum);
      if (std::fabs(truth) < 1e-80) continue;  // 100 digits end there
      INFO("n=" << n << " t=" << t << " truth " << truth << " got " << log_gamma_tail(n, t));
      CHECK(near(log_gamma_tail(n, t), truth, 1e-13));
    }
  }
}

TEST_CASE("gamma tails of neighbouring n differ by one Poisson term") {
  // Q(n + 1, t) - Q(n, t) = t^n e^-t / n!, at sizes where the sum over all terms is out of reach.
  for (const std::uint64_t n : {1000ull, 1000000ull, 300000000ull}) {
    const double sd = std::sqrt(static_cast<double>(n));
    for (const double z : {-3., -.5, 0., .5, 3., 30.}) {
      const double t = std::round(static_cast<double>(n) + z * sd);
      const Real log_term = n * log(Real(t)) - Real(t) - lgamma(Real(n) + 1);
      const double ratio = std::exp(log_gamma_tail(n, t) - static_cast<double>(log_term));
      const double next = std::exp(log_gamma_tail(n + 1, t) - static_cast<double>(log_term));
      CHECK(std::fabs(next - ratio - 1) <= 1e-11 * next);
    }
  }
}

TEST_CASE("tails fall in the statistic and grow with the number of terms") {
  const double slack = 1e-13;
  const auto not_above = [&](double a, double b) { return a <= b + slack * std::fabs(b); };
  for (const std::uint64_t n : {1ull, 2ull, 16ull, 17ull, 1000ull, 1000000ull, 1000000000ull}) {
    const double centre = static_cast<double>(n), sd = std::sqrt(centre);
    double before = 0;
    for (int step = -400; step <= 400; ++step) {
      const double t = centre + 0.02 * step * sd;
      if (t <= 0) continue;
      const double value = log_gamma_tail(n, t);
      CHECK(value <= 0);
      CHECK(not_above(value, before));
      CHECK(not_above(value, log_gamma_tail(n + 1, t)));
      before = value;
    }
    for (const double q : {0x1p-20, .25, .5, .9}) {
      const auto mean = static_cast<std::int64_t>(centre * q);
      before = 0;
      for (std::int64_t k = std::max<std::int64_t>(0, mean - 50);
           k <= std::min<std::int64_t>(mean + 50, static_cast<std::int64_t>(n)); ++k) {
        const auto x = static_cast<std::uint64_t>(k);
        const double value = log_binomial_tail(n, q, x);
        CHECK(value <= 0);
        CHECK(not_above(value, before));
        CHECK(not_above(value, log_binomial_tail(n + 1, q, x)));
        CHECK(not_above(value, log_binomial_tail(n, q * 1.001, x)));
        before = value;
      }
    }
  }
}

TEST_CASE("edges of the tails") {
  CHECK(log_gamma_tail(5, 0) == 0);
  CHECK(log_gamma_tail(5, -3) == 0);
  CHECK(log_gamma_tail(0, 3) == 0);
  CHECK(log_gamma_tail(5, kNan) == 0);
  CHECK(log_gamma_tail(5, kInf) == -kInf);
  CHECK(log_gamma_tail(1, 1e9) == -1e9);
  CHECK(log_gamma_tail(5, 1e300) == Approx(-1e300));
  CHECK(log_gamma_tail(1000000000, 1e-300) == 0);
  CHECK(log_binomial_tail(10, .25, 0) == 0);
  CHECK(log_binomial_tail(0, .25, 0) == 0);
  CHECK(log_binomial_tail(10, .25, 11) == -kInf);
  CHECK(log_binomial_tail(10, 0, 1) == -kInf);
  CHECK(log_binomial_tail(10, 1, 10) == 0);
  CHECK(log_binomial_tail(10, kNan, 5) == 0);
  CHECK(log_normal_tail(kInf) == -kInf);
  CHECK(log_normal_tail(-kInf) == 0);
  CHECK(log_normal_tail(kNan) == 0);
  CHECK(normal_quantile_from_log_tail(0) == -kInf);
  CHECK(normal_quantile_from_log_tail(.1) == -kInf);
  CHECK(normal_quantile_from_log_tail(kNan) == -kInf);
  CHECK(normal_quantile_from_log_tail(-kInf) == kInf);
}

TEST_CASE("the normal quantile undoes the tail") {
  for (int step = -800; step <= 4000; ++step) {
    const double z = 0.01 * step;
    const double back = normal_quantile_from_log_tail(log_normal_tail(z));

    CHECK(std::fabs(back - z) <= 1e-14 * (1 + std::fabs(z)));
  }
  for (const double log_p : {-1e-300, -1e-20, -1e-3, -.6931, -.6932, -1., -745., -1e5, -1e12}) {
    CHECK(near(log_normal_tail(normal_quantile_from_log_tail(log_p)), log_p, 2e-13));
  }
}
