// The PRF: the XChaCha20 key stream, nothing else (specs/prf.md; draft-irtf-cfrg-xchacha-03, RFC 8439).
// stream(subkey, context, domain) is libsodium's crypto_stream_xchacha20 with nonce = context || domain.
#pragma once
#include <cstdint>

#include "core/hd.hpp"

namespace heirmark::core {

/// A 32-byte subkey as the eight little-endian words that ChaCha works on.
struct KeyWords { std::uint32_t w[8]; };
/// A 16-byte context as four little-endian words (specs/prf.md, "Contexts").
struct Context {
  std::uint32_t w[4];
  HEIRMARK_HD friend constexpr bool operator==(const Context& a, const Context& b) {
    return a.w[0] == b.w[0] && a.w[1] == b.w[1] && a.w[2] == b.w[2] && a.w[3] == b.w[3];
  }
};
/// An 8-byte ASCII domain name as two little-endian words.
struct Domain { std::uint32_t w[2]; };

HEIRMARK_HD constexpr Domain domain(const char (&name)[9]) {
  const auto word = [&name](int i) {
    std::uint32_t value = 0;
    for (int k = 3; k >= 0; --k) value = value << 8 | static_cast<std::uint32_t>(static_cast<unsigned char>(name[i + k]));
    return value;
  };
  return {{word(0), word(4)}};
}
inline constexpr Domain kBinsCoarse = domain("hm-bins1");
inline constexpr Domain kBinsFine = domain("hm-bins2");
inline constexpr Domain kInner = domain("hm-inner");
inline constexpr Domain kCoin = domain("hm-coin1");
inline constexpr Domain kClass = domain("hm-class");
inline constexpr Domain kRest = domain("hm-rest1");

HEIRMARK_HD constexpr std::uint32_t rotate_left(std::uint32_t x, int n) { return x << n | x >> (32 - n); }

HEIRMARK_HD constexpr void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
  a += b; d = rotate_left(d ^ a, 16);
  c += d; b = rotate_left(b ^ c, 12);
  a += b; d = rotate_left(d ^ a, 8);
  c += d; b = rotate_left(b ^ c, 7);
}

/// The 20 rounds in place, without the final addition.
HEIRMARK_HD constexpr void chacha_rounds(std::uint32_t (&x)[16]) {
  for (int round = 0; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
}
inline constexpr std::uint32_t kSigma[4] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};

/// HChaCha20(key, context): the key of the row. It does not depend on the domain, so one row pays for it once.
HEIRMARK_HD constexpr KeyWords hchacha20(const KeyWords& key, const Context& context) {
  std::uint32_t x[16] = {kSigma[0], kSigma[1], kSigma[2], kSigma[3], key.w[0], key.w[1], key.w[2], key.w[3],
                         key.w[4], key.w[5], key.w[6], key.w[7], context.w[0], context.w[1], context.w[2], context.w[3]};
  chacha_rounds(x);
  return {{x[0], x[1], x[2], x[3], x[12], x[13], x[14], x[15]}};
}

/// Block `counter` (64 bytes, 16 little-endian words) of a row's stream: ChaCha20 with a 64-bit counter and the domain
/// as 64-bit nonce.
HEIRMARK_HD constexpr void stream_block(const KeyWords& row, Domain domain, std::uint64_t counter, std::uint32_t (&out)[16]) {
  const std::uint32_t in[16] = {kSigma[0], kSigma[1], kSigma[2], kSigma[3], row.w[0], row.w[1], row.w[2], row.w[3],
                                row.w[4], row.w[5], row.w[6], row.w[7], static_cast<std::uint32_t>(counter),
                                static_cast<std::uint32_t>(counter >> 32), domain.w[0], domain.w[1]};
  for (int i = 0; i < 16; ++i) out[i] = in[i];
  chacha_rounds(out);
  for (int i = 0; i < 16; ++i) out[i] += in[i];
}

/// The u32 at byte 4*index of a row's stream in a domain.
HEIRMARK_HD constexpr std::uint32_t stream_word(const KeyWords& row, Domain domain, std::uint32_t index) {
  std::uint32_t block[16] = {};
  stream_block(row, domain, index / 16, block);
  return block[index % 16];
}

/// The little-endian u64 at byte 8*index of a row's stream in a domain.
HEIRMARK_HD constexpr std::uint64_t stream_word64(const KeyWords& row, Domain domain, std::uint32_t index) {
  std::uint32_t block[16] = {};
  stream_block(row, domain, index / 8, block);
  const std::uint32_t k = 2 * (index % 8);
  return static_cast<std::uint64_t>(block[k + 1]) << 32 | block[k];
}

/// 32 bytes to words, whatever the machine's byte order.
HEIRMARK_HD constexpr KeyWords key_words(const std::uint8_t* bytes) {
  KeyWords key{};
  for (int i = 0; i < 8; ++i)
    for (int k = 3; k >= 0; --k) key.w[i] = key.w[i] << 8 | bytes[4 * i + k];
  return key;
}

}  // namespace heirmark::core
