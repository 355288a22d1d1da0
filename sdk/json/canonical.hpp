// The canonical form of evidence (specs/formats.md, "Canonical JSON"): the integer-only subset of JCS, RFC 8785.
#pragma once
#include <string>
#include <string_view>

#include "json/parse.hpp"
#include "json/value.hpp"

namespace heirmark::json {

/// The bytes of a canonical file: the value and one line feed. `usage` when the value has no canonical form (a double, an
/// integer beyond +-(2^53 - 1), a name that is not ASCII or occurs twice, a string that is not UTF-8, more than 32 levels).
[[nodiscard]] Result<std::string> to_canonical(const Value& value);

/// Reads a canonical file and rejects every other way of writing the same value.
[[nodiscard]] Result<Value> parse_canonical(std::string_view bytes, std::size_t max_size = ParseOptions{}.max_size);

/// The same for a line without its line feed.
[[nodiscard]] Result<Value> parse_canonical_line(std::string_view line, std::size_t max_size = ParseOptions{}.max_size);

}  // namespace heirmark::json
