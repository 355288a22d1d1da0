// Kernels that do one thing wrong each, and some that do it right: what the emulator must find, and must not.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace heirmark::emulator {

/// One block of 64 threads, unless it says otherwise; `memory` has 64 words, of which the first 32 are defined.
enum class Deed : std::uint8_t {
  // Right
  exchange_in_block, exchange_in_warp, count_together, last_block_reads, warp_sum, calls, early_leavers,
  // Wrong
  write_behind_allocation, read_behind_allocation, read_undefined, misaligned, null_pointer, behind_shared_variable, no_barrier, no_warp_barrier, overwrite_what_others_read,
  mixed_with_atomic, atomic_after_plain, read_other_block, read_other_block_without_fence, barrier_of_some, barrier_after_leaving, shuffle_with_absent, stale_cache, local_of_another, too_many_threads,
};

/// Launches it on the default stream and waits.
cudaError_t commit(Deed deed, std::uint32_t* memory);

/// What arithmetic.cuh computes, for 32 inputs a block.
cudaError_t compute(const std::uint64_t* inputs, std::uint64_t* results, std::uint32_t count);

}  // namespace heirmark::emulator
