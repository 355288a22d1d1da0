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
#include <type_traits>

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

/// How masses are summed, and kept for patterns: in integers, as kWords words, the last one of units.
template <class Real>
struct Units;
template <>
struct Units<float> {
  using Mass = std::uint32_t;  ///< of 2^-31
  static constexpr std::uint32_t kWords = 1;
  static constexpr float kUnit = 0x1p-31f, kRounding = 0x1p-24f, kLeastRed = 0x1p-22f;  ///< the last: what red bins are multiplied by at least
  static HEIRMARK_HD_INLINE void split(float p, std::uint32_t (&words)[kWords]) { words[0] = static_cast<std::uint32_t>(p * 0x1p31f + 0.5f); }
  static HEIRMARK_HD_INLINE void words_of(Mass mass, std::uint32_t (&words)[kWords]) { words[0] = mass; }
  static HEIRMARK_HD_INLINE Mass mass_of(const std::uint32_t (&words)[kWords]) { return words[0]; }
  static HEIRMARK_HD_INLINE float real(Mass mass) { return static_cast<float>(mass) * kUnit; }
  /// 1 - green, at least kLeastRed; `raised` is by how much more it became.
  static HEIRMARK_HD_INLINE Mass red_of(Mass green, float& raised) {
    constexpr std::uint32_t kOne = 0x80000000u, kLeast = 0x1p31f * kLeastRed;
    const std::uint32_t left = kOne - green, red = left - kLeast <= kOne - kLeast ? left : kLeast;  // left may be below 0
    raised = real(red - left);
    return red;
  }
  static HEIRMARK_HD_INLINE Mass share(Mass mass, Mass red) { return static_cast<Mass>((std::uint64_t{mass} * red + 0x40000000u) >> 31); }
  /// What all are away from 1; the sum is below 2.
  static HEIRMARK_HD_INLINE float away(const std::uint32_t* all) {
    const auto units = static_cast<std::int32_t>(all[0] - 0x80000000u);
    return static_cast<float>(units < 0 ? -units : units) * kUnit;
  }
};
template <>
struct Units<double> {
  using Mass = double;
  static constexpr std::uint32_t kWords = 2;
  static constexpr float kUnit = 0x1p-48f, kLeastRed = 0x1p-35f;
  static constexpr float kRounding = 0x1p-43f;  ///< the reference's own roundings, of thirty layers of eleven halvings, too
  static HEIRMARK_HD_INLINE void split(double p, std::uint32_t (&words)[kWords]) {
    const auto units = static_cast<std::uint64_t>(p * 0x1p48 + 0.5);
    words[0] = static_cast<std::uint32_t>(units >> 21);
    words[1] = static_cast<std::uint32_t>(units & 0x1FFFFFu);  // 2,048 of them are less than 2^32
  }
  static HEIRMARK_HD_INLINE void words_of(Mass mass, std::uint32_t (&words)[kWords]) { split(mass, words); }
  static HEIRMARK_HD_INLINE Mass mass_of(const std::uint32_t (&words)[kWords]) { return static_cast<double>(words[0]) * 0x1p-27 + static_cast<double>(words[1]) * 0x1p-48; }
  static HEIRMARK_HD_INLINE double real(Mass mass) { return mass; }
  static HEIRMARK_HD_INLINE Mass red_of(Mass green, float& raised) {
    const double left = 1 - green, red = left < static_cast<double>(kLeastRed) ? static_cast<double>(kLeastRed) : left;
    raised = static_cast<float>(red - left);
    return red;
  }
  static HEIRMARK_HD_INLINE Mass share(Mass mass, Mass red) { return mass * red; }
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
  Sums sums[2];  ///< of these five layers; being cleared for the next
  Factor factors[kPatterns];
  float errors;  ///< their sum behind these layers; none if bounds say nothing any more
};

