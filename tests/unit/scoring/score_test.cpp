#include "marks/score.hpp"

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "scoring/kernel.hpp"

using namespace heirmark;
using Real = boost::multiprecision::cpp_bin_float_50;

namespace {
/// The definition, in 50 digits.
std::uint32_t score_by_logarithm(std::uint32_t c) {
  const Real n = Real(std::uint64_t{c} + 1) / Real(std::uint64_t{1} << 32);
  return static_cast<std::uint32_t>(floor(Real(1 << 24) * -log(n)));
}
}  // namespace

TEST_CASE("score at its ends") {
  CHECK(marks::score(0) == 372'130'558);
  CHECK(marks::score(0xFFFFFFFFu) == 0);
  CHECK(marks::score(0xFFFFFFFEu) == 0);
  CHECK(marks::score(0x7FFFFFFFu) == 11'629'079);  // ln 2
  CHECK(marks::score_up(0) == 1u << 30);
  CHECK(marks::score_up(1) == 372'130'559);
  CHECK(marks::score_up(0xFFFFFFFFu) == 1);
  CHECK(marks::score_up(0x80000000u) == 11'629'080);
}

TEST_CASE("score is the floor of the logarithm") {
  std::vector<std::uint32_t> words;
  for (std::uint32_t c = 0; c < 3000; ++c) words.push_back(c), words.push_back(~c);
  for (int bit = 0; bit < 32; ++bit)
    for (std::uint32_t off = 0; off < 5; ++off) words.push_back((1u << bit) - 2 + off);
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) words.push_back(static_cast<std::uint32_t>(random() >> (random() % 32)));
  words.resize(words.size() / scoring::kGroup * scoring::kGroup);
  std::vector<std::uint32_t> out(words.size());
  for (const auto* kernel : scoring::kernels()) {
    kernel->scores(words.data(), words.size(), out.data());
    std::uint64_t sum = 0, wrong = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
      sum += out[i];
      if (kernel == scoring::kernels().front()) wrong += score_by_logarithm(words[i]) != out[i] ? 1u : 0u;
      wrong += marks::score(words[i]) != out[i] || marks::score_exact(words[i]) != out[i] ? 1u : 0u;
    }
    INFO(kernel->name);
    CHECK(wrong == 0);
    CHECK(kernel->sum_scores(words.data(), words.size()) == sum);
  }
}

TEST_CASE("score where the double path cannot tell") {
  // Every word of a run of 2^24 that is handed to the exact path, at the low, middle and high end.
  std::vector<std::uint32_t> near;
  for (const std::uint32_t from : {0u, 0x70000000u, 0xFF000000u})
    for (std::uint32_t c = from; c - from < 1u << 23; ++c) {
      const double y = marks::score_approximation(c), fraction = y - std::floor(y);
      if (fraction < 8 * marks::kScoreMargin || fraction > 1 - 8 * marks::kScoreMargin) near.push_back(c);
    }
  REQUIRE(near.size() > 150);
  near.resize(near.size() / scoring::kGroup * scoring::kGroup);
  std::vector<std::uint32_t> out(near.size());
  for (const auto* kernel : scoring::kernels()) {
    kernel->scores(near.data(), near.size(), out.data());
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < near.size(); ++i)
      wrong += out[i] != marks::score_exact(near[i]) || out[i] != score_by_logarithm(near[i]) ? 1u : 0u;
    CHECK(wrong == 0);
  }
}

TEST_CASE("the double path stays within its proven bound") {
  std::mt19937_64 random(2);
  Real worst = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto c = static_cast<std::uint32_t>(random() >> (random() % 32));
    const Real exact = Real(1 << 24) * -log(Real(std::uint64_t{c} + 1) / Real(std::uint64_t{1} << 32));
    worst = std::max<Real>(worst, abs(exact - Real(marks::score_approximation(c))));
  }
  INFO(worst);
  CHECK(worst < Real(marks::kScoreMargin) / 2);
}

TEST_CASE("count weights are exact floors") {
  std::mt19937_64 random(3);
  std::uint64_t wrong = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::uint64_t count = i < 3000 ? static_cast<std::uint64_t>(i) + 1 : random() >> (24 + random() % 38);
    if (count == 0) continue;
    const auto by_log = static_cast<std::int64_t>(floor(Real(256) * log(Real(count) + 1)));
    const auto by_root = static_cast<std::int64_t>(floor(Real(256) * sqrt(Real(count))));
    wrong += marks::log_weight(count) != by_log || marks::sqrt_weight(count) != by_root ? 1u : 0u;
  }
  CHECK(wrong == 0);
  for (std::uint64_t root = 1; root < 8'000'000; root += 977) {  // perfect squares, and one less
    CHECK(marks::sqrt_weight(root * root) == static_cast<std::int64_t>(256 * root));
    CHECK(marks::sqrt_weight(root * root - 1) < static_cast<std::int64_t>(256 * root));
  }
  CHECK(marks::log_weight(2) == 281);
  CHECK(marks::sqrt_weight(2) == 362);
}
