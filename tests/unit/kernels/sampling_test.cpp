// The block algorithms of the GPU, run by the serial executor, against the reference: the same token and status on every row.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "expected.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
void compare(World& world, Random& random, const kernels::Scheme& scheme, std::uint32_t processors, SerialBlock::Bend bend) {
  const bool log_probs = random() % 2 == 0, with_top = random() % 2 == 0;
  std::vector<TopTokens> top;
  const std::vector<Sampled> got = world.launch(SerialExecutor{random, bend}, scheme, processors, log_probs, random() % 2 == 0, with_top ? &top : nullptr);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Sampled want = expected(world, i, scheme, log_probs);
    const DeviceRow& row = world.rows[i];
    INFO("row " << i << " T=" << row.temperature << " min_p=" << row.min_p << " k=" << row.top_k << " p=" << row.top_p << " mode=" << row.mode);
    REQUIRE(static_cast<int>(got[i].status) == static_cast<int>(want.status));
    REQUIRE(got[i].token == want.token);
    if (with_top) require_top(top[i], want, row, world.values[i]);
    if (std::isnan(want.log_prob)) {
      REQUIRE(std::isnan(got[i].log_prob));
    } else {
      REQUIRE(std::abs(got[i].log_prob - want.log_prob) <= std::max(1e-5f, std::abs(want.log_prob) * 0x1p-21f));
    }
  }
}
}  // namespace

TEST_CASE("the block algorithms equal the reference: every shape, parameter, scheme and type") {
  Random random(20261201);
  const kernels::Scheme schemes[] = {gumbel(), greenlist(1u << 30, 2.0), tournament(30), gumbel(), greenlist(0xFFFFFFFFu, 100.0), tournament(1)};
  const std::uint32_t vocabularies[] = {1, 7, 16, 17, 2047, 2048, 2049, 4096, 5000, 8192, 17000, 40001};
  std::size_t n = 0;
  for (int shape = 0; shape < static_cast<int>(Shape::kCount); ++shape) {
    for (const std::uint32_t vocab : vocabularies) {
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
        World world(random, vocab, dtype, random() % 9, random() % 3 * 5);
        for (int i = 0; i < 3; ++i) world.add(make_row(random, static_cast<Shape>(shape), vocab), make_row_parameters(random, kParameters[(n++ + random() % 2) % kParameters.size()]));
        INFO(shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " dtype=" << static_cast<int>(dtype) << " n=" << n);
        compare(world, random, schemes[random() % std::size(schemes)], static_cast<std::uint32_t>(1u << random() % 8), static_cast<SerialBlock::Bend>(random() % 4));
      }
    }
  }
}

TEST_CASE("a launch without truncation refuses rows that ask for it, and no others") {
  Random random(20261207);
  for (const kernels::Scheme& scheme : {gumbel(), tournament(30)}) {
    World world(random, 5000, DType::float32, 0, 0);
    world.refuse_truncation = true;
    for (const Parameters& parameters : {Parameters{1, 0, 40}, Parameters{}, Parameters{1, 0.1f}, Parameters{0, 0, 40}, Parameters{1, 0, 0, 0.9f}, Parameters{1, 0, 5000}}) {
      world.add(make_row(random, Shape::language, 5000), make_row_parameters(random, parameters));
      world.rows.back().mode = static_cast<std::uint32_t>(Mode::marked);
    }
    std::vector<TopTokens> top;
    const std::vector<Sampled> got = world.launch(SerialExecutor{random, SerialBlock::Bend::none}, scheme, 4, false, true);
    const std::vector<Sampled> listed = world.launch(SerialExecutor{random, SerialBlock::Bend::none}, scheme, 4, true, false, &top);  // the full kernel, which could
    for (const std::size_t i : {0u, 2u, 4u}) {
      for (const Sampled& one : {got[i], listed[i]}) {
        CHECK(one.status == RowStatus::bad_parameter);
        CHECK(one.token == kNoToken);
      }
      for (const TopToken& entry : top[i].token) CHECK(entry.token == kNoToken);
    }
    for (const std::size_t i : {1u, 3u, 5u}) CHECK(listed[i].token == got[i].token);
    for (const std::size_t i : {1u, 3u, 5u}) CHECK(got[i].token == expected(world, i, scheme, false).token);  // greedy, and a k that cuts nothing, do not truncate
  }
}

