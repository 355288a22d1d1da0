// Hex and base64, strict: one text for one byte string.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>

namespace heirmark::crypto {
using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
[[nodiscard]] inline ByteView bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

[[nodiscard]] std::string hex_encode(ByteView data);
/// Lower-case digits only, an even number.
[[nodiscard]] Result<Bytes> hex_decode(std::string_view text);
}  // namespace heirmark::crypto
