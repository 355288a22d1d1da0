// Ed25519 and P-256: published vectors, refused signatures and keys, and what the openssl command accepts.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "bytes.hpp"
#include "crypto/base64.hpp"
#include "crypto/sha256.hpp"
#include "crypto/signature.hpp"

using namespace heirmark;
using crypto::Algorithm;
using crypto::Bytes;
using crypto::bytes_of;
using test::unhex;

namespace {
constexpr Algorithm kBoth[] = {Algorithm::ed25519, Algorithm::p256};

std::string pem_of(const Bytes& der) {
  const std::string text = crypto::base64_encode(der);
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < text.size(); at += 64) out += text.substr(at, 64) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}
Bytes join(const std::string& prefix, const std::string& rest) { return unhex(prefix + rest); }
const std::string kEd25519Public = "302a300506032b6570032100", kEd25519Private = "302e020100300506032b657004220420";
const std::string kP256Public = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";

/// RFC 6979, A.2.5: the public key and the signature of "sample" with SHA-256.
const std::string kSampleKey = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const std::string kSampleR = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", kSampleS = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
Bytes sample_signature() { return unhex("3046022100" + kSampleR + "022100" + kSampleS); }

class Folder {
 public:
  Folder() { char name[] = "/tmp/heirmark-sign-XXXXXX"; path = ::mkdtemp(name); }
  ~Folder() { std::error_code ignored; std::filesystem::remove_all(path, ignored); }
  [[nodiscard]] std::string file(const std::string& name, std::string_view bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
  std::filesystem::path path;
};
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }
}  // namespace

TEST_CASE("Ed25519 of RFC 8032, section 7.1", "[crypto]") {
  struct Case { const char *secret, *open, *message, *signature; };
  const Case table[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
  };
  for (const Case& c : table) {
    const auto key = crypto::PrivateKey::from_der(join(kEd25519Private, c.secret));
    REQUIRE(key.ok());
    CHECK(key->algorithm() == Algorithm::ed25519);
    const auto public_key = key->public_key();
    REQUIRE(public_key.ok());
    CHECK(public_key->pem() == pem_of(join(kEd25519Public, c.open)));
    CHECK(public_key->key_id() == crypto::hex_encode(crypto::sha256(join(kEd25519Public, c.open))));
    CHECK(crypto::hex_encode(key->sign(unhex(c.message)).value()) == c.signature);
    CHECK(public_key->verify(unhex(c.message), unhex(c.signature)).ok());
    CHECK(key->expose_secret_der().value() == join(kEd25519Private, c.secret));
  }
}

TEST_CASE("P-256 of RFC 6979, A.2.5", "[crypto]") {
  const auto key = crypto::PublicKey::from_pem(pem_of(join(kP256Public, kSampleKey)));
  REQUIRE(key.ok());
  CHECK(key->algorithm() == Algorithm::p256);
  CHECK(key->verify(bytes_of("sample"), sample_signature()).ok());
  CHECK_FALSE(key->verify(bytes_of("sampl"), sample_signature()).ok());
  CHECK_FALSE(key->verify(bytes_of("test"), sample_signature()).ok());
}

TEST_CASE("an ECDSA signature that is not strict DER is refused", "[crypto]") {
  const auto key = crypto::PublicKey::from_pem(pem_of(join(kP256Public, kSampleKey)));
  REQUIRE(key.ok());
  const std::string table[] = {
      "", "30", "3000", kSampleR + kSampleS,                                          // nothing; the raw form
      "3046022100" + kSampleR + "022100" + kSampleS + "00",                           // something after it
      "308146022100" + kSampleR + "022100" + kSampleS,                                // long length
      "304702" "220000" + kSampleR + "022100" + kSampleS,                             // a zero too many
      "30440220" + kSampleR + "0220" + kSampleS,                                      // negative
      "3026022100" + kSampleR + "020100", "3026020100022100" + kSampleS,              // s = 0; r = 0
      "3046022100" + kSampleR + "022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",  // s = n
  };
  for (const std::string& signature : table) {
    CAPTURE(signature);
    const auto verified = key->verify(bytes_of("sample"), unhex(signature));
    REQUIRE_FALSE(verified.ok());
    CHECK(verified.error().code == ErrorCode::invalid_evidence);
  }
}

