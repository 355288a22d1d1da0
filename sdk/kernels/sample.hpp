// Launching the sampling kernels. Host code; no CUDA type appears.
#pragma once
#include "kernels/batch.hpp"

namespace heirmark::kernels {

/// One launch on `stream` (a cudaStream_t): no allocation, no synchronisation, no waiting of one block for another. `truncation` false promises
/// that no row asks for min-p, top-k or top-p; such a request is then `bad_parameter`.
/// Returns null, or what CUDA says is wrong.
[[nodiscard]] const char* launch_sample(const Batch& batch, DType dtype, bool truncation, void* stream) noexcept;

}  // namespace heirmark::kernels
