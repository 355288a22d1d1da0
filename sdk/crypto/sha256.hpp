// SHA-256 (FIPS 180-4), HKDF-Expand to 32 bytes (RFC 5869 with one block), random bytes.
#pragma once
#include <array>
#include <memory>

#include <heirmark/types.hpp>

#include "crypto/hex.hpp"

namespace heirmark::crypto {
using Digest = std::array<std::uint8_t, 32>;
[[nodiscard]] Digest sha256(ByteView data);
[[nodiscard]] inline Digest sha256(std::string_view data) { return sha256(bytes_of(data)); }
[[nodiscard]] std::string sha256_hex(std::string_view data);

/// Expand(key, info) = HMAC-SHA256(key, info || 0x01) (specs/keys.md). info is at most 192 bytes.
[[nodiscard]] Secret32 expand(std::span<const std::uint8_t, 32> key, ByteView info);
[[nodiscard]] inline Secret32 expand(const Secret32& key, std::string_view info) { return expand(key.expose_secret(), bytes_of(info)); }

/// HMAC-SHA256 (RFC 2104).
[[nodiscard]] Digest hmac_sha256(std::span<const std::uint8_t, 32> key, ByteView message);

/// Bytes from the operating system's generator. Fails with `io` when it does.
[[nodiscard]] Result<void> random_bytes(std::span<std::uint8_t> out);
}  // namespace heirmark::crypto
