// The one pass over a row: sums of its bins, its greatest logit, and the greatest of each chunk, at the speed of memory.
//
// A thread owns the same eight bins all the way down its slice, in registers. Sums are relative to a reference logit of the thread's own,
// raised when a logit rises 64 powers of two above it, so no row overflows and none needs a look ahead.
//
// Errors. Let M be the greatest logit of the slice. A term is 2^z, z = (x - reference) log2(e)/T in float32: rounding of the difference, of
// the product and of log2(e)/T, each 2^-24 |z|, with |z| <= 126: below 1.6e-5 relative; exp2 itself 2^-22; up to 512 terms and 64 groups
// added: 3.5e-5; at most two raises that leave a term above 2^-126, and two changes of unit at the end, 1.6e-5 each. In all below 2e-4
// (kSumError). Terms flushed to zero are below 2^-126 of M's own, all of a bin's 512 together below 2^-117.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/logits.hpp"

namespace heirmark::kernels {

inline constexpr float kSumError = 2e-4f;
inline constexpr float kHeadroom = 64.0f;   ///< powers of two above the reference before it is raised
inline constexpr float kLowest = -200.0f;   ///< exponents from here down give 0
inline constexpr float kLog2E = 1.44269504f;

/// What a thread gathers.
struct Partial {
  float sum[kBinsPerThread];
  float reference, greatest;
  std::uint32_t chunk;  ///< the first one that holds the greatest
};

HEIRMARK_HD_INLINE float exponent_of(float x, float reference, float slope) { return larger((x - reference) * slope, kLowest); }

/// Reads chunk `chunk` of a lane: kChunk strides, its bins of each.
template <DType D, class X>
HEIRMARK_HD_INLINE void load_chunk(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, std::uint32_t lane, std::uint32_t chunk,
                                   Packet (&out)[kChunk * Bins<D>::kPackets]) {
  constexpr std::uint32_t kPer = Element<D>::kPerPacket, kPackets = Bins<D>::kPackets;
  for (std::uint32_t i = 0; i < kChunk; ++i)
    for (std::uint32_t q = 0; q < kPackets; ++q)
      out[i * kPackets + q] = load_tokens<D>(x, row, (chunk * kChunk + i) * core::kBins + slice * shape.bins() + Bins<D>::local(shape, lane, q * kPer));
}

/// partial[t] of every thread; `delegates` may be null: else the greatest logit of each chunk and lane of this slice, -FLT_MAX for none.
template <DType D, class X>
HEIRMARK_HD_INLINE void pass(X& x, const RowData<D>& row, const Shape& shape, std::uint32_t slice, float slope, float* delegates,
                             typename X::template State<Partial>& partial) {
  constexpr std::uint32_t kPer = Element<D>::kPerPacket, kPackets = Bins<D>::kPackets;
  x.each([&](unsigned t) {
    const std::uint32_t lane = t % shape.lanes(), groups = shape.groups();
    Partial p{};
    p.reference = p.greatest = kLeastLogit;
    p.chunk = 0xFFFFFFFFu;
    for (std::uint32_t chunk = t / shape.lanes(); chunk < shape.chunks; chunk += groups) {
      Packet packets[kChunk * kPackets];
      load_chunk<D>(x, row, shape, slice, lane, chunk, packets);
      float greatest = kLeastLogit;
      for (const Packet& packet : packets)
        for (std::uint32_t i = 0; i < kPer; ++i) greatest = larger(Element<D>::of(packet, i), greatest);
      if (delegates != nullptr) delegates[chunk * kLanes + slice * shape.lanes() + lane] = greatest;
      if (greatest > p.greatest || p.chunk == 0xFFFFFFFFu) {
        p.greatest = greatest;
        p.chunk = chunk;
        if ((greatest - p.reference) * slope > kHeadroom) {
          const float factor = x.exp2(exponent_of(p.reference, greatest, slope));
          for (float& sum : p.sum) sum *= factor;
          p.reference = greatest;
        }
      }
      for (std::uint32_t i = 0; i < kChunk; ++i)
        for (std::uint32_t b = 0; b < kBinsPerThread; ++b)
          p.sum[b] += x.exp2(exponent_of(Element<D>::of(packets[i * kPackets + b / kPer], b % kPer), p.reference, slope));
    }
    // To the thread's own greatest first: the reference may be 2^64 below it, and one step to the slice's could then lose too much.
    const float factor = x.exp2(exponent_of(p.reference, p.greatest, slope));
    for (float& sum : p.sum) sum *= factor;
    partial[t] = p;
  });
}

struct Largest {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(T a, T b) const { return a > b ? a : b; }
};
struct Smallest {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(T a, T b) const { return b < a ? b : a; }
};
struct Sum {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(T a, T b) const { return a + b; }
};

/// The slice's greatest logit.
template <class X>
HEIRMARK_HD_INLINE float greatest_of(X& x, const typename X::template State<Partial>& partial) {
  typename X::template State<float> value;
  x.each([&](unsigned t) { value[t] = partial[t].greatest; });
  return x.reduce(value, Largest{});
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
    Packet packets[kChunk * Bins<D>::kPackets];
    load_chunk<D>(x, row, shape, slice, t % shape.lanes(), p.chunk, packets);
    for (std::uint32_t i = 0; i < kChunk; ++i)
      for (std::uint32_t b = 0; b < kBinsPerThread; ++b) {
        const std::uint32_t v = (p.chunk * kChunk + i) * core::kBins + slice * shape.bins() + Bins<D>::local(shape, t % shape.lanes(), b);
        const float logit = Element<D>::of(packets[i * Bins<D>::kPackets + b / Element<D>::kPerPacket], b % Element<D>::kPerPacket);
        if (logit == greatest && v < id[t]) id[t] = v;
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
    for (std::uint32_t i = 0; i < kBinsPerThread; ++i) sums[t / shape.lanes() * bins + Bins<D>::local(shape, t % shape.lanes(), i)] = p.sum[i] * factor;
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
