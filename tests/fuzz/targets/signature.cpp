// A signature of any bytes under two good keys: only the right one verifies.
#include "crypto/signature.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(signature) {
  // Keys and signatures of RFC 8032 (7.1, TEST 2) and RFC 6979 (A.2.5, SHA-256, "sample").
  static const auto ed25519 = crypto::PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC KEY-----\n").value();
  static const auto p256 = crypto::PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\nYfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n-----END PUBLIC KEY-----\n").value();
  const bool curve = (input.byte() & 1) != 0;
  const auto signature = crypto::bytes_of(input.rest());
  const auto done = (curve ? p256 : ed25519).verify(crypto::bytes_of(curve ? "sample" : "\x72"), signature);
  if (!done) return fuzz::check_error(done.error(), "signature");
  // Ed25519 as we verify it has one signature for a message and key; ECDSA has (r, s) and (r, n - s), and in one DER spelling each.
  if (!curve) fuzz::require(signature.size() == 64 && signature[0] == 0x92 && signature[63] == 0x00, "only the signer's signature verifies");
  else fuzz::require(signature.size() >= 70 && signature[4] == 0x00 && signature[5] == 0xEF, "only the signer's r verifies");
}
