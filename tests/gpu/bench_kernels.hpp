// The kernels that gpu_bench brings along: logits like a language model's, and the least that anybody must do, reading them once.
#pragma once
#include <cstddef>
#include <cstdint>

#include <heirmark/sampler.hpp>

namespace heirmark::gpu {

/// Fills `elements` logits of a type: a crowd with standard deviation 2, and one token in 1,024 up to 12 above it. On `stream` (cudaStream_t).
void launch_fill(void* logits, DType dtype, std::size_t elements, std::uint64_t seed, void* stream);

/// Ways to read `bytes` (a multiple of 16, at a multiple of 16) once and to find the greatest 32-bit word: blocks of a grid stride along the
/// buffer, or each has a part of its own; with more or fewer loads in flight. Which of them is fastest depends on the size.
inline constexpr unsigned kFloors = 10;
[[nodiscard]] const char* floor_name(unsigned which);
/// `out` holds a word for each block, at most 2^16.
void launch_floor(unsigned which, const void* logits, std::size_t bytes, std::uint32_t* out, unsigned processors, void* stream);

}  // namespace heirmark::gpu
