// Weighted sums: the bound never below the exact probability, the approximation near it, edges of the support.
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

#include "../../statistical/kit.hpp"
#include "exact.hpp"

using namespace heirmark::stats;
using exact::Real;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  TermKind kind;
  std::vector<WeightGroup> groups;
};

std::vector<Case> bounded_cases() {
  std::vector<Case> list;
  for (const double q : {.02, .25, .5, .9}) {
    list.push_back({{Term::bernoulli, q}, {{1, 40}}});
    list.push_back({{Term::bernoulli, q}, {{3, 10}, {5, 12}, {7, 9}}});
    list.push_back({{Term::bernoulli, q}, {{362, 8}, {443, 5}, {512, 3}, {677, 1}}});
    list.push_back({{Term::bernoulli, q}, {{4, 10}, {-3, 10}, {9, 3}, {-11, 2}}});
    list.push_back({{Term::bernoulli, q}, {{-2, 15}, {-3, 8}}});
    list.push_back({{Term::bernoulli, q}, {{1, 1}}});
  }
  list.push_back({{Term::fair_bits, .5, 5}, {{2, 6}, {3, 4}}});
  list.push_back({{Term::fair_bits, .123, 30}, {{1, 4}}});  // q is not used
  list.push_back({{Term::fair_bits, .5, 3}, {{5, 4}, {-4, 4}}});
  return list;
}
}  // namespace

TEST_CASE("a saddlepoint that gives no probability is the Chernoff bound, 1 below the mean") {
  // Two bins, weights 16 and 32,768, g = 1/4; X = 16 has probability 0.4375, for which Lugannani and Rice give less than 0.
  const auto tail = weighted_tail({Term::bernoulli, 0.25, 1}, std::vector<WeightGroup>{{16, 1}, {32768, 1}}, 16);
  CHECK(tail.log_chernoff == 0);
  CHECK(tail.log_saddlepoint == 0);
}

TEST_CASE("Chernoff is never below the exact tail of a bounded sum, Lugannani-Rice is near it") {
  for (const Case& c : bounded_cases()) {
    const bool bits = c.kind.term == Term::fair_bits;
    const auto distribution =
        exact::weighted_bernoulli(c.groups, bits ? Real(.5) : Real(c.kind.q), bits ? c.kind.bits : 1);
    std::uint64_t terms = 0;
    for (const auto& g : c.groups) terms += g.count * static_cast<std::uint64_t>(bits ? c.kind.bits : 1);
    double before = 0;
    for (const auto& [value, p] : exact::upper_tails(distribution)) {
      const double truth = std::min(0.0, exact::log_of(p));
      const auto tail = weighted_tail(c.kind, c.groups, static_cast<double>(value));
      INFO("q=" << c.kind.q << " terms=" << terms << " x=" << value << " exact " << truth << " chernoff "
                << tail.log_chernoff << " saddlepoint " << tail.log_saddlepoint);
      CHECK(tail.log_chernoff >= truth - 1e-13 * std::fabs(truth));
      CHECK(tail.log_chernoff <= 0);
      CHECK(tail.log_chernoff <= before + 1e-12 * std::fabs(before));
      CHECK(tail.log_saddlepoint <= 0);
      before = tail.log_chernoff;
    }
  }
}

TEST_CASE("the saddlepoint approximation is within 10 % in the tail") {
  const std::vector<Case> cases{{{Term::bernoulli, .25}, {{1, 200}}},
                                {{Term::bernoulli, .25}, {{3, 60}, {5, 40}, {7, 20}}},
                                {{Term::bernoulli, .5}, {{4, 60}, {-3, 60}}},
                                {{Term::fair_bits, .5, 10}, {{2, 12}, {3, 5}}}};
  for (const Case& c : cases) {
    const bool bits = c.kind.term == Term::fair_bits;
    int checked = 0;
    for (const auto& [value, p] :
         exact::upper_tails(exact::weighted_bernoulli(c.groups, Real(c.kind.q), bits ? c.kind.bits : 1))) {
      if (p > Real(.1) || p < Real("1e-25")) continue;
      const auto tail = weighted_tail(c.kind, c.groups, static_cast<double>(value));
      const double ratio = std::exp(tail.log_saddlepoint - exact::log_of(p));
      INFO("x=" << value << " exact ln p " << exact::log_of(p) << " ratio " << ratio);
      CHECK(ratio > .9);
      CHECK(ratio < 1.1);
      ++checked;
    }
    CHECK(checked > 30);
  }
}

