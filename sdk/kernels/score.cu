#include "kernels/score.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/device_block.cuh"
#include "kernels/score_tile.hpp"

namespace heirmark::kernels {
namespace {

/// Blocks that a processor holds at least: 64 registers a thread; 80 where the rare exact score is called, which must find the others saved
/// and nothing spilled. Four chains of a quarter round in each of 24 warps are more than the latencies need.
template <heirmark::Scheme S>
constexpr unsigned kScoreResident = S == heirmark::Scheme::gumbel ? 3 : 4;

template <heirmark::Scheme S, bool kWeighted>
__global__ void __launch_bounds__(kThreads, kScoreResident<S>) score_kernel(const __grid_constant__ ScoreBatch batch) {
  __shared__ ScoreShared shared;
  __shared__ DeviceBlock::Scratch scratch;
  DeviceBlock x(scratch);
  score_tile<S, kWeighted>(x, batch, batch.first + blockIdx.x, shared);
}

using Kernel = void (*)(ScoreBatch);

template <heirmark::Scheme S>
Kernel kernel_of(bool weighted) { return weighted ? score_kernel<S, true> : score_kernel<S, false>; }

Kernel kernel_of(const ScoreRule& rule) {
  switch (rule.scheme) {
    case heirmark::Scheme::greenlist: return kernel_of<heirmark::Scheme::greenlist>(rule.weighted);
    case heirmark::Scheme::tournament: return kernel_of<heirmark::Scheme::tournament>(rule.weighted);
    case heirmark::Scheme::gumbel: break;
  }
  return kernel_of<heirmark::Scheme::gumbel>(rule.weighted);
}

Result<void> check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  return Error{ErrorCode::io, std::string("CUDA device: ") + what + ": " + cudaGetErrorString(error)};
}

void wipe(void* memory, std::size_t bytes) noexcept {
  std::memset(memory, 0, bytes);
  asm volatile("" : : "r"(memory) : "memory");
}

class CudaDevice final : public ScoreDevice {
 public:
  Result<void> open() {
    int devices = 0;
    if (auto ok = check(cudaGetDeviceCount(&devices), "looking for a GPU"); !ok) return ok;
    if (devices == 0) return Error{ErrorCode::io, "CUDA device: this machine has none"};
    if (auto ok = check(cudaSetDevice(0), "choosing the GPU"); !ok) return ok;
    cudaFuncAttributes attributes;
    if (auto ok = check(cudaFuncGetAttributes(&attributes, score_kernel<heirmark::Scheme::gumbel, false>), "loading the kernels"); !ok) return ok;
    if (auto ok = check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); !ok) return ok;
    return check(cudaMallocHost(&staging_, kStaging), "allocating host memory");
  }
  ~CudaDevice() override {
    if (staging_ != nullptr) cudaFreeHost(staging_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  CudaDevice() = default;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  Result<std::uint64_t> free_bytes() override {
    std::size_t free = 0, total = 0;
    if (auto ok = check(cudaMemGetInfo(&free, &total), "asking for its memory"); !ok) return ok.error();
    return std::uint64_t{free};
  }
  Result<void*> allocate(std::size_t bytes) override {
    void* memory = nullptr;
    if (auto ok = check(cudaMalloc(&memory, bytes), "allocating memory"); !ok) return ok.error();
    return memory;
  }
  void release(void* memory) noexcept override {
    cudaStreamSynchronize(stream_);
    cudaFree(memory);
  }
  /// Through pinned memory of our own, which is wiped: the driver would stage keys in memory that nobody wipes.
  Result<void> put(void* to, const void* from, std::size_t bytes) override {
    auto done = put_pieces(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
    wipe(staging_, std::min(kStaging, bytes));
    return done;
  }
  Result<void> get(void* to, const void* from, std::size_t bytes) override {
    if (auto ok = check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from it"); !ok) return ok;
    return wait();
  }
  Result<void> zero(void* memory, std::size_t bytes) override { return check(cudaMemsetAsync(memory, 0, bytes, stream_), "clearing memory"); }
  Result<void> launch(const ScoreBatch& batch, std::uint32_t blocks) override {
    kernel_of(batch.rule)<<<blocks, kThreads, 0, stream_>>>(batch);
    return check(cudaGetLastError(), "starting a kernel");
  }
  Result<void> wait() override { return check(cudaStreamSynchronize(stream_), "waiting for it"); }

 private:
  static constexpr std::size_t kStaging = std::size_t{1} << 20;
  Result<void> put_pieces(std::byte* to, const std::byte* from, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kStaging) {
      const std::size_t now = std::min(kStaging, bytes - at);
      std::memcpy(staging_, from + at, now);
      if (auto ok = check(cudaMemcpyAsync(to + at, staging_, now, cudaMemcpyHostToDevice, stream_), "copying to it"); !ok) return ok;
      if (auto ok = wait(); !ok) return ok;
    }
    return {};
  }
  cudaStream_t stream_ = nullptr;
  void* staging_ = nullptr;
};
}  // namespace

Result<std::unique_ptr<ScoreDevice>> open_score_device() {
  auto device = std::make_unique<CudaDevice>();
  if (auto ok = device->open(); !ok) return ok.error();
  return std::unique_ptr<ScoreDevice>(std::move(device));
}

}  // namespace heirmark::kernels
