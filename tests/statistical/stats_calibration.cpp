// Null calibration: simulated null audits of each channel's p, and the kit's own test on p-values that are known to be
// bad. n = 100,000 runs (unless said), alpha = 1e-2, 1e-3, 1e-4, false failure <= 1e-9 for each test case.
#include <boost/math/special_functions/gamma.hpp>
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>

#include "kit.hpp"

using namespace heirmark::stats;
using kit::Calibration;

namespace {
constexpr int kRuns = 100000;
const std::vector<double> kAlphas{1e-2, 1e-3, 1e-4};
}  // namespace

TEST_CASE("p of gumbel sums is nominal under the null") {
  kit::Rng rng(1);
  Calibration small(kAlphas, 5e-10), large(kAlphas, 5e-10);
  for (int run = 0; run < kRuns; ++run) {
    small.add(log_gamma_tail(5, rng.gamma(5)));
    large.add(log_gamma_tail(200, rng.gamma(200)));
  }
  CHECK(small.off_nominal() == "");
  CHECK(large.off_nominal() == "");
}

TEST_CASE("p of green counts and of tournament bits is exact under the null") {
  kit::Rng rng(2);
  Calibration green(kAlphas, 2.5e-10), bits(kAlphas, 2.5e-10), green_exact(kAlphas, 2.5e-10), bits_exact(kAlphas, 2.5e-10);
  for (int run = 0; run < kRuns; ++run) {
    const std::uint64_t count = rng.binomial(100, .25);
    green.add(log_binomial_tail(100, .25, count));
    green_exact.add(kit::randomised(log_binomial_tail(100, .25, count), log_binomial_tail(100, .25, count + 1), rng));
    std::uint64_t ones = 0;
    for (int i = 0; i < 15; ++i) ones += static_cast<std::uint64_t>(__builtin_popcountll(rng.next()));
    bits.add(log_binomial_tail(960, .5, ones));
    bits_exact.add(kit::randomised(log_binomial_tail(960, .5, ones), log_binomial_tail(960, .5, ones + 1), rng));
  }
  CHECK(green_exact.off_nominal() == "");
  CHECK(bits_exact.off_nominal() == "");
  CHECK(green.too_often() == "");
  CHECK(bits.too_often() == "");
  CHECK(green.count(0) > 400);  // and it is not empty caution: the steps of the count cost less than a factor of 2
  CHECK(bits.count(0) > 700);
}

TEST_CASE("the Chernoff p of weighted sums is never too small under the null") {
  kit::Rng rng(3);
  const std::vector<WeightGroup> groups{{362, 40}, {443, 10}, {512, 5}, {-100, 20}};
  Calibration gumbel(kAlphas, 2.5e-10), green(kAlphas, 2.5e-10), bits(kAlphas, 2.5e-10), saddlepoint(kAlphas, 2.5e-10);
  for (int run = 0; run < kRuns; ++run) {
    double e = 0, g = 0, b = 0;
    for (const auto& group : groups) {
      e += group.weight * rng.gamma(group.count);
      g += group.weight * static_cast<double>(rng.binomial(group.count, .25));
      b += group.weight * static_cast<double>(rng.binomial(group.count * 4, .5));
    }
    const auto tail = weighted_tail({Term::exponential}, groups, e);
    gumbel.add(tail.log_chernoff);
    saddlepoint.add(tail.log_saddlepoint);
    green.add(weighted_tail({Term::bernoulli, .25}, groups, g).log_chernoff);
    bits.add(weighted_tail({Term::fair_bits, .5, 4}, groups, b).log_chernoff);
  }
  CHECK(gumbel.too_often() == "");
  CHECK(green.too_often() == "");
  CHECK(bits.too_often() == "");
  CHECK(saddlepoint.off_nominal() == "");  // no bound, but nominal as far as 100,000 runs can tell
}

