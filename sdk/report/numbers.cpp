#include "report/numbers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

namespace heirmark::report {
namespace {
constexpr std::string_view kMinus = "\u2212";
constexpr double kLog10E = std::numbers::log10e;

std::string plain(double value, int decimals) {
  std::array<char, 400> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  return error == std::errc() ? std::string(buffer.data(), end) : "?";
}

/// A logarithm that can be cut to an integer. Nothing that was measured comes near the limit; a hostile bag may write 64 digits.
double bounded(double log10_value) { return std::clamp(log10_value, -1e15, 1e15); }

/// 10^log10_value as mantissa and exponent; the mantissa has one decimal and is rounded by `round`.
struct Scientific {
  double mantissa;
  long exponent;
};
template <class Round>
Scientific scientific(double log10_value, Round round) {
  log10_value = bounded(log10_value);
  long exponent = static_cast<long>(std::floor(log10_value));
  double mantissa = round(std::pow(10.0, log10_value - static_cast<double>(exponent)) * 10) / 10;
  if (mantissa >= 10) {
    mantissa = 1;
    ++exponent;
  }
  return {mantissa, exponent};
}
}  // namespace

std::string grouped(std::string_view decimal) {
  std::string out;
  if (decimal.starts_with('-')) {
    out = kMinus;
    decimal.remove_prefix(1);
  }
  for (std::size_t i = 0; i < decimal.size(); ++i) {
    if (i > 0 && (decimal.size() - i) % 3 == 0) out += ',';
    out += decimal[i];
  }
  return out;
}
std::string grouped(std::uint64_t value) { return grouped(std::string_view(std::to_string(value))); }

std::string whole(double value) { return grouped(std::string_view(plain(std::round(value) + 0.0, 0))); }  // + 0.0: never -0

std::string minus_sign(std::string_view decimal) {
  return decimal.starts_with('-') ? std::string(kMinus) + std::string(decimal.substr(1)) : std::string(decimal);
}

std::string fixed(double value, int decimals) {
  std::string text = plain(value, decimals);
  if (text.starts_with('-') && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return minus_sign(text);
}

std::string power_of_ten(long exponent) {
  static constexpr std::array<std::string_view, 10> kDigits{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = "10";
  for (const char c : std::to_string(exponent))
    out += c == '-' ? std::string_view("⁻") : kDigits[static_cast<std::size_t>(c - '0')];
  return out;
}

std::string one_in(double log10_p) {
  const double size = std::max(0.0, -bounded(log10_p));
  if (size >= 15) return power_of_ten(static_cast<long>(std::floor(size)));
  const auto [mantissa, exponent] = scientific(size, [](double x) { return std::floor(x + 1e-9); });
  if (exponent < 6) {
    // Two leading digits, rounded down.
    const double value = mantissa * std::pow(10.0, static_cast<double>(exponent));
    return grouped(static_cast<std::uint64_t>(std::floor(value + 1e-6)));
  }
  static constexpr std::array<std::string_view, 3> kNames{"million", "billion", "trillion"};
  const auto step = static_cast<std::size_t>((exponent - 6) / 3);
  const double shown = mantissa * std::pow(10.0, static_cast<double>((exponent - 6) % 3));
  return plain(shown, exponent % 3 == 0 && shown != std::floor(shown) ? 1 : 0) + " " + std::string(kNames[step]);
}

std::string zeros_in_words(double log10_p) {
  const double size = std::max(0.0, -bounded(log10_p));
  if (size < 15) return "";
  return "a 1 followed by " + grouped(static_cast<std::uint64_t>(std::floor(size))) + " zeros";
}

std::string from_log10(double log10_value) {
  const auto [mantissa, exponent] = scientific(log10_value, [](double x) { return std::round(x); });
  if (exponent >= 4 || exponent < -4) {
    const std::string power = power_of_ten(exponent);
    return mantissa == 1 ? power : plain(mantissa, 1) + " × " + power;
  }
  const double value = mantissa * std::pow(10.0, static_cast<double>(exponent));
  if (exponent >= 1) return grouped(static_cast<std::uint64_t>(std::llround(value)));
  return plain(value, static_cast<int>(1 - exponent));
}

double log10_bayes_bound(double log10_p) {
  const double minus_ln_p = -log10_p / kLog10E;
  if (minus_ln_p <= 1) return 0;
  return -(kLog10E + log10_p + std::log10(minus_ln_p));
}

double normal_upper_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::numbers::sqrt2) / 2 > p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double log10_sum(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  if (std::isinf(high)) return high;
  return high + std::log10(1 + std::pow(10.0, low - high));
}

}  // namespace heirmark::report
