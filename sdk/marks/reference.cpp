#include "marks/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/context.hpp"
#include "core/words.hpp"
#include "marks/greenlist/greenlist.hpp"
#include "marks/gumbel/gumbel.hpp"
#include "marks/tournament/tournament.hpp"

namespace heirmark::marks {
namespace {
__extension__ using Wide = unsigned __int128;
constexpr double kNone = -std::numeric_limits<double>::infinity();

/// x_v = logit_v / T, -inf for NaN.
std::vector<double> scaled(std::span<const float> logits, double temperature) {
  std::vector<double> x(logits.size());
  for (std::size_t v = 0; v < x.size(); ++v) x[v] = std::isnan(logits[v]) ? kNone : core::d_div(static_cast<double>(logits[v]), temperature);
  return x;
}

std::vector<std::uint32_t> row_words(const core::KeyWords& row, core::Domain domain) {
  std::vector<std::uint32_t> words(core::kBins);
  core::detail::blocks_portable(row, domain, 0, core::kRowBlocks, words.data());
  return words;
}
}  // namespace

std::vector<double> reference_kept(std::span<const float> logits, const Filter& filter) {
  const std::vector<double> x = scaled(logits, filter.temperature);
  const double top = *std::max_element(x.begin(), x.end());
  std::vector<double> e(x.size());
  std::vector<std::uint32_t> order;
  for (std::uint32_t v = 0; v < x.size(); ++v) {
    if (x[v] == kNone) continue;
    e[v] = core::exp_neg(core::d_sub(x[v], top));
    if (e[v] >= filter.min_p) order.push_back(v);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return logits[a] > logits[b]; });
  if (filter.top_k != 0 && order.size() > filter.top_k) order.resize(filter.top_k);
  if (filter.top_p < 1) {
    const auto mass = [&](std::uint32_t v) { return static_cast<std::uint64_t>(e[v] * 0x1p40); };
    std::uint64_t total = 0, before = 0;
    for (const std::uint32_t v : order) total += mass(v);
    const auto limit = static_cast<Wide>(static_cast<std::uint64_t>(filter.top_p * 0x1p32)) * total;
    std::size_t count = 0;
    for (; count < order.size() && (count == 0 || static_cast<Wide>(before) << 32 < limit); ++count) before += mass(order[count]);
    order.resize(count);
  }
  std::vector<double> kept(x.size());
  for (const std::uint32_t v : order) kept[v] = e[v];
  return kept;
}

std::vector<double> reference_masses(std::span<const double> kept, const Rule& rule, const core::KeyWords& mark) {
  std::vector<double> masses(core::kBins);
  for (std::uint32_t v = 0; v < kept.size(); ++v) masses[core::bin_of(v)] = core::d_add(masses[core::bin_of(v)], kept[v]);
  if (rule.kind == RuleKind::race) return masses;
  const std::vector<std::uint32_t> words = row_words(mark, core::kBinsCoarse);
  if (rule.kind == RuleKind::greenlist) {
    const double boost = greenlist::boost(rule.delta);
    for (std::uint32_t b = 0; b < core::kBins; ++b)
      if (greenlist::is_green(words[b], rule.gamma)) masses[b] = core::d_mul(masses[b], boost);
  } else {
    std::vector<double> scratch(core::kBins);
    tournament::play(masses.data(), words.data(), rule.layers, scratch.data());
  }
  return masses;
}

Draw reference_draw(std::span<const float> logits, const Filter& filter, const Rule& rule, const RowKeys& keys) {
  const std::vector<double> kept = reference_kept(logits, filter), masses = reference_masses(kept, rule, keys.mark);
  const std::vector<std::uint32_t> coarse = row_words(keys.noise, core::kBinsCoarse), fine = row_words(keys.noise, core::kBinsFine);
  Draw draw;
  double best = std::numeric_limits<double>::infinity();
  for (std::uint32_t b = 0; b < core::kBins; ++b) {
    if (!(masses[b] > 0)) continue;
    const double time = core::d_div(gumbel::bin_time(coarse[b], fine[b]), masses[b]);
    if (time < best) { best = time; draw.bin = b; }
  }
  best = std::numeric_limits<double>::infinity();
  for (std::uint32_t v = draw.bin; v < kept.size(); v += core::kBins) {
    if (!(kept[v] > 0)) continue;
    const double time = core::d_div(core::neg_log1m(core::stream_word64(keys.noise, core::kInner, v / core::kBins)), kept[v]);
    if (time < best) { best = time; draw.token = v; }
  }
  return draw;
}

std::uint32_t reference_greedy(std::span<const float> logits, const Rule& rule, const core::KeyWords& mark) {
  std::vector<double> x = scaled(logits, 1.0);
  if (rule.kind == RuleKind::greenlist) {
    const std::vector<std::uint32_t> words = row_words(mark, core::kBinsCoarse);
    for (std::uint32_t v = 0; v < x.size(); ++v)
      if (greenlist::is_green(words[core::bin_of(v)], rule.gamma)) x[v] = core::d_add(x[v], rule.delta);
  }
  return static_cast<std::uint32_t>(std::max_element(x.begin(), x.end()) - x.begin());
}

double reference_log_prob(std::span<const float> logits, double temperature, std::uint32_t token) {
  const std::vector<double> x = scaled(logits, temperature);
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const double value : x)
    if (value != kNone) sum += core::exp_neg(value - top);
  return x[token] - top - core::dlog(sum);
}

std::vector<Share> reference_top(std::span<const float> logits, const Filter& filter, std::size_t count) {
  const std::vector<double> kept = reference_kept(logits, filter);
  const auto mass = [&](std::uint32_t v) { return static_cast<std::uint64_t>(kept[v] * 0x1p40); };
  std::vector<std::uint32_t> order;
  std::uint64_t total = 0;
  for (std::uint32_t v = 0; v < kept.size(); ++v) {
    total += mass(v);
    if (mass(v) > 0) order.push_back(v);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return logits[a] > logits[b]; });
  std::vector<Share> out;
  for (const std::uint32_t v : order) {
    const auto p = static_cast<std::uint64_t>((static_cast<Wide>(mass(v)) << 32) / total);
    if (p == 0 || out.size() == count) break;
    out.push_back({v, static_cast<std::uint32_t>(std::min<std::uint64_t>(p, 0xFFFFFFFFu))});
  }
  return out;
}

}  // namespace heirmark::marks