TEST_CASE("a race among a few bins is the reference's race among them") {
  Random random(20261208);
  constexpr std::uint32_t kVocab = 9001;
  const auto shared = std::make_unique<kernels::Shared>();
  std::size_t green_won = 0;
  for (std::size_t n = 0; n < 60; ++n) {
    const std::vector<float> logits = make_row(random, Shape::language, kVocab);
    const float top = *std::max_element(logits.begin(), logits.end());
    const kernels::RowData<DType::float32> row{reinterpret_cast<const std::byte*>(logits.data()), kVocab};
    const kernels::Exponential exponential(0.8f, top);
    const core::KeyWords mark = random_key(random), noise = random_key(random);
    kernels::Batch batch;
    batch.scheme = greenlist(1u << 31, 2.0);
    kernels::Resolved resolved;
    resolved.rule = n % 3 == 0 ? marks::RuleKind::race : marks::RuleKind::greenlist;
    resolved.noise = &noise;
    resolved.mark = &mark;
    const std::uint32_t count = 1 + static_cast<std::uint32_t>(n) % kernels::kMaxMerged;
    double first = std::numeric_limits<double>::infinity();
    std::uint32_t winner = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto bin = static_cast<std::uint32_t>(random() % core::kBins);
      shared->merged[i] = bin;
      double mass = 0;
      for (std::uint32_t v = bin; v < kVocab; v += core::kBins) mass += exponential(logits[v]);
      if (resolved.rule == marks::RuleKind::greenlist && core::stream_word(mark, core::kBinsCoarse, bin) < batch.scheme.gamma) mass *= batch.scheme.boost;
      const double time = marks::gumbel::bin_time(core::stream_word(noise, core::kBinsCoarse, bin), core::stream_word(noise, core::kBinsFine, bin)) / mass;
      if (time < first) {
        first = time;
        winner = bin;
      }
    }
    green_won += resolved.rule == marks::RuleKind::greenlist && core::stream_word(mark, core::kBinsCoarse, winner) < batch.scheme.gamma;
    SerialBlock x(random());
    REQUIRE(kernels::race_of_few(x, batch, row, resolved, exponential, count, *shared) == winner);
  }
  CHECK(green_won > 25);
}

TEST_CASE("the time of a coarse word lies between its bounds, whatever its fine word") {
  Random random(20261206);
  for (const auto bend : {SerialBlock::Bend::none, SerialBlock::Bend::low, SerialBlock::Bend::high}) {
    SerialBlock x(1, bend);
    for (std::uint32_t n = 0; n < 200000; ++n) {
      constexpr std::uint32_t kEdges[] = {0, 1, 2, (1u << 26) - 2, (1u << 26) - 1, 1u << 26, (1u << 26) + 1, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFDu, 0xFFFFFFFEu, 0xFFFFFFFFu};
      const std::uint32_t any = static_cast<std::uint32_t>(random()), coarse = n < std::size(kEdges) ? kEdges[n] : n % 2 == 0 ? any : (1u << 26) + any % (1u << 22);
      const kernels::Bounds e = kernels::time_bounds(x, coarse);
      const double first = marks::gumbel::bin_time(coarse, 0), last = marks::gumbel::bin_time(coarse, 0xFFFFFFFFu), slack = static_cast<double>(kernels::kNearSlack);
      INFO("coarse " << coarse);
      REQUIRE(static_cast<double>(e.low) * (1 - slack) <= first);
      REQUIRE(static_cast<double>(e.high) * (1 + slack) >= last);
    }
  }
}

