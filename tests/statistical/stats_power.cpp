// Power: the reference numbers of planning, exactly where a tail function gives them, by simulation elsewhere.
// False failure <= 1e-9 for each test case. Published numbers are rounded to two digits, so each check allows 3 % for
// that.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>
#include <numeric>
#include <tuple>

#include "kit.hpp"

using namespace heirmark::stats;

namespace {

const double kLn10 = std::log(10.);

// Smallest threshold whose null p is at most alpha, then the probability to reach it.
double gumbel_power(std::uint64_t n, double mean, double log_alpha) {
  double low = static_cast<double>(n), high = 4 * low + 100;
  for (int i = 0; i < 100; ++i) {
    const double middle = .5 * (low + high);
    (log_gamma_tail(n, middle) > log_alpha ? low : high) = middle;
  }
  return std::exp(log_gamma_tail(n, high / mean));
}
double green_power(std::uint64_t n, double null, double rate, double log_alpha) {
  auto low = static_cast<std::uint64_t>(static_cast<double>(n) * null), high = n;
  while (low + 1 < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    (log_binomial_tail(n, null, middle) > log_alpha ? low : high) = middle;
  }
  return std::exp(log_binomial_tail(n, rate, high));
}
template <class Power>
double tokens_for(double wanted, Power power) {
  std::uint64_t low = 1000, high = 4000000;
  while (high - low > 50) {
    const std::uint64_t middle = low + (high - low) / 2;
    (power(middle) < wanted ? low : high) = middle;
  }
  return static_cast<double>(high);
}

// Runs of an e-process until ln e reaches the level: token counts, looked at every `step` tokens.
template <class Draw, class LogE>
std::vector<double> stopping_times(int runs, double level, std::uint64_t step, std::uint64_t seed, Draw draw,
                                   LogE log_e) {
  kit::Rng rng(seed);
  std::vector<double> times;
  for (int run = 0; run < runs; ++run) {
    decltype(draw(rng)) sum{};
    std::uint64_t n = 0;
    do {
      sum += draw(rng);
      n += step;
    } while (log_e(n, sum) < level && n < 2000000);
    times.push_back(static_cast<double>(n));
  }
  return times;
}

// The mean within 3 % of the published one, and as many standard errors as 1e-10 allows (the most checks of a case are 7).
void check_mean(const std::vector<double>& times, double published) {
  const auto n = static_cast<double>(times.size());
  const double mean = std::accumulate(times.begin(), times.end(), 0.) / n;
  double squares = 0;
  for (const double t : times) squares += (t - mean) * (t - mean);
  INFO("mean " << mean << " published " << published << " standard error " << std::sqrt(squares) / n);
  CHECK(std::fabs(mean - published) <= .03 * published + kit::deviations(1e-10) * std::sqrt(squares) / n);
}

// The 90 % quantile within 3 %: the number of runs below q must be possible for a binomial with .9.
void check_q90(const std::vector<double>& times, double published) {
  const auto below = [&](double q) {
    return static_cast<std::uint64_t>(std::count_if(times.begin(), times.end(), [&](double t) { return t <= q; }));
  };
  INFO("below the published quantile: " << below(published) << " of " << times.size());
  CHECK(below(1.03 * published) >= kit::least(times.size(), .9, 1e-10));
  CHECK(below(.97 * published) <= kit::most(times.size(), .9, 1e-10));
}

}  // namespace

TEST_CASE("fixed n: tokens for 90 % power at 1e-6") {
  const double log_alpha = -6 * kLn10;
  CHECK(tokens_for(.9, [&](std::uint64_t n) { return gumbel_power(n, 1.02, log_alpha); }) ==
        Approx(93000).epsilon(.02));
  CHECK(tokens_for(.9, [&](std::uint64_t n) { return green_power(n, .25, .26, log_alpha); }) ==
        Approx(69000).epsilon(.02));
  // The normal formula of plan_tokens: kappa r^2 = (effect / sigma)^2.
  CHECK(plan_tokens({1e-6, .9, 1, .02})->fixed_n == Approx(93000).epsilon(.03));
  CHECK(plan_tokens({1e-6, .9, 1, .01 / std::sqrt(.1875)})->fixed_n == Approx(69000).epsilon(.03));
}

TEST_CASE("fixed n in units of (sigma / effect)^2: 50 % and 90 % power at 1e-6 and 1e-10") {
  // gumbel scores of mean 1.005: the published constants are those of small effects
  const double effect = .005;
  for (const auto& [digits, power, published] : {std::tuple{6., .5, 22.6}, {6., .9, 36.4}, {10., .5, 40.5}, {10., .9, 58.4}})
    CHECK(tokens_for(power, [&](std::uint64_t n) { return gumbel_power(n, 1 + effect, -digits * kLn10); }) * effect * effect ==
          Approx(published).epsilon(.02));
}

TEST_CASE("e-process of gumbel scores with mean 1.02: tokens to 1e6 and 1e10") {
  // 1,000 runs each; published means and 90 % quantiles 81k / 116k, and in units of (sigma/effect)^2 33 / 49 and 52
  // / 72.
  const auto draw = [](kit::Rng& rng) { return 1.02 * rng.gamma(100); };
  const auto to6 = stopping_times(1000, 6 * kLn10, 100, 21, draw, log_e_exponential);
  check_mean(to6, 81000);
  check_q90(to6, 116000);
  check_mean(to6, 33 / .0004);
  check_q90(to6, 49 / .0004);
  const auto to10 = stopping_times(1000, 10 * kLn10, 100, 22, draw, log_e_exponential);
  check_mean(to10, 52 / .0004);
  check_q90(to10, 72 / .0004);
  CHECK(plan_tokens({1e-6, .9, 1, .02})->e_process_mean == Approx(81000).epsilon(.05));
  CHECK(plan_tokens({1e-6, .9, 1, .02})->e_process_quantile == Approx(116000).epsilon(.05));
}

TEST_CASE("e-process of green counts at .26 instead of .25: tokens to 1e6") {
  const auto draw = [](kit::Rng& rng) { return rng.binomial(100, .26); };
  const auto times = stopping_times(1000, 6 * kLn10, 100, 23, draw,
                                    [](std::uint64_t n, std::uint64_t x) { return log_e_bernoulli(n, .25, x); });
  check_mean(times, 63000);
  check_q90(times, 92000);
}

TEST_CASE("combined decoy ranks: the median against the true p") {
  // 2,000 runs, 16 equal classes, M = 9,999. True p 2.9e-7, 1.3e-12, 1.1e-19 (z = 5, 7, 9) give
  // medians 6.7e-7, 1.3e-12, 7e-19. The median lies between the order statistics that a fair coin allows.
  const std::array<double, 3> z{5, 7, 9}, published{6.7e-7, 1.3e-12, 7e-19};
  kit::Rng rng(24);
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<double> log10_p;
    std::vector<RankClass> classes(16);
    for (int run = 0; run < 2000; ++run) {
      for (auto& c : classes) c = {rng.binomial(9999, std::exp(log_normal_tail(rng.normal() + z[i] / 4))), 100};
      log10_p.push_back(stouffer_ranks(classes, 9999).log_p / kLn10);
    }
    std::sort(log10_p.begin(), log10_p.end());
    const auto low = kit::least(2000, .5, 1e-10), high = kit::most(2000, .5, 1e-10);
    INFO("median " << log10_p[1000] << " published " << std::log10(published[i]));
    CHECK(log10_p[low - 1] - .05 <= std::log10(published[i]));
    CHECK(log10_p[high] + .05 >= std::log10(published[i]));
  }
}
