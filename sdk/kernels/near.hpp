// A tournament by bounds: masses of known error, their layers (layers.hpp), the race. Nearly always one bin is left that can win: with the pass's sums in all
// rows but one or two in a thousand, else with the likely tokens summed in double. A row where neither does is played exactly.
#pragma once
#include <cstdint>

#include "kernels/exact.hpp"
#include "kernels/layers.hpp"
#include "kernels/race.hpp"

namespace heirmark::kernels {

inline constexpr float kLikely = -12.0f;      ///< powers of two below the greatest from which on a token is summed in double
inline constexpr float kNearSlack = 0x1p-15f; ///< of bounds of E: below 1.6e-5, of which log2 takes 1.1e-5 where E is least, 1/64; and of a time a reciprocal's 2^-22

/// Shared memory of it, one use after the other.
union NearMemory {
  LayersMemory<float> first;
  LayersMemory<double> again;
};

/// Sum of |z| 2^z over terms that sum to `sum`, over it: no more than if all were equal.
template <class X>
HEIRMARK_HD_INLINE float depth_of(X& x, float sum, std::uint32_t terms) {
  const float depth = x.log2(static_cast<float>(terms) / sum) + 0.01f;
  return depth > 0 ? depth : 0;
}

/// From the pass's sums. Errors as pass.hpp has them, and one more change of unit.
template <DType D, class X, class SumOf>
HEIRMARK_HD_INLINE void near_of_sums(X& x, const Shape& shape, std::uint32_t vocab, const SumOf& sum_of, typename X::template State<Near<float>>& near) {
  const float some = 44 + static_cast<float>(shape.chunks + shape.groups());
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const float sum = sum_of(Bins<D>::local(Shape{}, t, i));
      near[t].p[i] = sum;
      near[t].m[i] = 0x1p-100f;
      if (sum > 0x1p-90f) near[t].m[i] += sum * 0x1p-24f * (some + 6.1f * depth_of(x, sum, vocab / core::kBins + 1));
      else near[t].m[i] += sum * kSumError;
    }
  });
}

/// From the row, read once more: likely tokens in double. The others, few together, are off by four roundings of |z| and exp2's error.
template <DType D, class X>
HEIRMARK_HD_INLINE void near_of_row(X& x, const RowData<D>& row, const Exponential& exponential, float greatest, float slope, typename X::template State<Near<double>>& near) {
  const Shape whole{0, (row.vocab + kChunk * core::kBins - 1) / (kChunk * core::kBins)};
  x.each([&](unsigned t) {
    float rest[kBinsPerThread] = {};
    Near<double> own{};
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

/// Masses that sum to 1, from any; errors stay what they are in relation, for a factor common to all bins is of no account. Returns a bound of the sum of errors.
template <class Real, class X>
HEIRMARK_HD_INLINE float near_normalise(X& x, typename X::template State<Near<Real>>& near) {
  typename X::template State<double> part;
  typename X::template State<float> error;
  x.each([&](unsigned t) {
    part[t] = 0;
    error[t] = 0;
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      part[t] += static_cast<double>(near[t].p[i]);
      error[t] += near[t].m[i];
    }
  });
  const auto scale = static_cast<Real>(1 / x.reduce(part, Sum{}));
  const auto few = static_cast<float>(scale), off = x.reduce(error, Sum{}) * few;
  x.each([&](unsigned t) {
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      near[t].p[i] *= scale;
      near[t].m[i] = near[t].m[i] * few * (1 + 0x1p-16f) + static_cast<float>(near[t].p[i]) * (2 * Units<Real>::kRounding) + 0x1p-100f;
    }
  });
  return off * (1 + 0x1p-8f) + 4 * Units<Real>::kRounding;
}

/// The only bin that can win the race, kUndecided if there is another. `noise` is used up: the bits of each bin's least E take the place of its word.
template <DType D, class Real, class X>
HEIRMARK_HD_INLINE std::uint32_t near_race(X& x, typename X::template State<NearWords>& noise, const typename X::template State<Near<Real>>& near) {
  constexpr float kLeast = 0x1p-98f;  // bins with less are ours to ignore only if their upper bound is below it too
  typename X::template State<float> least;
  x.each([&](unsigned t) {
    least[t] = kForever;
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const auto mass = static_cast<float>(near[t].p[i]) * (1 - 0x1p-22f) - near[t].m[i];
      const Bounds e = time_bounds(x, noise[t].word[i]);
      noise[t].word[i] = core::float_bits(e.low * (1 - kNearSlack));
      if (mass >= kLeast) least[t] = Smallest{}(least[t], e.high * (1 + kNearSlack) * x.reciprocal(mass));
    }
  });
  const float limit = x.reduce(least, Smallest{});
  typename X::template State<Left> left;
  x.each([&](unsigned t) {
    left[t] = JoinLeft{}.identity();
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) {
      const auto mass = static_cast<float>(near[t].p[i]) * (1 + 0x1p-22f) + near[t].m[i];
      if (core::float_from_bits(noise[t].word[i]) > limit * mass) continue;
      left[t] = JoinLeft{}(left[t], {1, Bins<D>::local(Shape{}, t, i)});
    }
  });
  const Left all = x.reduce(left, JoinLeft{});
  return all.count == 1 ? all.bin : kUndecided;
}

