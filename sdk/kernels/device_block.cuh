// The executor of the block algorithms on the GPU (kernels/block.hpp).
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/block.hpp"

namespace heirmark::kernels {

class DeviceBlock {
 public:
  static constexpr unsigned kWarp = 32, kWarps = kThreads / kWarp;
  /// Shared memory of reduce(): one value a warp, twice, so that one reduction does not disturb the last one's readers.
  struct Scratch {
    std::uint32_t words[2][kWarps][4];
    std::uint32_t last;
  };
  /// One word of each of a warp's threads (block.hpp, "Operations").
  struct Warp {
    __device__ __forceinline__ std::uint32_t least(std::uint32_t v) const { return __reduce_min_sync(0xFFFFFFFFu, v); }
    __device__ __forceinline__ std::uint32_t greatest(std::uint32_t v) const { return __reduce_max_sync(0xFFFFFFFFu, v); }
    __device__ __forceinline__ std::uint32_t sum(std::uint32_t v) const { return __reduce_add_sync(0xFFFFFFFFu, v); }
    __device__ __forceinline__ std::uint32_t any(std::uint32_t v) const { return __reduce_or_sync(0xFFFFFFFFu, v); }
  };

  /// A register of this thread; there is no other thread's to see.
  template <class T>
  class State {
   public:
    __device__ __forceinline__ T& operator[](unsigned) { return value_; }
    __device__ __forceinline__ const T& operator[](unsigned) const { return value_; }

   private:
    T value_;
  };

  explicit __device__ __forceinline__ DeviceBlock(Scratch& scratch) : scratch_(scratch) {}

  template <class F>
  __device__ __forceinline__ void each(const F& f) { f(threadIdx.x); }
  __device__ __forceinline__ void sync() { __syncthreads(); }
  __device__ __forceinline__ void sync_warp() { __syncwarp(); }
  template <class F>
  __device__ __forceinline__ void each_upper(const F& f) {
    constexpr unsigned kUpper = kThreads / 2;
    if (threadIdx.x < kThreads - kUpper) return;
    asm volatile("bar.sync 1, %0;" ::"n"(kUpper) : "memory");
    f(threadIdx.x);
  }

  template <class F>
  __device__ __forceinline__ void first_warp(const F& f) {
    if (threadIdx.x < kWarp) f(*this);
  }

  template <class T, class Op>
  __device__ __forceinline__ T reduce(const State<T>& state, const Op& op) {
    Bits<T> own;
    own.value = in_warp(state[threadIdx.x], op);
    auto& words = scratch_.words[turn_];
    turn_ ^= 1;
    const unsigned lane = threadIdx.x % kWarp;
    if (lane == 0)
      for (unsigned i = 0; i < Bits<T>::kWords; ++i) words[threadIdx.x / kWarp][i] = own.word[i];
    __syncthreads();
    if constexpr (kHasWarp<T, Op>) {
      Bits<T> of_warp;
      for (unsigned i = 0; i < Bits<T>::kWords; ++i) of_warp.word[i] = words[lane % kWarps][i];
      if constexpr (requires { op.identity(); }) {
        if (lane >= kWarps) of_warp.value = op.identity();
      }
      return in_warp(of_warp.value, op);
    } else {
      Bits<T> all;
      for (unsigned i = 0; i < Bits<T>::kWords; ++i) all.word[i] = words[0][i];
#pragma unroll
      for (unsigned warp = 1; warp < kWarps; ++warp) {
        Bits<T> other;
        for (unsigned i = 0; i < Bits<T>::kWords; ++i) other.word[i] = words[warp][i];
        all.value = op(all.value, other.value);
      }
      return all.value;
    }
  }
  template <std::uint32_t kCount>
  __device__ __forceinline__ Words<kCount> sum_warp(const State<Words<kCount>>& state) {
    Words<kCount> sum{};
#pragma unroll
    for (std::uint32_t i = 0; i < kCount; ++i) sum.n[i] = __reduce_add_sync(0xFFFFFFFFu, state[threadIdx.x].n[i]);
    return sum;
  }
  __device__ __forceinline__ std::uint64_t scan(State<std::uint64_t>& state) {
    const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    Bits<std::uint64_t> own;
    own.value = state[threadIdx.x];
#pragma unroll
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      Bits<std::uint64_t> other;
      for (unsigned i = 0; i < 2; ++i) other.word[i] = __shfl_up_sync(0xFFFFFFFFu, own.word[i], distance);
      own.value += lane >= distance ? other.value : 0;
    }
    auto& words = scratch_.words[turn_];
    turn_ ^= 1;
    if (lane == kWarp - 1)
      for (unsigned i = 0; i < 2; ++i) words[warp][i] = own.word[i];
    __syncthreads();
    std::uint64_t all = 0;
#pragma unroll
    for (unsigned w = 0; w < kWarps; ++w) {
      if (w == warp) state[threadIdx.x] = all + own.value;
      Bits<std::uint64_t> of_warp;
      for (unsigned i = 0; i < 2; ++i) of_warp.word[i] = words[w][i];
      all += of_warp.value;
    }
    return all;
  }
  /// By each warp for itself.
  template <class T, class F, class Op>
  __device__ __forceinline__ T fold(std::uint32_t count, const F& f, const Op& op, T none) {
    for (std::uint32_t i = threadIdx.x % kWarp; i < count; i += kWarp) none = op(none, f(i));
    __syncwarp();
    return in_warp(none, op);
  }

