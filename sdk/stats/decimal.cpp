// Decimal strings of evidence: a rounding that can only weaken the claim.
#include <algorithm>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"

namespace heirmark::stats {
namespace {

constexpr double kLog10E = 0.43429448190325183;
constexpr double kFarthest = 1e12;  // the greatest |log10| that is printed
constexpr const char* kFarthestText = "1000000000000.0000";

// What the logarithm may be off by (specs/statistics.md, "Numbers"): 10^-9 for a statistic that was rounded to a double
// before, 10^-12 of the value for the computation itself, whose measured error is below 10^-14 of it.
double guard(double log10) { return 1e-9 + 1e-12 * std::fabs(log10); }

// "-41.3000" for -413000.
std::string four_decimals(std::int64_t ten_thousandths) {
  const bool negative = ten_thousandths < 0;
  const auto magnitude = static_cast<std::uint64_t>(negative ? -ten_thousandths : ten_thousandths);
  const std::string fraction = std::to_string(magnitude % 10000);
  std::string text;
  if (negative) text += '-';
  text += std::to_string(magnitude / 10000);
  text += '.';
  text.append(4 - fraction.size(), '0');
  return text + fraction;
}

}  // namespace

std::string log10_p_string(double log_p) {
  if (!(log_p < 0)) return four_decimals(0);  // also for NaN: against the accuser
  const double log10 = log_p * kLog10E;
  if (log10 < -kFarthest) return std::string(1, '-') + kFarthestText;
  return four_decimals(static_cast<std::int64_t>(std::min(0.0, std::ceil((log10 + guard(log10)) * 1e4))));
}

std::string log10_e_string(double log_e) {
  const double log10 = log_e * kLog10E;
  if (!(log10 >= -kFarthest)) return std::string(1, '-') + kFarthestText;  // also for NaN
  if (log10 > kFarthest) return kFarthestText;
  if (std::fabs(log10) < 1e-13) return four_decimals(0);  // nothing was bet, but for rounding
  return four_decimals(static_cast<std::int64_t>(std::floor((log10 - guard(log10)) * 1e4)));
}

}  // namespace heirmark::stats
