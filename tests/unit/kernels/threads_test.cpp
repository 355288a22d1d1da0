// The block algorithms by real threads: no data race (under ThreadSanitizer), no barrier that some threads miss, and the reference's tokens.
#include <catch2/catch.hpp>

#include "expected.hpp"
#include "kernels/score_tile.hpp"
#include "threaded_block.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
void compare(World& world, const kernels::Scheme& scheme, std::uint32_t processors, bool lean, bool with_top) {
  std::vector<TopTokens> top;
  const std::vector<Sampled> got = world.launch(ThreadedExecutor{}, scheme, processors, true, lean, with_top ? &top : nullptr);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Sampled want = expected(world, i, scheme, true);
    INFO("row " << i << " T=" << world.rows[i].temperature << " k=" << world.rows[i].top_k << " p=" << world.rows[i].top_p << " mode=" << world.rows[i].mode);
    REQUIRE(static_cast<int>(got[i].status) == static_cast<int>(want.status));
    REQUIRE(got[i].token == want.token);
    if (with_top) require_top(top[i], want, world.rows[i], world.values[i]);
  }
}

/// A row of each way through the program.
void add_rows(World& world, Random& random, const std::vector<std::pair<Shape, Parameters>>& rows) {
  for (const auto& [shape, parameters] : rows) world.add(make_row(random, shape, world.vocab), make_row_parameters(random, parameters));
}
}  // namespace

TEST_CASE("real threads: the lean program") {
  Random random(20261210);
  for (const kernels::Scheme& scheme : {gumbel(), greenlist(1u << 30, 2.0), greenlist(1u << 31, 100.0)})
    for (const std::uint32_t processors : {1u, 8u}) {  // a slice, and several with a ticket
      World world(random, 17000, processors == 1 ? DType::float32 : DType::bfloat16, 1, 3);
      add_rows(world, random, {{Shape::language, {0.7f}}, {Shape::equal, {}}, {Shape::nans, {}}, {Shape::lowest, {}}, {Shape::masked, {0}}, {Shape::enormous, {}}});
      compare(world, scheme, processors, true, false);
    }
}

TEST_CASE("real threads: truncation and top tokens") {
  Random random(20261211);
  World world(random, 17000, DType::float32, 0, 0);
  add_rows(world, random, {{Shape::language, {1, 0, 50, 0.9f}}, {Shape::language, {1, 0, 0, 0.95f}}, {Shape::flat, {1, 0, 0, 0.9f}}, {Shape::ties, {1, 0.05f, 3000}}, {Shape::nans, {1, 0.01f}},
                           {Shape::language, {}}, {Shape::one, {1, 0, 7}}});
  compare(world, gumbel(), 8, false, true);
  compare(world, greenlist(1u << 30, 2.0), 1, false, false);
}

TEST_CASE("real threads: tournaments") {
  Random random(20261212);
  for (const std::uint32_t processors : {1u, 8u}) {
    World world(random, 9000, DType::bfloat16, 0, 0);
    add_rows(world, random, {{Shape::language, {0.8f}}, {Shape::equal, {}}, {Shape::language, {1, 0, 40}}, {Shape::language, {1.2f}}});
    compare(world, tournament(30), processors, false, false);
  }
}

TEST_CASE("real threads: shards") {
  Random random(20261213);
  for (const kernels::Scheme& scheme : {gumbel(), greenlist(1u << 30, 2.0)}) {
    World world(random, 9001, DType::float32, 0, 0);
    add_rows(world, random, {{Shape::language, {0.7f}}, {Shape::language, {0}}, {Shape::masked, {}}});
    const std::vector<Sampled> got = world.launch_sharded(ThreadedExecutor{}, scheme, {0, 3000, 9001});
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (got[i].status == RowStatus::needs_all_logits) continue;
      REQUIRE(got[i].token == expected(world, i, scheme, false).token);
    }
    CHECK(got[1].token < 9001);
  }
}

TEST_CASE("real threads: bulk scoring") {
  Random random(20261214);
  constexpr std::uint32_t kKeys = 40, kTerms = 700;
  std::vector<kernels::Packet> window(kTerms);
  std::vector<kernels::ScoreTerm> term(kTerms);
  for (auto& packet : window)
    for (auto& word : packet.w) word = static_cast<std::uint32_t>(random());
  for (auto& one : term) one = {static_cast<std::uint32_t>(random() % 512), static_cast<std::int32_t>(random() % 1000) + 1};
  const std::vector<kernels::ScoreTile> tiles{{0, 300, 0, 3, 0, 0}, {300, kTerms - 300, 0, 5, 0, 0}};
  std::vector<std::uint32_t> key(std::size_t{8} * core::kClasses * kKeys);
  for (auto& word : key) word = static_cast<std::uint32_t>(random());
  kernels::ScoreBatch batch;
  batch.window = window.data();
  batch.term = term.data();
  batch.tile = tiles.data();
  batch.key = key.data();
  batch.keys = kKeys;
  batch.key_lanes = 32;
  batch.rule.weighted = true;
  const auto sums = [&](const auto& executor) {
    std::vector<std::uint64_t> low(kKeys), high(kKeys);
    batch.low = low.data();
    batch.high = high.data();
    executor.template run<kernels::ScoreShared>(static_cast<std::uint32_t>(tiles.size()) * batch.key_tiles(), [&](auto& x, std::uint32_t block, auto& shared) {
      kernels::score_tile<Scheme::gumbel, true>(x, batch, block, shared);
    });
    low.insert(low.end(), high.begin(), high.end());
    return low;
  };
  const std::vector<std::uint64_t> by_threads = sums(ThreadedExecutor{});
  CHECK(by_threads == sums(SerialExecutor{random, SerialBlock::Bend::none}));
  CHECK(by_threads[0] != by_threads[1]);
}

#if defined(__SANITIZE_THREAD__)
TEST_CASE("a race is seen", "[.][race]") {
  // For the test of this test: run with [race], ThreadSanitizer must report it.
  ThreadedExecutor{1}.run<std::uint32_t>(1, [](auto& x, std::uint32_t, std::uint32_t& shared) {
    x.each([&](unsigned t) {
      if (t == 3) shared = 1;
    });
    x.each([&](unsigned t) {
      if (t == 200 && shared == 2) shared = 3;
    });
  });
}
#endif
