#include "numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
std::string one_decimal(double tenths) {
  const std::string text = fixed(tenths / 10, 1);
  return text == "-0.0" ? "0.0" : text;
}
}  // namespace

std::string integer_text(Integer value) {
  const bool negative = value < 0;
  // The magnitude as unsigned: the smallest value has no positive counterpart.
  auto rest = negative ? ~static_cast<unsigned __int128>(value) + 1 : static_cast<unsigned __int128>(value);
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string chance_words(const std::string& log10_p) {
  const double value = std::strtod(log10_p.c_str(), nullptr);
  if (value >= 0) return "any text may do so";
  if (value > -3) return "at most 1 in " + fixed(std::floor(std::pow(10.0, -value) * 10) / 10, 1);
  // Rounded toward the larger chance.
  if (value > -6) return "at most 1 in " + grouped(static_cast<std::uint64_t>(std::pow(10.0, -value)));
  return "at most 1 in 10^" + grouped(static_cast<std::uint64_t>(std::floor(-value)));
}

std::string short_p(const std::string& log10_p) { return one_decimal(std::ceil(std::strtod(log10_p.c_str(), nullptr) * 10 - 1e-9)); }
std::string short_e(const std::string& log10_e) { return one_decimal(std::floor(std::strtod(log10_e.c_str(), nullptr) * 10 + 1e-9)); }

}  // namespace heirmark::cli