TEST_CASE("weighted exponential sums against partial fractions") {
  std::vector<double> rising, mixed;
  for (int i = 0; i < 24; ++i) rising.push_back(1 + .1 * i);
  mixed = rising;
  for (int i = 0; i < 10; ++i) mixed.push_back(-.55 - .07 * i);
  for (const auto& weights : {rising, mixed, std::vector<double>{1.5}, std::vector<double>{2, -3}}) {
    std::vector<WeightGroup> groups;
    double mean = 0, variance = 0;
    for (const double a : weights) {
      groups.push_back({a, 1});
      mean += a;
      variance += a * a;
    }
    for (int step = 1; step <= 60; ++step) {
      const double x = std::max(0., mean) + .25 * step * std::sqrt(variance);
      const double truth = exact::log_of(exact::exponential_tail(weights, x));
      const auto tail = weighted_tail({Term::exponential}, groups, x);
      INFO(weights.size() << " weights, x=" << x << " exact " << truth << " chernoff " << tail.log_chernoff << " ratio "
                          << std::exp(tail.log_saddlepoint - truth));
      CHECK(tail.log_chernoff >= truth);
      const double tolerance = weights.size() > 2 ? .1 : .35;
      CHECK(std::exp(tail.log_saddlepoint - truth) > 1 - tolerance);
      CHECK(std::exp(tail.log_saddlepoint - truth) < 1 + tolerance);
    }
  }
}

TEST_CASE("equal weights: the bound in closed form, the saddlepoint next to the exact tail") {
  const std::vector<WeightGroup> one{{1, 1000000}};
  const double n = 1e6;
  for (const double x : {1.001e6, 1.01e6, 1.5e6, 3e6, 1e9}) {
    const auto tail = weighted_tail({Term::exponential}, one, x);
    CHECK(tail.log_chernoff == Approx(n - x + n * std::log(x / n)).epsilon(1e-9));
    CHECK(tail.log_saddlepoint == Approx(log_gamma_tail(1000000, x)).margin(1e-4).epsilon(1e-10));
  }
  for (const std::uint64_t k : {251000ull, 260000ull, 400000ull, 900000ull}) {
    const auto tail = weighted_tail({Term::bernoulli, .25}, one, static_cast<double>(k));
    const double truth = log_binomial_tail(1000000, .25, k);
    CHECK(tail.log_chernoff >= truth);
    CHECK(std::fabs(tail.log_saddlepoint - truth) < 1e-3);
  }
}

TEST_CASE("only the ratio of weights to threshold counts") {
  const std::vector<WeightGroup> plain{{1, 30}, {2, 20}, {-1, 10}};
  for (const TermKind kind :
       {TermKind{Term::exponential}, TermKind{Term::bernoulli, .3}, TermKind{Term::fair_bits, .5, 4}}) {
    for (const double x : {10., 40., 55.}) {
      const auto tail = weighted_tail(kind, plain, x);
      for (const double scale : {0x1p-200, 0x1p-8, 256., 0x1p200}) {
        std::vector<WeightGroup> scaled = plain;
        for (auto& g : scaled) g.weight *= scale;
        const auto other = weighted_tail(kind, scaled, x * scale);
        CHECK(other.log_chernoff == Approx(tail.log_chernoff).epsilon(1e-13).margin(1e-300));
        CHECK(other.log_saddlepoint == Approx(tail.log_saddlepoint).epsilon(1e-11));
        CHECK(log_e_weighted(kind, scaled, x * scale) == Approx(log_e_weighted(kind, plain, x)).epsilon(1e-13));
      }
    }
  }
}

