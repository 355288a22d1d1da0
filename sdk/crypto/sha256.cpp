#include "crypto/sha256.hpp"

#include <openssl/sha.h>
#include <sodium.h>

#include "crypto/secretbox.hpp"

namespace heirmark::crypto {
namespace {
constexpr char kDigits[] = "0123456789abcdef";
}

Digest sha256(ByteView data) {
  Digest digest;
  // OpenSSL uses the CPU's instructions and costs more to call.
  if (data.size() >= 4096) SHA256(data.data(), data.size(), digest.data());
  else crypto_hash_sha256(digest.data(), data.data(), data.size());
  return digest;
}

std::string sha256_hex(std::string_view data) { return hex_encode(sha256(data)); }

// libsodium's one-shot state, not OpenSSL's EVP objects: a rank test derives millions of subkeys, and an EVP call spends
// more time in allocation than in SHA-256. Tests compare it with OpenSSL's HKDF.
Secret32 expand(std::span<const std::uint8_t, 32> key, ByteView info) {
  static constexpr std::uint8_t kOne = 1;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, info.data(), info.size());
  crypto_auth_hmacsha256_update(&state, &kOne, 1);
  std::array<std::uint8_t, 32> out;
  crypto_auth_hmacsha256_final(&state, out.data());
  Secret32 secret{std::span<const std::uint8_t, 32>(out)};
  sodium_memzero(out.data(), out.size());
  sodium_memzero(&state, sizeof state);
  return secret;
}

Digest hmac_sha256(std::span<const std::uint8_t, 32> key, ByteView message) {
  Digest out;
  crypto_auth_hmacsha256(out.data(), message.data(), message.size(), key.data());
  return out;
}

Result<void> random_bytes(std::span<std::uint8_t> out) {
  if (sodium_init() < 0) return Error{ErrorCode::io, "the operating system gives no random bytes"};
  randombytes_buf(out.data(), out.size());
  return {};
}

std::string hex_encode(ByteView data) {
  std::string text;
  text.reserve(2 * data.size());
  for (const std::uint8_t byte : data) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<Bytes> hex_decode(std::string_view text) {
  const auto digit = [](char ch) { return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1; };
  if (text.size() % 2 != 0) return Error{ErrorCode::bad_input, "an odd number of hex digits"};
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return Error{ErrorCode::bad_input, "not a lower-case hex digit at character " + std::to_string(2 * i + 1)};
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return bytes;
}
}  // namespace heirmark::crypto
