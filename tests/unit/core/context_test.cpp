// Contexts, classes, coins and bins as bytes (specs/prf.md).
#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <vector>

#include <sodium.h>

#include "core/context.hpp"

using namespace heirmark::core;

namespace {
std::uint32_t first_word(const std::uint8_t* key, const Context& context, const char* domain) {
  std::uint8_t nonce[24], out[4];
  for (int i = 0; i < 16; ++i) nonce[i] = static_cast<std::uint8_t>(context.w[i / 4] >> 8 * (i % 4));
  std::memcpy(nonce + 16, domain, 8);
  crypto_stream_xchacha20(out, sizeof out, nonce, key);
  return static_cast<std::uint32_t>(out[0]) | static_cast<std::uint32_t>(out[1]) << 8 | static_cast<std::uint32_t>(out[2]) << 16 |
         static_cast<std::uint32_t>(out[3]) << 24;
}
}  // namespace

TEST_CASE("a window context holds the last h tokens at its end") {
  const std::uint32_t tokens[] = {1, 2, 3, 5, 9};
  const std::uint32_t* end = tokens + 5;
  CHECK(window_context(end, 5, 2) == Context{{kPad, kPad, 5, 9}});
  CHECK(window_context(end, 5, 1) == Context{{kPad, kPad, kPad, 9}});
  CHECK(window_context(end, 5, 4) == Context{{2, 3, 5, 9}});
  CHECK(window_context(end, 1, 4) == Context{{kPad, kPad, kPad, 9}});
  CHECK(window_context(tokens, 0, 4) == Context{{kPad, kPad, kPad, kPad}});
}

TEST_CASE("an issuance context is the request id and the position, little-endian") {
  std::uint8_t id[12];
  for (int i = 0; i < 12; ++i) id[i] = static_cast<std::uint8_t>(i + 1);
  CHECK(issuance_context(id, 0x01020304u) == Context{{0x04030201u, 0x08070605u, 0x0c0b0a09u, 0x01020304u}});
}

TEST_CASE("class and coin of a window equal libsodium's stream") {
  REQUIRE(sodium_init() >= 0);
  std::mt19937_64 random(20261103);
  const std::uint8_t zero[32] = {};
  std::vector<int> classes(kClasses);
  for (int trial = 0; trial < 2000; ++trial) {
    Context window{};
    for (auto& word : window.w) word = static_cast<std::uint32_t>(random());
    std::uint8_t key[32];
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
    REQUIRE(window_class(window) == (first_word(zero, window, "hm-class") & 0xFFu) % 16);
    ++classes[window_class(window)];
    const std::uint32_t coin = first_word(key, window, "hm-coin1");
    REQUIRE_FALSE(coin_is_window(key_words(key), window, coin));
    REQUIRE(coin_is_window(key_words(key), window, std::uint64_t{coin} + 1));
    REQUIRE_FALSE(coin_is_window(key_words(key), window, 0));
    REQUIRE(coin_is_window(key_words(key), window, 1ull << 32));
  }
  for (const int count : classes) CHECK(count > 0);
}

TEST_CASE("tokens fall into bins modulo 2048") {
  CHECK(bin_of(0) == 0);
  CHECK(bin_of(2047) == 2047);
  CHECK(bin_of(2048) == 0);
  CHECK(bin_of(128255) == 128255 % 2048);
}
