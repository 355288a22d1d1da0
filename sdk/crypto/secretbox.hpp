// Passphrase hashing (Argon2id13), sealing under a key (XChaCha20-Poly1305-IETF) and to a public key (X25519 sealed boxes), all libsodium's.
#pragma once
#include <array>

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

/// A key pair of sealed boxes: who has the public key can seal, only who has the secret can open.
struct BoxKeys { std::array<std::uint8_t, 32> public_key{}; Secret32 secret; };
[[nodiscard]] Result<BoxKeys> new_box_keys();
/// The public key of a secret: X25519 with the base point (RFC 7748).
[[nodiscard]] std::array<std::uint8_t, 32> box_public_key(const Secret32& secret);
/// libsodium's crypto_box_seal: 48 bytes longer than the plaintext.
[[nodiscard]] Result<Bytes> box_seal(std::span<const std::uint8_t, 32> public_key, ByteView plaintext);
/// Fails with `key` when the secret is another's or a byte was changed.
[[nodiscard]] Result<Bytes> box_open(const Secret32& secret, ByteView sealed);

/// Overwrites memory in a way that the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;
}  // namespace heirmark::crypto
