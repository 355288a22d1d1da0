// What a marked row is measured against: the least that any sampler pays (argmax), an unmarked Gumbel draw made as fast as we know, with a generator of
// no cryptographic strength, and the usual softmax with a draw from its running sum. Rows of float32, bfloat16 or float16.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"
#include "sampler/row.hpp"

namespace heirmark::bench {

/// Generators of the unmarked draws: xorshift, 32 bits, any seeds but 0.
struct Noise { alignas(64) std::uint32_t state[64]; };

struct Peers {
  std::uint32_t (*argmax)(const sampler::RowView& row);
  /// `reference` is a logit near the greatest; a real sampler would have to find it.
  std::uint32_t (*gumbel)(const sampler::RowView& row, float reference, Noise& noise);
  /// `scratch` holds vocab floats and 64 more.
  std::uint32_t (*softmax)(const sampler::RowView& row, Noise& noise, float* scratch);
};

/// The vocabulary must be a multiple of 64.
[[nodiscard]] const Peers& peers(core::InstructionSet set);
extern const Peers kPeersAvx2, kPeersAvx512;

}  // namespace heirmark::bench
