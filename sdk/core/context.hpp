// Contexts, the public class of a window, the coin, and the bins (specs/prf.md).
#pragma once
#include <cstdint>

#include "core/stream.hpp"

namespace heirmark::core {

inline constexpr std::uint32_t kBins = 2048;
inline constexpr std::uint32_t kClasses = 16;
inline constexpr int kMaxWindow = 4;
inline constexpr std::uint32_t kPad = 0xFFFFFFFFu;

/// The bin of a token: bin(v) = v mod 2048.
HEIRMARK_HD constexpr std::uint32_t bin_of(std::uint32_t token) { return token % kBins; }

/// The window context: the last h of the `count` tokens before the position, in order, left-padded with 0xFFFFFFFF.
/// `before_end` points one past the last token before the position. 1 <= h <= 4.
HEIRMARK_HD constexpr Context window_context(const std::uint32_t* before_end, std::uint64_t count, int h) {
  Context context{{kPad, kPad, kPad, kPad}};
  for (int k = 1; k <= h && static_cast<std::uint64_t>(k) <= count; ++k) context.w[kMaxWindow - k] = *(before_end - k);
  return context;
}

/// The issuance context: request id (12 bytes) || position u32, both little-endian words.
HEIRMARK_HD constexpr Context issuance_context(const std::uint8_t* request_id, std::uint32_t position) {
  Context context{{0, 0, 0, position}};
  for (int i = 0; i < 3; ++i)
    for (int k = 3; k >= 0; --k) context.w[i] = context.w[i] << 8 | request_id[4 * i + k];
  return context;
}

/// The public class of a window: the low four bits of byte 0 of stream(zero key, window, "hm-class").
HEIRMARK_HD constexpr std::uint32_t window_class(const Context& window) {
  return stream_word(hchacha20(KeyWords{}, window), kClass, 0) % kClasses;
}

/// Does the coin give this window to the window mark? share_q32 = share * 2^32, 0 (never) .. 2^32 (always).
HEIRMARK_HD constexpr bool coin_is_window(const KeyWords& coin, const Context& window, std::uint64_t share_q32) {
  return stream_word(hchacha20(coin, window), kCoin, 0) < share_q32;
}

}  // namespace heirmark::core
