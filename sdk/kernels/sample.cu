// The kernels of sampling, and the host code that launches them.
#include <cstring>

#include "kernels/device.hpp"
#include "kernels/device_block.cuh"
#include "kernels/row.hpp"
#include "kernels/taken.hpp"

namespace heirmark::kernels {
namespace {

template <bool kFull>
struct Memory { using Type = Shared; };
template <>
struct Memory<true> { using Type = SharedTruncate; };
static_assert(sizeof(SharedTruncate) + sizeof(DeviceBlock::Scratch) <= 48 << 10, "what a kernel may have without asking, and twice in the 100 KB of a small processor");

/// Blocks that a processor holds at least: what the compiler may spend on registers follows from it, and nothing may spill.
template <bool kFull>
inline constexpr unsigned kResident = kFull ? 2 : 3;

/// Block index = row * slices + slice, so that neighbours read the same rows.
template <DType D, bool kFull>
__global__ void __launch_bounds__(kThreads, kResident<kFull>) sample_kernel(const __grid_constant__ Batch batch) {
  __shared__ typename Memory<kFull>::Type shared;
  __shared__ DeviceBlock::Scratch scratch;
  DeviceBlock x(scratch);
  sample_slice<D, kFull>(x, batch, blockIdx.x >> batch.shape.halvings, blockIdx.x & (batch.shape.slices() - 1), shared);
}

template <DType D>
void launch(const Batch& batch, cudaStream_t stream) {
  const unsigned blocks = batch.rows * batch.shape.slices();
  if (batch.needs_full()) {
    sample_kernel<D, true><<<blocks, kThreads, 0, stream>>>(batch);
  } else {
    sample_kernel<D, false><<<blocks, kThreads, 0, stream>>>(batch);
  }
}

template <DType D, ShardStep kStep>
__global__ void __launch_bounds__(kThreads, 2) shard_kernel(const __grid_constant__ ShardBatch batch) {
  __shared__ ShardShared shared;
  __shared__ DeviceBlock::Scratch scratch;
  DeviceBlock x(scratch);
  if constexpr (kStep == ShardStep::sum) shard_sum<D>(x, batch, blockIdx.x, shared);
  if constexpr (kStep == ShardStep::pick) shard_pick<D>(x, batch, blockIdx.x, shared);
  if constexpr (kStep == ShardStep::draw) shard_draw(x, batch, blockIdx.x, shared);
}

template <DType D>
void launch(const ShardBatch& batch, ShardStep step, cudaStream_t stream) {
  switch (step) {
    case ShardStep::sum: shard_kernel<D, ShardStep::sum><<<batch.rows, kThreads, 0, stream>>>(batch); break;
    case ShardStep::pick: shard_kernel<D, ShardStep::pick><<<batch.rows, kThreads, 0, stream>>>(batch); break;
    case ShardStep::draw: shard_kernel<DType::float32, ShardStep::draw><<<batch.rows, kThreads, 0, stream>>>(batch); break;
  }
}

__global__ void taken_kernel(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t* taken, std::uint32_t count) {
  if (const std::uint32_t d = blockIdx.x * blockDim.x + threadIdx.x; d < count) taken[d] = taken_of(first, draft, sampled, d);
}

template <class... Arguments>
const void* kernel_of(void (*kernel)(Arguments...)) noexcept { return reinterpret_cast<const void*>(kernel); }

/// Null, or CUDA's words. The runtime keeps the last error for whoever asks next: it is taken away, lest a later launch be blamed for it.
const char* words_of(cudaError_t error) noexcept {
  if (error == cudaSuccess) return nullptr;
  (void)cudaGetLastError();
  return cudaGetErrorString(error);
}

/// Makes a device the thread's, and afterwards the one that was before.
class OnDevice {
 public:
  explicit OnDevice(int device) noexcept {
    error_ = cudaGetDevice(&before_);
    if (error_ == cudaSuccess && before_ != device) {
      error_ = cudaSetDevice(device);
      changed_ = error_ == cudaSuccess;
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    if (changed_) (void)cudaSetDevice(before_);
  }
  [[nodiscard]] cudaError_t error() const noexcept { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_ = cudaSuccess;
};

/// What a launch left behind.
const char* launched() noexcept { return words_of(cudaGetLastError()); }
}  // namespace

const char* device_refuses(int device) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  cudaFuncAttributes attributes;
  for (const void* kernel : {kernel_of(sample_kernel<DType::float32, false>), kernel_of(sample_kernel<DType::float32, true>), kernel_of(sample_kernel<DType::bfloat16, false>),
                             kernel_of(sample_kernel<DType::bfloat16, true>), kernel_of(sample_kernel<DType::float16, false>), kernel_of(sample_kernel<DType::float16, true>),
                             kernel_of(shard_kernel<DType::float32, ShardStep::sum>), kernel_of(shard_kernel<DType::bfloat16, ShardStep::sum>), kernel_of(shard_kernel<DType::float16, ShardStep::sum>),
                             kernel_of(shard_kernel<DType::float32, ShardStep::pick>), kernel_of(shard_kernel<DType::bfloat16, ShardStep::pick>), kernel_of(shard_kernel<DType::float16, ShardStep::pick>),
                             kernel_of(shard_kernel<DType::float32, ShardStep::draw>), kernel_of(taken_kernel)})
    if (const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel); error != cudaSuccess) return words_of(error);
  return nullptr;
}

const char* device_processors(int device, std::uint32_t& processors) noexcept {
  int count = 0;
  if (const cudaError_t error = cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device); error != cudaSuccess) return words_of(error);
  processors = static_cast<std::uint32_t>(count);
  return nullptr;
}

