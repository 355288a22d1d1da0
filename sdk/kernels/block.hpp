// How the kernels' algorithms are written: as the work of one block of threads, for an executor X.
//
// The same source runs on the GPU (device_block.cuh) and, thread after thread, on the CPU (tests/unit/kernels/serial_block.hpp), where the
// tests compare it with the reference. An algorithm is a sequence of phases. Within a phase threads know nothing of each other; what
// crosses from one thread to another goes through shared memory, and x.sync() stands between.
//
//   X::State<T> s;           a T for each thread that lives from phase to phase: s[t]; a register on the GPU
//   x.each([&](u t) {..});   a phase: every thread t < kThreads runs it; on the CPU in an arbitrary order
//   x.sync();  x.sync_warp();
//   x.each_upper([&](u t) {..});  a phase of threads kThreads / 2 and up, which wait for each other first
//   x.first_warp([&](auto& warp) {..});  what threads 0 .. 31 do together, by warp.each, warp.reciprocal and warp.sum_warp(s), which sums each word of s[t] and is the
//                            same for each of them; the other threads do not wait
//   x.reduce(s, op)          op over all s[t], the same value for every thread, with one x.sync() inside; op is commutative and associative, or
//                            serves a bound
//   x.fold(n, f, op, none)   op over f(0) .. f(n - 1) and `none`, the same value for every thread, without a barrier: for a few values that lie in
//                            shared memory already
//   x.scan(s)                s[t] becomes the sum of s[0] .. s[t]; returns that of all, with one x.sync() inside; 64-bit words
//   x.exp2(z), x.log2(f), x.reciprocal(f)
//                            approximations, with the errors below; nothing that decides a token rests on them alone
//   x.load(p)                16 bytes at a 16-byte boundary, read once
//   x.prefetch(p)            says that p will be loaded
//   x.add(&word, n)          atomic addition in shared memory; returns what was there
//   x.arrive(&word)          the same in global memory, after everything that this block wrote there; the last one may read it
//
// Everything outside `each` is computed by all threads alike: it may depend on shared memory only between two x.sync().
#pragma once
#include <concepts>
#include <cstdint>

#include "core/half.hpp"
#include "core/hd.hpp"

namespace heirmark::kernels {

inline constexpr unsigned kThreads = 256;

/// What the algorithms assume of x.exp2(z): relative error below 2^-22 for -126 <= z <= 128; a result below 2^-126 may be 0, that of -infinity
/// is; that of NaN is NaN. And of x.log2(f), f > 0: absolute error below 2^-22 in [1/2, 2], else relative error below 2^-22. These are the errors of
/// ex2.approx.ftz.f32 and lg2.approx.ftz.f32 (PTX ISA 9, "Floating point instructions"). And of x.reciprocal(f), f and 1/f normal: relative error below
/// 2^-22, where rcp.approx.ftz.f32 has 2^-23. Tests bend all by as much.
inline constexpr double kApproximationError = 0x1p-22;

// ---- Operations of reduce and fold
//
// An operation may say how a warp does it with instructions of its own: warp(w, v) combines the v of 32 threads by w.least, w.greatest, w.sum and
// w.any, each over one 32-bit word of all. identity() is what changes nothing; one that has none gives a for (a, a).

/// Bits of a number that is no NaN, in an order that is the numbers' as integers without sign; -0 below 0.
HEIRMARK_HD_INLINE std::uint32_t rising(float x) {
  const std::uint32_t bits = core::float_bits(x);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
HEIRMARK_HD_INLINE float of_rising(std::uint32_t order) { return core::float_from_bits((order & 0x80000000u) != 0 ? order & 0x7FFFFFFFu : ~order); }

struct Largest {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(const T& a, const T& b) const { return a > b ? a : b; }
  template <class W, std::same_as<std::uint32_t> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const { return w.greatest(v); }
  template <class W, std::same_as<float> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const { return of_rising(w.greatest(rising(v))); }
  template <class W, std::same_as<std::uint64_t> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const {
    const std::uint32_t high = w.greatest(static_cast<std::uint32_t>(v >> 32)), low = static_cast<std::uint32_t>(v);
    return std::uint64_t{high} << 32 | w.greatest(v >> 32 == high ? low : 0);
  }
};
struct Smallest {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(const T& a, const T& b) const { return b < a ? b : a; }
  template <class W, std::same_as<std::uint32_t> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const { return w.least(v); }
  template <class W, std::same_as<float> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const { return of_rising(w.least(rising(v))); }
  template <class W, class T>
  HEIRMARK_HD_INLINE auto warp(W& w, const T& v) const -> decltype(T::least(w, v)) { return T::least(w, v); }
};
struct Sum {
  template <class T>
  HEIRMARK_HD_INLINE T operator()(const T& a, const T& b) const { return a + b; }
  template <class W, std::same_as<std::uint32_t> T>
  HEIRMARK_HD_INLINE T warp(W& w, T v) const { return w.sum(v); }
  HEIRMARK_HD_INLINE std::uint32_t identity() const { return 0; }
};

/// Words that are summed modulo 2^32.
template <std::uint32_t kCount>
struct Words { std::uint32_t n[kCount]; };

/// 16 bytes as they lie in memory.
struct Packet { std::uint32_t w[4]; };

}  // namespace heirmark::kernels
