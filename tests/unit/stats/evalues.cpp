// The expectation of every e-value is 1: exact enumeration and numeric integration.
#include <boost/math/quadrature/exp_sinh.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

#include "exact.hpp"

using namespace heirmark::stats;
using exact::Real;

TEST_CASE("effect sizes") {
  REQUIRE(effect_sizes().size() == 40);
  CHECK(effect_sizes().front() == 1e-4);
  CHECK(effect_sizes().back() == .6);
  for (std::size_t k = 1; k < 40; ++k) {
    CHECK(effect_sizes()[k] / effect_sizes()[k - 1] == Approx(std::pow(6000., 1. / 39)).epsilon(1e-13));
  }
}

TEST_CASE("expectation of the greenlist and tournament e-values is 1") {
  for (const double q : {0x1p-10, .25, .5, .75}) {
    for (const std::uint64_t n : {1ull, 2ull, 7ull, 40ull, 300ull}) {
      Real mean = 0;
      for (const auto& [x, p] : exact::weighted_bernoulli({{1, n}}, Real(q))) {
        mean += p * exp(Real(log_e_bernoulli(n, q, static_cast<std::uint64_t>(x))));
        if (q == .5)
          CHECK(log_e_fair_bits(n, static_cast<std::uint64_t>(x)) ==
                log_e_bernoulli(n, q, static_cast<std::uint64_t>(x)));
      }
      CHECK(static_cast<double>(mean) == Approx(1).epsilon(1e-12));
    }
  }
}

TEST_CASE("expectation of the gumbel e-value is 1") {
  boost::math::quadrature::exp_sinh<double> integrator;
  for (const std::uint64_t n : {1ull, 2ull, 10ull, 50ull}) {
    const double shape = static_cast<double>(n);
    const double mean = integrator.integrate([&](double t) {
      if (t <= 0 || t > 1e5) return 0.0;
      return std::exp((shape - 1) * std::log(t) - t - std::lgamma(shape) + log_e_exponential(n, t));
    });
    CHECK(mean == Approx(1).epsilon(1e-7));
  }
}

TEST_CASE("expectation of weighted e-values is 1, weights of any sign") {
  const std::vector<std::vector<WeightGroup>> lists{
      {{1, 1}}, {{3, 4}, {5, 3}, {11, 2}}, {{4, 4}, {-3, 5}}, {{-2, 3}, {-7, 1}}};
  for (const auto& groups : lists) {
    for (const TermKind kind :
         {TermKind{Term::bernoulli, .25}, TermKind{Term::bernoulli, .9}, TermKind{Term::fair_bits, .5, 3}}) {
      const bool bits = kind.term == Term::fair_bits;
      Real mean = 0;
      for (const auto& [x, p] : exact::weighted_bernoulli(groups, Real(bits ? .5 : kind.q), bits ? kind.bits : 1)) {
        mean += p * exp(Real(log_e_weighted(kind, groups, static_cast<double>(x))));
      }
      CHECK(static_cast<double>(mean) == Approx(1).epsilon(1e-12));
    }
  }
  boost::math::quadrature::exp_sinh<double> outer, inner;
  for (const auto& groups : {std::vector<WeightGroup>{{1, 1}, {3, 1}}, std::vector<WeightGroup>{{2, 1}, {-3, 1}}}) {
    const double mean = outer.integrate(
        [&](double s) {
          return s > 500 ? 0.0
                         : inner.integrate(
                               [&](double t) {
                                 return t > 500 ? 0.0
                                                : std::exp(-s - t +
                                                           log_e_weighted({Term::exponential}, groups,
                                                                          groups[0].weight * s + groups[1].weight * t));
                               },
                               1e-7);
        },
        1e-6);
    CHECK(mean == Approx(1).epsilon(1e-4));
  }
}

TEST_CASE("nothing seen is e = 1") {
  CHECK(log_e_exponential(0, 0) == 0);
  CHECK(log_e_bernoulli(0, .25, 0) == 0);
  CHECK(log_e_fair_bits(0, 0) == 0);
  CHECK(log_e_weighted({Term::exponential}, {}, 0) == 0);
}

TEST_CASE("unit weights give the unweighted e-value where the bets are the same") {
  const std::vector<WeightGroup> groups{{1, 1000}};
  CHECK(log_e_weighted({Term::exponential}, groups, 1200) == Approx(log_e_exponential(1000, 1200)).epsilon(1e-12));
}

TEST_CASE("an e-value is no stronger than the p-value of the same statistic") {
  // P(e >= v) <= 1/v, and e rises in the statistic above the mean: so ln e <= -ln p there.
  for (const std::uint64_t n : {10ull, 1000ull, 1000000ull, 1000000000ull}) {
    const double centre = static_cast<double>(n);
    for (const double z : {1., 3., 6., 15., 40.}) {
      const double t = centre + z * std::sqrt(centre);
      CHECK(log_e_exponential(n, t) <= -log_gamma_tail(n, t));
      const auto k = static_cast<std::uint64_t>(std::min(centre, .25 * centre + z * std::sqrt(.1875 * centre)));
      CHECK(log_e_bernoulli(n, .25, k) <= -log_binomial_tail(n, .25, k) + 1e-9);
    }
  }
}

TEST_CASE("log_sum_exp") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  CHECK(log_sum_exp({}) == -kInf);
  CHECK(log_sum_exp(std::vector<double>{-kInf, -kInf}) == -kInf);
  CHECK(log_sum_exp(std::vector<double>{-kInf, 3}) == 3);
  CHECK(log_sum_exp(std::vector<double>{kInf, 3}) == kInf);
  CHECK(log_sum_exp(std::vector<double>{1e6, 1e6}) == Approx(1e6 + std::log(2.)).epsilon(1e-15));
  CHECK(log_sum_exp(std::vector<double>{-1e6, -1e6}) == Approx(-1e6 + std::log(2.)).epsilon(1e-15));
}
