// The one pass over a row: sums of its bins, its greatest logit, and the greatest of each chunk, at the speed of memory.
//
// A thread owns the same eight bins all the way down its slice, in registers. Sums are relative to a reference logit of the thread's own,
// raised when a logit rises eight powers of two above it, so no row overflows and none needs a look ahead.
//
// A term is 2^z, z = x s + b in one multiply-add, s = log2(e) / T and b = -reference s. Rounding b makes another unit, not another sum: what is
// meant is 2^(x s + b) with b as it is, and a change to the unit of logit g multiplies by 2^-(g s + b). NaN, infinity and |x s| from 2^19 up do not
// bear this; where a slice has them, a second pass takes differences first (kCareful).
//
// Errors, relative, of a bin whose terms lie z powers of two below the slice's greatest logit, in units of 2^-24:
//   s              2 roundings, each ln 2 |z|                                      1.4 |z|
//   the term       multiply-add ln 2 (|z| + 8), exp2 4                             0.7 |z| + 10
//   raises         at most |z|/8 + 1 of them: exp2 4, exponent ln 2 of its size    1.2 |z| + 10
//   two units      to the thread's greatest, to the slice's: exp2 4, two roundings 2.8 |z| + 14
//   the sum        a rounding for each chunk, group and pair within a chunk        chunks + groups + 2, at most 130
// So below 6.1 |z| + 36 + chunks + groups; with |z| <= 126 below 6e-5, and to the row's unit below 7e-5 (kSumError has room for all). Terms flushed
// to zero are below 2^-126 of the greatest logit's own, all of a bin's 512 together below 2^-117.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/logits.hpp"

