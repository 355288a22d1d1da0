#include "crypto/signature.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/owned.hpp"
#include "crypto/secretbox.hpp"
#include "crypto/sha256.hpp"

namespace heirmark::crypto {
namespace {

std::shared_ptr<evp_pkey_st> own(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }
using Context = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using PkeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Bio = Owned<BIO, BIO_free>;

Result<Algorithm> algorithm_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Algorithm::ed25519;
  char group[32] = {};
  std::size_t length = 0;
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 && std::string_view(group) == "prime256v1")
    return Algorithm::p256;
  return Error{ErrorCode::key, "neither an Ed25519 nor a P-256 key"};
}
/// Ed25519 hashes inside; ECDSA is told its hash.
const EVP_MD* digest_of(Algorithm algorithm) { return algorithm == Algorithm::p256 ? EVP_sha256() : nullptr; }

Bytes der_of(const EVP_PKEY* key) {
  std::uint8_t* data = nullptr;
  const int length = i2d_PUBKEY(key, &data);
  Bytes der(data, data + (length > 0 ? length : 0));
  OPENSSL_free(data);
  return der;
}
std::string pem_of(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(length)};
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) noexcept { return algorithm == Algorithm::p256 ? "p256" : "ed25519"; }

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  if (pem.size() > 4096) return Error{ErrorCode::bad_input, "too long for a public key in PEM"};
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // Without a callback OpenSSL asks the terminal for the passphrase of a file that says it is encrypted.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  auto key = own(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return Error{ErrorCode::bad_input, "not a public key in PEM"};
  const auto algorithm = algorithm_of(key.get());
  if (!algorithm) return algorithm.error();
  PublicKey out;
  out.algorithm_ = *algorithm;
  out.pem_ = pem_of(key.get());
  if (out.pem_ != pem) return Error{ErrorCode::bad_input, "a public key with other text around it, or in another spelling than OpenSSL writes"};
  const Bytes der = der_of(key.get());
  // A compressed point would be a second name of the same key.
  constexpr std::size_t kEd25519Size = 44, kP256Size = 91;
  if (der.size() != (*algorithm == Algorithm::p256 ? kP256Size : kEd25519Size)) return Error{ErrorCode::bad_input, "a public key in another spelling than the uncompressed one"};
  out.key_id_ = hex_encode(sha256(der));
  out.key_ = std::move(key);
  return out;
}

Result<PublicKey> PublicKey::from_ed25519(std::span<const std::uint8_t, 32> raw) {
  const auto key = own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()));
  if (!key) return Error{ErrorCode::bad_input, "not an Ed25519 public key"};
  return from_pem(pem_of(key.get()));
}

Result<std::array<std::uint8_t, 32>> PublicKey::raw_ed25519() const {
  std::array<std::uint8_t, 32> raw{};
  std::size_t length = raw.size();
  if (algorithm_ != Algorithm::ed25519 || EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &length) != 1 || length != raw.size())
    return Error{ErrorCode::usage, "not an Ed25519 public key"};
  return raw;
}

Result<void> PublicKey::verify(ByteView message, ByteView signature) const {
  const Context context(EVP_MD_CTX_new());
  if (EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm_), nullptr, key_.get()) != 1) return Error{ErrorCode::key, "the key cannot verify"};
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) != 1)
    return Error{ErrorCode::invalid_evidence, "the signature does not verify"};
  return {};
}

Result<PrivateKey> PrivateKey::generate(Algorithm algorithm) {
  PrivateKey out;
  out.algorithm_ = algorithm;
  out.key_ = own(algorithm == Algorithm::p256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!out.key_) return Error{ErrorCode::io, "OpenSSL cannot make a signing key"};
  return out;
}

Result<PrivateKey> PrivateKey::from_der(ByteView der) {
  const std::uint8_t* data = der.data();
  PKCS8_PRIV_KEY_INFO* info = d2i_PKCS8_PRIV_KEY_INFO(nullptr, &data, static_cast<long>(der.size()));
  if (info == nullptr) return Error{ErrorCode::key, "not a signing key"};
  PrivateKey out;
  out.key_ = own(EVP_PKCS82PKEY(info));
  PKCS8_PRIV_KEY_INFO_free(info);
  if (!out.key_) return Error{ErrorCode::key, "not a signing key"};
  const auto algorithm = algorithm_of(out.key_.get());
  if (!algorithm) return algorithm.error();
  out.algorithm_ = *algorithm;
  // The DER of a P-256 key may hold the public point of another key: it would sign what its own public key does not verify.
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, out.key_.get(), nullptr));
  if (!context || EVP_PKEY_pairwise_check(context.get()) != 1) return Error{ErrorCode::key, "not a signing key: its public part is another key's"};
  return out;
}

Result<Bytes> PrivateKey::expose_secret_der() const {
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(key_.get());
  std::uint8_t* data = nullptr;
  const int length = info == nullptr ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &data);
  PKCS8_PRIV_KEY_INFO_free(info);
  if (length <= 0) return Error{ErrorCode::key, "OpenSSL cannot write the signing key"};
  Bytes der(data, data + length);
  OPENSSL_clear_free(data, static_cast<std::size_t>(length));
  return der;
}

Result<PublicKey> PrivateKey::public_key() const { return PublicKey::from_pem(pem_of(key_.get())); }

Result<Bytes> PrivateKey::sign(ByteView message) const {
  const Context context(EVP_MD_CTX_new());
  std::size_t length = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm_), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &length, message.data(), message.size()) != 1)
    return Error{ErrorCode::key, "the key cannot sign"};
  Bytes signature(length);
  if (EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()) != 1) return Error{ErrorCode::key, "the key cannot sign"};
  signature.resize(length);
  return signature;
}

}  // namespace heirmark::crypto
