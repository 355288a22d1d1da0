// The build without CUDA: there is never a device.
#include "kernels/device.hpp"

namespace heirmark::kernels {

bool device_available() noexcept { return false; }

}  // namespace heirmark::kernels