/// Layers in double, apart: few rows need them, and inlined they would take registers from all.
template <class X>
HEIRMARK_HD_COLD bool play_again(X& x, int layers, float errors, typename X::template State<NearWords>& mark, typename X::template State<Near<double>>& near, LayersMemory<double>& memory) {
  return play_layers<double>(x, layers, errors, mark, near, memory);
}

/// With the row read once more.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t near_again(X& x, const RowData<D>& row, const Exponential& exponential, float greatest, float slope, int layers, const std::uint32_t* mark,
                                          const std::uint32_t* noise, LayersMemory<double>& memory) {
  typename X::template State<Near<double>> near;
  near_of_row(x, row, exponential, greatest, slope, near);
  const float errors = near_normalise<double>(x, near);
  typename X::template State<NearWords> words;
  own_words<D>(x, mark, words);
  if (play_again(x, layers, errors, words, near, memory)) {
    own_words<D>(x, noise, words);
    return near_race<D, double>(x, words, near);
  }
  x.sync();  // somebody may still read `memory`
  return kUndecided;
}

/// The bin that wins a row's tournament, kUndecided if bounds do not say. sum_of(b): the pass's sum of bin b in units of the row's greatest logit; they may lie in
/// `memory`. `mark` and `noise`: the coarse words of the keys. `again`, if not null, becomes true if the row was read once more.
template <DType D, class X, class SumOf>
HEIRMARK_HD_COLD std::uint32_t near_tournament(X& x, const RowData<D>& row, const Shape& shape, const Exponential& exponential, float greatest, float slope, int layers,
                                                 const std::uint32_t* mark, const std::uint32_t* noise, const SumOf& sum_of, NearMemory& memory, bool* again = nullptr) {
  typename X::template State<NearWords> mark_words, noise_words;  // on their way while the sums are looked at
  own_words<D>(x, mark, mark_words);
  own_words<D>(x, noise, noise_words);
  typename X::template State<Near<float>> near;
  near_of_sums<D>(x, shape, row.vocab, sum_of, near);
  const float errors = near_normalise<float>(x, near);
  if (play_layers<float>(x, layers, errors, mark_words, near, memory.first))
    if (const std::uint32_t bin = near_race<D, float>(x, noise_words, near); bin != kUndecided) return bin;
  if (again != nullptr) *again = true;
  return near_again(x, row, exponential, greatest, slope, layers, mark, noise, memory.again);
}

}  // namespace heirmark::kernels
