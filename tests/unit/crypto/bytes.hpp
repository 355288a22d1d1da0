// Bytes of the tests' tables.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

#include "crypto/hex.hpp"

namespace heirmark::test {

inline crypto::Bytes unhex(std::string_view text) { return crypto::hex_decode(text).value(); }
inline std::array<std::uint8_t, 32> key_of(std::string_view text) {
  std::array<std::uint8_t, 32> out{};
  const crypto::Bytes bytes = unhex(text);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace heirmark::test
