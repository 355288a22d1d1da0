// Hex and base64: one text for one byte string.
#include <catch2/catch.hpp>

#include <string>

#include "crypto/base64.hpp"
#include "crypto/hex.hpp"

using namespace heirmark;
using crypto::Bytes;

namespace {
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }
}  // namespace

TEST_CASE("base64 of RFC 4648", "[crypto]") {
  const std::pair<const char*, const char*> table[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : table) {
    CHECK(crypto::base64_encode(crypto::bytes_of(plain)) == encoded);
    const auto decoded = crypto::base64_decode(encoded);
    REQUIRE(decoded.ok());
    CHECK(text_of(*decoded) == plain);
  }
  Bytes all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  CHECK(crypto::base64_decode(crypto::base64_encode(all)).value() == all);
  CHECK(crypto::base64_encode(Bytes{0xFB, 0xFF, 0xFE}) == "+//+");
}

TEST_CASE("base64 in any other spelling is refused", "[crypto]") {
  using namespace std::string_literals;
  const std::string table[] = {
      "Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm8==", "=", "==", "====", "Zg==Zg==",  // padding
      "Zh==", "Zi==", "Zo==", "Zm9=", "Zm+=", "Zn8=="s,                          // bits that are not used
      "Zm9v ", " Zm9v", "Zm9v\n", "Zm\n9v", "Zm 9v", "Zm9v\r\n",                 // white space
      "-__-", "Zm9v!", "Zm9*", "Zm9\xC3", "Zm9\0"s, "\0"s, "Zm9v\0"s,            // other alphabets
  };
  for (const std::string& text : table) {
    CAPTURE(text);
    const auto decoded = crypto::base64_decode(text);
    REQUIRE_FALSE(decoded.ok());
    CHECK(decoded.error().code == ErrorCode::bad_input);
  }
}

TEST_CASE("of all texts of four characters exactly the encodings decode", "[crypto]") {
  // 3 + 2 + 1 byte strings, over a small set of characters that has every kind.
  const std::string characters = "AQgwZ/+=-_ ";
  for (const char a : characters)
    for (const char b : characters)
      for (const char c : characters)
        for (const char d : characters) {
          const std::string text{a, b, c, d};
          const auto decoded = crypto::base64_decode(text);
          if (decoded && crypto::base64_encode(*decoded) != text) FAIL("decoded a second spelling: " << text);
        }
}

TEST_CASE("hex is lower case, in pairs", "[crypto]") {
  CHECK(crypto::hex_encode(Bytes{0x00, 0x0f, 0xa9, 0xff}) == "000fa9ff");
  CHECK(crypto::hex_decode("000fa9ff").value() == Bytes{0x00, 0x0f, 0xa9, 0xff});
  CHECK(crypto::hex_decode("").value().empty());
  using namespace std::string_literals;
  for (const std::string& bad : {"0"s, "000"s, "0F"s, "0g"s, " 0"s, "0x00"s, "0\0"s, "0:"s, "0/"s, "0`"s, "\xC3\xA9"s}) {
    CAPTURE(bad);
    REQUIRE_FALSE(crypto::hex_decode(bad).ok());
    CHECK(crypto::hex_decode(bad).error().code == ErrorCode::bad_input);
  }
}
