// Where and why a text stops being JSON, for what errors say. Private to the room.
#pragma once
#include <cstddef>
#include <string_view>

namespace heirmark::json {

/// Where the name, string or number begins that a parser was in, or had just read, when it stopped before text[stopped].
[[nodiscard]] std::size_t begin_before(std::string_view text, std::size_t stopped) noexcept;
/// What keeps text[stopped], where a parser stopped, from being JSON in any place: a byte order mark, or no UTF-8. Empty if it is neither.
[[nodiscard]] std::string_view encoding_fault(std::string_view text, std::size_t stopped) noexcept;

}  // namespace heirmark::json
