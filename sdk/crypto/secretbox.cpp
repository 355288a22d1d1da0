#include "crypto/secretbox.hpp"

#include <sodium.h>

#include "crypto/sha256.hpp"

namespace heirmark::crypto {

static_assert(kLeastCost.opslimit == crypto_pwhash_OPSLIMIT_MIN && kLeastCost.memlimit == crypto_pwhash_MEMLIMIT_MIN);

Result<Secret32> password_hash(ByteView passphrase, std::span<const std::uint8_t, kSaltBytes> salt, PasswordCost cost) {
  if (cost.opslimit < kLeastCost.opslimit || cost.opslimit > kGreatestCost.opslimit || cost.memlimit < kLeastCost.memlimit || cost.memlimit > kGreatestCost.memlimit)
    return Error{ErrorCode::bad_input, "the cost of the passphrase hash is out of range"};
  if (sodium_init() < 0) return Error{ErrorCode::io, "libsodium does not start"};
  std::array<std::uint8_t, 32> out;
  const int failed = crypto_pwhash(out.data(), out.size(), reinterpret_cast<const char*>(passphrase.data()), passphrase.size(), salt.data(),
                                   cost.opslimit, static_cast<std::size_t>(cost.memlimit), crypto_pwhash_ALG_ARGON2ID13);
  if (failed != 0) return Error{ErrorCode::key, "not enough memory to hash the passphrase"};
  Secret32 secret{std::span<const std::uint8_t, 32>(out)};
  sodium_memzero(out.data(), out.size());
  return secret;
}

Result<Bytes> seal(const Secret32& key, std::string_view associated, ByteView plaintext) {
  constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;
  Bytes sealed(kNonce + plaintext.size() + kTag);
  if (auto random = random_bytes({sealed.data(), kNonce}); !random) return random.error();
  const ByteView ad = bytes_of(associated);
  crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data() + kNonce, nullptr, plaintext.data(), plaintext.size(), ad.data(), ad.size(), nullptr, sealed.data(),
                                             key.expose_secret().data());
  return sealed;
}

Result<Bytes> unseal(const Secret32& key, std::string_view associated, ByteView sealed) {
  constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;
  if (sealed.size() < kNonce + kTag) return Error{ErrorCode::key, "truncated"};
  Bytes plaintext(sealed.size() - kNonce - kTag);
  const ByteView ad = bytes_of(associated);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext.data(), nullptr, nullptr, sealed.data() + kNonce, sealed.size() - kNonce, ad.data(), ad.size(),
                                                 sealed.data(), key.expose_secret().data()) != 0)
    return Error{ErrorCode::key, "wrong key, or damaged"};
  return plaintext;
}

Result<BoxKeys> new_box_keys() {
  if (sodium_init() < 0) return Error{ErrorCode::io, "libsodium does not start"};
  BoxKeys keys;
  std::array<std::uint8_t, 32> secret;
  crypto_box_keypair(keys.public_key.data(), secret.data());
  keys.secret = Secret32(std::span<const std::uint8_t, 32>(secret));
  wipe(secret);
  return keys;
}

std::array<std::uint8_t, 32> box_public_key(const Secret32& secret) {
  std::array<std::uint8_t, 32> out;
  crypto_scalarmult_base(out.data(), secret.expose_secret().data());
  return out;
}

Result<Bytes> box_seal(std::span<const std::uint8_t, 32> public_key, ByteView plaintext) {
  if (sodium_init() < 0) return Error{ErrorCode::io, "libsodium does not start"};
  Bytes sealed(plaintext.size() + crypto_box_SEALBYTES);
  if (crypto_box_seal(sealed.data(), plaintext.data(), plaintext.size(), public_key.data()) != 0) return Error{ErrorCode::bad_input, "not an X25519 public key"};
  return sealed;
}

Result<Bytes> box_open(const Secret32& secret, ByteView sealed) {
  if (sealed.size() < crypto_box_SEALBYTES) return Error{ErrorCode::key, "truncated"};
  const std::array<std::uint8_t, 32> public_key = box_public_key(secret);
  Bytes plaintext(sealed.size() - crypto_box_SEALBYTES);
  if (crypto_box_seal_open(plaintext.data(), sealed.data(), sealed.size(), public_key.data(), secret.expose_secret().data()) != 0)
    return Error{ErrorCode::key, "wrong key, or damaged"};
  return plaintext;
}

void wipe(std::span<std::uint8_t> bytes) noexcept { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace heirmark::crypto
