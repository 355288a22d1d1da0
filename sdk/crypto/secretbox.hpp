// Passphrase hashing (Argon2id13) and sealing (XChaCha20-Poly1305-IETF), both libsodium's.
#pragma once
#include <heirmark/types.hpp>

#include "crypto/hex.hpp"

namespace heirmark::crypto {
inline constexpr std::size_t kSaltBytes = 16;
struct PasswordCost { std::uint64_t opslimit; std::uint64_t memlimit; };
/// libsodium's least, and our bound: the cost is read from a file before the passphrase is checked, and a hostile one must not take all
/// memory or run for ever. The greatest cost takes a gibibyte and some 20 s.
inline constexpr PasswordCost kLeastCost{1, 8192}, kGreatestCost{16, std::uint64_t{1} << 30};
/// Fails with `key` when the memory is not to be had, `bad_input` (before any is taken) when the cost is out of bounds.
[[nodiscard]] Result<Secret32> password_hash(ByteView passphrase, std::span<const std::uint8_t, kSaltBytes> salt, PasswordCost cost);

/// nonce (24) || ciphertext || tag.
[[nodiscard]] Result<Bytes> seal(const Secret32& key, std::string_view associated, ByteView plaintext);
/// Fails with `key` when the key is wrong or a byte was changed.
[[nodiscard]] Result<Bytes> unseal(const Secret32& key, std::string_view associated, ByteView sealed);
/// Overwrites memory in a way that the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;
}  // namespace heirmark::crypto
