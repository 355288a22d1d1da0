// Numbers of a verdict in words and in JSON.
#pragma once
#include <string>

#include <heirmark/detect.hpp>

namespace heirmark::cli {

/// A 128-bit integer in decimal.
[[nodiscard]] std::string integer_text(Integer value);

/// "at most 1 in 10^41" from a log10 p; "no evidence at all" for p = 1.
[[nodiscard]] std::string chance_words(const std::string& log10_p);

/// "-41.3" from "-41.3000": one decimal, p away from the claim (up), e likewise (down).
[[nodiscard]] std::string short_p(const std::string& log10_p);
[[nodiscard]] std::string short_e(const std::string& log10_e);

}  // namespace heirmark::cli
