// Passphrase hashing and sealed records.
#include <catch2/catch.hpp>

#include <set>
#include <string>

#include "bytes.hpp"
#include "crypto/secretbox.hpp"

using namespace heirmark;
using crypto::Bytes;
using crypto::bytes_of;

namespace {
constexpr crypto::PasswordCost kCheap{1, 8192};
const Secret32 kKey{std::span<const std::uint8_t, 32>(std::array<std::uint8_t, 32>{7})};
}  // namespace

TEST_CASE("Argon2id13 with libsodium's meaning of the limits", "[crypto]") {
  // From the Python package argon2-cffi: hash_secret_raw(b"heirmark", bytes(range(16)), time_cost=2, memory_cost=64, parallelism=1, hash_len=32, type=ID).
  std::array<std::uint8_t, crypto::kSaltBytes> salt{};
  for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::uint8_t>(i);
  const auto key = crypto::password_hash(bytes_of("heirmark"), salt, {2, 64 * 1024});
  REQUIRE(key.ok());
  CHECK(crypto::hex_encode(key->expose_secret()) == "0d58de02561c4fb7b21062883f0a21b125244f03a44f71814a7417f1b1b3f9ac");
  const auto other = crypto::password_hash(bytes_of("heirmarl"), salt, {2, 64 * 1024});
  REQUIRE(other.ok());
  CHECK_FALSE(other->equals(*key));
  salt[15] ^= 1;
  CHECK_FALSE(crypto::password_hash(bytes_of("heirmark"), salt, {2, 64 * 1024})->equals(*key));
}

TEST_CASE("a hostile cost is refused before any memory is taken", "[crypto]") {
  const std::array<std::uint8_t, crypto::kSaltBytes> salt{};
  for (const crypto::PasswordCost cost : {crypto::PasswordCost{0, 8192}, {65, 8192}, {~0ull, 8192}, {1, 8191}, {1, 0}, {1, (1ull << 31) + 1}, {1, ~0ull}}) {
    CAPTURE(cost.opslimit, cost.memlimit);
    const auto key = crypto::password_hash(bytes_of("x"), salt, cost);
    REQUIRE_FALSE(key.ok());
    CHECK(key.error().code == ErrorCode::bad_input);
  }
  CHECK(crypto::password_hash(bytes_of("x"), salt, kCheap).ok());
}

TEST_CASE("a record opens under its key and name alone", "[crypto]") {
  const Bytes plaintext{1, 2, 3, 4, 5};
  const Bytes sealed = crypto::seal(kKey, "a.key", plaintext).value();
  CHECK(sealed.size() == 24 + 5 + 16);
  CHECK(crypto::unseal(kKey, "a.key", sealed).value() == plaintext);
  CHECK_FALSE(crypto::unseal(kKey, "b.key", sealed).ok());
  CHECK_FALSE(crypto::unseal(kKey, "", sealed).ok());
  CHECK_FALSE(crypto::unseal(Secret32{}, "a.key", sealed).ok());
  CHECK(crypto::unseal(Secret32{}, "a.key", sealed).error().code == ErrorCode::key);
  CHECK(crypto::unseal(kKey, "x", crypto::seal(kKey, "x", {}).value()).value().empty());
}

TEST_CASE("every changed bit and every truncation of a record is noticed", "[crypto]") {
  const Bytes sealed = crypto::seal(kKey, "a.key", Bytes(40, 9)).value();
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = sealed;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 << bit));
      CHECK_FALSE(crypto::unseal(kKey, "a.key", changed).ok());
    }
    CHECK_FALSE(crypto::unseal(kKey, "a.key", {sealed.data(), at}).ok());
    CHECK_FALSE(crypto::unseal(kKey, "a.key", {sealed.data() + at + 1, sealed.size() - at - 1}).ok());
  }
  Bytes longer = sealed;
  longer.push_back(0);
  CHECK_FALSE(crypto::unseal(kKey, "a.key", longer).ok());
}

TEST_CASE("no nonce is used twice", "[crypto]") {
  std::set<Bytes> nonces;
  for (int i = 0; i < 1000; ++i) {
    const Bytes sealed = crypto::seal(kKey, "", {}).value();
    nonces.insert(Bytes(sealed.begin(), sealed.begin() + 24));
  }
  CHECK(nonces.size() == 1000);
}