/// The bins of a pattern, as some of five layers leave them.
template <class Real>
struct Pattern {
  typename Units<Real>::Mass mass;
  Real factor;        ///< what each was multiplied by
  float error, off;   ///< the sum of their errors; what each may be off by beside its error, as a share of what it was before (so that neither an underflow of `factor` nor a great relative error matters)
};

/// Plays five layers on the sums of patterns, thread t of a warp with pattern t. `scale`: units of Sums::error in 1. Returns the sum of all errors behind them, kHopeless or
/// more if bounds say nothing any more.
///
/// How long it takes is how long a layer's results wait for each other, thirty times. So masses are integers throughout; errors become integers by their place in a float; and
/// whether bounds have failed is asked once, behind all five: nothing here minds numbers without meaning.
template <class Real, class W>
HEIRMARK_HD_INLINE float play_patterns(W& warp, const typename LayersMemory<Real>::Sums& sums, float scale, typename W::template State<Pattern<Real>>& own) {
  using U = Units<Real>;
  constexpr std::uint32_t kWords = U::kWords;
  constexpr float kOver = 1 + 0x1p-12f;  // of errors, for their own roundings in float32
  constexpr std::uint32_t kPlace = 0x4B000000u;  // bits of 2^23: those of 2^23 + n, n < 2^23, are kPlace + n
  const float per_unit = kOver / scale;
  typename W::template State<Words<kWords + 1>> part;
  warp.each([&](unsigned t) {
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) part[t].n[w] = words[w] = sums.mass[w][t];
    part[t].n[kWords] = sums.error[t];
    own[t] = {U::mass_of(words), 1, static_cast<float>(part[t].n[kWords]) * per_unit, 0};
  });
  Words<kWords + 1> sum = warp.sum_warp(part);
  float away = U::away(sum.n);
  float errors = static_cast<float>(sum.n[kWords]) * per_unit * kOver;
  bool failed = !(away < 0x1p-5f);  // then 1 - away - errors below is far from 0, and the sum of masses near 1
  HEIRMARK_UNROLL(32)
  for (std::uint32_t i = 0; i < kTogether; ++i) {
    // No pattern has more than all, and all less than 2^(exponent - 126), 2^22 units; a green pattern's are at most one and a half more than it has.
    const std::uint32_t exponent = core::float_bits(errors) >> 23;
    const float units = core::float_from_bits((127 + 22 + 126 - exponent) << 23), unit = core::float_from_bits((127 + exponent - 126 - 22) << 23);
    const auto is_green = [&](unsigned t) { return (t >> (kTogether - 1 - i) & 1) != 0; };
    warp.each([&](unsigned t) {
      std::uint32_t words[kWords];
      U::words_of(own[t].mass, words);
      HEIRMARK_UNROLL(32)
      for (std::uint32_t w = 0; w < kWords; ++w) part[t].n[w] = is_green(t) ? words[w] : 0;
      part[t].n[kWords] = is_green(t) ? core::float_bits(own[t].error * units + (0x1p23f + 1)) : kPlace;
    });
    sum = warp.sum_warp(part);
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) words[w] = sum.n[w];
    const typename U::Mass green = U::mass_of(words);
    float raised;
    const typename U::Mass red = U::red_of(green, raised);
    const auto g = static_cast<float>(U::real(green)), r = static_cast<float>(U::real(red));
    const float error_green = (core::float_from_bits(sum.n[kWords] - (kPatterns - 1) * kPlace) - 0x1p23f) * unit, error_all = errors + 64 * unit;
    // Roundings. Within five layers ours are the masses that integer factors make, and what floats round stands with the factors below; then there are units of patterns' masses, half of
    // one each time, which grow as masses do: fewer than 65; and the reference's roundings, whose masses sum to 1 within 2^-44. There is room for more.
    const float rounding = g * (static_cast<float>(2 + 2 * i) * U::kRounding) + 160 * U::kUnit;
    const float others = g * (error_all + away) + rounding, per_sum = warp.reciprocal(1 - away - errors) * kOver;
    const float distance = ((r - g) * error_green + others) * per_sum + (raised + 0x1p-42f);
    failed = failed || !(errors < kHopeless) || !(distance < marks::tournament::kMostDistance<float>);
    const auto layer = marks::tournament::bound_layer(U::real(red), distance, [&](float f) { return warp.reciprocal(f); });
    warp.each([&](unsigned t) {
      const Real f = is_green(t) ? layer.factor[1] : layer.factor[0];
      const float off = is_green(t) ? layer.off[1] : layer.off[0], few = static_cast<float>(f);
      own[t].error = few * own[t].error + off * (few * (static_cast<float>(U::real(own[t].mass)) + own[t].error));
      own[t].off = few * (own[t].off + off * (static_cast<float>(own[t].factor) + own[t].off));
      own[t].mass = U::share(own[t].mass, red) + (is_green(t) ? own[t].mass : 0);
      own[t].factor *= f;
    });
    const auto kept = static_cast<float>(layer.factor[0]);
    const float error_red = error_all - error_green;
    errors = (kept * (error_red + layer.off[0] * (r + away + rounding + error_red)) + (1 + kept) * (error_green + layer.off[1] * (g + rounding + error_green))) * kOver;
    away = away * kept + rounding + raised * kOver;
  }
  return failed ? kHopeless : errors;
}

