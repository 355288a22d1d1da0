// A small seeded generator (xoshiro256**, seeded by splitmix64) and ordinary categorical sampling. Used for initial
// weights, shuffles and unmarked text: never for a mark.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

namespace quickstart {

class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0) {
    std::uint64_t x = seed + 0x9E3779B97F4A7C15u * (2 * stream + 1);
    for (auto& word : state_) {
      x += 0x9E3779B97F4A7C15u;
      std::uint64_t z = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
      word = z ^ (z >> 31);
    }
  }
  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Uniform in 0 .. n-1; the bias of at most n / 2^64 does not matter here.
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : next() % n; }
  /// Standard normal (Box-Muller, one of the pair).
  double normal() {
    const double r = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return r * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  static std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<std::uint64_t, 4> state_{};
};

/// softmax(logits / temperature), ready to draw from many times. Temperature 0 is all on the greatest logit, the
/// smallest index on a tie.
class Categorical {
 public:
  explicit Categorical(std::span<const float> logits, double temperature = 1.0) : sum_(logits.size()) {
    const std::size_t best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    const float inverse = temperature > 0.0 ? static_cast<float>(1.0 / temperature) : 0.0f;
    double total = 0.0;
    for (std::size_t v = 0; v < logits.size(); ++v) {
      if (temperature > 0.0) {
        total += static_cast<double>(std::exp((logits[v] - logits[best]) * inverse));
      } else if (v == best) {
        total = 1.0;
      }
      sum_[v] = total;
    }
  }
  [[nodiscard]] std::uint32_t draw(Rng& rng) const {
    const double at = rng.uniform() * sum_.back();
    const auto found = std::upper_bound(sum_.begin(), sum_.end() - 1, at);  // at < sum_.back(), but for rounding
    return static_cast<std::uint32_t>(found - sum_.begin());
  }
  /// Sum of exp((logit - greatest) / temperature).
  [[nodiscard]] double total() const { return sum_.back(); }

 private:
  std::vector<double> sum_;
};

}  // namespace quickstart
