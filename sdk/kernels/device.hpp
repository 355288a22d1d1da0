// The GPU's side of the SDK: host code without a CUDA type. A build without CUDA has all of it and says so when asked.
//
// Functions return null, or what is wrong in CUDA's words. A stream is a cudaStream_t.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/batch.hpp"
#include "kernels/shard.hpp"

namespace heirmark::kernels {

/// Why a device cannot be used: no CUDA in this build, no driver, no device of that number, no kernels for its architecture. Loads the kernels, so that
/// no launch has to.
[[nodiscard]] const char* device_refuses(int device) noexcept;

/// Streaming multiprocessors of a device.
[[nodiscard]] const char* device_processors(int device, std::uint32_t& processors) noexcept;

/// A sampler's keys in memory of a device; wiped when they go.
class DeviceKeys {
 public:
  DeviceKeys() noexcept = default;
  DeviceKeys(const DeviceKeys&) = delete;
  DeviceKeys& operator=(const DeviceKeys&) = delete;
  ~DeviceKeys();
  /// Copies `table` with `issuance` behind it and waits until they are there.
  [[nodiscard]] const char* load(int device, const KeyTable& table, std::span<const core::KeyWords> issuance) noexcept;
  [[nodiscard]] const KeyTable* get() const noexcept { return static_cast<const KeyTable*>(memory_); }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  int device_ = 0;
};

/// One launch: no allocation, no synchronisation, no waiting of one block for another.
[[nodiscard]] const char* launch_sample(const Batch& batch, DType dtype, int device, void* stream) noexcept;

/// `bytes` zeros.
[[nodiscard]] const char* launch_zeros(void* data, std::size_t bytes, int device, void* stream) noexcept;

/// taken[d] = taken_of(first, draft, sampled, d) for d < count.
[[nodiscard]] const char* launch_taken(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t* taken, std::uint32_t count, int device,
                                       void* stream) noexcept;

/// One step of tensor parallelism, one block a row; `dtype` matters to the first two.
enum class ShardStep : std::uint8_t { sum, pick, draw };
[[nodiscard]] const char* launch_shard(const ShardBatch& batch, ShardStep step, DType dtype, int device, void* stream) noexcept;

}  // namespace heirmark::kernels