const char* DeviceKeys::load(int device, const KeyTable& table, std::span<const core::KeyWords> issuance) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  const std::size_t bytes = sizeof table + issuance.size_bytes();
  void* memory = nullptr;
  if (const cudaError_t error = cudaMalloc(&memory, bytes); error != cudaSuccess) return words_of(error);
  memory_ = memory;
  bytes_ = bytes;
  device_ = device;
  KeyTable copy = table;
  copy.accounts = static_cast<std::uint32_t>(issuance.size());
  copy.issuance = reinterpret_cast<const core::KeyWords*>(static_cast<std::byte*>(memory) + sizeof table);
  cudaError_t error = cudaMemcpy(memory, &copy, sizeof copy, cudaMemcpyHostToDevice);
  if (error == cudaSuccess) error = cudaMemcpy(static_cast<std::byte*>(memory) + sizeof table, issuance.data(), issuance.size_bytes(), cudaMemcpyHostToDevice);
  // A copy from memory that is not pinned may return when it is staged; streams that do not wait for this one may launch next.
  if (error == cudaSuccess) error = cudaDeviceSynchronize();
  explicit_bzero(&copy, sizeof copy);
  return words_of(error);
}

DeviceKeys::~DeviceKeys() {
  if (memory_ == nullptr) return;
  const OnDevice on(device_);
  (void)cudaDeviceSynchronize();  // a launch that still runs needs its keys
  (void)cudaMemset(memory_, 0, bytes_);
  (void)cudaFree(memory_);
}

const char* launch_sample(const Batch& batch, DType dtype, int device, void* stream) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case DType::float32: launch<DType::float32>(batch, cuda_stream); break;
    case DType::bfloat16: launch<DType::bfloat16>(batch, cuda_stream); break;
    case DType::float16: launch<DType::float16>(batch, cuda_stream); break;
  }
  return launched();
}

const char* launch_zeros(void* data, std::size_t bytes, int device, void* stream) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  return words_of(cudaMemsetAsync(data, 0, bytes, static_cast<cudaStream_t>(stream)));
}

const char* launch_taken(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t* taken, std::uint32_t count, int device,
                         void* stream) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  constexpr std::uint32_t kBlock = 128;
  taken_kernel<<<(count + kBlock - 1) / kBlock, kBlock, 0, static_cast<cudaStream_t>(stream)>>>(first, draft, sampled, taken, count);
  return launched();
}

const char* launch_shard(const ShardBatch& batch, ShardStep step, DType dtype, int device, void* stream) noexcept {
  const OnDevice on(device);
  if (on.error() != cudaSuccess) return words_of(on.error());
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  switch (dtype) {
    case DType::float32: launch<DType::float32>(batch, step, cuda_stream); break;
    case DType::bfloat16: launch<DType::bfloat16>(batch, step, cuda_stream); break;
    case DType::float16: launch<DType::float16>(batch, step, cuda_stream); break;
  }
  return launched();
}

}  // namespace heirmark::kernels
