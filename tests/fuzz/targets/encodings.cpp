// Hex and base64: one text for one byte string, and every byte string has its text.
#include <algorithm>

#include "crypto/base64.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(encodings) {
  const std::string_view text = input.rest();
  const auto bytes = crypto::bytes_of(text);
  fuzz::require(std::ranges::equal(crypto::hex_decode(crypto::hex_encode(bytes)).value(), bytes), "hex of bytes is read");
  fuzz::require(std::ranges::equal(crypto::base64_decode(crypto::base64_encode(bytes)).value(), bytes), "base64 of bytes is read");
  if (const auto hex = crypto::hex_decode(text)) fuzz::require(crypto::hex_encode(*hex) == text, "hex has one spelling");
  else fuzz::check_error(hex.error(), "hex");
  if (const auto base64 = crypto::base64_decode(text)) fuzz::require(crypto::base64_encode(*base64) == text, "base64 has one spelling");
  else fuzz::check_error(base64.error(), "base64");
}
