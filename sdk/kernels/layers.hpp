// A tournament's layers by bounds, five at a time: on masses of known error, with the error of every bin beside it.
//
// What five layers do to a bin depends on its five bits alone, its pattern, and on the masses of the 32 patterns. So bins are summed by pattern once for
// five layers, every thread plays them on 32 numbers, and each bin is multiplied by its pattern's factor. How far an error of the sums carries is known for
// each pattern too, sign and all, so that errors of many bins do not add up as if all had conspired in every layer: where layers bounded one by one make
// errors 1.5 times as great each, five of these make them about twice as great.
//
// Let q_b be the true masses times a factor 1 + eta that nobody knows and nobody needs (a race is the same with it), p_b ours, |q_b - p_b| <= m_b; by
// pattern P_c = sum of p, d_c = sum of q - p, M_c = sum of m, E = sum of M_c and |sum of P_c - 1|. Layer i of the five has green bits g_i(c), green mass
//   G_i = sum over c of P_c g_i(c) f_1(c) .. f_(i-1)(c),   f_j(c) = 1 + g_j(c) - G_j,
// and the true one is G_i - e_i. With K_ij = sum of P_c g_i(c) f_1 .. f_(i-1) / f_j (that factor left out), the first order of e_i is
//   -L_i,  L_i = sum over c of a_i(c) d_c,   a_i(c) = g_i(c) f_1(c) .. f_(i-1)(c) - G_i - sum over j < i of K_ij a_j(c):
// the term - G_i is what eta takes back. Beyond first order, with D_j >= |e_j| and D their sum over j < i, products of errors are no more than
//   T_i = (2^(i-2) D (E + D / 4) + E (|L_i| + 2 E + sum of K_ij r_j)) 17/16   if D <= 1/16,
// so |e_i + L_i| <= r_i = T_i + roundings + E 2^-10 + sum of K_ij r_j, where E 2^-10 is more than a_i's own roundings carry if no K_ij is above 2, and
// D_i = sum of |a_i(c)| M_c + r_i. A pattern's factor F(c) = f_1 .. f_5 is off by at most
//   dF(c) = sum over c' of M_c' |sum over j of X_j(c) a_j(c')| + sum of X_j(c) r_j + 17/4 D^2,   X_j(c) = F(c) / f_j(c), D over all five,
// and m becomes m (F + dF) + p dF + roundings. Layers that a tournament does not have are layers without green bins: G = 0, f = 1, e = 0.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kTogether = 5, kPatterns = 1u << kTogether;
inline constexpr std::uint32_t kParts = kThreads / kPatterns;  ///< threads that share a pattern, each with kPatterns / kParts others
inline constexpr float kHopeless = 0x1p-7f;     ///< E from which on bounds say nothing
inline constexpr float kMostCarried = 2.0f;     ///< K_ij
inline constexpr float kMostGreen = 0x1p-4f;    ///< D

/// A thread's bins: Bins<D>::local of a row in one slice. Masses in float32 for sums of float32, in double for better ones.
template <class Real>
struct Near {
  Real p[kBinsPerThread];
  float m[kBinsPerThread];
};

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
  Sums sums[2];  ///< of these five layers and, being cleared, of the next
  float carried[kParts][kPatterns];
  Factor factors[kThreads / 32][kPatterns];  ///< each warp's own
};

/// Five layers on patterns, as every thread has them.
template <class Real>
struct Played {
  Real factor[kTogether][2];            ///< f_j of a bit
  float green[kTogether];               ///< G_i
  float carried[kTogether][kTogether];  ///< K_ij, j < i
  float rest[kTogether];                ///< r_i
  float off;                            ///< D over all five
  float error, per_unit;                ///< E; M_c of one unit of Sums::error

  [[nodiscard]] static HEIRMARK_HD_INLINE bool is_green(std::uint32_t pattern, std::uint32_t layer) { return (pattern >> (kTogether - 1 - layer) & 1) != 0; }
  [[nodiscard]] HEIRMARK_HD_INLINE Real of(std::uint32_t pattern, std::uint32_t layer) const { return is_green(pattern, layer) ? factor[layer][1] : factor[layer][0]; }
  /// a_1 .. a_5 of a pattern.
  HEIRMARK_HD_INLINE void along(std::uint32_t pattern, float (&a)[kTogether]) const {
    float before = 1;
    HEIRMARK_UNROLL(32)
    for (std::uint32_t i = 0; i < kTogether; ++i) {
      a[i] = (is_green(pattern, i) ? before : 0.0f) - green[i];
      HEIRMARK_UNROLL(32)
      for (std::uint32_t j = 0; j < i; ++j) a[i] -= carried[i][j] * a[j];
      before *= static_cast<float>(of(pattern, i));
    }
  }
  /// X_1 .. X_5 of a pattern.
  HEIRMARK_HD_INLINE void without(std::uint32_t pattern, float (&x)[kTogether]) const {
    float f[kTogether], before = 1, behind = 1;
    HEIRMARK_UNROLL(32)
    for (std::uint32_t i = 0; i < kTogether; ++i) {
      f[i] = static_cast<float>(of(pattern, i));
      x[i] = before;
      before *= f[i];
    }
    HEIRMARK_UNROLL(32)
    for (std::uint32_t i = kTogether; i-- > 0;) {
      x[i] *= behind;
      behind *= f[i];
    }
  }
};

