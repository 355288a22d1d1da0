// A tournament by bounds: played on masses of known error, with the error of every bin beside it. Nearly always one bin is left that can win the
// race, first with the pass's sums, else with the likely tokens summed in double; a row where neither does is played exactly.
//
// Errors. A bin's mass p is off by at most m. A layer multiplies by f = 1 + bit - G, G the mass of the green bins. With dG the error of G the product
// is off by m (f + dG) + p dG. All p sum to 1, so the errors of the green ones and of the others sum to opposite values: dG is the smaller of the two
// sums of m. Errors so grow by up to a half in each layer, which is why the first ones have to be small.
#pragma once
#include <cstdint>

#include "kernels/exact.hpp"
#include "kernels/race.hpp"

namespace heirmark::kernels {

inline constexpr float kLikely = -12.0f;      ///< powers of two below the greatest from which on a token is summed in double
inline constexpr float kNearSlack = 0x1p-15f; ///< of bounds of E: below 1.6e-5, of which log2 takes 1.1e-5 where E is least, 1/64
inline constexpr float kHopeless = 0.25f;     ///< sum of all errors from which on bounds say nothing

/// A thread's bins: Bins<D>::local of a row in one slice.
struct Near {
  double p[kBinsPerThread];
  float m[kBinsPerThread];
};

/// Sum of |z| 2^z over terms that sum to `sum`, over it: no more than if all were equal.
template <class X>
HEIRMARK_HD_INLINE float depth_of(X& x, float sum, std::uint32_t terms) {
  const float depth = x.log2(static_cast<float>(terms) / sum) + 0.01f;
  return depth > 0 ? depth : 0;
}

/// From the pass's sums. Errors as pass.hpp has them, and one more change of unit.
template <DType D, class X, class SumOf>
HEIRMARK_HD_INLINE void near_of_sums(X& x, const Shape& shape, std::uint32_t vocab, const SumOf& sum_of, typename X::template State<Near>& near) {
  const float some = 44 + static_cast<float>(shape.chunks + shape.groups());
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const float sum = sum_of(Bins<D>::local(Shape{}, t, i));
      near[t].p[i] = static_cast<double>(sum);
      near[t].m[i] = 0x1p-100f;
      if (sum > 0x1p-90f) near[t].m[i] += sum * 0x1p-24f * (some + 6.1f * depth_of(x, sum, vocab / core::kBins + 1));
      else near[t].m[i] += sum * kSumError;
    }
  });
}

/// From the row, read once more: likely tokens in double. The others, few together, are off by four roundings of |z| and exp2's error.
template <DType D, class X>
HEIRMARK_HD_INLINE void near_of_row(X& x, const RowData<D>& row, const Exponential& exponential, float greatest, float slope, typename X::template State<Near>& near) {
  const Shape whole{0, (row.vocab + kChunk * core::kBins - 1) / (kChunk * core::kBins)};
  x.each([&](unsigned t) {
    float rest[kBinsPerThread] = {};
    Near own{};
    for (std::uint32_t chunk = 0; chunk < whole.chunks; ++chunk) {
      Chunk<D> logits;
      load_chunk(x, row, whole, 0, t, chunk, logits);
      for (std::uint32_t b = 0; b < kBinsPerThread; ++b)
        for (std::uint32_t i = 0; i < kChunk; ++i) {
          const float logit = logits.at(i, b), z = exponent_of(logit, greatest, slope);
          if (z > kLikely) own.p[b] += exponential(logit);
          else rest[b] += x.exp2(z);
        }
    }
    for (std::uint32_t b = 0; b < kBinsPerThread; ++b) {
      const float terms = static_cast<float>(row.vocab / core::kBins + 1);
      own.m[b] = 0x1p-100f + static_cast<float>(own.p[b]) * 0x1p-40f;
      if (rest[b] > 0x1p-90f) own.m[b] += rest[b] * 0x1p-24f * (6 + terms + 2.8f * depth_of(x, rest[b], row.vocab / core::kBins + 1));
      else own.m[b] += rest[b] * kSumError;
      own.p[b] += static_cast<double>(rest[b]);
    }
    near[t] = own;
  });
}

/// Masses that sum to 1, from any. Returns a bound of the sum of their errors.
template <class X>
HEIRMARK_HD_INLINE float near_normalise(X& x, typename X::template State<Near>& near) {
  typename X::template State<double> part;
  typename X::template State<float> error;
  x.each([&](unsigned t) {
    part[t] = 0;
    error[t] = 0;
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      part[t] += near[t].p[i];
      error[t] += near[t].m[i];
    }
  });
  const double total = x.reduce(part, Sum{});
  const auto scale = static_cast<float>(1 / total), off = x.reduce(error, Sum{}) * scale;
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      near[t].p[i] /= total;
      near[t].m[i] = (near[t].m[i] * scale + static_cast<float>(near[t].p[i]) * off) * (1 + 0x1p-8f);  // the roundings here, and off's own square
    }
  });
  return off * 2.02f + 0x1p-80f;
}

