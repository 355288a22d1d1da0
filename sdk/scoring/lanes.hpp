// The stream over lanes: one window a lane, written once for every instruction set. L gives the vector type and its
// operations:
//   V, kLanes, load, store, set, add, exclusive_or, rotate<N>, shift_right<N>, choose<B>(index, odd, even) by bit B of
//   index.
// Everything here has internal linkage, since each file that includes it is compiled for another instruction set.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/rounds_lanes.hpp"
#include "scoring/kernel.hpp"

namespace heirmark::scoring {
namespace {

#define HEIRMARK_INLINE inline __attribute__((always_inline))

/// Kernel::words. The final addition is made for all sixteen words, then each lane chooses its own.
template <class L>
HEIRMARK_INLINE void lane_words(const core::KeyWords& key, core::Domain domain, const Columns& columns,
                                std::size_t count, std::uint32_t* out) {
  using V = typename L::V;
  const V pad = L::set(core::kPad);
  for (std::size_t i = 0; i < count; i += L::kLanes) {
    V x[16];
    for (int k = 0; k < 4; ++k) x[k] = L::set(core::kSigma[k]);
    for (int k = 0; k < 8; ++k) x[4 + k] = L::set(key.w[k]);
    for (int k = 0; k < 4; ++k) x[12 + k] = columns.window[k] == nullptr ? pad : L::load(columns.window[k] + i);
    core::lane_rounds<L>(x);
    V row[8];
    for (int k = 0; k < 4; ++k) {
      row[k] = x[k];
      row[4 + k] = x[12 + k];
    }
    const V word = columns.word == nullptr ? L::set(0) : L::load(columns.word + i);
    const V counter = L::template shift_right<4>(word);
    for (int k = 0; k < 4; ++k) x[k] = L::set(core::kSigma[k]);
    for (int k = 0; k < 8; ++k) x[4 + k] = row[k];
    x[12] = counter;
    x[13] = L::set(0);
    x[14] = L::set(domain.w[0]);
    x[15] = L::set(domain.w[1]);
    core::lane_rounds<L>(x);
    for (int k = 0; k < 4; ++k) x[k] = L::add(x[k], L::set(core::kSigma[k]));
    for (int k = 0; k < 8; ++k) x[4 + k] = L::add(x[4 + k], row[k]);
    x[12] = L::add(x[12], counter);
    x[14] = L::add(x[14], L::set(domain.w[0]));
    x[15] = L::add(x[15], L::set(domain.w[1]));
    for (int k = 0; k < 8; ++k) x[k] = L::template choose<0>(word, x[2 * k + 1], x[2 * k]);
    for (int k = 0; k < 4; ++k) x[k] = L::template choose<1>(word, x[2 * k + 1], x[2 * k]);
    for (int k = 0; k < 2; ++k) x[k] = L::template choose<2>(word, x[2 * k + 1], x[2 * k]);
    L::store(out + i, L::template choose<3>(word, x[1], x[0]));
  }
}

/// Plain loops that the compiler turns into vectors of the file's instruction set.
HEIRMARK_INLINE std::uint64_t lane_count_below(const std::uint32_t* words, std::size_t count, std::uint32_t limit) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += words[i] < limit ? 1u : 0u;
  return sum;
}

HEIRMARK_INLINE std::uint64_t lane_count_ones(const std::uint32_t* words, std::size_t count, std::uint32_t mask) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t x = words[i] & mask;
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    sum += (x * 0x01010101u) >> 24;
  }
  return sum;
}

}  // namespace
}  // namespace heirmark::scoring
