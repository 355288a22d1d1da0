#include <algorithm>

#include "stats/numeric.hpp"
#include "stats/weighted.hpp"

namespace heirmark::stats {
namespace {

// ln(1 - q + q e^u) - q u.
double centred_bernoulli(double q, double u) {
  if (q > 0.5) return centred_bernoulli(1 - q, -u);  // the other outcome counts
  if (std::fabs(u) <= 1) return q * expm1_minus(u) - minus_log1p(q * std::expm1(u));
  if (u < 0) return std::log1p(q * std::expm1(u)) - q * u;
  return std::log(q + (1 - q) * std::exp(-u)) + (1 - q) * u;
}

// Probability of 1 under the tilt u, its complement, and p - q.
struct Tilted {
  double p, not_p, less_mean;
};

Tilted tilt(double q, double u) {
  if (u <= 0) {
    const double e = std::exp(u), d = (1 - q) + q * e;
    return {q * e / d, (1 - q) / d, q * (1 - q) * std::expm1(u) / d};
  }
  const double e = std::exp(-u), d = q + (1 - q) * e;
  return {q / d, (1 - q) * e / d, -q * (1 - q) * std::expm1(-u) / d};
}

}  // namespace

WeightedSum::WeightedSum(TermKind kind, std::span<const WeightGroup> weights)
    : exponential_(kind.term == Term::exponential), q_(kind.term == Term::fair_bits ? 0.5 : kind.q) {
  const double copies = kind.term == Term::fair_bits ? kind.bits : 1;
  WideSum mean, highest, lowest;
  double top = 0, bottom = 0;
  groups_.reserve(weights.size());
  for (const WeightGroup& group : weights) {
    if (group.weight == 0 || group.count == 0 || copies == 0) continue;
    groups_.push_back({group.weight, static_cast<double>(group.count) * copies});
  }
  // One group for each weight, in order: faster, and the result does not depend on how the caller grouped the terms.
  std::sort(groups_.begin(), groups_.end(), [](const Group& a, const Group& b) { return a.weight < b.weight; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (kept > 0 && groups_[kept - 1].weight == groups_[i].weight) {
      groups_[kept - 1].count += groups_[i].count;
    } else {
      groups_[kept++] = groups_[i];
    }
  }
  groups_.resize(kept);
  for (const Group& group : groups_) {
    mean.add_product(group.weight, group.count);
    (group.weight > 0 ? highest : lowest).add_product(group.weight, group.count);
  }
  if (!groups_.empty()) {
    top = std::max(0.0, groups_.back().weight);
    bottom = std::min(0.0, groups_.front().weight);
  }
  largest_weight_ = std::max(top, -bottom);
  mean_ = exponential_ ? mean.value() : q_ * mean.value();
  highest_ = exponential_ && top > 0 ? kInfinity : exponential_ ? 0 : highest.value();
  lowest_ = exponential_ && bottom < 0 ? -kInfinity : exponential_ ? 0 : lowest.value();
  domain_high_ = exponential_ && top > 0 ? 1 / top : kInfinity;
  domain_low_ = exponential_ && bottom < 0 ? 1 / bottom : -kInfinity;
}

double WeightedSum::above_mean(double x) const {
  WideSum sum;
  sum.add(x);
  for (const Group& g : groups_) {
    if (exponential_) {
      sum.add_product(-g.weight, g.count);
    } else {
      const double product = q_ * g.weight;
      sum.add_product(-product, g.count);
      sum.add_product(-std::fma(q_, g.weight, -product), g.count);
    }
  }
  return sum.value();
}

double WeightedSum::below_highest(double x) const {
  if (exponential_) return highest_ - x;
  WideSum sum;
  sum.add(-x);
  for (const Group& g : groups_) {
    if (g.weight > 0) sum.add_product(g.weight, g.count);
  }
  return sum.value();
}

double WeightedSum::centred_cumulant(double l) const {
  WideSum sum;
  for (const Group& g : groups_) {
    const double u = l * g.weight;
    if (!exponential_) {
      sum.add(g.count * centred_bernoulli(q_, u));
    } else if (std::fabs(u) <= 0.5) {
      sum.add(g.count * minus_log1p(-u));
    } else {
      const double left = std::fma(-l, g.weight, 1.0);  // 1 - l a, rounded once: it may be tiny
      if (left <= 0) return kInfinity;
      sum.add(g.count * (-u - std::log(left)));
    }
  }
  return sum.value();
}

double WeightedSum::end_cumulant(double l) const {
  WideSum sum;
  for (const Group& g : groups_) {
    const double u = l * g.weight;
    sum.add(g.count * (u > 0 ? std::log(q_ + (1 - q_) * std::exp(-u)) : std::log((1 - q_) + q_ * std::exp(u))));
  }
  return sum.value();
}

WeightedSum::Slope WeightedSum::centred_slope(double l) const {
  WideSum first, second;
  for (const Group& g : groups_) {
    const double a = g.weight, u = l * a;
    if (exponential_) {
      const double scaled = a / std::fma(-l, a, 1.0);
      first.add(g.count * scaled * u);
      second.add(g.count * scaled * scaled);
    } else {
      const Tilted t = tilt(q_, u);
      first.add(g.count * a * t.less_mean);
      second.add(g.count * a * a * t.p * t.not_p);
    }
  }
  return {first.value(), second.value()};
}

WeightedSum::Slope WeightedSum::end_slope(double l) const {
  WideSum first, second;
  for (const Group& g : groups_) {
    const double a = g.weight;
    const Tilted t = tilt(q_, l * a);
    first.add(g.count * (a > 0 ? a * t.not_p : -a * t.p));
    second.add(g.count * a * a * t.p * t.not_p);
  }
  return {first.value(), second.value()};
}

double WeightedSum::third() const {
  WideSum sum;
  for (const Group& g : groups_) {
    const double cube = g.count * g.weight * g.weight * g.weight;
    sum.add(exponential_ ? 2 * cube : cube * q_ * (1 - q_) * (1 - 2 * q_));
  }
  return sum.value();
}

double WeightedSum::grid() const {
  if (exponential_) return 0;
  double h = 0;
  for (const Group& g : groups_) {
    double b = std::fabs(g.weight);
    while (b > 0) {  // Euclid; fmod is exact
      const double r = std::fmod(h, b);
      h = b;
      b = r;
    }
  }
  return h;
}

}  // namespace heirmark::stats
