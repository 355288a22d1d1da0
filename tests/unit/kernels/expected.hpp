// Rows' parameters, and what the specification says of a row: the reference that the kernels' executors are compared with.
#pragma once
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "marks/reference.hpp"
#include "world.hpp"

namespace heirmark::test {

struct Parameters { float temperature = 1, min_p = 0; std::uint32_t top_k = 0; float top_p = 1; };
inline const std::vector<Parameters> kParameters = {
    {}, {0.7f}, {0.15f}, {1e-3f}, {1e3f}, {1, 0.05f}, {1, 1}, {1, 0, 1}, {1.3f, 0, 40}, {1, 0, 3000}, {1, 0, 0, 0.1f}, {1, 0, 0, 0.95f}, {2, 0, 0, 0.999f}, {1, 0, 0, 1e-20f},
    {0.8f, 0.01f, 200, 0.9f}, {1.5f, 1e-6f, 0, 0.5f}, {1, 0, 50, 0.9f}, {0},
};

inline kernels::Scheme gumbel() { return {.kind = Scheme::gumbel, .share_q32 = 1ull << 31}; }
inline kernels::Scheme greenlist(std::uint32_t gamma, double delta) {
  return {.kind = Scheme::greenlist, .share_q32 = 1ull << 32, .gamma = gamma, .delta = delta, .boost = marks::greenlist::boost(delta)};
}
inline kernels::Scheme tournament(int layers) { return {.kind = Scheme::tournament, .share_q32 = 1ull << 32, .layers = layers}; }

inline DeviceRow make_row_parameters(Random& random, const Parameters& p) {
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
inline Sampled expected(const World& world, std::size_t index, const kernels::Scheme& scheme, bool log_probs) {
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
inline void require_top(const TopTokens& got, const Sampled& want, const DeviceRow& row, const std::vector<float>& values) {
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

}  // namespace heirmark::test