TEST_CASE("edges of the support") {
  const std::vector<WeightGroup> groups{{2, 3}, {-1, 4}, {0, 100}};
  const TermKind green{Term::bernoulli, .25};
  CHECK(weighted_tail(green, groups, 6).log_chernoff == Approx(3 * std::log(.25) + 4 * std::log(.75)));
  CHECK(weighted_tail(green, groups, 6).log_saddlepoint == weighted_tail(green, groups, 6).log_chernoff);
  CHECK(weighted_tail(green, groups, 6 * (1 + 1e-14)).log_chernoff == weighted_tail(green, groups, 6).log_chernoff);
  CHECK(weighted_tail(green, groups, 6.5).log_chernoff == -kInf);
  CHECK(weighted_tail(green, groups, -4).log_chernoff == 0);
  CHECK(weighted_tail(green, groups, -4).log_saddlepoint == 0);
  CHECK(weighted_tail(green, groups, -kInf).log_chernoff == 0);
  CHECK(weighted_tail(green, groups, kInf).log_chernoff == -kInf);
  CHECK(weighted_tail(green, groups, std::nan("")).log_chernoff == 0);
  CHECK(weighted_tail(green, groups, .5).log_chernoff == 0);  // the mean
  CHECK(weighted_tail(green, groups, .4).log_chernoff == 0);
  CHECK(weighted_tail(green, groups, .6).log_chernoff < 0);
  // A tiny weight beside a large one: not yet the end.
  const std::vector<WeightGroup> uneven{{1, 100}, {1e-13, 100}};
  const double whole = 200 * std::log(.25), large = 100 * std::log(.25);
  CHECK(weighted_tail(green, uneven, 100).log_chernoff >= large);
  CHECK(weighted_tail(green, uneven, 100).log_chernoff > .6 * large + .4 * whole);

  const TermKind gumbel{Term::exponential};
  const std::vector<WeightGroup> negative{{-1, 5}};
  CHECK(weighted_tail(gumbel, negative, 0).log_chernoff == -kInf);
  CHECK(weighted_tail(gumbel, negative, -5).log_chernoff == 0);
  // P(Gamma(5, 1) <= 0.01) = 8.26e-13
  const double truth = std::log(8.263735949e-13);
  CHECK(weighted_tail(gumbel, negative, -.01).log_chernoff >= truth);
  CHECK(weighted_tail(gumbel, negative, -.01).log_chernoff <= truth + 2.5);
  CHECK(weighted_tail(gumbel, {}, 1).log_chernoff == -kInf);
  CHECK(weighted_tail(gumbel, {}, 0).log_chernoff == 0);
}

TEST_CASE("the cumulant function and its domain") {
  const std::vector<WeightGroup> groups{{2, 3}, {-1, 4}};
  const TermKind gumbel{Term::exponential};
  CHECK(cumulant(gumbel, groups, .25) == Approx(-3 * std::log(.5) - 4 * std::log(1.25)));
  CHECK(cumulant(gumbel, groups, .5) == kInf);
  CHECK(cumulant(gumbel, groups, -1) == kInf);
  CHECK(cumulant(gumbel, groups, 0) == 0);
  CHECK(cumulant({Term::bernoulli, .25}, groups, .7) ==
        Approx(3 * std::log(.75 + .25 * std::exp(1.4)) + 4 * std::log(.75 + .25 * std::exp(-.7))));
  CHECK(cumulant({Term::fair_bits, .1, 30}, groups, -.7) ==
        Approx(90 * std::log(.5 + .5 * std::exp(-1.4)) + 120 * std::log(.5 + .5 * std::exp(.7))));
  CHECK(cumulant({Term::bernoulli, .25}, groups, 2000) == Approx(3 * (4000 + std::log(.25)) + 4 * std::log(.75)));
}

