// A build without CUDA.
#include "kernels/device.hpp"

namespace heirmark::kernels {
namespace {
constexpr const char* kNone = "this build has no CUDA";
}

const char* device_refuses(int) noexcept { return kNone; }
const char* device_processors(int, std::uint32_t&) noexcept { return kNone; }
DeviceKeys::~DeviceKeys() = default;
const char* DeviceKeys::load(int, const KeyTable&, std::span<const core::KeyWords>) noexcept { return kNone; }
const char* launch_sample(const Batch&, DType, int, void*) noexcept { return kNone; }
const char* launch_zeros(void*, std::size_t, int, void*) noexcept { return kNone; }
const char* launch_taken(const std::uint32_t*, const TokenId*, const Sampled*, std::uint32_t*, std::uint32_t, int, void*) noexcept { return kNone; }
const char* launch_shard(const ShardBatch&, ShardStep, DType, int, void*) noexcept { return kNone; }

}  // namespace heirmark::kernels
