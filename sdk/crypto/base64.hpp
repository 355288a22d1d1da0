// Base64 (RFC 4648), strict: padding required, unused bits zero, no white space.
#pragma once
#include "crypto/hex.hpp"

namespace heirmark::crypto {
[[nodiscard]] std::string base64_encode(ByteView data);
[[nodiscard]] Result<Bytes> base64_decode(std::string_view text);
}  // namespace heirmark::crypto
