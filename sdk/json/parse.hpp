// Strict JSON (RFC 8259) from hostile bytes.
#pragma once
#include <cstddef>
#include <string_view>

#include "json/value.hpp"

namespace heirmark::json {

struct ParseOptions {
  std::size_t max_size = std::size_t{1} << 28;  ///< longest input in bytes; a parsed value takes up to 16 times as much memory
  std::size_t max_depth = 32;                   ///< nested arrays and objects
  bool floats = false;                          ///< accept fractions and exponents
};

/// One value and nothing after it but white space. Rejected: duplicate names, bad UTF-8, lone surrogates, integers beyond
/// +-(2^53 - 1), fractions and exponents (unless allowed), depth and size over the limits. `bad_input` tells line and column,
/// or the column alone for a text of one line.
[[nodiscard]] Result<Value> parse(std::string_view bytes, const ParseOptions& options = {});

}  // namespace heirmark::json
