// The block algorithms of the GPU, run by the serial executor, against the reference: the same token and status on every row.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "marks/reference.hpp"
#include "world.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
struct Parameters { float temperature = 1, min_p = 0; std::uint32_t top_k = 0; float top_p = 1; };
const std::vector<Parameters> kParameters = {
    {}, {0.7f}, {0.15f}, {1e-3f}, {1e3f}, {1, 0.05f}, {1, 1}, {1, 0, 1}, {1.3f, 0, 40}, {1, 0, 3000}, {1, 0, 0, 0.1f}, {1, 0, 0, 0.95f}, {2, 0, 0, 0.999f}, {1, 0, 0, 1e-20f},
    {0.8f, 0.01f, 200, 0.9f}, {1.5f, 1e-6f, 0, 0.5f}, {1, 0, 50, 0.9f}, {0},
};

kernels::Scheme gumbel() { return {.kind = Scheme::gumbel, .share_q32 = 1ull << 31}; }
kernels::Scheme greenlist(std::uint32_t gamma, double delta) {
  return {.kind = Scheme::greenlist, .share_q32 = 1ull << 32, .gamma = gamma, .delta = delta, .boost = marks::greenlist::boost(delta)};
}
kernels::Scheme tournament(int layers) { return {.kind = Scheme::tournament, .share_q32 = 1ull << 32, .layers = layers}; }

DeviceRow make_row_parameters(Random& random, const Parameters& p) {
  DeviceRow row;
  row.temperature = p.temperature;
  row.min_p = p.min_p;
  row.top_k = p.top_k;
  row.top_p = p.top_p;
  row.mode = random() % 8 == 0 ? static_cast<std::uint32_t>(random() % 4) : 2;
  row.account_slot = static_cast<std::uint32_t>(random() % 3);
  row.position = static_cast<std::uint32_t>(random());
  row.window_repeated = random() % 8 == 0 ? 1 : 0;
  for (auto& word : row.window) word = static_cast<std::uint32_t>(random());
  for (auto& byte : row.request_id.bytes) byte = static_cast<std::uint8_t>(random());
  return row;
}

/// specs/marks.md, read once more: independent of kernels/keys.hpp.
Sampled expected(const World& world, std::size_t index, const kernels::Scheme& scheme, bool log_probs) {
  const DeviceRow& row = world.rows[index];
  const std::vector<float>& values = world.values[index];
  Sampled out;
  out.log_prob = kNan;
  const core::Context window{{row.window[0], row.window[1], row.window[2], row.window[3]}};
  const bool greedy = row.mode == 1 || row.temperature == 0;
  const bool coin = core::coin_is_window(world.table.coin, window, scheme.share_q32);
  const bool marked = coin && row.window_repeated == 0 && row.mode != 0 && row.mode != 3 && (!greedy || scheme.kind == Scheme::greenlist);
  const core::KeyWords mark = core::hchacha20(world.table.window[core::window_class(window)], window);
  marks::RowKeys keys;
  keys.mark = mark;
  keys.noise = marked && scheme.kind == Scheme::gumbel ? mark
                                                       : core::hchacha20(row.mode == 0 ? world.table.nobodys : world.accounts[row.account_slot],
                                                                         core::issuance_context(row.request_id.bytes.data(), row.position));
  marks::Rule rule;
  if (marked && scheme.kind != Scheme::gumbel)
    rule = {scheme.kind == Scheme::greenlist ? marks::RuleKind::greenlist : marks::RuleKind::tournament, scheme.gamma, scheme.delta, scheme.layers};
  bool finite = false;
  for (std::uint32_t v = 0; v < values.size(); ++v) {
    if (values[v] == kInf) return {v, RowStatus::infinite_logit, kNan};
    finite = finite || std::isfinite(values[v]);
  }
  if (!finite) return {kNoToken, RowStatus::no_finite_logit, kNan};
  const marks::Filter filter{row.temperature, row.min_p, row.top_k, row.top_p};
  out.token = greedy ? marks::reference_greedy(values, rule, mark) : marks::reference_draw(values, filter, rule, keys).token;
  out.status = marked ? RowStatus::marked : greedy || row.mode == 0 ? RowStatus::unmarked : RowStatus::issued;
  if (log_probs) out.log_prob = static_cast<float>(marks::reference_log_prob(values, greedy ? 1.0 : row.temperature, out.token));
  return out;
}

/// Top tokens: of a row that draws, the reference's; of another, its token.
void require_top(const TopTokens& got, const Sampled& want, const DeviceRow& row, const std::vector<float>& values) {
  std::vector<marks::Share> expected;
  if (want.token != kNoToken) {
    if (want.status == RowStatus::infinite_logit || row.mode == 1 || row.temperature == 0) expected = {{want.token, 0xFFFFFFFFu}};
    else expected = marks::reference_top(values, {row.temperature, row.min_p, row.top_k, row.top_p}, TopTokens::kCount);
  }
  expected.resize(TopTokens::kCount, {kNoToken, 0});
  for (std::size_t i = 0; i < TopTokens::kCount; ++i) {
    INFO("top token " << i);
    REQUIRE(got.token[i].token == expected[i].token);
    REQUIRE(got.token[i].p == expected[i].p);
  }
}

void compare(World& world, Random& random, const kernels::Scheme& scheme, std::uint32_t processors, SerialBlock::Bend bend) {
  const bool log_probs = random() % 2 == 0, with_top = random() % 2 == 0;
  std::vector<TopTokens> top;
  const std::vector<Sampled> got = world.launch(random, scheme, processors, log_probs, bend, with_top ? &top : nullptr);
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
        for (int i = 0; i < 3; ++i) world.add(make_row(random, static_cast<Shape>(shape), vocab), make_row_parameters(random, kParameters[n++ % kParameters.size()]));
        INFO(shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " dtype=" << static_cast<int>(dtype) << " n=" << n);
        compare(world, random, schemes[n % std::size(schemes)], static_cast<std::uint32_t>(1u << random() % 8), static_cast<SerialBlock::Bend>(random() % 4));
      }
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
        const kernels::Scheme& scheme = schemes[n % std::size(schemes)];
        const std::vector<Sampled> got = world.launch_sharded(random, scheme, cuts, static_cast<SerialBlock::Bend>(random() % 4));
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
  CHECK(world.launch_sharded(random, gumbel(), {0, 2000, 5000}, SerialBlock::Bend::none)[0].status != RowStatus::bad_parameter);
  CHECK(world.launch_sharded(random, gumbel(), {0, 2000, 4999}, SerialBlock::Bend::none)[0].status == RowStatus::bad_parameter);
  CHECK(world.launch_sharded(random, gumbel(), {1, 2000, 5000}, SerialBlock::Bend::none)[0].status == RowStatus::bad_parameter);
}
