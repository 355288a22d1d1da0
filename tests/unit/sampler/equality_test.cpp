// choose() against the reference: the same token on every row, with every instruction set.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "marks/reference.hpp"
#include "rows.hpp"
#include "sampler/choose.hpp"
#include "sampler/truncate.hpp"

using namespace heirmark;
using namespace heirmark::test;
using sampler::RowResult;
using sampler::RowTask;

namespace {
const std::vector<marks::Filter> kFilters = {
    {},
    {.temperature = 0.7f},
    {.temperature = 0.15f},
    {.temperature = 1e-3f},
    {.temperature = 1e3f},
    {.temperature = 1, .min_p = 0.05f},
    {.temperature = 1, .min_p = 1},
    {.temperature = 1, .top_k = 1},
    {.temperature = 1.3f, .top_k = 40},
    {.temperature = 1, .top_k = 3000},
    {.temperature = 1, .top_p = 0.1f},
    {.temperature = 1, .top_p = 0.95f},
    {.temperature = 2, .top_p = 0.999f},
    {.temperature = 1, .top_p = 1e-20f},
    {.temperature = 0.8f, .min_p = 0.01f, .top_k = 200, .top_p = 0.9f},
    {.temperature = 1.5f, .min_p = 1e-6f, .top_p = 0.5f},
};
const std::vector<marks::Rule> kRules = {
    {},
    {marks::RuleKind::greenlist, 1u << 30, 2.0, 0},
    {marks::RuleKind::tournament, 0, 0, 30},
    {marks::RuleKind::greenlist, 0xFFFFFFFFu, 100.0, 0},
    {marks::RuleKind::tournament, 0, 0, 1},
};

/// The reference's answer for what is really stored.
RowResult expected(const RowTask& task, const std::vector<float>& values) {
  RowResult out;
  bool finite = false;
  for (std::uint32_t v = 0; v < values.size(); ++v) {
    if (values[v] == kInf) return {RowResult::Kind::infinite_logit, v, 0};
    finite = finite || std::isfinite(values[v]);
  }
  if (!finite) return out;
  out.kind = RowResult::Kind::drawn;
  out.token = task.greedy ? marks::reference_greedy(values, task.rule, task.keys.mark) : marks::reference_draw(values, task.filter, task.rule, task.keys).token;
  if (task.log_prob) out.log_prob = static_cast<float>(marks::reference_log_prob(values, task.greedy ? 1.0 : task.filter.temperature, out.token));
  return out;
}

void compare(const RowTask& task, const std::vector<float>& values, sampler::Workspace& workspace) {
  const RowResult want = expected(task, values);
  for (const core::InstructionSet set : core::kInstructionSets) {
    if (!core::can_run(set)) continue;
    INFO(core::name(set));
    const RowResult got = sampler::choose(task, set, workspace);
    REQUIRE(static_cast<int>(got.kind) == static_cast<int>(want.kind));
    REQUIRE(got.token == want.token);
    if (task.log_prob && want.kind == RowResult::Kind::drawn) {
      // Within 1e-5, or float32's own rounding of a large number.
      REQUIRE(std::abs(got.log_prob - want.log_prob) <= std::max(1e-5f, std::abs(want.log_prob) * 0x1p-22f));
    } else {
      REQUIRE(std::isnan(got.log_prob));
    }
  }
}
}  // namespace

