// A row's randomness, made while its logits are on their way: keys, what the row turns out to be, and the words that nearly every row of its kind needs.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/keys.hpp"
#include "kernels/race.hpp"
#include "marks/greenlist/greenlist.hpp"

namespace heirmark::kernels {

/// Does a row play a tournament by bounds? Whatever a slice's greatest logit: the row's decides.
HEIRMARK_HD_INLINE bool plays(const Batch& batch, const Resolved& resolved, bool truncated) {
  return batch.workspace.plays != nullptr && resolved.noise != nullptr && resolved.rule == marks::RuleKind::tournament && !truncated;
}

/// The row's keys and shared.resolved; of a row that draws, the words of the inner draw and those of the slice's bins, which a tournament's last block wants
/// from all slices. By the upper half of the threads, while the lower half reads logits already; behind it an x.sync().
template <bool kFull, class X, class S>
HEIRMARK_HD_INLINE void make_randomness(X& x, const Batch& batch, std::uint32_t index, const DeviceRow& asked, bool refused, bool truncated, std::uint32_t slice, S& shared) {
  constexpr unsigned kHalf = kThreads / 2, kLastWarp = kThreads - 32;
  make_keys(x, *batch.keys, asked, shared.keys);
  x.sync_warp();
  x.each([&](unsigned t) {
    if (t == kLastWarp) shared.resolved = refused ? Resolved{} : resolve(batch.scheme, *batch.keys, asked, shared.keys);
  });
  x.each_upper([&](unsigned t) {
    const Resolved& resolved = shared.resolved;
    if (resolved.noise == nullptr) return;
    const bool races = !truncated && fast(batch.scheme, resolved.rule, 0), played = kFull && plays(batch, resolved, truncated);
    const bool marks_too = played || (races && resolved.rule == marks::RuleKind::greenlist);
    const std::uint32_t of_slice = batch.shape.bins() / kWordsPerBlock, strides = (batch.vocab + core::kBins - 1) / core::kBins;
    const std::uint32_t coarse = races || played ? of_slice : 0, inner = (strides + 7) / 8, all = coarse + inner + (marks_too ? of_slice : 0);
    for (std::uint32_t i = t - kHalf; i < all; i += kHalf) {
      const bool of_bins = i < coarse, of_tokens = !of_bins && i < coarse + inner;
      const std::uint32_t place = of_bins ? i : of_tokens ? i - coarse : i - coarse - inner;
      const core::Domain bins = core::kBinsCoarse, tokens = core::kInner;  // copies: the device has no address of a constant
      std::uint32_t block[kWordsPerBlock];
      core::stream_block(of_bins || of_tokens ? *resolved.noise : *resolved.mark, of_tokens ? tokens : bins, of_tokens ? place : slice * of_slice + place, block);
      if (played && !of_tokens) {
        PlayMemory& memory = batch.workspace.plays[index];
        std::uint32_t* const words = (of_bins ? memory.noise : memory.mark) + slice * batch.shape.bins() + kWordsPerBlock * place;
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) words[k] = block[k];
      } else if (of_bins) {
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) shared.fast.words[kWordsPerBlock * place + k] = block[k];
      } else if (of_tokens) {
        for (std::uint32_t k = 0; k < kWordsPerBlock / 2; ++k) shared.inner[kWordsPerBlock / 2 * place + k] = block[2 * k] | std::uint64_t{block[2 * k + 1]} << 32;
      } else {
        std::uint32_t bits = 0;
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) bits |= marks::greenlist::is_green(block[k], batch.scheme.gamma) ? 1u << k : 0;
        shared.green[place] = static_cast<std::uint16_t>(bits);
      }
    }
  });
}

}  // namespace heirmark::kernels
