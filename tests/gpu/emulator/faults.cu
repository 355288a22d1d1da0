#include "arithmetic.cuh"
#include "faults.hpp"

namespace heirmark::emulator {
namespace {
constexpr unsigned kBlock = 64, kDefined = 32;

__device__ __noinline__ unsigned twice_the_odd(unsigned x) { return x % 2 == 0 ? x : 2 * x; }

template <Deed kDeed>
__global__ void __launch_bounds__(128) kernel(std::uint32_t* memory) {
  __shared__ std::uint32_t words[kBlock];
  __shared__ std::uint32_t other[kBlock];
  __shared__ std::uint32_t* pointer;
  const unsigned t = threadIdx.x, neighbour = t ^ 1, across = t ^ 32;
  if constexpr (kDeed == Deed::exchange_in_block || kDeed == Deed::no_barrier || kDeed == Deed::overwrite_what_others_read) {
    words[t] = t;
    if constexpr (kDeed != Deed::no_barrier) __syncthreads();
    const std::uint32_t seen = words[across];
    if constexpr (kDeed == Deed::exchange_in_block) __syncthreads();
    words[t] = seen + 1;
    __syncthreads();
    if (t < kDefined) memory[t] = words[t];
  }
  if constexpr (kDeed == Deed::exchange_in_warp || kDeed == Deed::no_warp_barrier) {
    words[t] = t;
    if constexpr (kDeed == Deed::exchange_in_warp) __syncwarp();
    if (t < kDefined) memory[t] = words[neighbour];
  }
  if constexpr (kDeed == Deed::count_together || kDeed == Deed::mixed_with_atomic) {
    if (t == 0) words[0] = 0;
    __syncthreads();
    atomicAdd(&words[0], 1u);
    if constexpr (kDeed == Deed::mixed_with_atomic) {
      if (t == 33) words[0] = 7;
    }
    __syncthreads();
    if (t == 0) memory[0] = words[0];
  }
  if constexpr (kDeed == Deed::atomic_after_plain) {
    if (t == 0) words[0] = 0;
    atomicAdd(&words[0], 1u);
    __syncthreads();
    if (t == 0) memory[0] = words[0];
  }
  if constexpr (kDeed == Deed::last_block_reads || kDeed == Deed::read_other_block_without_fence) {
    // memory[0]: the ticket; two blocks.
    if (t % 8 == 0) memory[1 + blockIdx.x * kBlock / 8 + t / 8] = t;
    __syncthreads();
    if (t == 0) {
      if constexpr (kDeed == Deed::last_block_reads) __threadfence();
      words[0] = atomicAdd(&memory[0], 1u);
      if constexpr (kDeed == Deed::last_block_reads) __threadfence();
    }
    __syncthreads();
    if (words[0] == 1 && t == 0) memory[1] = memory[8] + memory[16];
  }
  if constexpr (kDeed == Deed::read_other_block) {
    if (t == 0) {
      memory[1 + blockIdx.x * 4] = 1;
      memory[2 + blockIdx.x * 4] = memory[1 + (blockIdx.x ^ 1) * 4];
    }
  }
  if constexpr (kDeed == Deed::warp_sum) {
    unsigned sum = t;
    for (unsigned distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, distance);
    const unsigned again = __reduce_add_sync(0xFFFFFFFFu, t);
    if (t == 0) memory[0] = sum, memory[1] = again;
  }
  if constexpr (kDeed == Deed::calls) {
    unsigned x = t;
    for (unsigned i = 0; i < t % 5; ++i) x = twice_the_odd(x + i);
    if (t < kDefined) memory[t] = x;
  }
  if constexpr (kDeed == Deed::early_leavers) {
    if (t >= 8) return;
    memory[t] = 3 * t;
  }
  if constexpr (kDeed == Deed::write_behind_allocation) memory[t + 1] = t;
  if constexpr (kDeed == Deed::read_behind_allocation) {
    if (t == 63) memory[0] = memory[t + 1];
  }
  if constexpr (kDeed == Deed::read_undefined) {
    if (t == 0) memory[0] = memory[kDefined];
  }
  if constexpr (kDeed == Deed::misaligned) {
    if (t == 0) memory[0] = *reinterpret_cast<const std::uint32_t*>(reinterpret_cast<const char*>(memory) + 2);
  }
  if constexpr (kDeed == Deed::null_pointer) {
    if (t == 0) *reinterpret_cast<volatile std::uint32_t*>(memory[2]) = 1;
  }
  if constexpr (kDeed == Deed::behind_shared_variable) {
    if (t < 8) words[t + memory[3]] = t;
    other[t] = t;
    __syncthreads();
    memory[0] = words[0] + other[1];
  }
  if constexpr (kDeed == Deed::barrier_of_some) {
    if (t < 16) __syncthreads();
    else if (t == 63) memory[0] = 1;
    __syncthreads();
  }
  if constexpr (kDeed == Deed::barrier_after_leaving) {
    if (t >= 16) return;
    __syncthreads();
    memory[t] = 1;
  }
  if constexpr (kDeed == Deed::shuffle_with_absent) {
    if (t % 32 < 16) memory[t / 32] = __shfl_xor_sync(0xFFFFFFFFu, t, 1);
  }
  if constexpr (kDeed == Deed::stale_cache) {
    if (t < kDefined) memory[t] = t;
    __syncthreads();
    const std::uint32_t seen = __ldg(&memory[neighbour % kDefined]);
    if (t == 0) memory[0] = seen;
  }
  if constexpr (kDeed == Deed::local_of_another) {
    std::uint32_t mine[4] = {t, t, t, t};
    if (t == 0) pointer = &mine[memory[0] % 4];
    __syncthreads();
    if (t == 1) memory[1] = *pointer + mine[memory[1] % 4];
  }
}

template <Deed kDeed>
void launch(std::uint32_t* memory) {
  constexpr bool kBlocks = kDeed == Deed::last_block_reads || kDeed == Deed::read_other_block || kDeed == Deed::read_other_block_without_fence;
  kernel<kDeed><<<kBlocks ? 2 : 1, kDeed == Deed::too_many_threads ? 256 : kBlock>>>(memory);
}

template <unsigned... I>
void launch_one_of(unsigned which, std::uint32_t* memory, std::integer_sequence<unsigned, I...>) {
  (void)((which == I ? (launch<static_cast<Deed>(I)>(memory), true) : false) || ...);
}

__global__ void compute_kernel(const std::uint64_t* inputs, std::uint64_t* results, std::uint32_t count) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) arithmetic(inputs + 3 * i, results + kResults * i);
}
}  // namespace

cudaError_t commit(Deed deed, std::uint32_t* memory) {
  launch_one_of(static_cast<unsigned>(deed), memory, std::make_integer_sequence<unsigned, static_cast<unsigned>(Deed::too_many_threads) + 1>{});
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
  return cudaDeviceSynchronize();
}

cudaError_t compute(const std::uint64_t* inputs, std::uint64_t* results, std::uint32_t count) {
  compute_kernel<<<(count + 31) / 32, 32>>>(inputs, results, count);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
  return cudaDeviceSynchronize();
}

}  // namespace heirmark::emulator
