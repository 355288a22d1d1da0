// The small pieces of the schemes.
#include <catch2/catch.hpp>

#include <cmath>
#include <random>
#include <vector>

#include "marks/greenlist/greenlist.hpp"
#include "marks/gumbel/gumbel.hpp"
#include "marks/tournament/tournament.hpp"

using namespace heirmark;

TEST_CASE("gumbel: the inner draw equals the draw without its short cut") {
  std::mt19937_64 random(20261120);
  for (int trial = 0; trial < 20000; ++trial) {
    const auto count = static_cast<std::uint32_t>(1 + random() % 70);
    std::vector<double> masses(count);
    std::vector<std::uint64_t> words(count);
    for (std::uint32_t j = 0; j < count; ++j) {
      masses[j] = random() % 4 == 0 ? 0 : std::exp(-static_cast<double>(random() % 1000) / 20);
      words[j] = trial % 3 == 0 ? random() >> (random() % 64) : random();
      if (trial % 5 == 0 && j > 0) words[j] = words[j - 1], masses[j] = masses[j - 1];  // ties: the first wins
    }
    if (masses[0] == 0) masses[0] = 1;
    std::uint32_t winner = 0;
    double best = INFINITY;
    for (std::uint32_t j = 0; j < count; ++j) {
      const double time = masses[j] > 0 ? core::neg_log1m(words[j]) / masses[j] : INFINITY;
      if (time < best) { best = time; winner = j; }
    }
    REQUIRE(marks::gumbel::inner_draw(masses.data(), words.data(), count) == winner);
  }
}

TEST_CASE("greenlist: green is below gamma, and the boost is e^delta") {
  CHECK(marks::greenlist::is_green(0, 1));
  CHECK(marks::greenlist::is_green((1u << 30) - 1, 1u << 30));
  CHECK_FALSE(marks::greenlist::is_green(1u << 30, 1u << 30));
  CHECK_FALSE(marks::greenlist::is_green(0, 0));
  CHECK(marks::greenlist::boost(2.0) == Approx(std::exp(2.0)).epsilon(1e-15));
  CHECK(marks::greenlist::boost(0.0) == 1.0);
}

TEST_CASE("tournament: mass is kept, and its expectation over the bits is unchanged") {
  std::mt19937_64 random(20261121);
  std::vector<double> start(core::kBins), mean(core::kBins), scratch(core::kBins);
  double total = 0;
  for (double& s : start) total += s = std::exp(-static_cast<double>(random() % 1000) / 100);
  for (double& s : start) s /= total;
  constexpr int kTrials = 4096;
  std::vector<std::uint32_t> words(core::kBins);
  for (int trial = 0; trial < kTrials; ++trial) {
    for (auto& word : words) word = static_cast<std::uint32_t>(random());
    std::vector<double> p = start;
    marks::tournament::play(p.data(), words.data(), 3, scratch.data());
    double sum = 0;
    bool negative = false;
    for (std::uint32_t b = 0; b < core::kBins; ++b) {
      negative = negative || p[b] < 0;
      sum += p[b];
      mean[b] += p[b] / kTrials;
    }
    REQUIRE_FALSE(negative);
    REQUIRE(sum == Approx(1).epsilon(1e-12));
  }
  // A layer multiplies p_b by a factor of mean 1, at most 2: after three the variance is at most (2^3 - 1) p^2. With n = 4096 and 12
  // deviations, Bernstein's inequality for terms up to 8 p gives below 1e-26 for a bin, 1e-22 for all: the false-failure probability.
  for (std::uint32_t b = 0; b < core::kBins; ++b) REQUIRE(std::abs(mean[b] - start[b]) < 12 * std::sqrt(7.0 / kTrials) * start[b]);
}

TEST_CASE("tournament: one layer is p (1 + g - G)") {
  std::vector<double> masses(core::kBins), scratch(core::kBins);
  std::vector<std::uint32_t> words(core::kBins);
  masses[3] = 3;
  masses[2000] = 1;
  words[3] = 0x7FFFFFFFu;
  words[2000] = 0x80000000u;
  marks::tournament::play(masses.data(), words.data(), 1, scratch.data());
  CHECK(masses[3] == 0.75 * (1 - 0.25));
  CHECK(masses[2000] == 0.25 * (2 - 0.25));
}
