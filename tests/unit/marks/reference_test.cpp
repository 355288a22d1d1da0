// The oracle itself, where its answer can be said by hand.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "marks/reference.hpp"

using namespace heirmark;
using marks::Filter;

namespace {
constexpr float kMinusInf = -std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::uint32_t> kept(std::vector<float> logits, Filter filter) {
  const std::vector<double> e = marks::reference_kept(logits, filter);
  std::vector<std::uint32_t> out;
  for (std::uint32_t v = 0; v < e.size(); ++v)
    if (e[v] > 0) out.push_back(v);
  return out;
}
}  // namespace

TEST_CASE("truncation follows the page") {
  using List = std::vector<std::uint32_t>;
  const float log2 = 0.6931472f;
  CHECK(kept({0, kNan, kMinusInf, 1}, {}) == List{0, 3});
  CHECK(kept({1, 1, 1, 1}, {.top_k = 2}) == List{0, 1});
  CHECK(kept({1, 2, 2, 3}, {.top_k = 2}) == List{1, 3});
  CHECK(kept({-0.0f, 0.0f}, {.top_k = 1}) == List{0});
  CHECK(kept({0, -log2, -2 * log2}, {.min_p = 0.4}) == List{0, 1});
  CHECK(kept({0, 0, -1}, {.min_p = 1}) == List{0, 1});
  // Masses 1/2, 1/4, 1/8, 1/8: the token that crosses p is kept.
  CHECK(kept({-log2, 0, -2 * log2, -2 * log2}, {.top_p = 0.5}) == List{1});
  CHECK(kept({-log2, 0, -2 * log2, -2 * log2}, {.top_p = 0.51}) == List{0, 1});
  CHECK(kept({-log2, 0, -2 * log2, -2 * log2}, {.top_p = 0.8}) == List{0, 1, 2});
  CHECK(kept({-log2, 0, -2 * log2, -2 * log2}, {.top_p = 0.9}) == List{0, 1, 2, 3});
  CHECK(kept({5, 4}, {.top_p = 1e-30}) == List{0});
  // top-p is relative to what min-p and top-k leave.
  CHECK(kept({0, -log2, -log2, -log2}, {.top_k = 2, .top_p = 0.7}) == List{0, 1});
  CHECK(kept({0, -log2, -log2, -log2}, {.top_k = 2, .top_p = 0.6}) == List{0});
  // A low temperature sharpens before anything else is looked at.
  CHECK(kept({0, -log2}, {.temperature = 0.5, .min_p = 0.4}) == List{0});
}

TEST_CASE("greedy takes the greatest, then the smallest id") {
  const std::vector<float> logits = {kNan, 1, kMinusInf, 3, 3};
  CHECK(marks::reference_greedy(logits, {}, {}) == 3);
  const std::vector<float> zeros = {-0.0f, 0.0f};
  CHECK(marks::reference_greedy(zeros, {}, {}) == 0);
}

TEST_CASE("log-probability counts all finite tokens") {
  const std::vector<float> logits = {0, 0, kNan, kMinusInf};
  CHECK(marks::reference_log_prob(logits, 1, 1) == Approx(-std::log(2.0)));
  const std::vector<float> two = {0, 2};
  CHECK(marks::reference_log_prob(two, 2, 0) == Approx(-std::log(1 + std::exp(1.0))));
}