namespace heirmark::kernels {

inline constexpr float kSumError = 2e-4f;
inline constexpr float kHeadroom = 8.0f;    ///< powers of two above the reference before it is raised
inline constexpr float kLowest = -200.0f;   ///< exponents from here down give 0
inline constexpr float kReach = 0x1p19f;    ///< powers of two from logit 0 on that only the careful pass sums
inline constexpr float kLog2E = 1.44269504f;

/// What a thread gathers.
struct Partial {
  float sum[kBinsPerThread];
  float reference, greatest;
  std::uint32_t chunk;  ///< the first one that holds the greatest
};

HEIRMARK_HD_INLINE float exponent_of(float x, float reference, float slope) { return larger((x - reference) * slope, kLowest); }
/// x s + b, rounded once.
HEIRMARK_HD_INLINE float multiply_add(float x, float slope, float bias) {
#if defined(__CUDA_ARCH__)
  return fmaf(x, slope, bias);
#else
  return static_cast<float>(static_cast<double>(x) * static_cast<double>(slope) + static_cast<double>(bias));  // near enough for bounds, and fast
#endif
}

/// a b, rounded by itself: fused into a later difference it would be another number there than here.
HEIRMARK_HD_INLINE float product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

/// A thread's logits of kChunk strides.
template <DType D>
struct Chunk {
  static constexpr std::uint32_t kPer = Element<D>::kPerPacket, kPackets = Bins<D>::kPackets;
  Packet packets[kChunk * kPackets];
  /// The one of bin b in stride i.
  [[nodiscard]] HEIRMARK_HD_INLINE float at(std::uint32_t i, std::uint32_t b) const { return Element<D>::of(packets[i * kPackets + b / kPer], b % kPer); }
};

/// Reads chunk `chunk` of a lane wherever it lies.
template <DType D, class X>
HEIRMARK_HD_INLINE void load_chunk(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, std::uint32_t lane, std::uint32_t chunk, Chunk<D>& out) {
  for (std::uint32_t i = 0; i < kChunk; ++i)
    for (std::uint32_t q = 0; q < Chunk<D>::kPackets; ++q)
      out.packets[i * Chunk<D>::kPackets + q] =
          load_tokens<D>(x, row, (chunk * kChunk + i) * core::kBins + slice * shape.bins() + Bins<D>::local(shape, lane, q * Chunk<D>::kPer));
}

/// The unit of a thread's sums: how a logit becomes an exponent.
template <bool kCareful>
struct Unit {
  float slope, lowest, bias = 0;
  explicit HEIRMARK_HD_INLINE Unit(float s) : slope(s), lowest(-2 * kReach / s) {}
  [[nodiscard]] HEIRMARK_HD_INLINE float exponent(float x, const Partial& p) const {
    return kCareful ? exponent_of(x, p.reference, slope) : multiply_add(x, slope, bias);
  }
  /// Takes `greatest` for the reference; returns what sums are to be multiplied by, as a power of two.
  HEIRMARK_HD_INLINE float raise(float greatest, Partial& p) {
    const float before = kCareful ? p.reference : bias;
    p.reference = kCareful ? greatest : larger(greatest, lowest);
    bias = product(-p.reference, slope);
    if (kCareful) return exponent_of(before, p.reference, slope);
    return bias < before ? bias - before : 0;  // the first one's sums are 0 in every unit
  }
  /// From the reference to the thread's greatest logit. Beyond the limit the thread is too far below all others to count.
  [[nodiscard]] HEIRMARK_HD_INLINE float last(const Partial& p) const {
    constexpr float kMost = 100;
    if (kCareful) return exponent_of(p.reference, p.greatest, slope);
    const float z = -multiply_add(p.greatest, slope, bias);
    return z < kMost ? z : kMost;
  }
};

template <bool kCareful, DType D, class X>
HEIRMARK_HD_INLINE void add_chunk(X& x, const Chunk<D>& chunk, std::uint32_t index, float* delegate, Unit<kCareful>& unit, Partial& p) {
  float greatest = kLeastLogit;
  for (std::uint32_t i = 0; i < kChunk; ++i)
    for (std::uint32_t b = 0; b < kBinsPerThread; ++b) greatest = larger(chunk.at(i, b), greatest);
  if (delegate != nullptr) *delegate = greatest;
  if (greatest > p.greatest) {
    p.greatest = greatest;
    p.chunk = index;
    if ((greatest - p.reference) * unit.slope > kHeadroom) {
      const float factor = x.exp2(unit.raise(greatest, p));
      for (float& sum : p.sum) sum *= factor;
    }
  }
  for (std::uint32_t b = 0; b < kBinsPerThread; ++b) {
    static_assert(kChunk == 4);
    const auto term = [&](std::uint32_t i) { return x.exp2(unit.exponent(chunk.at(i, b), p)); };
    p.sum[b] += (term(0) + term(1)) + (term(2) + term(3));
  }
}

/// Where a thread's chunks lie that are inside the vocabulary and at 16-byte boundaries: nearly all of them, and without a question asked of each packet.
template <DType D>
struct Straight {
  static constexpr std::uint32_t kStride = core::kBins * Element<D>::kBytes, kPackets = Chunk<D>::kPackets;
  const std::byte* first;      ///< of chunk 0
  std::uint32_t apart, inside; ///< bytes between a stride's packets; chunks
  HEIRMARK_HD_INLINE Straight(const RowData<D>& row, const Shape& shape, std::uint32_t slice, std::uint32_t lane)
      : first(row.data + (slice * shape.bins() + Bins<D>::local(shape, lane, 0)) * Element<D>::kBytes),
        apart(shape.bins() / kPackets * Element<D>::kBytes),
        inside(reinterpret_cast<std::uintptr_t>(row.data) % 16 == 0 ? row.vocab / (kChunk * core::kBins) : 0) {}
  /// f(place among the packets, address)
  template <class F>
  HEIRMARK_HD_INLINE void each_packet(std::uint32_t chunk, const F& f) const {
    const std::byte* const at = first + std::uint64_t{chunk} * (kChunk * kStride);
    for (std::uint32_t i = 0; i < kChunk; ++i)
      for (std::uint32_t q = 0; q < kPackets; ++q) f(i * kPackets + q, at + i * kStride + q * apart);
  }
};

/// Threads that do something else before the pass ask for their first two chunks.
template <DType D, class X>
HEIRMARK_HD_INLINE void prefetch_chunks(X& x, unsigned t, const RowData<D>& row, const Shape& shape, std::uint32_t slice) {
  const Straight<D> straight(row, shape, slice, shape.lane_of(t));
  std::uint32_t chunk = shape.group_of(t);
  for (std::uint32_t i = 0; i < 2 && chunk < straight.inside; ++i, chunk += shape.groups()) straight.each_packet(chunk, [&](std::uint32_t, const std::byte* at) { x.prefetch(at); });
}

/// One thread's way down the slice.
template <bool kCareful, DType D, class X>
HEIRMARK_HD_INLINE Partial pass_of(X& x, unsigned t, const RowData<D>& row, const Shape& shape, std::uint32_t slice, float slope, float* delegates) {
  const std::uint32_t lane = shape.lane_of(t), groups = shape.groups();
  Unit<kCareful> unit(slope);
  Chunk<D> logits;
  Partial p{};
  p.reference = p.greatest = kLeastLogit;
  std::uint32_t chunk = shape.group_of(t);
  p.chunk = chunk < shape.chunks ? chunk : 0xFFFFFFFFu;
  if (delegates != nullptr) delegates += chunk * kLanes + slice * shape.lanes() + lane;
  const auto add = [&] {
    add_chunk(x, logits, chunk, delegates, unit, p);
    chunk += groups;
    if (delegates != nullptr) delegates += groups * kLanes;
  };
  if (!kCareful) {
    const Straight<D> straight(row, shape, slice, lane);
    while (chunk < straight.inside) {
      straight.each_packet(chunk, [&](std::uint32_t i, const std::byte* at) { logits.packets[i] = x.load(at); });
      add();
    }
  }
  while (chunk < shape.chunks) {
    load_chunk(x, row, shape, slice, lane, chunk, logits);
    add();
  }
  // To the thread's own greatest first: the reference may be below it, and one step to the slice's could then lose too much.
  const float factor = x.exp2(unit.last(p));
  for (float& sum : p.sum) sum *= factor;
  return p;
}

template <DType D, class X>
HEIRMARK_HD_COLD void pass_carefully(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, float slope, typename X::template State<Partial>& partial) {
  x.each([&](unsigned t) { partial[t] = pass_of<true>(x, t, row, shape, slice, slope, nullptr); });
}

/// A slice's greatest logit, and whether some sum is none.
struct Outcome {
  float greatest;
  std::uint32_t damaged;
};
struct Worst {
  HEIRMARK_HD_INLINE Outcome operator()(const Outcome& a, const Outcome& b) const { return {a.greatest > b.greatest ? a.greatest : b.greatest, a.damaged | b.damaged}; }
  template <class W>
  HEIRMARK_HD_INLINE Outcome warp(W& w, const Outcome& v) const { return {Largest{}.warp(w, v.greatest), w.any(v.damaged)}; }
};

/// partial[t] of every thread; returns the slice's greatest logit, -FLT_MAX if it has none, and then sums say nothing. `delegates` may be null: else
/// the greatest logit of each chunk and lane of this slice, -FLT_MAX for none.
template <DType D, class X>
HEIRMARK_HD_INLINE float pass(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, float slope, float* delegates,
                              typename X::template State<Partial>& partial) {
  typename X::template State<Outcome> outcome;
  x.each([&](unsigned t) {
    partial[t] = pass_of<false>(x, t, row, shape, slice, slope, delegates);
    float all = 0;
    for (const float sum : partial[t].sum) all += sum;
    outcome[t] = {partial[t].greatest, all == all ? 0u : 1u};
  });
  const Outcome worst = x.reduce(outcome, Worst{});
  const float size = worst.greatest < 0 ? -worst.greatest : worst.greatest;
  if (worst.damaged != 0 || (worst.greatest != kLeastLogit && size * slope >= kReach)) {
    typename X::template State<Partial> again;  // by reference, where `partial` stays in registers
    pass_carefully(x, row, shape, slice, slope, again);
    x.each([&](unsigned t) { partial[t] = again[t]; });
  }
  return worst.greatest;
}

/// Smallest id with the slice's greatest logit, NaN where every logit is NaN or -inf: 0xFFFFFFFF.
template <DType D, class X>
HEIRMARK_HD_INLINE std::uint32_t first_of(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, float greatest,
                                          const typename X::template State<Partial>& partial) {
  typename X::template State<std::uint32_t> id;
  x.each([&](unsigned t) {
    id[t] = 0xFFFFFFFFu;
    const Partial& p = partial[t];
    if (p.greatest != greatest || p.chunk == 0xFFFFFFFFu) return;
    Chunk<D> logits;
    load_chunk(x, row, shape, slice, shape.lane_of(t), p.chunk, logits);
    for (std::uint32_t i = 0; i < kChunk; ++i)
      for (std::uint32_t b = 0; b < kBinsPerThread; ++b) {
        const std::uint32_t v = (p.chunk * kChunk + i) * core::kBins + slice * shape.bins() + Bins<D>::local(shape, shape.lane_of(t), b);
        if (logits.at(i, b) == greatest && v < id[t]) id[t] = v;
      }
  });
  return x.reduce(id, Smallest{});
}

/// sums[b] of the slice's bins, in units of e^(greatest / T). `sums` is shared memory for 2,048 floats.
template <DType D, class X>
HEIRMARK_HD_INLINE void gather(X& x, const Shape& shape, float greatest, float slope, const typename X::template State<Partial>& partial, float* sums) {
  const std::uint32_t bins = shape.bins();
  x.each([&](unsigned t) {
    const Partial& p = partial[t];
    const float factor = x.exp2(exponent_of(p.greatest, greatest, slope));
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) sums[shape.group_of(t) * bins + Bins<D>::local(shape, shape.lane_of(t), i)] = p.sum[i] * factor;
  });
  x.sync();
  if (shape.groups() == 1) return;
  x.each([&](unsigned t) {
    for (std::uint32_t b = t; b < bins; b += kThreads) {
      float sum = sums[b];
      for (std::uint32_t g = 1; g < shape.groups(); ++g) sum += sums[g * bins + b];
      sums[b] = sum;
    }
  });
  x.sync();
}

}  // namespace heirmark::kernels
