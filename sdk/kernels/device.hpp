// The GPU's side of the SDK.
#pragma once

namespace heirmark::kernels {

/// Was this build made with CUDA, and does the machine have a device that it can use? Never fails: no driver means no.
[[nodiscard]] bool device_available() noexcept;

}  // namespace heirmark::kernels