  __device__ __forceinline__ float exp2(float z) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(z));
    return y;
  }
  __device__ __forceinline__ float log2(float f) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(f));
    return y;
  }
  __device__ __forceinline__ float reciprocal(float f) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(f));
    return y;
  }
  __device__ __forceinline__ void prefetch(const std::byte* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }
  /// Logits are read once: they should not push anything out of the first cache.
  __device__ __forceinline__ Packet load(const std::byte* p) {
    Packet packet;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(packet.w[0]), "=r"(packet.w[1]), "=r"(packet.w[2]), "=r"(packet.w[3])
                 : "l"(p));
    return packet;
  }
  __device__ __forceinline__ std::uint32_t add(std::uint32_t* word, std::uint32_t n) { return atomicAdd(word, n); }
  __device__ __forceinline__ std::uint64_t add(std::uint64_t* word, std::uint64_t n) {
    return atomicAdd(reinterpret_cast<unsigned long long*>(word), static_cast<unsigned long long>(n));
  }
  __device__ __forceinline__ std::uint32_t arrive(std::uint32_t* ticket) {
    __syncthreads();  // what the block wrote comes before thread 0's fence, and by it before the ticket
    if (threadIdx.x == 0) {
      __threadfence();
      scratch_.last = atomicAdd(ticket, 1u);
      __threadfence();  // and what other blocks wrote before their tickets comes before what this one reads from here on
    }
    __syncthreads();
    return scratch_.last;
  }

 private:
  template <class T>
  union Bits {
    static constexpr unsigned kWords = sizeof(T) / sizeof(std::uint32_t);
    static_assert(kWords * sizeof(std::uint32_t) == sizeof(T) && kWords <= 4, "a value of 4, 8, 12 or 16 bytes");
    std::uint32_t word[kWords];
    T value;
    __device__ Bits() {}
  };
  template <class T, class Op>
  static constexpr bool kHasWarp = requires(const Op& op, Warp& w, const T& v) { op.warp(w, v); };

  /// op over the values of a warp's threads.
  template <class T, class Op>
  __device__ __forceinline__ T in_warp(const T& value, const Op& op) {
    if constexpr (kHasWarp<T, Op>) {
      Warp warp;
      return op.warp(warp, value);
    } else {
      Bits<T> own;
      own.value = value;
#pragma unroll
      for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        Bits<T> other;
#pragma unroll
        for (unsigned i = 0; i < Bits<T>::kWords; ++i) other.word[i] = __shfl_xor_sync(0xFFFFFFFFu, own.word[i], distance);
        own.value = op(own.value, other.value);
      }
      return own.value;
    }
  }

  Scratch& scratch_;
  unsigned turn_ = 0;
};

}  // namespace heirmark::kernels
