// Any machine: four lanes of the compiler's own vectors (SSE2 on x86-64, NEON on arm64, plain registers elsewhere).
#include <cstring>

#include "marks/score.hpp"
#include "scoring/lanes.hpp"

namespace heirmark::scoring {
namespace {

struct Lanes {
  using V = std::uint32_t __attribute__((vector_size(16)));
  static constexpr std::size_t kLanes = 4;
  static V load(const std::uint32_t* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(std::uint32_t* to, V v) { std::memcpy(to, &v, sizeof v); }
  static V set(std::uint32_t x) { return V{x, x, x, x}; }
  static V add(V a, V b) { return a + b; }
  static V exclusive_or(V a, V b) { return a ^ b; }
  template <int N>
  static V rotate(V a) {
    return a << N | a >> (32 - N);
  }
  template <int N>
  static V shift_right(V a) {
    return a >> N;
  }
  template <int B>
  static V choose(V index, V odd, V even) {
    const V mask = set(0) - ((index >> B) & set(1));
    return (odd & mask) | (even & ~mask);
  }
};

void words(const core::KeyWords& key, core::Domain domain, const Columns& columns, std::size_t count,
           std::uint32_t* out) {
  lane_words<Lanes>(key, domain, columns, count, out);
}
std::uint64_t sum_scores(const std::uint32_t* from, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += marks::score(from[i]);
  return sum;
}
void scores(const std::uint32_t* from, std::size_t count, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = marks::score(from[i]);
}
std::uint64_t count_below(const std::uint32_t* from, std::size_t count, std::uint32_t limit) {
  return lane_count_below(from, count, limit);
}
std::uint64_t count_ones(const std::uint32_t* from, std::size_t count, std::uint32_t mask) {
  return lane_count_ones(from, count, mask);
}

}  // namespace

std::uint32_t exact_score(std::uint32_t word) noexcept { return marks::score_exact(word); }

const Kernel kPortableKernel{"portable", words, sum_scores, scores, count_below, count_ones};

}  // namespace heirmark::scoring
