// How many tokens an audit needs (specs/statistics.md, "Planning").
#include <algorithm>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"

namespace heirmark::stats {

Result<PowerAnswer> plan_tokens(const PowerQuery& query) {
  const auto probability = [](double v) { return v > 0 && v < 1; };
  const auto positive = [](double v) { return v > 0 && std::isfinite(v); };
  if (!probability(query.alpha)) return Error{ErrorCode::bad_input, "alpha must lie between 0 and 1"};
  if (!probability(query.power)) return Error{ErrorCode::bad_input, "power must lie between 0 and 1"};
  if (!positive(query.kappa)) return Error{ErrorCode::bad_input, "kappa must be a positive number"};
  if (!positive(query.effect)) return Error{ErrorCode::bad_input, "effect must be a positive number"};
  const double information = query.kappa * query.effect * query.effect;
  const double z_alpha = normal_quantile_from_log_tail(std::log(query.alpha));
  const double z_power = normal_quantile_from_log_tail(std::log1p(-query.power));
  const double distance = std::max(0.0, z_alpha + z_power);
  const double a = 2.9 - std::log(query.alpha);
  return PowerAnswer{distance * distance / information, 2 * a / information,
                     std::max(0.0, 2 * a + z_power * std::sqrt(8 * a)) / information};
}

}  // namespace heirmark::stats