TEST_CASE("p of combined decoy ranks is never too small under the null") {
  // Under the null the number of decoys that reach the live statistic is uniform on 0..M.
  kit::Rng rng(4);
  Calibration fine(kAlphas, 5e-10), coarse(kAlphas, 5e-10);
  std::vector<RankClass> classes(16);
  for (int run = 0; run < kRuns; ++run) {
    for (std::size_t c = 0; c < 16; ++c) classes[c] = {rng.below(1000), 100 + 20 * c};
    fine.add(stouffer_ranks(classes, 999).log_p);
    for (std::size_t c = 0; c < 16; ++c) classes[c] = {rng.below(20), c == 0 ? 100000 : c};  // one class dominates
    coarse.add(stouffer_ranks(classes, 19).log_p);
  }
  CHECK(fine.too_often() == "");
  CHECK(coarse.too_often() == "");
  CHECK(fine.count(0) > 700);
}

TEST_CASE("1/e of the mixtures is never too small under the null") {
  kit::Rng rng(5);
  Calibration gumbel(kAlphas, 5e-10), green(kAlphas, 5e-10);
  for (int run = 0; run < kRuns; ++run) {
    gumbel.add(-log_e_exponential(50, rng.gamma(50)));
    green.add(-log_e_bernoulli(50, .25, rng.binomial(50, .25)));
  }
  CHECK(gumbel.too_often() == "");
  CHECK(green.too_often() == "");
}

TEST_CASE("the kit catches a p-value that is too small") {
  kit::Rng rng(6);
  Calibration normal(kAlphas), repeated(kAlphas), lucky(kAlphas), shrunk(kAlphas);
  for (int run = 0; run < kRuns; ++run) {
    const double t = rng.gamma(50);
    normal.add(log_normal_tail((t - 50) / std::sqrt(50.)));     // the central limit theorem, far in the tail
    repeated.add(log_gamma_tail(100, 2 * t));                   // every pair scored twice
    lucky.add(log_gamma_tail(50, std::max(t, rng.gamma(50))));  // the better of two keys, reported as one
    shrunk.add(1.2 * log_gamma_tail(50, t));                    // p to the power 1.2
  }
  CHECK(normal.too_often() != "");
  CHECK(repeated.too_often() != "");
  CHECK(lucky.too_often() != "");
  CHECK(shrunk.too_often() != "");
}

TEST_CASE("the kit catches mid-p, and tails of weighted sums by two moments") {
  kit::Rng rng(8);
  Calibration middle(kAlphas), normal(kAlphas), matched(kAlphas);
  // 60 pairs of weight 1 and one of weight 16: mean 76, variance 316
  const double shape = 76. * 76 / 316, scale = 316. / 76;
  for (int run = 0; run < kRuns; ++run) {
    const std::uint64_t count = rng.binomial(20, .25);
    middle.add(std::log(.5 * (std::exp(log_binomial_tail(20, .25, count)) + std::exp(log_binomial_tail(20, .25, count + 1)))));
    const double sum = rng.gamma(60) + 16 * rng.exponential();
    normal.add(log_normal_tail((sum - 76) / std::sqrt(316.)));
    matched.add(std::log(boost::math::gamma_q(shape, sum / scale)));
  }
  CHECK(middle.too_often() != "");
  CHECK(normal.too_often() != "");
  CHECK(matched.too_often() != "");
}

TEST_CASE("the kit catches a p-value that is too large, and accepts an exact one") {
  kit::Rng rng(7);
  Calibration timid({.1, .01}), honest({.1, .01});
  for (int run = 0; run < kRuns; ++run) {
    const double log_p = -rng.exponential();
    honest.add(log_p);
    timid.add(.8 * log_p);
  }
  CHECK(honest.off_nominal() == "");
  CHECK(timid.too_often() == "");
  CHECK(timid.off_nominal() != "");
}

TEST_CASE("the kit's acceptance region is exact") {
  for (const double q : {1e-4, 1e-2, .3}) {
    for (const std::uint64_t n : {10ull, 1000ull, 100000ull}) {
      const std::uint64_t high = kit::most(n, q, 1e-9), low = kit::least(n, q, 1e-9);
      // the SDK's own tail, an independent computation, agrees about both ends
      CHECK(std::exp(log_binomial_tail(n, q, high + 1)) <= 1e-9);
      if (high > 0) CHECK(std::exp(log_binomial_tail(n, q, high)) > 1e-9);
      CHECK(low <= static_cast<std::uint64_t>(static_cast<double>(n) * q + 1));
      if (low > 0) CHECK(std::exp(log_binomial_tail(n, 1 - q, n - low + 1)) <= 1e-9);
    }
  }
}
