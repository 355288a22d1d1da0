// The stream against the published vectors and, for everything else, against libsodium.
#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <sodium.h>

#include "core/context.hpp"
#include "core/stream.hpp"

using namespace heirmark::core;

namespace {
std::vector<std::uint8_t> from_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

/// Little-endian words as bytes, by shifts.
template <std::size_t N>
std::vector<std::uint8_t> bytes_of(const std::uint32_t (&words)[N]) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t word : words)
    for (int k = 0; k < 4; ++k) bytes.push_back(static_cast<std::uint8_t>(word >> 8 * k));
  return bytes;
}

KeyWords counting_key(std::uint8_t first) {
  std::uint8_t key[32];
  for (int i = 0; i < 32; ++i) key[i] = static_cast<std::uint8_t>(first + i);
  return key_words(key);
}
}  // namespace

TEST_CASE("the block function gives RFC 8439 section 2.3.2") {
  // The RFC's nonce 00:00:00:09 00:00:00:4a 00:00:00:00 and 32-bit counter 1: its first nonce word is the upper half of our counter.
  std::uint32_t block[16];
  stream_block(counting_key(0), Domain{{0x4a000000u, 0}}, 1 | 0x09000000ull << 32, block);
  const std::uint32_t expected[16] = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
                                      0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
  CHECK(bytes_of(block) == bytes_of(expected));
}

TEST_CASE("hchacha20 gives draft-irtf-cfrg-xchacha-03 section 2.2.1") {
  const auto nonce = from_hex("000000090000004a0000000031415927");
  Context context{};
  for (int i = 0; i < 4; ++i)
    for (int k = 3; k >= 0; --k) context.w[i] = context.w[i] << 8 | nonce[static_cast<std::size_t>(4 * i + k)];
  CHECK(bytes_of(hchacha20(counting_key(0), context).w) == from_hex("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"));
}

TEST_CASE("the stream gives draft-irtf-cfrg-xchacha-03 appendix A.3.2, counters 0 and 1") {
  // Key 80 .. 9f, nonce 40 .. 4f | 50 .. 54 55 56 58.
  const KeyWords row = hchacha20(counting_key(0x80), Context{{0x43424140u, 0x47464544u, 0x4b4a4948u, 0x4f4e4d4cu}});
  const Domain domain{{0x53525150u, 0x58565554u}};
  std::uint32_t block[16];
  stream_block(row, domain, 0, block);
  auto text = bytes_of(block);
  const std::string plain = "The dhole (pronounced \"dole\") is";
  for (std::size_t i = 0; i < plain.size(); ++i) text[i] ^= static_cast<std::uint8_t>(plain[i]);
  text.resize(plain.size());
  CHECK(text == from_hex("4559abba4e48c16102e8bb2c05e6947f50a786de162f9b0b7e592a9b53d0d4e9"));
  stream_block(row, domain, 1, block);
  auto first = bytes_of(block);
  first.resize(32);
  CHECK(first == from_hex("29624b4b1b140ace53740e405b2168540fd7d630c1f536fecd722fc3cddba7f4"));
}

TEST_CASE("every domain of random keys and contexts equals libsodium's crypto_stream_xchacha20") {
  REQUIRE(sodium_init() >= 0);
  std::mt19937_64 random(20261101);
  const struct { Domain domain; const char* name; } domains[] = {{kBinsCoarse, "hm-bins1"}, {kBinsFine, "hm-bins2"}, {kInner, "hm-inner"},
                                                                {kCoin, "hm-coin1"}, {kClass, "hm-class"}, {kRest, "hm-rest1"}};
  for (int trial = 0; trial < 200; ++trial) {
    std::uint8_t key[32], nonce[24];
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
    Context context{};
    for (auto& word : context.w) word = static_cast<std::uint32_t>(random());
    for (const auto& [domain, name] : domains) {
      const auto context_bytes = bytes_of(context.w);
      std::memcpy(nonce, context_bytes.data(), 16);
      std::memcpy(nonce + 16, name, 8);
      std::vector<std::uint8_t> expected(8192);
      crypto_stream_xchacha20(expected.data(), expected.size(), nonce, key);
      const KeyWords row = hchacha20(key_words(key), context);
      const auto at = [&](std::uint64_t byte) { return static_cast<std::uint64_t>(expected[byte]); };
      for (int probe = 0; probe < 20; ++probe) {
        const auto i = static_cast<std::uint32_t>(random() % kBins), j = static_cast<std::uint32_t>(random() % (kBins / 2));
        std::uint64_t word = 0, word64 = 0;
        for (std::uint64_t k = 4; k-- > 0;) word = word << 8 | at(4 * std::uint64_t{i} + k);
        for (std::uint64_t k = 8; k-- > 0;) word64 = word64 << 8 | at(8 * std::uint64_t{j} + k);
        REQUIRE(stream_word(row, domain, i) == word);
        REQUIRE(stream_word64(row, domain, j) == word64);
      }
    }
  }
}