TEST_CASE("shards give the reference's token, or say that they need all logits") {
  Random random(20261202);
  const kernels::Scheme schemes[] = {gumbel(), greenlist(1u << 30, 2.0), gumbel(), greenlist(0xFFFFFFFFu, 100.0), gumbel(), tournament(30)};
  const Parameters unlike_truncation[] = {{}, {0.7f}, {0.15f}, {1e-3f}, {1e3f}, {0}, {1, 0.05f}, {1.3f, 0, 40}};
  std::size_t n = 0, drawn = 0, undecided = 0;
  for (int shape = 0; shape < static_cast<int>(Shape::kCount); ++shape)
    for (const std::uint32_t vocab : {1u, 7u, 2049u, 5000u, 17000u, 40001u})
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
        World world(random, vocab, dtype, 0, 0);
        for (int i = 0; i < 3; ++i) world.add(make_row(random, static_cast<Shape>(shape), vocab), make_row_parameters(random, unlike_truncation[n++ % std::size(unlike_truncation)]));
        std::vector<std::uint32_t> cuts{0, vocab};
        for (std::uint32_t i = 0; i < 7 && vocab > 1; ++i)
          if (random() % 2 == 0) cuts.push_back(static_cast<std::uint32_t>(1 + random() % (vocab - 1)));
        std::sort(cuts.begin(), cuts.end());
        cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
        const kernels::Scheme& scheme = schemes[random() % std::size(schemes)];
        const std::vector<Sampled> got = world.launch_sharded(SerialExecutor{random, static_cast<SerialBlock::Bend>(random() % 4)}, scheme, cuts);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const Sampled want = expected(world, i, scheme, false);
          const DeviceRow& row = world.rows[i];
          INFO(shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " dtype=" << static_cast<int>(dtype) << " ranks=" << cuts.size() - 1 << " row " << i << " T=" << row.temperature
                                                     << " mode=" << row.mode);
          const bool draws = want.token != kNoToken && want.status != RowStatus::infinite_logit && row.mode != 1 && row.temperature != 0;
          if (got[i].status == RowStatus::needs_all_logits) {
            REQUIRE(draws);
            REQUIRE(got[i].token == kNoToken);
            const bool plain = row.min_p == 0 && row.top_k == 0 && row.top_p == 1 && (want.status != RowStatus::marked || scheme.kind == Scheme::gumbel);
            undecided += plain;
            continue;
          }
          REQUIRE(static_cast<int>(got[i].status) == static_cast<int>(want.status));
          REQUIRE(got[i].token == want.token);
          drawn += draws;
        }
      }
  CHECK(drawn > 200);
  CHECK(undecided < drawn / 5);  // rows of equal logits and the like: not what a model gives
  WARN(drawn << " rows drawn, " << undecided << " plain ones undecided");
}

TEST_CASE("shards that leave out columns make rows bad") {
  Random random(3);
  World world(random, 5000, DType::float32, 0, 0);
  world.add(make_row(random, Shape::language, 5000), make_row_parameters(random, {}));
  CHECK(world.launch_sharded(SerialExecutor{random, SerialBlock::Bend::none}, gumbel(), {0, 2000, 5000})[0].status != RowStatus::bad_parameter);
  CHECK(world.launch_sharded(SerialExecutor{random, SerialBlock::Bend::none}, gumbel(), {0, 2000, 4999})[0].status == RowStatus::bad_parameter);
  CHECK(world.launch_sharded(SerialExecutor{random, SerialBlock::Bend::none}, gumbel(), {1, 2000, 5000})[0].status == RowStatus::bad_parameter);
}

TEST_CASE("shards whose logits are lost between the steps give no token") {
  Random random(4);
  for (const kernels::Scheme& scheme : {gumbel(), greenlist(1u << 30, 2.0)}) {
    World world(random, 5000, DType::float32, 0, 0);
    for (int i = 0; i < 4; ++i) world.add(make_row(random, Shape::language, 5000), make_row_parameters(random, {}));
    const std::vector<Sampled> got = world.launch_sharded(SerialExecutor{random, SerialBlock::Bend::none}, scheme, {0, 2000, 5000}, true);
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (world.rows[i].mode == 1) continue;  // greedy: the first step has all that it needs
      INFO("row " << i << " mode=" << world.rows[i].mode);
      CHECK(got[i].token == kNoToken);
      CHECK(static_cast<int>(got[i].status) == static_cast<int>(RowStatus::needs_all_logits));
    }
  }
}

TEST_CASE("shards see a lone -FLT_MAX wherever it lies") {
  Random random(5);
  for (const std::uint32_t place : {0u, 8191u, 8192u, 9000u, 19999u})
    for (const bool greedy : {false, true})
      for (const kernels::Scheme& scheme : {gumbel(), greenlist(1u << 30, 2.0)}) {
        World world(random, 20000, DType::float32, 0, 0);
        std::vector<float> logits(20000, -kInf);
        logits[place] = -kMax;
        DeviceRow row = make_row_parameters(random, {});
        row.mode = greedy ? 1 : 2;
        world.add(logits, row);
        const Sampled want = expected(world, 0, scheme, false), got = world.launch_sharded(SerialExecutor{random, SerialBlock::Bend::none}, scheme, {0, 20000})[0];
        INFO("token " << place << " greedy=" << greedy);
        REQUIRE(want.token == place);
        CHECK(got.token == (greedy ? place : kNoToken));
        CHECK(static_cast<int>(got.status) == static_cast<int>(greedy ? want.status : RowStatus::needs_all_logits));
      }
}
