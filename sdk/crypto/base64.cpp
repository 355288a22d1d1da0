#include "crypto/base64.hpp"

#include <sodium.h>

namespace heirmark::crypto {

std::string base64_encode(ByteView data) {
  std::string text(sodium_base64_ENCODED_LEN(data.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), data.data(), data.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminator
  return text;
}

Result<Bytes> base64_decode(std::string_view text) {
  Bytes bytes(text.size() / 4 * 3 + 3);
  std::size_t length = 0;
  const char* end = nullptr;
  const int failed = sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &length, &end, sodium_base64_VARIANT_ORIGINAL);
  if (failed != 0 || end != text.data() + text.size()) return Error{ErrorCode::bad_input, "not base64"};
  bytes.resize(length);
  // One text for one byte string: whatever libsodium tolerates, only its own spelling is accepted.
  if (base64_encode(bytes) != text) return Error{ErrorCode::bad_input, "not base64 in its one strict spelling"};
  return bytes;
}

}  // namespace heirmark::crypto