TEST_CASE("equal to the reference: every shape, filter, rule and type, many vocabularies") {
  Random random(20261130);
  sampler::Workspace workspace(kMaxVocab);
  const std::uint32_t vocabularies[] = {1, 2, 7, 15, 16, 17, 2047, 2048, 2049, 2063, 4096, 5000, 6151};
  std::size_t n = 0;
  for (int shape = 0; shape < static_cast<int>(Shape::kCount); ++shape) {
    for (const std::uint32_t vocab : vocabularies) {
      const std::vector<float> row = make_row(random, static_cast<Shape>(shape), vocab);
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
        const Stored stored = store(row, dtype, random() % 5);
        const std::vector<float> values = stored.values();
        for (int trial = 0; trial < 8; ++trial, ++n) {
          RowTask task;
          task.logits = stored.view();
          task.filter = kFilters[n % kFilters.size()];
          task.rule = kRules[(n / kFilters.size() + n) % kRules.size()];
          task.greedy = random() % 16 == 0;
          task.log_prob = random() % 3 == 0;
          task.keys = {random_key(random), random_key(random)};
          INFO(shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " dtype=" << static_cast<int>(dtype) << " filter=" << n % kFilters.size()
                                                     << " rule=" << static_cast<int>(task.rule.kind) << " greedy=" << task.greedy << " trial=" << n);
          compare(task, values, workspace);
        }
      }
    }
  }
}

TEST_CASE("equal to the reference: large vocabularies") {
  Random random(20261131);
  sampler::Workspace workspace(kMaxVocab);
  for (const std::uint32_t vocab : {50257u, 128256u, 151936u, 262144u, 1u << 20}) {
    for (int shape = 0; shape < static_cast<int>(Shape::kCount); ++shape) {
      const std::vector<float> row = make_row(random, static_cast<Shape>(shape), vocab);
      const Stored stored = store(row, static_cast<DType>(random() % 3), random() % 3);
      const std::vector<float> values = stored.values();
      RowTask task;
      task.logits = stored.view();
      task.filter = kFilters[random() % kFilters.size()];
      task.rule = kRules[random() % kRules.size()];
      task.log_prob = random() % 2 == 0;
      task.keys = {random_key(random), random_key(random)};
      INFO(shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " T=" << task.filter.temperature << " k=" << task.filter.top_k << " p=" << task.filter.top_p
                                                 << " min_p=" << task.filter.min_p << " rule=" << static_cast<int>(task.rule.kind));
      compare(task, values, workspace);
    }
  }
}

TEST_CASE("equal to the reference: many keys on one language model's row") {
  // The hot path, where a wrong bound would show as a rare wrong token.
  Random random(20261132);
  sampler::Workspace workspace(kMaxVocab);
  for (int kind = 0; kind < 4; ++kind) {
    const std::vector<float> row = make_row(random, kind == 3 ? Shape::flat : Shape::language, 8192);
    const Stored stored = store(row, kind == 1 ? DType::bfloat16 : kind == 2 ? DType::float16 : DType::float32, 0);
    const std::vector<float> values = stored.values();
    for (int trial = 0; trial < 1000; ++trial) {
      RowTask task;
      task.logits = stored.view();
      task.keys.noise = random_key(random);
      compare(task, values, workspace);
    }
  }
}

TEST_CASE("equal to the reference: top-p where very many tokens stay") {
  // They are not listed, and the cut itself is known to within a band.
  Random random(20261135);
  sampler::Workspace workspace(kMaxVocab);
  for (int kind = 0; kind < 4; ++kind) {
    std::vector<float> row = make_row(random, kind == 0 ? Shape::flat : kind == 1 ? Shape::ties : Shape::language, 40000);
    if (kind == 3) row[random() % row.size()] += 12;  // one token has a good part of the mass
    const Stored stored = store(row, kind == 2 ? DType::bfloat16 : DType::float32, 0);
    const std::vector<float> values = stored.values();
    for (std::size_t trial = 0; trial < 36; ++trial) {
      RowTask task;
      task.logits = stored.view();
      task.filter = {.temperature = kind == 0 ? 1.0 : 4.0, .top_p = std::array{0.9f, 0.999f, 0.6f}[trial % 3]};
      task.rule = kRules[std::array{2u, 4u, 2u, 1u, 0u, 2u}[trial / 3 % 6]];
      task.keys = {random_key(random), random_key(random)};
      INFO("kind " << kind << ", trial " << trial);
      compare(task, values, workspace);
    }
  }
}

