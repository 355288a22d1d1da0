// Weighted sums: the Chernoff bound, which is rigorous, and the saddlepoint approximation beside it
// (specs/statistics.md).
#include "stats/weighted.hpp"

#include <algorithm>

#include "stats/numeric.hpp"

namespace heirmark::stats {
namespace {

// The minimum of K(l) - l x, and what Lugannani-Rice needs there.
struct Saddle {
  double l, value, second;
};

// One step towards K'(l) = x from the values there. Newton on a transform of K' that is nearly straight: 1/K' for
// exponential terms (exact for equal weights), ln(highest - K') near the end of bounded ones, K' itself otherwise.
class Target {
 public:
  Target(const WeightedSum& sum, double x)
      : sum_(sum),
        x_(x),
        above_(sum.above_mean(x)),
        room_(sum.below_highest(x)),
        near_end_(std::isfinite(room_) && sum.highest() > 0 && room_ < above_) {
    if (sum.highest() == kInfinity || sum.lowest() == -kInfinity) near_end_ = false;
  }
  [[nodiscard]] double above() const { return above_; }
  [[nodiscard]] double room() const { return room_; }
  [[nodiscard]] double value(double l) const {
    return near_end_ ? sum_.end_cumulant(l) + l * room_ : sum_.centred_cumulant(l) - l * above_;
  }
  struct Step {
    double gap, move, second;
  };  // K'(l) - x, the step to take, K''(l)
  [[nodiscard]] Step step(double l) const {
    if (near_end_) {
      const auto s = sum_.end_slope(l);
      const double gap = room_ - s.first;
      const double move = s.first > 0 && s.second > 0 ? std::log(s.first / room_) * s.first / s.second : 0;
      return {gap, move, s.second};
    }
    const auto s = sum_.centred_slope(l);
    const double gap = s.first - above_;
    double move = -gap / s.second;
    const double slope = s.first + sum_.mean();
    if (sum_.highest() == kInfinity && slope > 0 && x_ > 0) move *= slope / x_;
    return {gap, move, s.second};
  }

 private:
  const WeightedSum& sum_;
  double x_, above_, room_;
  bool near_end_;
};

// K' rises, so the root is kept in a bracket that every evaluation narrows; a step that leaves it is replaced by a
// halving (a doubling while one side is open).
Saddle solve(const WeightedSum& sum, const Target& target) {
  const bool up = target.above() > 0;
  double low = up ? 0 : sum.domain_low(), high = up ? sum.domain_high() : 0;
  double l = target.above() / sum.centred_slope(0).second;
  Saddle best{0, 0, sum.centred_slope(0).second};
  for (int round = 0; round < 400; ++round) {
    if (!(l > low && l < high)) {
      if (low == -kInfinity) l = std::min(2 * high, -1e-300);
      else if (high == kInfinity) l = std::max(2 * low, 1e-300);
      else l = low + 0.5 * (high - low);
      if (!(l > low && l < high) || !std::isfinite(l)) break;
    }
    const auto step = target.step(l);
    best = {l, 0, step.second};
    if (step.gap == 0) break;
    (step.gap < 0 ? low : high) = l;
    const double next = step.move != 0 && std::isfinite(step.move) ? l + step.move : kInfinity;
    if (std::fabs(next - l) <= 1e-13 * std::fabs(l)) break;
    l = next;
  }
  best.value = std::min(0.0, target.value(best.l));
  return best;
}

// Lugannani and Rice (1980); with Daniels' (1987) u for sums on a grid.
double lugannani_rice(const WeightedSum& sum, const Saddle& saddle) {
  const double h = sum.grid();
  const double w = std::copysign(std::sqrt(-2 * saddle.value), saddle.l);
  const double deviation = std::sqrt(saddle.second);
  double correction = 0;  // 1/u - 1/w
  if (std::fabs(w) < 1e-4) {
    correction = -sum.third() / (6 * deviation * deviation * deviation) + h / (2 * deviation);
  } else {
    const double u = h > 0 ? -std::expm1(-saddle.l * h) / h * deviation : saddle.l * deviation;
    correction = 1 / u - 1 / w;
  }
  const double log_density = -0.5 * w * w - 0.5 * kLogTwoPi;
  if (w > 0) {
    const double ratio = mills_ratio(w) + correction;
    return ratio > 0 ? std::min(log_density + std::log(ratio), saddle.value) : saddle.value;
  }
  const double below = std::exp(log_density) * (mills_ratio(-w) - correction);  // the lower tail
  return below > 0 && below < 1 ? std::log1p(-below) : 0;  // where it gives no probability, the Chernoff bound's, 1
}

}  // namespace

double cumulant(TermKind kind, std::span<const WeightGroup> weights, double l) {
  const WeightedSum sum(kind, weights);
  if (!(l > sum.domain_low() && l < sum.domain_high())) return kInfinity;
  return sum.centred_cumulant(l) + l * sum.mean();
}

WeightedTail weighted_tail(TermKind kind, std::span<const WeightGroup> weights, double x) {
  const WeightedSum sum(kind, weights);
  if (std::isnan(x)) return {0, 0};
  if (sum.empty()) return x > 0 ? WeightedTail{-kInfinity, -kInfinity} : WeightedTail{0, 0};
  if (x <= sum.lowest()) return {0, 0};
  if (std::isfinite(sum.highest())) {
    const double room = sum.below_highest(x);
    if (kind.term == Term::exponential && room <= 0) return {-kInfinity, -kInfinity};
    const double rounding = 1e-12 * std::fabs(sum.highest());  // x may be a rounded sum
    if (room < -rounding) return {-kInfinity, -kInfinity};
    if (room <= 0) {  // every term at its end: the bound is the probability itself
      const double log_p = sum.end_cumulant(kInfinity);
      return {log_p, log_p};
    }
  }
  if (x == kInfinity) return {-kInfinity, -kInfinity};
  const Target target(sum, x);
  const Saddle saddle = target.above() == 0 ? Saddle{0, 0, sum.centred_slope(0).second} : solve(sum, target);
  return {target.above() > 0 ? saddle.value : 0.0, lugannani_rice(sum, saddle)};
}

}  // namespace heirmark::stats
