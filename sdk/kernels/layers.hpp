// A tournament's layers by bounds, five at a time: on masses of known error, with the error of every bin beside it.
//
// What five layers do to a bin depends on its five bits alone, its pattern. So bins are summed by pattern once for five layers, every warp plays them on its 32 lanes by
// marks/tournament/bounds.hpp, and each bin is multiplied by its pattern's factor. A pattern whose masses sum to P and errors to M has, after a layer that multiplies its
// masses by f and may be off by a relative x, P f and (M + x (P + M)) f. Layers that a tournament does not have are layers without green bins.
//
// Our masses sum to S, known to be within `away` of 1, and G is their green mass, not divided by S; so D is greater by G |1 - S|, and G |1 - S| and what G is off by is what the
// next sum is further away than (1 - G) |1 - S|.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "marks/tournament/bounds.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kTogether = 5, kPatterns = 1u << kTogether;
inline constexpr float kHopeless = 0x1p-4f;  ///< sum of errors from which on bounds say nothing

/// A thread's bins: Bins<D>::local of a row in one slice. Masses in float32 for sums of float32, in double for better ones.
template <class Real>
struct Near {
  Real p[kBinsPerThread];
  float m[kBinsPerThread];
};
/// The thread's words of something that has one for each bin.
struct NearWords { std::uint32_t word[kBinsPerThread]; };

/// How masses are summed: in integers, as kWords words, the last one of units.
template <class Real>
struct Units;
template <>
struct Units<float> {
  static constexpr std::uint32_t kWords = 1;
  static constexpr float kUnit = 0x1p-31f, kRounding = 0x1p-24f;
  static HEIRMARK_HD_INLINE void split(float p, std::uint32_t (&words)[kWords]) { words[0] = static_cast<std::uint32_t>(p * 0x1p31f + 0.5f); }
  static HEIRMARK_HD_INLINE float join(const std::uint32_t (&words)[kWords]) { return static_cast<float>(words[0]) * 0x1p-31f; }
  /// What all are away from 1; the sum is below 2.
  static HEIRMARK_HD_INLINE float away(const std::uint32_t* all) {
    const auto units = static_cast<std::int32_t>(all[0] - 0x80000000u);
    return static_cast<float>(units < 0 ? -units : units) * kUnit;
  }
};
template <>
struct Units<double> {
  static constexpr std::uint32_t kWords = 2;
  static constexpr float kUnit = 0x1p-48f, kRounding = 0x1p-43f;  ///< the reference's own roundings, of thirty layers of eleven halvings, too
  static HEIRMARK_HD_INLINE void split(double p, std::uint32_t (&words)[kWords]) {
    const auto units = static_cast<std::uint64_t>(p * 0x1p48 + 0.5);
    words[0] = static_cast<std::uint32_t>(units >> 21);
    words[1] = static_cast<std::uint32_t>(units & 0x1FFFFFu);  // 2,048 of them are less than 2^32
  }
  static HEIRMARK_HD_INLINE double join(const std::uint32_t (&words)[kWords]) { return static_cast<double>(words[0]) * 0x1p-27 + static_cast<double>(words[1]) * 0x1p-48; }
  static HEIRMARK_HD_INLINE float away(const std::uint32_t* all) {
    const double units = (static_cast<double>(all[0]) - 0x1p27) * 0x1p-27 + static_cast<double>(all[1]) * 0x1p-48;
    return static_cast<float>(units < 0 ? -units : units);
  }
};

/// Shared memory of it.
template <class Real>
struct LayersMemory {
  struct Sums {
    std::uint32_t mass[Units<Real>::kWords][kPatterns], error[kPatterns];
  };
  struct Factor {
    Real factor;
    float of_error, of_mass;  ///< what an error is multiplied by, and a mass, to give the next error
  };
  Sums sums[3];  ///< of these five layers; of the last, which somebody may still read; being cleared for the next
  Factor factors[kThreads / 32][kPatterns];  ///< each warp's own
};

