#include "kernels/sample.hpp"

#include "kernels/device.hpp"
#include "kernels/device_block.cuh"
#include "kernels/row.hpp"

namespace heirmark::kernels {
namespace {

template <bool kTruncation>
struct Memory { using Type = Shared; };
template <>
struct Memory<true> { using Type = SharedTruncate; };

/// Blocks that a processor holds at least: what the compiler may spend on registers follows from it, and nothing may spill.
template <bool kTruncation>
inline constexpr unsigned kResident = kTruncation ? 2 : 3;

/// Block index = row * slices + slice, so that neighbours read the same rows.
template <DType D, bool kTruncation>
__global__ void __launch_bounds__(kThreads, kResident<kTruncation>) sample_kernel(const __grid_constant__ Batch batch) {
  __shared__ typename Memory<kTruncation>::Type shared;
  __shared__ DeviceBlock::Scratch scratch;
  DeviceBlock x(scratch);
  const std::uint32_t slices = batch.shape.slices;
  sample_slice<D, kTruncation>(x, batch, blockIdx.x / slices, blockIdx.x % slices, shared);
}

template <DType D>
void launch(const Batch& batch, bool truncation, cudaStream_t stream) {
  const unsigned blocks = batch.rows * batch.shape.slices;
  if (truncation) {
    sample_kernel<D, true><<<blocks, kThreads, 0, stream>>>(batch);
  } else {
    sample_kernel<D, false><<<blocks, kThreads, 0, stream>>>(batch);
  }
}
}  // namespace

const char* launch_sample(const Batch& batch, DType dtype, bool truncation, void* stream) noexcept {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case DType::float32: launch<DType::float32>(batch, truncation, cuda_stream); break;
    case DType::bfloat16: launch<DType::bfloat16>(batch, truncation, cuda_stream); break;
    case DType::float16: launch<DType::float16>(batch, truncation, cuda_stream); break;
  }
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

bool device_available() noexcept {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

}  // namespace heirmark::kernels
