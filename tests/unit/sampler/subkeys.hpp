// Keys and request ids of the API tests.
#pragma once
#include <cstdint>
#include <cstring>

#include <heirmark/types.hpp>

namespace heirmark::test {

inline Subkeys keys(std::uint8_t seed = 1, std::size_t accounts = 2) {
  const auto secret = [&](std::uint8_t n) {
    std::array<std::uint8_t, 32> bytes{};
    bytes.fill(seed);
    bytes[0] = n;
    return Secret32(bytes);
  };
  Subkeys out;
  for (std::size_t c = 0; c < Subkeys::kClasses; ++c) out.window[c] = secret(static_cast<std::uint8_t>(c));
  out.coin = secret(100);
  for (std::size_t a = 0; a < accounts; ++a) out.issuance.push_back(secret(static_cast<std::uint8_t>(101 + a)));
  return out;
}

inline RequestId request(std::uint32_t n) {
  RequestId id;
  std::memcpy(id.bytes.data(), &n, sizeof n);
  return id;
}

}  // namespace heirmark::test