TEST_CASE("equal to the reference: rows one rounding away from another token") {
  // Between two neighbouring floats of one logit the winner changes: bounds cannot tell which it is, and what decides exactly has to.
  Random random(20261134);
  sampler::Workspace workspace(kMaxVocab);
  std::size_t found = 0;
  for (std::size_t n = 0; n < 150; ++n) {
    std::vector<float> row = make_row(random, n % 3 == 0 ? Shape::flat : n % 3 == 1 ? Shape::language : Shape::spike, 4100);
    RowTask task;
    task.filter = kFilters[std::array{0u, 1u, 0u, 8u, 5u, 11u}[n % 6]];
    task.rule = kRules[n % kRules.size()];
    task.keys = {random_key(random), random_key(random)};
    const std::size_t token = random() % row.size();
    const auto winner = [&](float logit) {
      row[token] = logit;
      return marks::reference_draw(row, task.filter, task.rule, task.keys).token;
    };
    float low = 1, high = 60;  // positive, so that neighbours are neighbouring integers
    for (float& logit : row) logit += 10;
    const std::uint32_t first = winner(low);
    if (winner(high) == first) continue;
    while (std::nextafter(low, high) < high) {
      const auto bits = [](float x) { std::uint32_t u = 0; std::memcpy(&u, &x, sizeof u); return u; };
      const std::uint32_t middle = bits(low) + (bits(high) - bits(low)) / 2;
      float x = 0;
      std::memcpy(&x, &middle, sizeof x);
      (winner(x) == first ? low : high) = x;
    }
    ++found;
    INFO("row " << n);
    for (const float x : {low, high, std::nextafter(low, 0.0f), std::nextafter(high, 100.0f)}) {
      row[token] = x;
      const Stored stored = store(row, DType::float32, 0);
      task.logits = stored.view();
      compare(task, row, workspace);
    }
  }
  CHECK(found > 100);
}

TEST_CASE("a row that is not what it was a moment ago spoils its token and nothing else") {
  // Somebody writes into the logits meanwhile: what was the greatest is not, or nothing is left. No index may follow from that.
  Random random(20261143);
  sampler::Workspace workspace(kMaxVocab);
  for (const std::uint32_t vocab : {3000u, 40000u}) {
    const std::vector<float> row = make_row(random, Shape::flat, vocab), none(vocab, kNan);
    const Stored stored = store(row, DType::float32, 0), gone = store(none, DType::float32, 0);
    const float greatest = *std::max_element(row.begin(), row.end());
    for (const marks::Filter& filter : {marks::Filter{.top_p = 0.9f}, marks::Filter{.temperature = 3, .top_p = 0.999f}, marks::Filter{.top_k = 40, .top_p = 0.9f}, marks::Filter{.min_p = 0.01f, .top_p = 0.5f}})
      for (const float seen : {greatest - 0.01f, greatest - 5, -300.0f, greatest + 30})
        for (const bool band : {false, true}) {
          INFO("V = " << vocab << ", top_p = " << filter.top_p << ", greatest " << greatest << " seen as " << seen);
          const auto kept = sampler::truncate(sampler::kernel(core::instruction_set()), stored.view(), filter, seen, band, workspace);
          CHECK(kept.count <= vocab);
        }
    TopTokens top;
    sampler::top_tokens(sampler::kernel(core::instruction_set()), gone.view(), {}, greatest, workspace, top);
    CHECK(top.token[0].token == kNoToken);
  }
}

TEST_CASE("half precision and bfloat16 values are exact in float32") {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const float value = core::half_to_float(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31u), fraction = static_cast<int>(bits & 1023u);
    const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
    if (exponent == 31) {
      REQUIRE((fraction != 0 ? std::isnan(value) : value == sign * kInf));
    } else {
      const float want = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24) : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
      REQUIRE(value == sign * want);
      REQUIRE(std::signbit(value) == ((bits & 0x8000u) != 0));
    }
  }
  CHECK(core::bfloat_to_float(0x3F80) == 1.0f);
  CHECK(core::bfloat_to_float(0xFF80) == -kInf);
}
