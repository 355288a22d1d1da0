// The build without CUDA: there is never a device.
#include "kernels/device.hpp"
#include "kernels/sample.hpp"

namespace heirmark::kernels {

bool device_available() noexcept { return false; }

const char* launch_sample(const Batch&, DType, bool, void*) noexcept { return "this build has no CUDA kernels"; }

}  // namespace heirmark::kernels
