// The kit of every statistical test: a seeded generator, and acceptance regions whose false-failure probability is
// computed.
//
// A test states n (simulated runs), alpha (the level it looks at) and the probability that it fails although the code
// is right, at most 1e-9 for a whole test case. The region is exact: it comes from the binomial distribution of the
// number of runs that reach alpha, by Boost's incomplete beta function, which shares nothing with heirmark::stats.
#pragma once
#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace kit {

/// xoshiro256**: the same numbers with every standard library.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) {
    for (auto& word : state_) {  // splitmix64
      std::uint64_t z = (seed += 0x9E3779B97F4A7C15u);
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
      word = z ^ (z >> 31);
    }
  }
  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9, t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  /// Uniform in (0, 1].
  double uniform() { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  double exponential() { return -std::log(uniform()); }
  /// The sum of n Exp(1) terms: one logarithm for 16 of them.
  double gamma(std::uint64_t n) {
    double sum = 0;
    for (; n >= 16; n -= 16) {
      double product = 1;
      for (int i = 0; i < 16; ++i) product *= uniform();
      sum -= std::log(product);
    }
    double product = 1;
    for (; n > 0; --n) product *= uniform();
    return sum - std::log(product);
  }
  std::uint64_t binomial(std::uint64_t n, double q) {
    if (q > 0.5) return n - binomial(n, 1 - q);
    if (q <= 0) return 0;
    if (q > 0.05) {
      std::uint64_t k = 0;
      for (; n > 0; --n) k += uniform() <= q;
      return k;
    }
    const double scale = 1 / std::log1p(-q);  // jump from success to success
    std::uint64_t k = 0;
    for (double at = std::ceil(std::log(uniform()) * scale); at <= static_cast<double>(n); ++k) {
      at += std::max(1.0, std::ceil(std::log(uniform()) * scale));
    }
    return k;
  }
  double normal() { return std::sqrt(2 * exponential()) * std::cos(6.283185307179586 * uniform()); }

 private:
  static std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::uint64_t state_[4];
};

/// P(Binomial(n, q) >= k).
inline double at_least(std::uint64_t n, double q, std::uint64_t k) {
  if (k == 0) return 1;
  if (k > n) return 0;
  return boost::math::ibeta(static_cast<double>(k), static_cast<double>(n - k) + 1, q);
}

/// The largest count whose upper tail is still above `failure`: more than this fails.
inline std::uint64_t most(std::uint64_t n, double q, double failure) {
  std::uint64_t low = 0, high = n;  // P(>= low + 1) may be above, P(>= high + 1) = 0
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (at_least(n, q, middle + 1) <= failure) high = middle;
    else low = middle + 1;
  }
  return low;
}

/// The smallest count whose lower tail is still above `failure`: fewer than this fails.
inline std::uint64_t least(std::uint64_t n, double q, double failure) { return n - most(n, 1 - q, failure); }

/// How many standard errors a normal mean may be off, on either side, so that it is farther off with probability `failure`.
inline double deviations(double failure) { return std::sqrt(2.0) * boost::math::erfc_inv(failure); }

/// A p-value of a discrete statistic made continuous: uniform between P(X > x) and P(X >= x). Under the null it is uniform
/// exactly, so it shows both a p that is too small and a statistic that has lost something.
inline double randomised(double log_p_at_least, double log_p_above, Rng& rng) {
  const double high = std::exp(log_p_at_least), low = std::exp(log_p_above);
  return std::log(low + rng.uniform() * (high - low));
}

/// Counts how often p <= alpha for several alphas, and says which counts are impossible for an honest p.
class Calibration {
 public:
  /// `false_failure` is split evenly over all bounds that are checked.
  explicit Calibration(std::vector<double> alphas, double false_failure = 1e-9)
      : alphas_(std::move(alphas)), counts_(alphas_.size(), 0), false_failure_(false_failure) {}
  void add(double log_p) {
    ++runs_;
    for (std::size_t i = 0; i < alphas_.size(); ++i) counts_[i] += log_p <= std::log(alphas_[i]) + 1e-12;
  }
  /// Empty when P(p <= alpha) <= alpha is credible for every alpha.
  [[nodiscard]] std::string too_often() const { return judge(false); }
  /// Empty when P(p <= alpha) = alpha is credible: for statistics with a continuous distribution.
  [[nodiscard]] std::string off_nominal() const { return judge(true); }
  [[nodiscard]] std::uint64_t runs() const { return runs_; }
  [[nodiscard]] std::uint64_t count(std::size_t i) const { return counts_[i]; }

 private:
  [[nodiscard]] std::string judge(bool both) const {
    const double failure = false_failure_ / static_cast<double>(alphas_.size() * (both ? 2 : 1));
    std::string text;
    for (std::size_t i = 0; i < alphas_.size(); ++i) {
      const std::uint64_t high = most(runs_, alphas_[i], failure), low = both ? least(runs_, alphas_[i], failure) : 0;
      if (counts_[i] > high || counts_[i] < low) {
        text += "p <= " + std::to_string(alphas_[i]) + " in " + std::to_string(counts_[i]) + " of " +
                std::to_string(runs_) + " runs, allowed " + std::to_string(low) + ".." + std::to_string(high) + "; ";
      }
    }
    return text;
  }
  std::vector<double> alphas_;
  std::vector<std::uint64_t> counts_;
  double false_failure_;
  std::uint64_t runs_ = 0;
};

}  // namespace kit
