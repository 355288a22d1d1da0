// A small seeded generator (xoshiro256**, seeded by splitmix64) and ordinary categorical sampling. Used for initial
// weights, shuffles and unmarked text: never for a mark.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

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

/// One index drawn from softmax(logits / temperature); temperature 0 takes the greatest logit, smallest index on a tie.
inline std::uint32_t sample_logits(std::span<const float> logits, double temperature, Rng& rng) {
  std::uint32_t best = 0;
  for (std::uint32_t v = 1; v < logits.size(); ++v) {
    if (logits[v] > logits[best]) best = v;
  }
  if (temperature <= 0.0) return best;
  const float inverse = static_cast<float>(1.0 / temperature);
  double total = 0.0;
  for (const float x : logits) total += static_cast<double>(std::exp((x - logits[best]) * inverse));
  double left = rng.uniform() * total;
  for (std::uint32_t v = 0; v < logits.size(); ++v) {
    left -= static_cast<double>(std::exp((logits[v] - logits[best]) * inverse));
    if (left < 0.0) return v;
  }
  return best;
}

}  // namespace quickstart