/// Plays five layers on the sums of patterns, thread t with pattern t % 32, so that a warp has all. `scale`: units of Sums::error in 1. False: bounds say
/// nothing any more.
template <class Real, class X>
HEIRMARK_HD_INLINE bool play_patterns(X& x, const typename LayersMemory<Real>::Sums& sums, float scale, Played<Real>& out) {
  using U = Units<Real>;
  constexpr std::uint32_t kWords = U::kWords;
  constexpr float kCarriedUnit = 0x1p-27f;  // a K_ij is 8 at most: no layer makes the sum of masses more than twice as great
  struct Own {
    Real mass;              ///< P_c f_1 .. f_(i-1)
    float less[kTogether];  ///< the same without f_j
  };
  typename X::template State<Own> own;
  typename X::template State<Words<kWords + 1>> known;
  x.each([&](unsigned t) {
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) known[t].n[w] = words[w] = sums.mass[w][t % kPatterns];
    known[t].n[kWords] = sums.error[t % kPatterns];
    own[t].mass = U::join(words);
  });
  const Words<kWords + 1> all = x.sum_warp(known);
  typename X::template State<Words<kWords + kTogether - 1>> part;
  HEIRMARK_UNROLL(32)
  for (std::uint32_t i = 0; i < kTogether; ++i) {
    x.each([&](unsigned t) {
      const bool green = out.is_green(t % kPatterns, i);
      std::uint32_t words[kWords];
      U::split(green ? own[t].mass : 0, words);
      HEIRMARK_UNROLL(32)
      for (std::uint32_t w = 0; w < kWords; ++w) part[t].n[w] = words[w];
      HEIRMARK_UNROLL(32)
      for (std::uint32_t j = 0; j + 1 < kTogether; ++j) part[t].n[kWords + j] = j < i && green ? static_cast<std::uint32_t>(own[t].less[j] * (1 / kCarriedUnit) + 0.5f) : 0;
    });
    const Words<kWords + kTogether - 1> sum = x.sum_warp(part, kWords + i);
    std::uint32_t words[kWords];
    HEIRMARK_UNROLL(32)
    for (std::uint32_t w = 0; w < kWords; ++w) words[w] = sum.n[w];
    const Real green = U::join(words);
    out.green[i] = static_cast<float>(green);
    out.factor[i][0] = 1 - green;
    out.factor[i][1] = 2 - green;
    HEIRMARK_UNROLL(32)
    for (std::uint32_t j = 0; j < i; ++j) out.carried[i][j] = static_cast<float>(sum.n[kWords + j]) * kCarriedUnit;
    x.each([&](unsigned t) {
      const Real f = out.of(t % kPatterns, i);
      HEIRMARK_UNROLL(32)
      for (std::uint32_t j = 0; j < i; ++j) own[t].less[j] *= static_cast<float>(f);
      own[t].less[i] = static_cast<float>(own[t].mass);
      own[t].mass *= f;
    });
  }
  out.per_unit = 1 / scale;
  constexpr float kShrink = 0x1p-8f, kMost = 255;  // units of all patterns are together below 2^30; no |a_i| is above 146 if no K_ij is above 2
  typename X::template State<Words<kTogether>> sizes;
  x.each([&](unsigned t) {
    float a[kTogether];
    out.along(t % kPatterns, a);
    const float few = static_cast<float>(known[t].n[kWords]) * kShrink;
    HEIRMARK_UNROLL(32)
    for (std::uint32_t i = 0; i < kTogether; ++i) {
      const float size = a[i] < 0 ? -a[i] : a[i];
      sizes[t].n[i] = static_cast<std::uint32_t>((size < kMost ? size : kMost) * few) + 1;
    }
  });
  const Words<kTogether> size = x.sum_warp(sizes);
  const float away = U::away(all.n), error = static_cast<float>(all.n[kWords]) * out.per_unit + away;
  out.error = error;
  bool good = error < kHopeless;
  float off = 0, twice = 0.5f;  // 2^(i-2)
  HEIRMARK_UNROLL(32)
  for (std::uint32_t i = 0; i < kTogether; ++i) {
    float before = 0;
    HEIRMARK_UNROLL(32)
    for (std::uint32_t j = 0; j < i; ++j) {
      good = good && out.carried[i][j] <= kMostCarried;
      before += out.carried[i][j] * out.rest[j];
    }
    const float along = static_cast<float>(size.n[i]) * (out.per_unit / kShrink);
    const float products = (twice * off * (error + 0.25f * off) + error * (along + 2 * error + before)) * 1.0625f;
    // Roundings of a pattern's mass: one of its sum and one a layer; of the sum of masses: 24 units and one; of f.
    out.rest[i] = products + static_cast<float>(4 + i) * U::kRounding + away + error * 0x1p-10f + before;
    off += along + out.rest[i];
    twice *= 2;
  }
  out.off = off;
  return good && off < kMostGreen;
}

