// SHA-256 and HKDF-Expand against published vectors and OpenSSL's own HKDF.
#include <catch2/catch.hpp>

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <random>
#include <string>

#include "bytes.hpp"
#include "crypto/expander.hpp"
#include "crypto/sha256.hpp"

using namespace heirmark;
using crypto::Bytes;
using test::key_of;
using test::unhex;

namespace {
std::string hex(const Secret32& secret) { return crypto::hex_encode(secret.expose_secret()); }
std::string fast(std::span<const std::uint8_t, 32> key, crypto::ByteView info) {
  std::array<std::uint8_t, 32> out{};
  crypto::Expander(key).expand(info, out);
  return crypto::hex_encode(out);
}

/// OpenSSL's HKDF in expand-only mode, 32 bytes.
std::string openssl_expand(std::array<std::uint8_t, 32> key, Bytes info) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  char digest[] = "SHA256";
  std::uint8_t none = 0;
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode), OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
                               OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.empty() ? &none : info.data(), info.size()), OSSL_PARAM_construct_end()};
  std::array<std::uint8_t, 32> out{};
  const int good = EVP_KDF_derive(context, out.data(), out.size(), params);
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  REQUIRE(good == 1);
  return crypto::hex_encode(out);
}
}  // namespace

TEST_CASE("SHA-256 of FIPS 180-4", "[crypto]") {
  CHECK(crypto::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(crypto::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(crypto::sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(crypto::sha256_hex(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("Expand gives the first block of RFC 5869", "[crypto]") {
  struct Case { const char *prk, *info, *okm; };
  Bytes b0_ff;
  for (unsigned i = 0xb0; i <= 0xff; ++i) b0_ff.push_back(static_cast<std::uint8_t>(i));
  const std::string long_info = crypto::hex_encode(b0_ff);
  const Case table[] = {
      {"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", "f0f1f2f3f4f5f6f7f8f9", "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"},
      {"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244", long_info.c_str(), "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"},
      {"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
  };
  for (const Case& c : table) {
    const auto key = key_of(c.prk);
    const Bytes info = unhex(c.info);
    CHECK(hex(crypto::expand(key, info)) == c.okm);
    if (info.size() <= crypto::Expander::kMaxInfo) CHECK(fast(key, info) == c.okm);
  }
}

TEST_CASE("Expand equals OpenSSL's HKDF and HMAC for every length of info", "[crypto]") {
  std::mt19937_64 random(20261101);
  for (std::size_t length = 0; length <= 192; ++length) {
    std::array<std::uint8_t, 32> key{};
    Bytes info(length);
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
    for (auto& byte : info) byte = static_cast<std::uint8_t>(random());
    CAPTURE(length);
    const std::string expected = openssl_expand(key, info);
    Bytes message = info;
    message.push_back(1);
    std::array<std::uint8_t, 32> mac{};
    unsigned mac_length = 0;
    HMAC(EVP_sha256(), key.data(), 32, message.data(), message.size(), mac.data(), &mac_length);
    CHECK(crypto::hex_encode(mac) == expected);
    CHECK(hex(crypto::expand(key, info)) == expected);
    if (length <= crypto::Expander::kMaxInfo) CHECK(fast(key, info) == expected);
  }
}

TEST_CASE("one expander gives the same bytes however often it is asked", "[crypto]") {
  const auto key = key_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const crypto::Expander expander(key);
  std::array<std::uint8_t, 32> first{}, again{};
  expander.expand(crypto::bytes_of("a"), first);
  expander.expand(crypto::bytes_of("b"), again);
  CHECK(first != again);
  expander.expand(crypto::bytes_of("a"), again);
  CHECK(first == again);
}

TEST_CASE("random bytes differ and fill the whole span", "[crypto]") {
  // 64 draws of 32 bytes: a byte that is never written is zero in all of them, which chance does with 32 * 2^-512.
  std::array<unsigned, 32> seen{};
  std::array<std::uint8_t, 32> previous{};
  for (int i = 0; i < 64; ++i) {
    std::array<std::uint8_t, 32> bytes{};
    REQUIRE(crypto::random_bytes(bytes).ok());
    CHECK(bytes != previous);
    for (std::size_t at = 0; at < bytes.size(); ++at) seen[at] |= bytes[at];
    previous = bytes;
  }
  CHECK(std::none_of(seen.begin(), seen.end(), [](unsigned bits) { return bits == 0; }));
}