/// The bins of a pattern, as some of five layers leave them.
template <class Real>
struct Pattern {
  Real mass, factor;  ///< their sum; what each was multiplied by
  float error, off;   ///< the sum of their errors; what each may be off by, relative, beside its error
};

/// Plays five layers on the sums of patterns, thread t with pattern t % 32, so that a warp has all. `scale`: units of Sums::error in 1; `errors`: afterwards the sum of all
/// errors. False: bounds say nothing any more.
template <class Real, class X>
HEIRMARK_HD_INLINE bool play_patterns(X& x, const typename LayersMemory<Real>::Sums& sums, float scale, typename X::template State<Pattern<Real>>& own, float& errors) {
  using U = Units<Real>;
  constexpr std::uint32_t kWords = U::kWords;
  constexpr float kOver = 1 + 0x1p-12f;  // of errors, for their own roundings in float32
  const float per_unit = kOver / scale;
  typename X::template State<Words<kWords + 1>> part;
  x.each([&](unsigned t) {
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) part[t].n[w] = words[w] = sums.mass[w][t % kPatterns];
    part[t].n[kWords] = sums.error[t % kPatterns];
    own[t] = {U::join(words), 1, static_cast<float>(part[t].n[kWords]) * per_unit, 0};
  });
  Words<kWords + 1> sum = x.sum_warp(part);
  float away = U::away(sum.n);
  errors = static_cast<float>(sum.n[kWords]) * per_unit * kOver;
  HEIRMARK_UNROLL(32)
  for (std::uint32_t i = 0; i < kTogether; ++i) {
    if (!(errors < kHopeless)) return false;
    const float units = 0x1p28f * x.reciprocal(errors);  // no pattern has more than all
    const auto is_green = [&](unsigned t) { return (t >> (kTogether - 1 - i) & 1) != 0; };
    x.each([&](unsigned t) {
      std::uint32_t words[kWords];
      U::split(is_green(t) ? own[t].mass : 0, words);
      HEIRMARK_UNROLL(32)
      for (std::uint32_t w = 0; w < kWords; ++w) part[t].n[w] = words[w];
      part[t].n[kWords] = is_green(t) ? static_cast<std::uint32_t>(own[t].error * units) + 1 : 0;
    });
    sum = x.sum_warp(part);
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) words[w] = sum.n[w];
    const Real green = U::join(words), red = 1 - green;
    const auto g = static_cast<float>(green), r = static_cast<float>(red);
    const float error_green = static_cast<float>(sum.n[kWords]) * (errors * 0x1p-28f), error_red = larger(errors - error_green, 0.0f) + errors * (kOver - 1);
    // Roundings: of each pattern's mass, one of its sum and two a layer; half a unit of each; and the reference's, whose masses sum to 1 within 2^-44. That of 1 - green is
    // none of G but one of the factor, one unit at most with that of 1 + red, and stands with those of factors below.
    const float rounding = g * (static_cast<float>(2 + 2 * i) * U::kRounding) + 16 * U::kUnit;
    const float distance = (r * error_green + g * error_red + g * away + rounding) * x.reciprocal(1 - away - errors) * kOver + 0x1p-42f;
    if (!(distance < marks::tournament::kMostDistance<float>)) return false;
    const auto layer = marks::tournament::bound_layer(red, distance, [&](float f) { return x.reciprocal(f); });
    x.each([&](unsigned t) {
      const Real f = is_green(t) ? layer.factor[1] : layer.factor[0];
      const float off = is_green(t) ? layer.off[1] : layer.off[0];
      own[t].error = static_cast<float>(f) * (own[t].error + off * (static_cast<float>(own[t].mass) + own[t].error));
      own[t].off += off * (1 + own[t].off);
      own[t].mass *= f;
      own[t].factor *= f;
    });
    const auto kept = static_cast<float>(layer.factor[0]);
    errors = (kept * (error_red + layer.off[0] * (r + away + rounding + error_red)) + (1 + kept) * (error_green + layer.off[1] * (g + rounding + error_green))) * kOver;
    away = away * kept + rounding + static_cast<float>(layer.factor[0] - red) * kOver;
  }
  return true;
}

