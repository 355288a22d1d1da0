// How far a draft was confirmed.
#pragma once
#include <cstdint>

#include <heirmark/device_sampler.hpp>

#include "core/hd.hpp"

namespace heirmark::kernels {

/// Of `rows` rows that were sampled for rows - 1 draft tokens: how many of their tokens stand. Each row's token stands if all before it were the
/// draft's; a row without a token or with an infinite logit ends the line, since the rows behind it were asked as if it had none.
HEIRMARK_HD_INLINE std::uint32_t taken_of(const TokenId* draft, const Sampled* sampled, std::uint32_t rows) {
  std::uint32_t taken = 0;
  while (taken < rows) {
    const Sampled& now = sampled[taken];
    if (now.token == kNoToken || !has_token(now.status)) break;
    ++taken;
    if (now.status == RowStatus::infinite_logit || taken == rows || draft[taken - 1] != now.token) break;
  }
  return taken;
}

/// Draft `d` of a batch of drafts (DeviceSampler::count_taken).
HEIRMARK_HD_INLINE std::uint32_t taken_of(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t d) {
  const std::uint32_t begin = first[d], end = first[d + 1];
  return end > begin ? taken_of(draft + (begin - d), sampled + begin, end - begin) : 0;
}

}  // namespace heirmark::kernels
