// Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5, DER signatures), keys in PEM, through OpenSSL.
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string>

#include "crypto/hex.hpp"

struct evp_pkey_st;

namespace heirmark::crypto {
enum class Algorithm : std::uint8_t { ed25519, p256 };
[[nodiscard]] std::string_view algorithm_name(Algorithm algorithm) noexcept;  ///< "ed25519", "p256"

class PublicKey {
 public:
  /// A PEM SubjectPublicKeyInfo of one of the two algorithms, exactly as pem() writes it.
  [[nodiscard]] static Result<PublicKey> from_pem(std::string_view pem);
  /// The 32 bytes of an Ed25519 key.
  [[nodiscard]] static Result<PublicKey> from_ed25519(std::span<const std::uint8_t, 32> raw);
  [[nodiscard]] Result<std::array<std::uint8_t, 32>> raw_ed25519() const;
  [[nodiscard]] const std::string& pem() const noexcept { return pem_; }
  [[nodiscard]] const std::string& key_id() const noexcept { return key_id_; }  ///< SHA-256 of the DER SubjectPublicKeyInfo, hex
  [[nodiscard]] Algorithm algorithm() const noexcept { return algorithm_; }
  /// `invalid_evidence` when the signature does not verify.
  [[nodiscard]] Result<void> verify(ByteView message, ByteView signature) const;

 private:
  friend class PrivateKey;
  std::shared_ptr<evp_pkey_st> key_;
  std::string pem_, key_id_;
  Algorithm algorithm_ = Algorithm::ed25519;
};

class PrivateKey {
 public:
  [[nodiscard]] static Result<PrivateKey> generate(Algorithm algorithm);
  /// PKCS#8 DER, not encrypted: for sealing in a keystore only.
  [[nodiscard]] static Result<PrivateKey> from_der(ByteView der);
  [[nodiscard]] Result<Bytes> expose_secret_der() const;
  [[nodiscard]] Result<PublicKey> public_key() const;
  [[nodiscard]] Result<Bytes> sign(ByteView message) const;
  [[nodiscard]] Algorithm algorithm() const noexcept { return algorithm_; }

 private:
  std::shared_ptr<evp_pkey_st> key_;
  Algorithm algorithm_ = Algorithm::ed25519;
};
}  // namespace heirmark::crypto
