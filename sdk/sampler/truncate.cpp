#include "sampler/truncate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "core/dmath.hpp"
#include "marks/masses.hpp"

namespace heirmark::sampler {
namespace {
__extension__ using Wide = unsigned __int128;
using marks::kMassUnit, marks::kNoMass, marks::mass_of;
constexpr double kTotalError = 2e-5;

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

std::uint32_t keep_through(Workspace& w, std::uint32_t count, Place last) {
  return filter_entries(w, count, [&](std::uint32_t i) { return last.reaches(w.logits[i], w.ids[i]); });
}

/// Keeps the first `first` entries in the order of truncation.
std::uint32_t keep_first(Workspace& w, std::uint32_t count, std::uint32_t first) {
  if (first >= count) return count;
  const auto begin = w.order.begin();
  for (std::uint32_t i = 0; i < count; ++i) w.order[i] = i;
  std::nth_element(begin, begin + (first - 1), begin + count, Before{w});
  return keep_through(w, count, {w.logits[w.order[first - 1]], w.ids[w.order[first - 1]]});
}

/// Tokens from the threshold up with their e_v, unless they are more than `most`.
std::uint32_t collect(const Kernel& kernel, const RowView& row, float threshold, const marks::Filter& filter, float greatest, Workspace& w, std::uint32_t most = kMaxVocab) {
  const std::uint32_t count = kernel.collect(row, threshold, std::numeric_limits<float>::infinity(), most, w.ids.data(), w.logits.data());
  if (count > most) return count;
  if (w.e.size() < count) w.e.resize(std::max<std::size_t>(count, 2 * w.e.size()));
  kernel.exact_values(w.logits.data(), count, filter.temperature, greatest, w.e.data());
  return count;
}

/// Where top-p cuts: a token stays iff the masses before it are short of limit / 2^32. `before` has the masses of all that stay.
struct Cut { Place last; std::uint64_t before; };
Cut cut(Workspace& w, std::uint32_t count, float greatest, Wide limit) {
  // Slices of equal depth, in the order of truncation. All before the slice in which the limit falls stay, all after it go.
  constexpr std::uint32_t kSlices = 1024;
  std::array<std::uint64_t, kSlices> masses{};
  float least = greatest;
  for (std::uint32_t i = 0; i < count; ++i) least = std::min(least, w.logits[i]);
  const double range = static_cast<double>(greatest) - static_cast<double>(least), slope = range > 0 ? (kSlices - 1) / range : 0;
  // No logit is above `greatest`, unless somebody else writes into the row meanwhile: then the token is nobody's, but all stays in its place.
  const auto slice_of = [&](std::uint32_t i) {
    const double slice = (static_cast<double>(greatest) - static_cast<double>(w.logits[i])) * slope;
    return slice > 0 ? static_cast<std::uint32_t>(std::min(slice, kSlices - 1.0)) : 0;
  };
  for (std::uint32_t i = 0; i < count; ++i) masses[slice_of(i)] += mass_of(w.e[i]);
  std::uint32_t slice = 0;
  std::uint64_t before = 0;
  while (slice + 1 < kSlices && static_cast<Wide>(before + masses[slice]) << 32 < limit) before += masses[slice++];
  std::uint32_t low = 0, high = 0;
  for (std::uint32_t i = 0; i < count; ++i)
    if (slice_of(i) == slice) w.order[high++] = i;
  // Inside the slice by halving. Its first token stays; `before` has the masses of the tokens before `low`, which stays as well.
  const auto begin = w.order.begin();
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
  const std::uint32_t last = w.order[low];
  return {{w.logits[last], w.ids[last]}, before + mass_of(w.e[last])};
}

std::uint64_t total_mass(const Workspace& w, std::uint32_t count) {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) total += mass_of(w.e[i]);
  return total;
}

Truncation listed(std::uint32_t count) { return {true, count, {}}; }

constexpr double kLog2E = 1.4426950408889634;

/// What is known of the masses of a row: the total in units of 2^-40, and top-p's share of it.
struct Shares {
  std::uint64_t fewest, most;
  Wide share_q32;
};

/// Very many tokens stay: the places between which top-p cuts. A sample of the row says about where, a sum over all above that gives the masses
/// before it, and only the tokens near it are looked at. Nothing if the sample misled.
std::optional<Band> band_of(const Kernel& kernel, const RowView& row, const marks::Filter& filter, const Shares& shares, float greatest, Workspace& w) {
  constexpr std::uint32_t kSample = 16384, kSlices = 2048;
  constexpr double kMargin = 0.015;  // of the total: more than twice the standard error of a sample's quantile
  const double temperature = filter.temperature;
  if (row.vocab < 2 * kSample || std::fabs(static_cast<double>(greatest)) > kExactRange * temperature) return std::nullopt;
  const Scale scale{greatest, static_cast<float>(kLog2E / temperature)};
  // The sample's masses by depth, in slices of kNoMass / kSlices nats.
  std::array<std::uint32_t, kSlices> counts{};
  const std::uint32_t step = row.vocab / kSample;
  const double slope = kSlices / (kNoMass * temperature);
  for (std::uint32_t v = 0; v < row.vocab; v += step) {
    const double slice = (static_cast<double>(greatest) - static_cast<double>(logit_at(row, v))) * slope;
    if (slice >= 0 && slice < kSlices) ++counts[static_cast<std::uint32_t>(slice)];
  }
  std::array<double, kSlices> masses;
  double total = 0, before = 0;
  for (std::uint32_t i = 0; i < kSlices; ++i) total += masses[i] = counts[i] * core::exp_neg(-(i + 0.5) * (kNoMass / kSlices));
  std::uint32_t above = 0, below = 0;
  for (std::uint32_t i = 0; i < kSlices; before += masses[i++]) {
    if (before < (filter.top_p - kMargin) * total) above = i;
    if (before < (filter.top_p + kMargin) * total) below = i + 1;
  }
  const auto end = static_cast<float>(static_cast<double>(greatest) - above / slope), from = static_cast<float>(static_cast<double>(greatest) - below / slope);
  if (!(from < end)) return std::nullopt;
  const double head = kernel.total_from(row, scale, end, w.upper.data()) * kMassUnit;
  const auto head_most = static_cast<Wide>(head * (1 + kTotalError)), head_fewest = static_cast<Wide>(std::max(0.0, head * (1 - kTotalError) - row.vocab));
  const std::uint32_t count = kernel.collect(row, from, end, kMaxVocab, w.ids.data(), w.logits.data());
  const Wide enough = shares.share_q32 * shares.fewest, too_much = shares.share_q32 * shares.most;
  if (count == 0 || enough <= head_most << 32) return std::nullopt;
  if (w.e.size() < count) w.e.resize(std::max<std::size_t>(count, 2 * w.e.size()));
  kernel.exact_values(w.logits.data(), count, temperature, greatest, w.e.data());
  const float first = *std::max_element(w.logits.begin(), w.logits.begin() + count);
  if (static_cast<Wide>(total_mass(w, count)) << 32 < too_much - (head_fewest << 32)) return std::nullopt;  // the cut is further down
  return Band{.least = 0, .whole = false, .stays = cut(w, count, first, enough - (head_most << 32)).last, .may_stay = cut(w, count, first, too_much - (head_fewest << 32)).last};
}

/// top-p alone: the tokens that matter are few, and the total of the others is needed only as closely as the cut demands.
Truncation top_p_alone(const Kernel& kernel, const RowView& row, const marks::Filter& filter, double share, float greatest, double top, bool band_will_do, Workspace& w) {
  const double temperature = filter.temperature;
  const Pass pass = kernel.sums(row, {greatest, static_cast<float>(kLog2E / temperature)}, w.upper.data());
  const double total = pass.total * kMassUnit;
  const Shares shares{static_cast<std::uint64_t>(std::max(0.0, total * (1 - kTotalError) - row.vocab)), static_cast<std::uint64_t>(total * (1 + kTotalError)) + 1,
                      static_cast<Wide>(static_cast<std::uint64_t>(share))};
  // Tokens deeper than d have at most vocab e^-d together: this depth has all that can stay. A shallow one has it mostly.
  const double deep = std::min(kNoMass, std::log(row.vocab / ((1 - filter.top_p) * pass.total)) + 0.1);
  // With very many tokens the cut is finer than the error of the total.
  constexpr std::uint32_t kMany = 16384;
  for (const double depth : {5.0, deep}) {
    if (depth < deep && deep < 7) continue;
    const std::uint32_t count = collect(kernel, row, threshold_at(depth, temperature, top), filter, greatest, w, kMany);
    if (count > kMany) {
      if (band_will_do)
        if (const auto band = band_of(kernel, row, filter, shares, greatest, w)) return {false, 0, *band};
      break;
    }
    if (static_cast<Wide>(total_mass(w, count)) << 32 < shares.share_q32 * shares.most) continue;
    const Cut narrow = cut(w, count, greatest, shares.share_q32 * shares.fewest);
    if (static_cast<Wide>(narrow.before) << 32 < shares.share_q32 * shares.most) break;  // the next token may stay: decide exactly
    return listed(keep_through(w, count, narrow.last));
  }
  const std::uint32_t count = collect(kernel, row, threshold_at(kNoMass, temperature, top), filter, greatest, w);
  return listed(keep_through(w, count, cut(w, count, greatest, shares.share_q32 * total_mass(w, count)).last));
}
}  // namespace

