// The executor of the block algorithms on the GPU (kernels/block.hpp).
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/block.hpp"

namespace heirmark::kernels {

class DeviceBlock {
 public:
  static constexpr unsigned kWarp = 32, kWarps = kThreads / kWarp;
  /// Shared memory of reduce(): one value a warp.
  struct Scratch {
    std::uint32_t words[kWarps][4];
    std::uint32_t last;
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

  template <class T, class Op>
  __device__ __forceinline__ T reduce(const State<T>& state, const Op& op) {
    constexpr unsigned kWords = sizeof(T) / sizeof(std::uint32_t);
    static_assert(kWords * sizeof(std::uint32_t) == sizeof(T) && kWords <= 4, "a value of 4, 8, 12 or 16 bytes");
    union Bits {
      std::uint32_t word[kWords];
      T value;
      __device__ Bits() {}
    };
    Bits own;
    own.value = state[threadIdx.x];
    if constexpr (std::is_same_v<Op, AddCounts>) {
#pragma unroll
      for (unsigned i = 0; i < kWords; ++i) own.word[i] = __reduce_add_sync(0xFFFFFFFFu, own.word[i]);
    } else {
#pragma unroll
      for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
        Bits other;
#pragma unroll
        for (unsigned i = 0; i < kWords; ++i) other.word[i] = __shfl_xor_sync(0xFFFFFFFFu, own.word[i], distance);
        own.value = op(own.value, other.value);
      }
    }
    if (threadIdx.x % kWarp == 0)
      for (unsigned i = 0; i < kWords; ++i) scratch_.words[threadIdx.x / kWarp][i] = own.word[i];
    __syncthreads();
    Bits all;
    for (unsigned i = 0; i < kWords; ++i) all.word[i] = scratch_.words[0][i];
#pragma unroll
    for (unsigned warp = 1; warp < kWarps; ++warp) {
      Bits other;
      for (unsigned i = 0; i < kWords; ++i) other.word[i] = scratch_.words[warp][i];
      all.value = op(all.value, other.value);
    }
    __syncthreads();  // the scratch may be used again
    return all.value;
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
  Scratch& scratch_;
};

}  // namespace heirmark::kernels