template <DType D, class X>
HEIRMARK_HD_INLINE void own_words(X& x, const std::uint32_t* words, typename X::template State<NearWords>& own) {
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) own[t].word[i] = words[Bins<D>::local(Shape{}, t, i)];
  });
}

/// All layers. `errors` is no less than the sum of all m; `mark` is used up. False: the errors have grown beyond use.
template <class Real, class X>
HEIRMARK_HD_INLINE bool play_layers(X& x, int layers, float errors, typename X::template State<NearWords>& mark, typename X::template State<Near<Real>>& near, LayersMemory<Real>& memory) {
  using U = Units<Real>;
  using Sums = typename LayersMemory<Real>::Sums;
  const std::uint32_t mask = layers == 0 ? 0 : 0xFFFFFFFFu << (32 - layers);
  const auto clear = [&](unsigned t, Sums& sums) {
    if (t >= kPatterns) return;
    for (auto& words : sums.mass) words[t] = 0;
    sums.error[t] = 0;
  };
  x.each([&](unsigned t) {
    clear(t, memory.sums[0]);
    clear(t, memory.sums[1]);
    for (std::uint32_t& word : mark[t].word) word &= mask;
  });
  x.sync();
  unsigned turn = 0;
  for (int first = 0; first < layers; first += static_cast<int>(kTogether)) {
    if (!(errors < kHopeless)) return false;
    Sums& sums = memory.sums[turn];
    constexpr float kSplit = U::kUnit;  // by which a bin's units may be wrong; half of one and a rounding
    const float scale = 0x1p30f / (errors + static_cast<float>(core::kBins) * kSplit);
    const auto pattern_of = [&](unsigned t, std::uint32_t i) { return mark[t].word[i] >> (32 - kTogether); };
    x.each([&](unsigned t) {
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const std::uint32_t pattern = pattern_of(t, i);
        std::uint32_t words[U::kWords];
        U::split(near[t].p[i], words);
        for (std::uint32_t w = 0; w < U::kWords; ++w) (void)x.add(&sums.mass[w][pattern], words[w]);
        (void)x.add(&sums.error[pattern], static_cast<std::uint32_t>((near[t].m[i] + kSplit) * scale) + 1);
      }
    });
    x.sync();
    typename X::template State<Pattern<Real>> played;
    if (!play_patterns<Real>(x, sums, scale, played, errors)) return false;
    turn = turn == 2 ? 0 : turn + 1;
    x.each([&](unsigned t) {
      clear(t, memory.sums[turn == 2 ? 0 : turn + 1]);  // read before the last x.sync(), written after the next
      // Roundings of a bin's mass: of five factors, four of their product, and one.
      const auto factor = static_cast<float>(played[t].factor), off = factor * (played[t].off + 11 * U::kRounding);
      memory.factors[t / 32][t % kPatterns] = {played[t].factor, (factor + off) * (1 + 0x1p-12f), off * (1 + 0x1p-12f)};
    });
    x.sync_warp();
    x.each([&](unsigned t) {
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const typename LayersMemory<Real>::Factor& factor = memory.factors[t / 32][pattern_of(t, i)];
        near[t].m[i] = near[t].m[i] * factor.of_error + static_cast<float>(near[t].p[i]) * factor.of_mass + 0x1p-100f;
        near[t].p[i] *= factor.factor;
        mark[t].word[i] <<= kTogether;
      }
    });
    errors = errors * (1 + 0x1p-10f) + 12 * U::kRounding + 0x1p-80f;
  }
  return true;
}

}  // namespace heirmark::kernels
