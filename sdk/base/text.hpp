// Text of strangers: in messages for people, and the forms of days and times that every object shares (specs/formats.md, "Canonical JSON").
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace heirmark::text {

/// At most `longest` bytes of a stranger's text, everything but printable ASCII as '?': it cannot move a cursor or break a line.
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t longest = 200) {
  std::string out(text.substr(0, longest));
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

[[nodiscard]] bool is_date(std::string_view text) noexcept;  ///< YYYY-MM-DD, a day that exists, of a year from 0001
[[nodiscard]] bool is_time(std::string_view text) noexcept;  ///< YYYY-MM-DDThh:mm:ssZ on such a day, no leap second

}  // namespace heirmark::text
