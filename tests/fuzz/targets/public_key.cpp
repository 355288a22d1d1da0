// Keys: PEM, DER in a keystore.
#include "crypto/signature.hpp"
#include "crypto/base64.hpp"
#include "fuzz.hpp"

using namespace heirmark;

namespace {
void check_public(std::string_view pem) {
  const auto key = crypto::PublicKey::from_pem(pem);
  if (!key) return fuzz::check_error(key.error(), "key");
  fuzz::require(key->pem() == pem && key->key_id().size() == 64, "a key has one spelling");
  fuzz::require(!key->verify(crypto::bytes_of("message"), crypto::bytes_of("signature")).ok(), "no key verifies anything");
}
}  // namespace

FUZZ_TARGET(public_key) {
  const std::uint8_t kind = input.byte();
  const std::string_view bytes = input.rest();
  if (kind % 3 == 0) return check_public(bytes);
  if (kind % 3 == 1) {  // DER in sound armour
    const std::string text = crypto::base64_encode(crypto::bytes_of(bytes));
    std::string pem = "-----BEGIN PUBLIC KEY-----\n";
    for (std::size_t at = 0; at < text.size(); at += 64) pem += text.substr(at, 64) + "\n";
    return check_public(pem + "-----END PUBLIC KEY-----\n");
  }
  const auto key = crypto::PrivateKey::from_der(crypto::bytes_of(bytes));
  if (!key) return fuzz::check_error(key.error(), "key");
  const auto open = key->public_key();
  if (!open) return fuzz::check_error(open.error());
  const auto signature = key->sign(crypto::bytes_of("message"));
  if (!signature) return fuzz::check_error(signature.error());
  fuzz::require(open->verify(crypto::bytes_of("message"), *signature).ok(), "a key verifies what it signs");
}
