#include "json/place.hpp"

namespace heirmark::json {
namespace {
/// Does text begin with one character in UTF-8 (RFC 3629), of more than one byte?
bool begins_with_character(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  const std::size_t length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return false;
  // No longer form than needed, no half of a surrogate pair, nothing beyond U+10FFFF.
  return length != 0 && (first != 0xe0 || second >= 0xa0) && (first != 0xed || second <= 0x9f) && (first != 0xf0 || second >= 0x90) && (first != 0xf4 || second <= 0x8f);
}
}  // namespace

std::size_t begin_before(std::string_view text, std::size_t stopped) noexcept {
  constexpr std::string_view kBetween = " \t\r\n,:[]{}";
  std::size_t last = 0;
  for (std::size_t at = 0; (at = text.find_first_not_of(kBetween, at)) < stopped;) {
    last = at;
    if (text[at] != '"') {
      at = text.find_first_of(kBetween, at);
    } else {
      for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
      ++at;
    }
    if (at >= text.size()) break;
  }
  return last;
}

std::string_view encoding_fault(std::string_view text, std::size_t stopped) noexcept {
  if (stopped >= text.size() || static_cast<unsigned char>(text[stopped]) < 0x80) return {};
  if (stopped == 0 && text.starts_with("\xef\xbb\xbf")) return "a byte order mark, and JSON has none";
  if (stopped == 0 && (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))) return "a byte order mark of UTF-16, and JSON is UTF-8";
  return begins_with_character(text.substr(stopped)) ? std::string_view() : std::string_view("not UTF-8");
}

}  // namespace heirmark::json
