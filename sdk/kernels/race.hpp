// The race by bounds: which bins can still win, from float32 sums and the coarse words alone. Nearly always one bin is left, and no bin
// has to be summed exactly.
//
// A bin's time lies between low and high. E of its words lies between E(coarse, 0) and E(coarse + 1, 0); the sum's error, the logarithm's
// and all roundings are below 4e-4 together, and kSlack is 2^-11. Bins whose sum is below 2^-100 of the slice's greatest cannot win: their
// time is above 2^-65 / 2^(29 - 99.9) even if a green list with delta <= 20 helps them, while the bin of the row's greatest logit rings
// before -ln 2^-65 = 45.06 at the latest. Larger deltas go the exact way.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/pass.hpp"
#include "marks/rule.hpp"

namespace heirmark::kernels {

inline constexpr float kSlack = 0x1p-11f;
inline constexpr float kFarBelow = 0x1p-100f;
inline constexpr float kLatest = 45.1f;      ///< no E is greater
inline constexpr double kMaxFastDelta = 20;  ///< nats
inline constexpr float kMaxFastLogit = 1e30f;///< beyond it differences of logits may overflow: the exact way
inline constexpr float kForever = 3.0e38f;
inline constexpr std::uint32_t kUndecided = 0xFFFFFFFFu;  ///< for a bin: bounds do not say

/// Can bounds decide this row's race?
HEIRMARK_HD_INLINE bool fast(const Scheme& scheme, marks::RuleKind rule, float greatest) {
  const bool small = greatest < kMaxFastLogit && greatest > -kMaxFastLogit;
  return small && (rule == marks::RuleKind::race || (rule == marks::RuleKind::greenlist && scheme.delta <= kMaxFastDelta));
}

struct Bounds { float low, high; };

/// Bins that may still win a race.
struct Left {
  std::uint32_t count, bin;  ///< how many, and the smallest
};
struct JoinLeft {
  HEIRMARK_HD_INLINE Left operator()(const Left& a, const Left& b) const { return {a.count + b.count, a.bin < b.bin ? a.bin : b.bin}; }
  template <class W>
  HEIRMARK_HD_INLINE Left warp(W& w, const Left& v) const { return {w.sum(v.count), w.least(v.bin)}; }
  HEIRMARK_HD_INLINE Left identity() const { return {0, 0xFFFFFFFFu}; }
};

/// E of a coarse word with any fine word, before kSlack.
template <class X>
HEIRMARK_HD_INLINE Bounds time_bounds(X& x, std::uint32_t coarse) {
  constexpr float kUnit = 0x1p-32f, kLn2 = 0.693147181f;
  if (coarse < 1u << 26) {  // u < 1/64: u + u^2/2 + u^3/3 + u^4/4, the rest below u^5 / 4
    const auto series = [](float u) { return u * (1.0f + u * (0.5f + u * (0.33333333f + u * 0.25f))); };
    const float u = static_cast<float>(coarse) * kUnit;
    return {series(u), series(u + kUnit)};
  }
  const std::uint32_t left = 0u - coarse;  // 2^32 - coarse: 1 - u <= left / 2^32
  const float low = -kLn2 * x.log2(static_cast<float>(left) * kUnit);
  return {low, left == 1 ? kLatest : -kLn2 * x.log2(static_cast<float>(left - 1) * kUnit)};
}

/// Bounds of E / sum, sum >= kFarBelow; both are 0 or more.
template <class X>
HEIRMARK_HD_INLINE Bounds ring_bounds(X& x, std::uint32_t coarse, float sum) {
  const Bounds e = time_bounds(x, coarse);
  const float inverse = x.reciprocal(sum);
  return {e.low * (1 - kSlack) * inverse, e.high * (1 + kSlack) * inverse};
}

/// The bins of a slice that may win it, sums and words being local to the slice. `count` is shared memory, 0 before.
template <class X>
HEIRMARK_HD_INLINE void slice_race(X& x, std::uint32_t first_bin, std::uint32_t bins, const float* sums, const std::uint32_t* words, SliceResult& result) {
  typename X::template State<float> least;
  x.each([&](unsigned t) {
    least[t] = kForever;
    for (std::uint32_t b = t; b < bins; b += kThreads)
      if (sums[b] >= kFarBelow) least[t] = Smallest{}(least[t], ring_bounds(x, words[b], sums[b]).high);
  });
  const float limit = x.reduce(least, Smallest{});
  x.each([&](unsigned t) {
    for (std::uint32_t b = t; b < bins; b += kThreads) {
      if (!(sums[b] >= kFarBelow)) continue;
      const Bounds ring = ring_bounds(x, words[b], sums[b]);
      if (ring.low > limit) continue;
      const std::uint32_t place = x.add(&result.count, 1u);
      if (place < kMaxCandidates) result.candidates[place] = {first_bin + b, ring.low, ring.high};
    }
  });
  x.sync();
}

/// The token that wins inside a bin, of a row whose race bounds may decide and of which every token stays; kUndecided if they do not decide this one.
/// `inner`: the words of the row's strides; their upper halves serve as coarse words. Relative to the greatest logit a token is known within 2e-5, which kSlack
/// has room for; of one 2^-100 below it no more than that.
template <DType D, class X>
HEIRMARK_HD_INLINE std::uint32_t inner_by_bounds(X& x, const RowData<D>& row, float greatest, float slope, const std::uint64_t* inner, std::uint32_t bin) {
  constexpr float kDeep = -100, kNoTime = 3.4e38f;  // above kForever
  constexpr std::uint32_t kOwn = kMaxStrides / kThreads;
  const std::uint32_t count = (row.vocab - bin - 1) / core::kBins + 1;
  struct Lows { float low[kOwn]; };
  typename X::template State<Lows> lows;
  typename X::template State<float> least;
  x.each([&](unsigned t) {
    least[t] = kForever;
    for (std::uint32_t k = 0; k < kOwn; ++k) {
      const std::uint32_t j = t + k * kThreads;
      lows[t].low[k] = kNoTime;
      if (j >= count) continue;
      const float logit = row.at(bin + core::kBins * j);
      if (!is_finite(logit)) continue;
      const Bounds e = time_bounds(x, static_cast<std::uint32_t>(inner[j] >> 32));
      const float depth = exponent_of(logit, greatest, slope), inverse = x.exp2(-(depth > kDeep ? depth : kDeep));
      lows[t].low[k] = e.low * (1 - kSlack) * inverse;
      if (depth > kDeep) least[t] = Smallest{}(least[t], e.high * (1 + kSlack) * inverse);
    }
  });
  const float limit = x.reduce(least, Smallest{});
  typename X::template State<Left> left;
  x.each([&](unsigned t) {
    left[t] = JoinLeft{}.identity();
    for (std::uint32_t k = 0; k < kOwn; ++k)
      if (lows[t].low[k] <= limit) left[t] = JoinLeft{}(left[t], {1, bin + core::kBins * (t + k * kThreads)});
  });
  const Left all = x.reduce(left, JoinLeft{});
  return all.count == 1 ? all.bin : kUndecided;
}

}  // namespace heirmark::kernels
