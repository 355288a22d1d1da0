// Exact distributions in 100-digit arithmetic, by enumeration: the tests' own oracle, no formula shared with the SDK.
#pragma once
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cstdint>
#include <heirmark/stats.hpp>
#include <map>
#include <vector>

namespace exact {

using Real = boost::multiprecision::cpp_bin_float_100;

/// The distribution of a sum of independent terms with integer weights: value -> probability.
using Distribution = std::map<std::int64_t, Real>;

/// Adds `weight` times one Bernoulli(q).
inline Distribution plus_bernoulli(const Distribution& d, std::int64_t weight, const Real& q) {
  Distribution sum;
  for (const auto& [value, p] : d) {
    sum[value] += p * (1 - q);
    sum[value + weight] += p * q;
  }
  return sum;
}

inline Distribution weighted_bernoulli(const std::vector<heirmark::stats::WeightGroup>& groups, const Real& q,
                                       int copies = 1) {
  Distribution d{{0, 1}};
  for (const auto& g : groups) {
    for (std::uint64_t i = 0; i < g.count * static_cast<std::uint64_t>(copies); ++i) {
      d = plus_bernoulli(d, static_cast<std::int64_t>(g.weight), q);
    }
  }
  return d;
}

/// P(sum >= x) for every x of the support.
inline Distribution upper_tails(const Distribution& d) {
  Distribution tails;
  Real sum = 0;
  for (auto it = d.rbegin(); it != d.rend(); ++it) tails[it->first] = (sum += it->second);
  return tails;
}

/// P(sum of a_i E_i >= x), E_i ~ Exp(1), x > 0, distinct weights of any sign: partial fractions of the moment
/// generating function.
inline Real exponential_tail(const std::vector<double>& weights, double x) {
  Real p = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    Real term = exp(-Real(x) / Real(weights[i]));
    for (std::size_t j = 0; j < weights.size(); ++j) {
      if (j != i) term *= Real(weights[i]) / (Real(weights[i]) - Real(weights[j]));
    }
    p += term;
  }
  return p;
}

inline double log_of(const Real& p) { return static_cast<double>(Real(log(p))); }

}  // namespace exact
