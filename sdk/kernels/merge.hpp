// The race among a row's slices, from the candidates that each of them left, by the row's last block. Nearly always one bin can win it; else the few that
// can are summed exactly.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/exact.hpp"
#include "kernels/keys.hpp"
#include "kernels/pass.hpp"
#include "kernels/race.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kMaxMerged = 32;  ///< bins that are summed exactly

/// Shared memory of it. The bins, and what is known of each.
struct FewMemory {
  double terms[core::kBins];
  std::uint32_t coarse[kMaxMerged], fine[kMaxMerged];
  bool green[kMaxMerged];
};

/// From a row's slices, each with candidates in units of its own greatest logit, to the row's race: e^(difference) brings times to the row's unit.
template <class X, class S>
struct Merge {
  X& x;
  const S& shared;
  std::uint32_t slices;
  float greatest, slope;
  static constexpr float kFar = -110;  ///< powers of two; a slice so far below cannot hold the winner

  /// What brings a slice's times to the row's unit; 0 for a slice that cannot hold the winner.
  [[nodiscard]] HEIRMARK_HD_INLINE float scale_of(const SliceResult& slice) const {
    const float down = exponent_of(slice.greatest, greatest, slope);
    return down >= kFar ? x.exp2(-down) : 0;
  }
  /// No later than this the winner rings.
  [[nodiscard]] HEIRMARK_HD_INLINE float limit() const {
    return x.fold(slices, [&](std::uint32_t i) {
      const SliceResult& slice = shared.slices[i];
      const float scale = scale_of(slice);
      float least = kForever;
      if (scale > 0)
        for (std::uint32_t k = 0; k < slice.count && k < kMaxCandidates; ++k) least = Smallest{}(least, slice.candidates[k].high * (1 + kSlack) * scale);
      return least;
    }, Smallest{}, kForever);
  }
  /// take(bin) for each candidate of a slice that may ring before the limit. False: the slice has more than it could say.
  template <class Take>
  HEIRMARK_HD_INLINE bool each_left(std::uint32_t i, float before, const Take& take) const {
    const SliceResult& slice = shared.slices[i];
    const float scale = scale_of(slice);
    if (!(scale > 0)) return true;
    if (slice.count > kMaxCandidates) return false;
    for (std::uint32_t k = 0; k < slice.count; ++k)
      if (slice.candidates[k].low * (1 - kSlack) * scale <= before) take(slice.candidates[k].bin);
    return true;
  }
  /// Those that may win; more than kMaxMerged if bounds do not do.
  [[nodiscard]] HEIRMARK_HD_INLINE Left left(float before) const {
    return x.fold(slices, [&](std::uint32_t i) {
      Left own = JoinLeft{}.identity();
      if (!each_left(i, before, [&](std::uint32_t bin) { own = JoinLeft{}(own, {1, bin}); })) own.count = kMaxMerged + 1;
      return own;
    }, JoinLeft{}, JoinLeft{}.identity());
  }
};

/// The winner among the `count` bins of shared.merged, summed exactly.
template <DType D, class X, class S>
HEIRMARK_HD_COLD std::uint32_t race_of_few(X& x, const Batch& batch, const RowData<D>& row, const Resolved& resolved, const Exponential& exponential,
                                             std::uint32_t count, S& shared) {
  const std::uint32_t strides = (row.vocab + core::kBins - 1) / core::kBins, at_once = core::kBins / strides;  // bins whose terms fit
  // Words by threads of their own, exponentials by all.
  typename X::template State<Ring> first;
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    const std::uint32_t i = t % kMaxMerged, which = t / kMaxMerged;
    if (i >= count || which > 2 || (which == 2 && resolved.rule != marks::RuleKind::greenlist)) return;
    const core::Domain coarse = core::kBinsCoarse, fine = core::kBinsFine;
    const std::uint32_t word = core::stream_word(which == 2 ? *resolved.mark : *resolved.noise, which == 1 ? fine : coarse, shared.merged[i]);
    if (which == 0) shared.few.coarse[i] = word;
    if (which == 1) shared.few.fine[i] = word;
    if (which == 2) shared.few.green[i] = marks::greenlist::is_green(word, batch.scheme.gamma);
  });
  for (std::uint32_t begin = 0; begin < count; begin += at_once) {
    const std::uint32_t end = begin + at_once < count ? begin + at_once : count;
    x.each([&](unsigned t) {
      for (std::uint32_t i = t; i < (end - begin) * strides; i += kThreads) {
        const std::uint32_t v = shared.merged[begin + i / strides] + i % strides * core::kBins;
        shared.few.terms[i] = v < row.vocab ? exponential(row.at(v)) : 0;
      }
    });
    x.sync();
    x.each([&](unsigned t) {
      if (t < begin || t >= end) return;
      double mass = 0;
      for (std::uint32_t j = 0; j < strides; ++j) mass = core::d_add(mass, shared.few.terms[(t - begin) * strides + j]);
      if (resolved.rule == marks::RuleKind::greenlist && shared.few.green[t]) mass = core::d_mul(mass, batch.scheme.boost);
      if (mass > 0) first[t] = {core::d_div(marks::gumbel::bin_time(shared.few.coarse[t], shared.few.fine[t]), mass), shared.merged[t], 0};
    });
    x.sync();
  }
  return x.reduce(first, Smallest{}).place;
}

/// The bin that wins among the slices' candidates; kUndecided if bounds do not do.
template <DType D, class X, class S>
HEIRMARK_HD_INLINE std::uint32_t race_of_slices(X& x, const Batch& batch, const RowData<D>& row, const Resolved& resolved, const Exponential& exponential, float greatest,
                                                float slope, S& shared) {
  const Merge<X, S> merge{x, shared, batch.shape.slices(), greatest, slope};
  const float limit = merge.limit();
  const Left left = merge.left(limit);
  if (left.count == 1) return left.bin;
  if (left.count > kMaxMerged) return kUndecided;
  x.each([&](unsigned t) {
    if (t == 0) shared.merged_count = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    if (t >= batch.shape.slices()) return;
    (void)merge.each_left(t, limit, [&](std::uint32_t bin) {
      if (const std::uint32_t place = x.add(&shared.merged_count, 1u); place < kMaxMerged) shared.merged[place] = bin;
    });
  });
  x.sync();
  const std::uint32_t count = shared.merged_count;
  return count > kMaxMerged ? kUndecided : race_of_few(x, batch, row, resolved, exponential, count, shared);
}

}  // namespace heirmark::kernels
