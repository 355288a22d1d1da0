#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "bench_kernels.hpp"

namespace heirmark::gpu {
namespace {

__device__ __forceinline__ std::uint64_t mix(std::uint64_t x) {  // SplitMix64's finalizer
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

template <class T>
__global__ void fill_kernel(T* logits, std::size_t elements, std::uint64_t seed) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step) {
    const std::uint64_t word = mix(seed + 0x9E3779B97F4A7C15ull * (i + 1));
    const float u = (static_cast<float>(static_cast<std::uint32_t>(word) >> 8) + 0.5f) * 0x1p-24f, angle = static_cast<float>(static_cast<std::uint32_t>(word >> 32) >> 8) * 0x1p-24f;
    float x = 2.0f * sqrtf(-2.0f * logf(u)) * cospif(2.0f * angle);
    const std::uint64_t head = mix(word);
    if ((head & 1023) == 0) x += 12.0f * static_cast<float>(static_cast<std::uint32_t>(head >> 40)) * 0x1p-24f;
    logits[i] = static_cast<T>(x);
  }
}

__device__ __forceinline__ uint4 load(const uint4* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
__device__ __forceinline__ std::uint32_t greatest(std::uint32_t so_far, uint4 v) { return max(max(max(so_far, v.x), max(v.y, v.z)), v.w); }

/// kStrided: neighbouring blocks read neighbouring memory all the way; else each block has one contiguous part.
template <unsigned kThreads, unsigned kUnroll, bool kStrided>
__global__ void __launch_bounds__(kThreads) floor_kernel(const uint4* data, std::size_t count, std::uint32_t* out) {
  constexpr std::size_t kTile = kThreads * kUnroll;
  const std::size_t tiles = (count + kTile - 1) / kTile, own = (tiles + gridDim.x - 1) / gridDim.x;
  const std::size_t begin = kStrided ? blockIdx.x : blockIdx.x * own, step = kStrided ? gridDim.x : 1;
  const std::size_t end = kStrided ? tiles : min(tiles, begin + own);
  std::uint32_t most = 0;
  for (std::size_t tile = begin; tile < end; tile += step) {
    const std::size_t at = tile * kTile + threadIdx.x;
    uint4 v[kUnroll];
    if (tile * kTile + kTile <= count) {
#pragma unroll
      for (unsigned i = 0; i < kUnroll; ++i) v[i] = load(data + at + i * kThreads);
#pragma unroll
      for (unsigned i = 0; i < kUnroll; ++i) most = greatest(most, v[i]);
    } else {
#pragma unroll
      for (unsigned i = 0; i < kUnroll; ++i)
        if (at + i * kThreads < count) most = greatest(most, load(data + at + i * kThreads));
    }
  }
  most = __reduce_max_sync(0xFFFFFFFFu, most);
  __shared__ std::uint32_t warps[kThreads / 32];
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = most;
  __syncthreads();
  if (threadIdx.x < 32) {
    most = threadIdx.x < kThreads / 32 ? warps[threadIdx.x] : 0;
    most = __reduce_max_sync(0xFFFFFFFFu, most);
    if (threadIdx.x == 0) out[blockIdx.x] = most;
  }
}

struct Floor {
  const char* name;
  void (*kernel)(const uint4*, std::size_t, std::uint32_t*);
  unsigned threads, unroll, per_processor;  ///< per_processor 0: a block for each tile
};
const Floor kKinds[kFloors] = {
    {"strided, 256 x 4, 8 blocks", floor_kernel<256, 4, true>, 256, 4, 8}, {"strided, 256 x 8, 4 blocks", floor_kernel<256, 8, true>, 256, 8, 4},
    {"strided, 512 x 4, 4 blocks", floor_kernel<512, 4, true>, 512, 4, 4}, {"strided, 1024 x 4, 2 blocks", floor_kernel<1024, 4, true>, 1024, 4, 2},
    {"strided, 256 x 2, 8 blocks", floor_kernel<256, 2, true>, 256, 2, 8}, {"strided, 512 x 8, 2 blocks", floor_kernel<512, 8, true>, 512, 8, 2},
    {"own part, 256 x 4, 8 blocks", floor_kernel<256, 4, false>, 256, 4, 8}, {"own part, 256 x 8, 4 blocks", floor_kernel<256, 8, false>, 256, 8, 4},
    {"a tile each, 256 x 4", floor_kernel<256, 4, true>, 256, 4, 0}, {"a tile each, 512 x 8", floor_kernel<512, 8, true>, 512, 8, 0}};
constexpr std::size_t kMaxBlocks = 1u << 16;
}  // namespace

void launch_fill(void* logits, DType dtype, std::size_t elements, std::uint64_t seed, void* stream) {
  constexpr unsigned kBlocks = 2048, kThreads = 256;
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case DType::float32: fill_kernel<<<kBlocks, kThreads, 0, cuda_stream>>>(static_cast<float*>(logits), elements, seed); break;
    case DType::bfloat16: fill_kernel<<<kBlocks, kThreads, 0, cuda_stream>>>(static_cast<__nv_bfloat16*>(logits), elements, seed); break;
    case DType::float16: fill_kernel<<<kBlocks, kThreads, 0, cuda_stream>>>(static_cast<__half*>(logits), elements, seed); break;
  }
}

const char* floor_name(unsigned which) { return kKinds[which].name; }

void launch_floor(unsigned which, const void* logits, std::size_t bytes, std::uint32_t* out, unsigned processors, void* stream) {
  const Floor& floor = kKinds[which];
  const std::size_t count = bytes / sizeof(uint4), tile = std::size_t{floor.threads} * floor.unroll, tiles = (count + tile - 1) / tile;
  std::size_t blocks = floor.per_processor == 0 ? tiles : std::size_t{floor.per_processor} * processors;
  blocks = blocks > tiles ? tiles : blocks;
  blocks = blocks > kMaxBlocks ? kMaxBlocks : blocks;
  floor.kernel<<<static_cast<unsigned>(blocks), floor.threads, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<const uint4*>(logits), count, out);
}

}  // namespace heirmark::gpu
