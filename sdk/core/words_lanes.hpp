// The block function over lanes, one block a lane, written once for the vector instruction sets. L gives the vector type and its
// operations; everything has internal linkage, since each file that includes this is compiled for another instruction set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/rounds_lanes.hpp"
#include "core/words.hpp"

namespace heirmark::core {
namespace {

/// L::kLanes blocks from `first` on.
template <class L>
HEIRMARK_HD_INLINE void lane_blocks(const KeyWords& row, Domain domain, std::uint64_t first, std::uint32_t* out) {
  using V = typename L::V;
  std::uint32_t low[L::kLanes], high[L::kLanes];
  for (std::size_t i = 0; i < L::kLanes; ++i) {
    low[i] = static_cast<std::uint32_t>(first + i);
    high[i] = static_cast<std::uint32_t>((first + i) >> 32);
  }
  const V counter_low = L::load(low), counter_high = L::load(high);
  V x[16];
  for (int k = 0; k < 4; ++k) x[k] = L::set(kSigma[k]);
  for (int k = 0; k < 8; ++k) x[4 + k] = L::set(row.w[k]);
  x[12] = counter_low;
  x[13] = counter_high;
  x[14] = L::set(domain.w[0]);
  x[15] = L::set(domain.w[1]);
  lane_rounds<L>(x);
  for (int k = 0; k < 4; ++k) x[k] = L::add(x[k], L::set(kSigma[k]));
  for (int k = 0; k < 8; ++k) x[4 + k] = L::add(x[4 + k], L::set(row.w[k]));
  x[12] = L::add(x[12], counter_low);
  x[13] = L::add(x[13], counter_high);
  x[14] = L::add(x[14], L::set(domain.w[0]));
  x[15] = L::add(x[15], L::set(domain.w[1]));
  L::store_blocks(x, out);
}

template <class L>
HEIRMARK_HD_INLINE void all_blocks(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out) {
  std::size_t done = 0;
  for (; done + L::kLanes <= count; done += L::kLanes) lane_blocks<L>(row, domain, first + done, out + kBlockWords * done);
  if (done < count) {
    std::uint32_t rest[kBlockWords * L::kLanes];
    lane_blocks<L>(row, domain, first + done, rest);
    std::memcpy(out + kBlockWords * done, rest, (count - done) * kBlockWords * sizeof rest[0]);
  }
}

}  // namespace
}  // namespace heirmark::core