TEST_CASE("Ed25519 refuses S that is not reduced", "[crypto]") {
  // RFC 8032, 5.1.7: S of TEST 2 plus the group order is the same number mod L and must not verify.
  const auto key = crypto::PublicKey::from_pem(pem_of(join(kEd25519Public, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")));
  REQUIRE(key.ok());
  Bytes signature = unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  REQUIRE(key->verify(unhex("72"), signature).ok());
  const Bytes order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{signature[32 + i]} + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  CHECK_FALSE(key->verify(unhex("72"), signature).ok());
}

TEST_CASE("fresh keys sign, and every changed bit of a signature or message is noticed", "[crypto]") {
  for (const Algorithm algorithm : kBoth) {
    CAPTURE(crypto::algorithm_name(algorithm));
    const auto key = crypto::PrivateKey::generate(algorithm);
    REQUIRE(key.ok());
    const auto public_key = key->public_key();
    REQUIRE(public_key.ok());
    const Bytes message(100, 42);
    const Bytes signature = key->sign(message).value();
    REQUIRE(public_key->verify(message, signature).ok());
    for (std::size_t at = 0; at < signature.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes changed = signature;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 << bit));
        CHECK_FALSE(public_key->verify(message, changed).ok());
      }
      CHECK_FALSE(public_key->verify(message, {signature.data(), at}).ok());
    }
    for (std::size_t at = 0; at < message.size(); ++at) {
      Bytes changed = message;
      changed[at] ^= 1;
      CHECK_FALSE(public_key->verify(changed, signature).ok());
    }
    const auto other = crypto::PrivateKey::generate(algorithm)->public_key();
    CHECK_FALSE(other->verify(message, signature).ok());
    CHECK(other->key_id() != public_key->key_id());
    const auto again = crypto::PrivateKey::from_der(key->expose_secret_der().value());
    REQUIRE(again.ok());
    CHECK(again->public_key()->pem() == public_key->pem());
    CHECK(crypto::PublicKey::from_pem(public_key->pem())->key_id() == public_key->key_id());
  }
}

TEST_CASE("public keys in any other form are refused", "[crypto]") {
  const std::string good = pem_of(join(kP256Public, kSampleKey));
  REQUIRE(crypto::PublicKey::from_pem(good).ok());
  std::string off_curve = kSampleKey;
  off_curve.back() = '8';
  const std::string compressed = "3039301306072a8648ce3d020106082a8648ce3d03010703220002" + kSampleKey.substr(0, 64);
  // Says that it is encrypted: refused, and nobody is asked for a passphrase.
  const std::string encrypted = "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n" + good.substr(27);
  std::string windows;
  for (const char c : good) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string bad[] = {
      "", "\n", "x", good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), good + "\n", good + good, "text\n" + good, windows, encrypted, std::string(5000, 'A'),
      pem_of(join(kP256Public, off_curve)), pem_of(unhex(compressed)), pem_of(join(kEd25519Public, "00")), pem_of({}),
      // X25519 and P-384 keys: other algorithms
      pem_of(unhex("302a300506032b656e032100" + kSampleKey.substr(0, 64))),
      pem_of(unhex("3076301006072a8648ce3d020106052b8104002203620004aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
                   "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")),
      "-----BEGIN PRIVATE KEY-----\n" + crypto::base64_encode(join(kEd25519Private, kSampleR)) + "\n-----END PRIVATE KEY-----\n",
  };
  for (const std::string& pem : bad) {
    CAPTURE(pem);
    const auto key = crypto::PublicKey::from_pem(pem);
    REQUIRE_FALSE(key.ok());
    CHECK((key.error().code == ErrorCode::bad_input || key.error().code == ErrorCode::key));
  }
}

TEST_CASE("private keys that are none are refused", "[crypto]") {
  const Bytes good = crypto::PrivateKey::generate(Algorithm::p256)->expose_secret_der().value();
  for (std::size_t end = 0; end < good.size(); ++end) CHECK_FALSE(crypto::PrivateKey::from_der({good.data(), end}).ok());
  CHECK_FALSE(crypto::PrivateKey::from_der(Bytes(64, 0)).ok());
  // The last 65 bytes are the public point. Another key's would sign what its public key refuses.
  const Bytes other = crypto::PrivateKey::generate(Algorithm::p256)->expose_secret_der().value();
  REQUIRE(good.size() == other.size());
  Bytes mixed = good;
  std::copy(other.end() - 65, other.end(), mixed.end() - 65);
  CHECK(crypto::PrivateKey::from_der(good).ok());
  CHECK_FALSE(crypto::PrivateKey::from_der(mixed).ok());
  CHECK_FALSE(crypto::PrivateKey::from_der(join(kEd25519Public, kSampleR)).ok());
}

TEST_CASE("the openssl command verifies what we sign", "[crypto]") {
  if (std::system("openssl version >/dev/null 2>&1") != 0) return;
  const Folder folder;
  const std::string message = folder.file("m", "a message\n");
  for (const Algorithm algorithm : kBoth) {
    CAPTURE(crypto::algorithm_name(algorithm));
    const auto key = crypto::PrivateKey::generate(algorithm);
    REQUIRE(key.ok());
    const std::string pem = folder.file("pem", key->public_key()->pem()), signature = folder.file("sig", text_of(key->sign(bytes_of("a message\n")).value()));
    const std::string command = algorithm == Algorithm::p256 ? "openssl dgst -sha256 -verify " + pem + " -signature " + signature + " " + message
                                                             : "openssl pkeyutl -verify -pubin -inkey " + pem + " -rawin -in " + message + " -sigfile " + signature;
    CHECK(std::system((command + " >/dev/null 2>&1").c_str()) == 0);
    const std::string another = folder.file("m2", "another\n");
    std::string wrong = command;
    wrong.replace(wrong.find(message + (algorithm == Algorithm::p256 ? "" : " ")), message.size(), another);
    CHECK(std::system((wrong + " >/dev/null 2>&1").c_str()) != 0);
  }
}