TEST_CASE("the bound is the minimum over l, for weights and thresholds of every kind") {
  kit::Rng rng(31);
  for (int round = 0; round < 3000; ++round) {
    const int style = static_cast<int>(rng.below(3));
    const TermKind kind = style == 0   ? TermKind{Term::exponential}
                          : style == 1 ? TermKind{Term::bernoulli, std::pow(rng.uniform(), 1 + 20. * (round % 2))}
                                       : TermKind{Term::fair_bits, .5, 1 + static_cast<int>(rng.below(30))};
    std::vector<WeightGroup> groups;
    double top = 0, bottom = 0, largest = 0;
    for (std::uint64_t g = 1 + rng.below(6); g > 0; --g) {
      const double weight = std::exp(6 * rng.normal()) * (rng.below(4) == 0 ? -1 : 1);
      const std::uint64_t count = 1 + static_cast<std::uint64_t>(std::exp(15 * rng.uniform()));
      groups.push_back({weight, count});
      (weight > 0 ? top : bottom) += weight * static_cast<double>(count) * kind.bits;
      largest = std::max(largest, std::fabs(weight));
    }
    if (style == 0) top = std::exp(20 * rng.uniform()) * (top > 0 ? top : -bottom);
    if (style == 0 && groups.front().weight < 0 && groups.size() == 1) top = 0;
    const double x = rng.below(10) == 0 ? top - (top - bottom) * std::exp(-30 * rng.uniform())
                                        : bottom + (top - bottom) * rng.uniform();
    const auto tail = weighted_tail(kind, groups, x);
    INFO("round " << round << " style " << style << " q=" << kind.q << " x=" << x << " chernoff " << tail.log_chernoff
                  << " saddlepoint " << tail.log_saddlepoint);
    REQUIRE(tail.log_chernoff <= 0);  // not a NaN either
    REQUIRE(tail.log_saddlepoint <= 0);
    if (tail.log_chernoff < 0) REQUIRE(tail.log_saddlepoint <= tail.log_chernoff);
    // ln p <= K(l) - l x holds for every l >= 0; the bound is the least of them.
    for (int i = 0; i < 40; ++i) {
      const double l = std::exp(12 * rng.normal()) / largest;
      const double k = cumulant(kind, groups, l);
      if (!std::isfinite(k) || !std::isfinite(l * x)) continue;
      REQUIRE(tail.log_chernoff <= k - l * x + 1e-11 * (1 + std::fabs(k) + std::fabs(l * x)));
    }
  }
}

TEST_CASE("a million groups") {
  std::vector<WeightGroup> groups, merged, distinct;
  double sum = 0, squares = 0;
  for (int i = 0; i < 1000000; ++i) {
    groups.push_back({static_cast<double>(256 + i % 1000), 1});
    distinct.push_back({256 + i % 1000 + 1e-9 * i, 1});
    sum += groups.back().weight;
    squares += groups.back().weight * groups.back().weight;
  }
  for (int i = 0; i < 1000; ++i) merged.push_back({static_cast<double>(1255 - i), 1000});
  for (const TermKind kind : {TermKind{Term::exponential}, TermKind{Term::bernoulli, .25}}) {
    const bool gumbel = kind.term == Term::exponential;
    const double x = gumbel ? sum + 30 * std::sqrt(squares) : .25 * sum + 30 * std::sqrt(.1875 * squares);
    const auto tail = weighted_tail(kind, groups, x), same = weighted_tail(kind, merged, x);
    CHECK(tail.log_chernoff == same.log_chernoff);
    CHECK(tail.log_saddlepoint == same.log_saddlepoint);
    CHECK(log_e_weighted(kind, groups, x) == log_e_weighted(kind, merged, x));
    CHECK(tail.log_chernoff == Approx(-450).epsilon(.05));
    CHECK(weighted_tail(kind, distinct, x).log_chernoff == Approx(tail.log_chernoff).epsilon(1e-3));
  }
}
