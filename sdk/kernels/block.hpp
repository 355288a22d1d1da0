// How the kernels' algorithms are written: as the work of one block of threads, for an executor X.
//
// The same source runs on the GPU (device_block.cuh) and, thread after thread, on the CPU (tests/unit/kernels/serial_block.hpp), where the
// tests compare it with the reference. An algorithm is a sequence of phases. Within a phase threads know nothing of each other; what
// crosses from one thread to another goes through shared memory, and x.sync() stands between.
//
//   X::State<T> s;           a T for each thread that lives from phase to phase: s[t]; a register on the GPU
//   x.each([&](u t) {..});   a phase: every thread t < kThreads runs it; on the CPU in an arbitrary order
//   x.sync();  x.sync_warp();
//   x.reduce(s, op)          op over all s[t], the same value for every thread; op is commutative and associative, or serves a bound
//                            (AddCounts of Counts: one instruction each in a warp)
//   x.exp2(z), x.log2(f)     approximations, with the errors below; nothing that decides a token rests on them alone
//   x.load(p)                16 bytes at a 16-byte boundary, read once
//   x.add(&word, n)          atomic addition in shared memory; returns what was there
//   x.arrive(&word)          the same in global memory, after everything that this block wrote there; the last one may read it
//
// Everything outside `each` is computed by all threads alike: it may depend on shared memory only between two x.sync().
#pragma once
#include <cstdint>

#include "core/half.hpp"
#include "core/hd.hpp"

namespace heirmark::kernels {

inline constexpr unsigned kThreads = 256;

/// What the algorithms assume of x.exp2(z): relative error below 2^-22 for -126 <= z <= 128; a result below 2^-126 may be 0, that of -infinity
/// is; that of NaN is NaN. And of x.log2(f), f > 0: absolute error below 2^-22 in [1/2, 2], else relative error below 2^-22. These are the errors of
/// ex2.approx.ftz.f32 and lg2.approx.ftz.f32 (PTX ISA 9, "Floating point instructions"). Tests bend both by as much.
inline constexpr double kApproximationError = 0x1p-22;

/// Four sums modulo 2^32.
struct Counts { std::uint32_t n[4]; };
struct AddCounts {
  HEIRMARK_HD_INLINE Counts operator()(const Counts& a, const Counts& b) const { return {{a.n[0] + b.n[0], a.n[1] + b.n[1], a.n[2] + b.n[2], a.n[3] + b.n[3]}}; }
};

/// 16 bytes as they lie in memory.
struct Packet { std::uint32_t w[4]; };

}  // namespace heirmark::kernels