/// All layers. `errors` is no less than the sum of all m. False: the errors have grown beyond use.
template <DType D, class Real, class X>
HEIRMARK_HD_INLINE bool play_layers(X& x, int layers, float errors, const std::uint32_t* mark, typename X::template State<Near<Real>>& near, LayersMemory<Real>& memory) {
  using U = Units<Real>;
  using Sums = typename LayersMemory<Real>::Sums;
  struct Own { std::uint32_t word[kBinsPerThread]; };
  typename X::template State<Own> own;
  const std::uint32_t mask = layers == 0 ? 0 : 0xFFFFFFFFu << (32 - layers);
  const auto clear = [&](unsigned t, Sums& sums) {
    if (t >= kPatterns) return;
    for (auto& words : sums.mass) words[t] = 0;
    sums.error[t] = 0;
  };
  x.each([&](unsigned t) {
    clear(t, memory.sums[0]);
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) own[t].word[i] = mark[Bins<D>::local(Shape{}, t, i)] & mask;
  });
  x.sync();
  unsigned turn = 0;
  for (int first = 0; first < layers; first += static_cast<int>(kTogether), turn ^= 1) {
    if (!(errors < 1)) return false;
    Sums& sums = memory.sums[turn];
    constexpr float kSplit = U::kUnit;  // by which a bin's units may be wrong; half of one and a rounding
    const float scale = 0x1p30f / (errors + static_cast<float>(core::kBins) * kSplit);
    const auto pattern_of = [&](unsigned t, std::uint32_t i) { return own[t].word[i] >> (32 - kTogether); };
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
    Played<Real> played;
    if (!play_patterns(x, sums, scale, played)) return false;
    constexpr std::uint32_t kOthers = kPatterns / kParts;
    x.each([&](unsigned t) {
      clear(t, memory.sums[turn ^ 1]);
      float without[kTogether], sum = 0;
      played.without(t % kPatterns, without);
      HEIRMARK_UNROLL(32)
      for (std::uint32_t k = 0; k < kOthers; ++k) {
        const std::uint32_t other = t / kPatterns * kOthers + k;
        float a[kTogether], along = 0;
        played.along(other, a);
        HEIRMARK_UNROLL(32)
        for (std::uint32_t j = 0; j < kTogether; ++j) along += without[j] * a[j];
        sum += (along < 0 ? -along : along) * static_cast<float>(sums.error[other]);
      }
      memory.carried[t / kPatterns][t % kPatterns] = sum;
    });
    x.sync();
    x.each([&](unsigned t) {
      const std::uint32_t pattern = t % kPatterns;
      float carried = 0, without[kTogether];
      for (std::uint32_t part = 0; part < kParts; ++part) carried += memory.carried[part][pattern];
      played.without(pattern, without);
      float off = carried * played.per_unit + 4.25f * played.off * played.off;
      Real factor = 1;
      HEIRMARK_UNROLL(32)
      for (std::uint32_t j = 0; j < kTogether; ++j) {
        off += without[j] * played.rest[j];
        factor *= played.of(pattern, j);
      }
      const auto few = static_cast<float>(factor);
      memory.factors[t / 32][pattern] = {factor, (few + off) * (1 + 0x1p-12f), (off + few * (6 * U::kRounding)) * (1 + 0x1p-12f)};
    });
    x.sync_warp();
    x.each([&](unsigned t) {
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const typename LayersMemory<Real>::Factor& factor = memory.factors[t / 32][pattern_of(t, i)];
        near[t].m[i] = near[t].m[i] * factor.of_error + static_cast<float>(near[t].p[i]) * factor.of_mass + 0x1p-100f;
        near[t].p[i] *= factor.factor;
        own[t].word[i] <<= kTogether;
      }
    });
    // No factor is above 32, none is off by more than 16 D + 17/4 D^2, and all masses are together below 1 + 2^-7.
    errors = (33 * played.error + 18 * played.off + 200 * U::kRounding) * 1.0625f + 0x1p-80f;
  }
  return true;
}

}  // namespace heirmark::kernels
