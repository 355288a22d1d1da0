// p from decoys (specs/statistics.md): one rank per class, combined by Stouffer's sum.
#include <algorithm>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"

namespace heirmark::stats {

RankResult stouffer_ranks(std::span<const RankClass> classes, std::uint64_t decoys) {
  RankResult result;
  result.class_p.reserve(classes.size());
  const double members = static_cast<double>(decoys) + 1;
  double sum = 0, weight = 0;
  for (const RankClass& c : classes) {
    if (c.pairs == 0) {  // no pairs, no rank: no part of the sum
      result.class_p.push_back(1);
      continue;
    }
    const double above = static_cast<double>(std::min(c.ge, decoys)) + 1;
    const double below = members - above;
    result.class_p.push_back(above / members);
    // The smaller of p and 1 - p gives the quantile; below = 0 is p = 1, -infinity.
    const double z = above <= below ? normal_quantile_from_log_tail(std::log(above / members))
                                    : -normal_quantile_from_log_tail(std::log(below / members));
    const double n = static_cast<double>(c.pairs);
    sum += std::sqrt(n) * z;
    weight += n;
  }
  result.z = weight > 0 ? sum / std::sqrt(weight) : -kInfinity;
  result.log_p = log_normal_tail(result.z);
  return result;
}

}  // namespace heirmark::stats
