// Over random keys the sampled tokens have the distribution that the page says. Each test gives n, alpha and its false-failure
// probability; the seeds are fixed, so a test that passes once passes always.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <vector>

#include <boost/math/distributions/chi_squared.hpp>

#include "core/context.hpp"
#include "marks/reference.hpp"
#include "rows.hpp"
#include "sampler/choose.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
constexpr double kAlpha = 1e-9;  // the false-failure probability of each chi-square test
constexpr int kDraws = 40000;    // n

struct Cells {
  std::vector<int> observed;
  std::vector<double> expected;
};

/// Cells with fewer than ten expected draws are put together.
double p_value(const Cells& cells) {
  double statistic = 0, rest = 0;
  int rest_observed = 0, count = 0;
  for (std::size_t i = 0; i < cells.observed.size(); ++i) {
    if (cells.expected[i] < 10) {
      rest += cells.expected[i];
      rest_observed += cells.observed[i];
    } else {
      statistic += std::pow(cells.observed[i] - cells.expected[i], 2) / cells.expected[i];
      ++count;
    }
  }
  if (rest >= 10) {
    statistic += std::pow(rest_observed - rest, 2) / rest;
    ++count;
  } else {
    REQUIRE(rest_observed < 60);  // Poisson(10) is at least 60 with probability below 1e-25
  }
  return boost::math::cdf(complement(boost::math::chi_squared(count - 1), statistic));
}

Cells draw(std::uint64_t seed, const std::vector<float>& row, const marks::Filter& filter, const marks::Rule& rule, const core::KeyWords* mark) {
  Random random(seed);
  const Stored stored = store(row, DType::float32, 0);
  sampler::Workspace workspace(static_cast<std::uint32_t>(row.size()));
  Cells cells{std::vector<int>(row.size()), std::vector<double>(row.size())};
  for (int i = 0; i < kDraws; ++i) {
    sampler::RowTask task;
    task.logits = stored.view();
    task.filter = filter;
    task.rule = rule;
    task.keys.noise = random_key(random);
    task.keys.mark = mark != nullptr ? *mark : random_key(random);
    ++cells.observed[sampler::choose(task, core::instruction_set(), workspace).token];
  }
  return cells;
}

void expect(Cells& cells, const std::vector<double>& masses) {
  double total = 0;
  for (const double m : masses) total += m;
  for (std::size_t v = 0; v < masses.size(); ++v) cells.expected[v] = kDraws * masses[v] / total;
}
}  // namespace

TEST_CASE("gumbel draws from the softmax, truncated or not") {
  // n = 40,000 draws each, alpha = 1e-9 each, four tests: false failure below 4e-9 before the seeds were fixed, 0 since.
  Random random(20261150);
  std::vector<float> row = make_row(random, Shape::flat, 6000);
  for (std::size_t v = 0; v < 12; ++v) row[v * 499] = 5.0f + 0.4f * static_cast<float>(v);
  row[2048] = row[4096] = 8.0f;  // two tokens that share bin 0
  row[0] = 7.0f;
  for (const marks::Filter& filter : {marks::Filter{}, marks::Filter{.temperature = 0.7f}, marks::Filter{.top_k = 8}, marks::Filter{.temperature = 1.5f, .top_p = 0.6f}}) {
    Cells cells = draw(1, row, filter, {}, nullptr);
    expect(cells, marks::reference_kept(row, filter));
    CHECK(p_value(cells) > kAlpha);
  }
}

TEST_CASE("greenlist draws from the tilted masses of its window") {
  // n = 40,000, alpha = 1e-9: the false-failure probability before the seed was fixed.
  Random random(20261151);
  std::vector<float> row = make_row(random, Shape::flat, 5000);
  for (std::size_t v = 0; v < 40; ++v) row[v * 111] = 6.0f;
  const core::KeyWords mark = random_key(random);
  Cells cells = draw(2, row, {}, {marks::RuleKind::greenlist, 1u << 30, 2.0, 0}, &mark);
  std::vector<double> masses = marks::reference_kept(row, {});
  for (std::uint32_t v = 0; v < masses.size(); ++v)
    if (core::stream_word(mark, core::kBinsCoarse, core::bin_of(v)) < 1u << 30) masses[v] *= std::exp(2.0);
  expect(cells, masses);
  CHECK(p_value(cells) > kAlpha);
}

TEST_CASE("tournament draws from the softmax on average over its keys") {
  // n = 40,000, alpha = 1e-9: the false-failure probability before the seed was fixed.
  Random random(20261152);
  std::vector<float> row = make_row(random, Shape::flat, 300);
  for (std::size_t v = 0; v < 10; ++v) row[v * 29] = 4.0f + 0.3f * static_cast<float>(v);
  Cells cells = draw(3, row, {}, {marks::RuleKind::tournament, 0, 0, 30}, nullptr);
  expect(cells, marks::reference_kept(row, {}));
  CHECK(p_value(cells) > kAlpha);
}

TEST_CASE("the chi-square test sees a distribution that is a little off") {
  // The same draws against a softmax at a temperature 5 % higher must fail, or the tests above say nothing.
  Random random(20261153);
  std::vector<float> row = make_row(random, Shape::flat, 300);
  for (std::size_t v = 0; v < 10; ++v) row[v * 29] = 4.0f + 0.3f * static_cast<float>(v);
  Cells cells = draw(4, row, {}, {}, nullptr);
  expect(cells, marks::reference_kept(row, {.temperature = 1.05}));
  CHECK(p_value(cells) < kAlpha);
}