/// The layers. `errors` is no less than the sum of all m. False: the errors have grown beyond use.
template <DType D, class X>
HEIRMARK_HD_INLINE bool near_play(X& x, int layers, float errors, const std::uint32_t* mark, typename X::template State<Near>& near) {
  struct Own {
    std::uint32_t word[kBinsPerThread];
    float p[kBinsPerThread];  ///< near.p in few digits, for errors
  };
  typename X::template State<Own> own;
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      own[t].word[i] = mark[Bins<D>::local(Shape{}, t, i)];
      own[t].p[i] = static_cast<float>(near[t].p[i]);
    }
  });
  typename X::template State<Counts> counts;
  for (int layer = 1; layer <= layers; ++layer) {
    if (!(errors < kHopeless)) return false;
    const std::uint32_t bit = 0x80000000u >> (layer - 1);
    const float scale = 0x1p30f / errors;
    x.each([&](unsigned t) {
      double green = 0;
      float with = 0, without = 0;
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const bool is_green = (own[t].word[i] & bit) != 0;
        green += is_green ? near[t].p[i] : 0;
        with += is_green ? near[t].m[i] : 0;
        without += is_green ? 0 : near[t].m[i];
      }
      // In integers: green in units of 2^-48, in two halves; errors rounded up to units of which all are less than 2^31.
      const auto units = [&](float error) { return static_cast<std::uint32_t>(error * scale) + 1; };
      const auto green_units = static_cast<std::uint64_t>(green * 0x1p48);
      counts[t] = {{static_cast<std::uint32_t>(green_units >> 24), static_cast<std::uint32_t>(green_units & 0xFFFFFFu), units(with), units(without)}};
    });
    const Counts sum = x.reduce(counts, AddCounts{});
    const float with = static_cast<float>(sum.n[2]) / scale, without = static_cast<float>(sum.n[3]) / scale;
    const double mass = static_cast<double>(sum.n[0]) * 0x1p-24 + static_cast<double>(sum.n[1]) * 0x1p-48;
    // Threads' sums of float32 errors are off by less than 2^-18 of all; 2^-34 covers the roundings of masses, ours and the exact ones.
    const float off = (with < without ? with : without) + (with + without) * 0x1p-18f + 0x1p-34f;
    const double f[2] = {1 - mass, 2 - mass};
    errors = (with * static_cast<float>(f[1]) + without * static_cast<float>(f[0]) + off) * (1 + 0x1p-2f) + 0x1p-80f;
    x.each([&](unsigned t) {
      for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
        const double by = (own[t].word[i] & bit) != 0 ? f[1] : f[0];
        const auto few = static_cast<float>(by);
        near[t].m[i] = (near[t].m[i] * (few + off) + own[t].p[i] * off) * (1 + 0x1p-17f) + 0x1p-100f;
        near[t].p[i] *= by;
        own[t].p[i] = own[t].p[i] * few + 0x1p-100f;
      }
    });
  }
  return true;
}

/// The only bin that can win the race, kUndecided if there is another.
template <DType D, class X>
HEIRMARK_HD_INLINE std::uint32_t near_race(X& x, const std::uint32_t* noise, const typename X::template State<Near>& near) {
  constexpr float kLeast = 0x1p-98f;  // bins with less are ours to ignore only if their upper bound is below it too
  typename X::template State<float> least;
  x.each([&](unsigned t) {
    least[t] = kForever;
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const auto mass = static_cast<float>(near[t].p[i]) * (1 - 0x1p-22f) - near[t].m[i];
      if (mass >= kLeast) least[t] = Smallest{}(least[t], time_bounds(x, noise[Bins<D>::local(Shape{}, t, i)]).high * (1 + kNearSlack) / mass);
    }
  });
  const float limit = x.reduce(least, Smallest{});
  typename X::template State<Left> left;
  x.each([&](unsigned t) {
    left[t] = JoinLeft{}.identity();
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const std::uint32_t bin = Bins<D>::local(Shape{}, t, i);
      const auto mass = static_cast<float>(near[t].p[i]) * (1 + 0x1p-22f) + near[t].m[i];
      if (time_bounds(x, noise[bin]).low * (1 - kNearSlack) > limit * mass) continue;
      left[t] = JoinLeft{}(left[t], {1, bin});
    }
  });
  const Left all = x.reduce(left, JoinLeft{});
  return all.count == 1 ? all.bin : kUndecided;
}

/// The bin that wins a row's tournament, kUndecided if bounds do not say. sum_of(b): the pass's sum of bin b in units of the row's greatest logit. `mark` and
/// `noise`: the coarse words of the keys. `again`, if not null, becomes true if the row was read once more.
template <DType D, class X, class SumOf>
HEIRMARK_HD_COLD std::uint32_t near_tournament(X& x, const RowData<D>& row, const Shape& shape, const Exponential& exponential, float greatest, float slope, int layers,
                                                 const std::uint32_t* mark, const std::uint32_t* noise, const SumOf& sum_of, bool* again = nullptr) {
  typename X::template State<Near> near;
  near_of_sums<D>(x, shape, row.vocab, sum_of, near);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt == 1) {
      near_of_row(x, row, exponential, greatest, slope, near);
      if (again != nullptr) *again = true;
    }
    const float errors = near_normalise(x, near);
    if (!near_play<D>(x, layers, errors, mark, near)) continue;
    if (const std::uint32_t bin = near_race<D>(x, noise, near); bin != kUndecided) return bin;
  }
  return kUndecided;
}

}  // namespace heirmark::kernels
