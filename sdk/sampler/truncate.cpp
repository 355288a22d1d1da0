#include "sampler/truncate.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/dmath.hpp"

namespace heirmark::sampler {
namespace {
__extension__ using Wide = unsigned __int128;
constexpr double kMassUnit = 0x1p40;
constexpr double kNoMass = 27.8;  ///< nats below the greatest logit where floor(2^40 e) is surely 0: e^-27.8 < 2^-40
constexpr double kTotalError = 2e-5;

std::uint64_t mass_of(double e) { return static_cast<std::uint64_t>(core::d_mul(e, kMassUnit)); }

/// A float not above the logit at which x = top - depth.
float threshold_at(double depth, double temperature, double top) {
  const double logit = (top - depth) * temperature;
  const double slack = 1e-9 * (std::fabs(top) + depth + 1) * temperature;  // far more than any rounding, in x as in e^x
  const double low = logit - slack;
  if (!(low > -static_cast<double>(std::numeric_limits<float>::max()))) return -std::numeric_limits<float>::infinity();
  return std::nextafter(static_cast<float>(low), -std::numeric_limits<float>::infinity());
}

/// The order of truncation: greatest logit first, then smallest id.
struct Before {
  const Workspace& w;
  bool operator()(std::uint32_t a, std::uint32_t b) const { return w.logits[a] > w.logits[b] || (w.logits[a] == w.logits[b] && w.ids[a] < w.ids[b]); }
};

/// Keeps the entries for which keep(i), in place and in order.
template <class Keep>
std::uint32_t filter_entries(Workspace& w, std::uint32_t count, const Keep& keep) {
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!keep(i)) continue;
    w.ids[kept] = w.ids[i];
    w.logits[kept] = w.logits[i];
    w.e[kept] = w.e[i];
    ++kept;
  }
  return kept;
}

/// Keeps the first `first` entries in the order of truncation.
std::uint32_t keep_first(Workspace& w, std::uint32_t count, std::uint32_t first) {
  if (first >= count) return count;
  const auto begin = w.order.begin();
  for (std::uint32_t i = 0; i < count; ++i) w.order[i] = i;
  std::nth_element(begin, begin + (first - 1), begin + count, Before{w});
  const float last_logit = w.logits[w.order[first - 1]];
  const std::uint32_t last_id = w.ids[w.order[first - 1]];
  return filter_entries(w, count, [&](std::uint32_t i) { return w.logits[i] > last_logit || (w.logits[i] == last_logit && w.ids[i] <= last_id); });
}

std::uint32_t collect(const Kernel& kernel, const RowView& row, float threshold, double temperature, double top, Workspace& w) {
  const std::uint32_t count = kernel.collect(row, threshold, w.ids.data(), w.logits.data());
  if (w.e.size() < count) w.e.resize(std::max<std::size_t>(count, 2 * w.e.size()));
  for (std::uint32_t i = 0; i < count; ++i) w.e[i] = core::exp_neg(core::d_sub(core::d_div(static_cast<double>(w.logits[i]), temperature), top));
  return count;
}

/// How many entries top-p keeps, by halving: a token stays iff the masses before it are short of limit / 2^32.
struct Cut { std::uint32_t count; std::uint64_t before; };
Cut cut(Workspace& w, std::uint32_t count, Wide limit) {
  for (std::uint32_t i = 0; i < count; ++i) w.order[i] = i;
  const auto begin = w.order.begin();
  std::uint32_t low = 0, high = count;  // the first token that goes is in low + 1 .. high
  std::uint64_t before = 0;             // masses of the tokens before `low`, all of which stay, as does low
  while (high - low > 1) {
    const std::uint32_t middle = low + (high - low) / 2;
    std::nth_element(begin + low, begin + middle, begin + high, Before{w});
    std::uint64_t part = before;
    for (std::uint32_t i = low; i < middle; ++i) part += mass_of(w.e[w.order[i]]);
    if (static_cast<Wide>(part) << 32 < limit) {
      low = middle;
      before = part;
    } else {
      high = middle;
    }
  }
  return {low + 1, before + mass_of(w.e[w.order[low]])};
}

std::uint64_t total_mass(const Workspace& w, std::uint32_t count) {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) total += mass_of(w.e[i]);
  return total;
}

/// top-p alone: the tokens that matter are few, and the total of the others is needed only as closely as the cut demands.
std::uint32_t top_p_alone(const Kernel& kernel, const RowView& row, const marks::Filter& filter, double share, float greatest, double top, Workspace& w) {
  const double temperature = filter.temperature;
  const Pass pass = kernel.sums(row, {greatest, static_cast<float>(1.4426950408889634 / temperature)}, w.upper.data());
  const double total = pass.total * kMassUnit;
  const auto fewest = static_cast<std::uint64_t>(std::max(0.0, total * (1 - kTotalError) - row.vocab)), most = static_cast<std::uint64_t>(total * (1 + kTotalError)) + 1;
  const auto share_q32 = static_cast<Wide>(static_cast<std::uint64_t>(share));
  for (const double depth : {5.0, 11.0}) {
    const std::uint32_t count = collect(kernel, row, threshold_at(depth, temperature, top), temperature, top, w);
    if (static_cast<Wide>(total_mass(w, count)) << 32 < share_q32 * most) continue;
    const Cut narrow = cut(w, count, share_q32 * fewest);
    if (static_cast<Wide>(narrow.before) << 32 < share_q32 * most && narrow.count < count) break;  // the next token may stay: decide exactly
    return keep_first(w, count, narrow.count);
  }
  const std::uint32_t count = collect(kernel, row, threshold_at(kNoMass, temperature, top), temperature, top, w);
  return keep_first(w, count, cut(w, count, share_q32 * total_mass(w, count)).count);
}
}  // namespace

std::uint32_t truncate(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, Workspace& w) {
  const double temperature = filter.temperature, top = core::d_div(static_cast<double>(greatest), temperature);
  const double share = filter.top_p * 0x1p32;
  const bool has_k = filter.top_k != 0 && filter.top_k < row.vocab, has_p = filter.top_p < 1;
  if (has_p && !has_k && !(filter.min_p > 0)) return top_p_alone(kernel, row, filter, share, greatest, top, w);

  float threshold = -std::numeric_limits<float>::infinity();
  if (filter.min_p > 0) threshold = threshold_at(-core::dlog(filter.min_p), temperature, top);
  if (has_k) {
    // As many groups as leave the k-th greatest of their greatest near the k-th greatest logit, but few enough to select from.
    const std::uint32_t group = filter.top_k <= 256 ? 32 : filter.top_k <= 2048 ? 4 : 1;
    const std::uint32_t groups = kernel.delegates(row, group, w.logits.data());
    if (filter.top_k <= groups) {
      const auto begin = w.logits.begin();
      std::nth_element(begin, begin + (filter.top_k - 1), begin + groups, std::greater<>());
      threshold = std::max(threshold, w.logits[filter.top_k - 1]);
    }
  }
  std::uint32_t count = collect(kernel, row, threshold, temperature, top, w);
  count = filter_entries(w, count, [&](std::uint32_t i) { return w.e[i] >= filter.min_p && w.logits[i] > -std::numeric_limits<float>::infinity(); });
  if (has_k) count = keep_first(w, count, filter.top_k);
  if (has_p) {
    const Wide limit = static_cast<Wide>(static_cast<std::uint64_t>(share)) * total_mass(w, count);
    count = keep_first(w, count, cut(w, count, limit).count);
  }
  return count;
}

}  // namespace heirmark::sampler
