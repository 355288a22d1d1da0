// Numbers as people read them. Nothing here depends on a locale.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace heirmark::report {

[[nodiscard]] std::string grouped(std::uint64_t value);       ///< 18,231
[[nodiscard]] std::string grouped(std::string_view decimal);  ///< the same for an integer of any length, sign kept
[[nodiscard]] std::string whole(double value);                ///< the same for a double of any size, rounded to nearest
[[nodiscard]] std::string fixed(double value, int decimals);  ///< 12.50; "-0.0" is "0.0"; minus sign is U+2212
[[nodiscard]] std::string power_of_ten(long exponent);  ///< 10⁴¹ (superscripts are characters, so a copy keeps them)
[[nodiscard]] std::string minus_sign(std::string_view decimal);  ///< "-41.3000" with U+2212

/// N of "1 time in N" for log10 p <= 0, rounded down: "250", "2.6 million", "10⁴¹".
[[nodiscard]] std::string one_in(double log10_p);
/// The same spelled out, or "": "a 1 followed by 41 zeros".
[[nodiscard]] std::string zeros_in_words(double log10_p);
/// 10^x in short form, rounded to nearest: "2.7 × 10⁴", "31", "0.0012".
[[nodiscard]] std::string from_log10(double log10_value);

/// log10 of the bound 1/(-e p ln p) on the Bayes factor; 0 for p >= 1/e.
[[nodiscard]] double log10_bayes_bound(double log10_p);
/// z with P(N >= z) = p.
[[nodiscard]] double normal_upper_quantile(double p);
/// log10(10^a + 10^b).
[[nodiscard]] double log10_sum(double a, double b);

}  // namespace heirmark::report
