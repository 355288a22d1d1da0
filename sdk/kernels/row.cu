#include "kernels/row.cuh"

#include "kernels/device.hpp"

namespace heirmark::kernels {

__global__ void row_words(const core::KeyWords* keys, core::Domain domain, std::uint32_t rows, std::uint32_t* words) {
  constexpr std::uint32_t kBlocks = core::kBins / 16;
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows * kBlocks) return;
  std::uint32_t block[16];
  core::stream_block(keys[i / kBlocks], domain, i % kBlocks, block);
  for (std::uint32_t k = 0; k < 16; ++k) words[16 * i + k] = block[k];
}

__global__ void race_times(const std::uint64_t* words, const double* x, std::uint32_t count, double* out) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = core::d_div(core::neg_log1m(words[i]), core::exp_neg(x[i]));
}

bool device_available() noexcept {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

}  // namespace heirmark::kernels
