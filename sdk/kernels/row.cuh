// The shared core on the device: what every GPU kernel of the mark is made of (specs/prf.md, specs/marks.md).
#pragma once
#include "core/context.hpp"
#include "core/dmath.hpp"
#include "core/stream.hpp"

namespace heirmark::kernels {

/// Coarse words of a row: one thread a block of 16 words, 128 threads a row. keys[row] is the row's HChaCha20 key.
__global__ void row_words(const core::KeyWords* keys, core::Domain domain, std::uint32_t rows, std::uint32_t* words);

/// out[i] = -ln(1 - u) of words[i] / e^x[i], x <= 0: the exact time of the race, with the CPU's bits.
__global__ void race_times(const std::uint64_t* words, const double* x, std::uint32_t count, double* out);

}  // namespace heirmark::kernels
