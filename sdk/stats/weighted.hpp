// A weighted sum of independent terms and its cumulant function, centred and not.
#pragma once
#include <heirmark/stats.hpp>
#include <span>
#include <vector>

namespace heirmark::stats {

/// sum of a_i s_i. Sums of fair bits are kept as more Bernoulli(1/2) terms.
class WeightedSum {
 public:
  WeightedSum(TermKind kind, std::span<const WeightGroup> weights);

  [[nodiscard]] bool empty() const { return groups_.empty(); }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double highest() const { return highest_; }  ///< end of the support
  [[nodiscard]] double lowest() const { return lowest_; }
  [[nodiscard]] double domain_low() const { return domain_low_; }  ///< K is finite strictly between these
  [[nodiscard]] double domain_high() const { return domain_high_; }
  [[nodiscard]] double largest_weight() const { return largest_weight_; }  ///< in absolute value
  /// x - mean and highest - x, each rounded once.
  [[nodiscard]] double above_mean(double x) const;
  [[nodiscard]] double below_highest(double x) const;

  /// K(l) - l mean.
  [[nodiscard]] double centred_cumulant(double l) const;
  /// K(l) - l highest (bounded terms only): small where l is large.
  [[nodiscard]] double end_cumulant(double l) const;
  struct Slope {
    double first, second;
  };
  /// Derivatives of centred_cumulant.
  [[nodiscard]] Slope centred_slope(double l) const;
  /// {-K'(l) + highest, K''(l)}.
  [[nodiscard]] Slope end_slope(double l) const;
  /// Third cumulant at 0.
  [[nodiscard]] double third() const;
  /// The largest h such that all values of the sum lie on one grid of width h; 0 for continuous terms.
  [[nodiscard]] double grid() const;

 private:
  struct Group {
    double weight, count;
  };
  std::vector<Group> groups_;
  bool exponential_;
  double q_;  // Bernoulli
  double mean_ = 0, highest_ = 0, lowest_ = 0, domain_low_ = 0, domain_high_ = 0, largest_weight_ = 0;
};

}  // namespace heirmark::stats
