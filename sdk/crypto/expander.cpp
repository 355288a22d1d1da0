#include "crypto/expander.hpp"

// The block function is what is wanted, and OpenSSL 3 offers it only under its older name. An EVP object costs more in
// allocation than these two blocks in hashing; libsodium's SHA-256 does not use the CPU's instructions.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace heirmark::crypto {
namespace {
constexpr std::size_t kBlock = SHA256_CBLOCK;

void absorb(SHA256_CTX& context, const std::uint8_t (&block)[kBlock]) noexcept { SHA256_Transform(&context, block); }

// The end of a message of which one block has been hashed and `length` < 56 bytes stand in `block`.
void pad(std::uint8_t (&block)[kBlock], std::size_t length) noexcept {
  block[length] = 0x80;
  std::memset(block + length + 1, 0, kBlock - length - 1);
  const std::size_t bits = 8 * (kBlock + length);
  block[kBlock - 2] = static_cast<std::uint8_t>(bits >> 8);
  block[kBlock - 1] = static_cast<std::uint8_t>(bits);
}

void store(const SHA256_CTX& context, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < 8; ++i) {
    const std::uint32_t word = context.h[i];
    for (std::size_t byte = 0; byte < 4; ++byte) out[4 * i + byte] = static_cast<std::uint8_t>(word >> (24 - 8 * byte));
  }
}
}  // namespace

Expander::Expander(std::span<const std::uint8_t, 32> key) noexcept {
  SHA256_CTX context;
  std::uint8_t block[kBlock];
  for (const auto& [mask, state] : {std::pair<std::uint8_t, State*>{0x36, &inner_}, {0x5c, &outer_}}) {
    std::memset(block, mask, kBlock);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<std::uint8_t>(key[i] ^ mask);
    SHA256_Init(&context);
    absorb(context, block);
    std::copy(context.h, context.h + 8, state->begin());
  }
  sodium_memzero(&context, sizeof context);
  sodium_memzero(block, sizeof block);
}

Expander::~Expander() {
  sodium_memzero(inner_.data(), sizeof inner_);
  sodium_memzero(outer_.data(), sizeof outer_);
}

void Expander::expand(std::span<const std::uint8_t> info, std::span<std::uint8_t, 32> out) const noexcept {
  if (info.size() > kMaxInfo) std::abort();
  SHA256_CTX context;
  std::uint8_t block[kBlock];
  SHA256_Init(&context);
  if (!info.empty()) std::memcpy(block, info.data(), info.size());
  block[info.size()] = 0x01;
  pad(block, info.size() + 1);
  std::copy(inner_.begin(), inner_.end(), context.h);
  absorb(context, block);
  store(context, block);
  pad(block, 32);
  std::copy(outer_.begin(), outer_.end(), context.h);
  absorb(context, block);
  store(context, out.data());
  sodium_memzero(&context, sizeof context);
  sodium_memzero(block, sizeof block);
}

}  // namespace heirmark::crypto