Truncation truncate(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, bool band_will_do, Workspace& w) {
  const double temperature = filter.temperature, top = core::d_div(static_cast<double>(greatest), temperature);
  const double share = filter.top_p * 0x1p32;
  const bool has_k = filter.top_k != 0 && filter.top_k < row.vocab, has_p = filter.top_p < 1;
  if (has_p && !has_k && !(filter.min_p > 0)) return top_p_alone(kernel, row, filter, share, greatest, top, band_will_do, w);

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
  std::uint32_t count = collect(kernel, row, threshold, filter, greatest, w);
  count = filter_entries(w, count, [&](std::uint32_t i) { return w.e[i] >= filter.min_p && w.logits[i] > -std::numeric_limits<float>::infinity(); });
  if (has_k) count = keep_first(w, count, filter.top_k);
  if (has_p) {
    const Wide limit = static_cast<Wide>(static_cast<std::uint64_t>(share)) * total_mass(w, count);
    count = keep_through(w, count, cut(w, count, greatest, limit).last);
  }
  return listed(count);
}

void top_tokens(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, Workspace& w, TopTokens& out) {
  const bool truncates = filter.min_p > 0 || (filter.top_k != 0 && filter.top_k < row.vocab) || filter.top_p < 1;
  const double top = core::d_div(static_cast<double>(greatest), filter.temperature);
  // Deeper tokens have no mass.
  const std::uint32_t count = truncates ? truncate(kernel, row, filter, greatest, false, w).count
                                        : collect(kernel, row, threshold_at(kNoMass, filter.temperature, top), filter, greatest, w);
  const std::uint64_t total = total_mass(w, count);
  if (total == 0) return;  // as above: a row that somebody else writes into
  const auto listed = static_cast<std::uint32_t>(std::min<std::size_t>(count, TopTokens::kCount));
  const auto begin = w.order.begin();
  for (std::uint32_t i = 0; i < count; ++i) w.order[i] = i;
  std::partial_sort(begin, begin + listed, begin + count, Before{w});
  for (std::uint32_t i = 0; i < listed; ++i)
    if (const std::uint32_t p = marks::share_of(mass_of(w.e[w.order[i]]), total); p > 0) out.token[i] = {w.ids[w.order[i]], p};
}

}  // namespace heirmark::sampler