/// Each thread's words of all bins' words.
template <DType D, class X>
HEIRMARK_HD_INLINE void own_words(X& x, const std::uint32_t* words, typename X::template State<NearWords>& own) {
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) own[t].word[i] = words[Bins<D>::local(Shape{}, t, i)];
  });
}

/// By the last warp, which plays no patterns.
template <class X, class Sums>
HEIRMARK_HD_INLINE void clear(X& x, Sums& sums) {
  x.each([&](unsigned t) {
    if (t < kThreads - kPatterns) return;
    t -= kThreads - kPatterns;
    for (auto& words : sums.mass) words[t] = 0;
    sums.error[t] = 0;
  });
}

/// All layers. `errors` is no less than the sum of all m; `mark` is used up. False: the errors have grown beyond use.
template <class Real, class X>
HEIRMARK_HD_INLINE bool play_layers(X& x, int layers, float errors, typename X::template State<NearWords>& mark, typename X::template State<Near<Real>>& near, LayersMemory<Real>& memory) {
  using U = Units<Real>;
  using Sums = typename LayersMemory<Real>::Sums;
  const std::uint32_t mask = layers == 0 ? 0 : 0xFFFFFFFFu << (32 - layers);
  x.each([&](unsigned t) {
    for (std::uint32_t& word : mark[t].word) word &= mask;
  });
  clear(x, memory.sums[0]);
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
    turn ^= 1;
    clear(x, memory.sums[turn]);
    x.first_warp([&](auto& warp) {
      typename std::remove_reference_t<decltype(warp)>::template State<Pattern<Real>> played;
      const float left = play_patterns<Real>(warp, sums, scale, played);
      warp.each([&](unsigned t) {
        // Roundings of a bin's mass: of five factors, four of their product, and one.
        const auto factor = static_cast<float>(played[t].factor), off = played[t].off * (1 + 0x1p-16f) + factor * (11 * U::kRounding);
        memory.factors[t] = {played[t].factor, (factor + off) * (1 + 0x1p-12f), off * (1 + 0x1p-12f)};
        if (t == 0) memory.errors = left;
      });
    });
    x.sync();
    errors = memory.errors;
    x.each([&](unsigned t) {
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const typename LayersMemory<Real>::Factor& factor = memory.factors[pattern_of(t, i)];
        near[t].m[i] = near[t].m[i] * factor.of_error + static_cast<float>(near[t].p[i]) * factor.of_mass + 0x1p-100f;
        near[t].p[i] *= factor.factor;
        mark[t].word[i] <<= kTogether;
      }
    });
    errors = errors * (1 + 0x1p-10f) + 12 * U::kRounding + 0x1p-80f;
  }
  return errors < kHopeless;
}

}  // namespace heirmark::kernels
