// Rows of logits for the tests: random, adversarial, in every type.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "marks/rule.hpp"
#include "sampler/row.hpp"

namespace heirmark::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN(),
                       kMax = std::numeric_limits<float>::max(), kDenormal = std::numeric_limits<float>::denorm_min();

using Random = std::mt19937_64;
inline double uniform(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }
inline float normal(Random& random) {
  return static_cast<float>(std::sqrt(-2 * std::log(1 - uniform(random))) * std::cos(6.283185307179586 * uniform(random)));
}

enum class Shape {
  language,   ///< a wide crowd and a few tokens far above, as language models give
  flat, equal, one, two_bins, masked, nans, ties, denormals, huge, enormous, descending, outlier_late, offset, spike,
  lowest,         ///< nothing above -FLT_MAX
  lowest_one,     ///< one -FLT_MAX and nothing else
  masked_finite,  ///< a mask of finite numbers
  kCount
};
inline const char* shape_name(Shape s) {
  static const char* const names[] = {"language", "flat", "equal", "one", "two_bins", "masked", "nans", "ties", "denormals", "huge", "enormous", "descending",
                                      "outlier_late", "offset", "spike", "lowest", "lowest_one", "masked_finite"};
  return names[static_cast<int>(s)];
}

inline std::vector<float> make_row(Random& random, Shape shape, std::uint32_t vocab) {
  std::vector<float> row(vocab);
  const std::uint32_t special = static_cast<std::uint32_t>(random() % vocab);
  const float scale = static_cast<float>(std::exp(4 * uniform(random) - 2));
  for (std::uint32_t v = 0; v < vocab; ++v) {
    float x = 3 * normal(random);
    switch (shape) {
      case Shape::language: x += random() % 1000 == 0 ? 10.0f + normal(random) : 0.0f; break;
      case Shape::flat: x *= 0.01f * scale; break;
      case Shape::equal: x = 2.5f * scale; break;
      case Shape::one: x = v == special ? -3.0f : -kInf; break;
      case Shape::two_bins: x = (v ^ special) % 2048 < 2 ? x : -1000.0f; break;
      case Shape::masked: x = random() % 100 == 0 || v == special ? x : -kInf; break;
      case Shape::nans: x = random() % 10 == 0 && v != special ? kNan : x; break;
      case Shape::ties: x = std::round(x); break;
      case Shape::denormals: x = static_cast<float>(random() % 7) * kDenormal * (random() % 2 == 0 ? 1.0f : -1.0f); break;
      case Shape::huge: x = x * 1e30f * scale; break;
      case Shape::enormous: x = random() % 2 == 0 ? -kMax : random() % 50 == 0 || v == special ? kMax : x; break;
      case Shape::descending: x = -static_cast<float>(v) * 0.01f * scale; break;
      case Shape::outlier_late: x = v + 1 == vocab ? 500.0f * scale : x; break;
      case Shape::offset: x += 1e5f * scale; break;
      case Shape::spike: x = v == special ? 30.0f : x; break;
      case Shape::lowest: x = random() % 2 == 0 || v == special ? -kMax : -kInf; break;
      case Shape::lowest_one: x = v == special ? -kMax : -kInf; break;
      case Shape::masked_finite: x = random() % 100 == 0 || v == special ? x : random() % 2 == 0 ? -1e9f : -kMax; break;
      case Shape::kCount: break;
    }
    row[v] = x;
  }
  return row;
}

inline std::uint16_t to_bfloat(float x) {  // towards zero; NaN stays NaN
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<std::uint16_t>((bits >> 16) | (std::isnan(x) ? 0x40u : 0u));
}
inline std::uint16_t to_half(float x) {  // towards zero, overflow to the greatest finite; NaN and infinities stay
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  if (std::isnan(x)) return static_cast<std::uint16_t>(sign | 0x7E00u);
  if (std::isinf(x)) return static_cast<std::uint16_t>(sign | 0x7C00u);
  const float a = std::fabs(x);
  if (a >= 65504.0f) return static_cast<std::uint16_t>(sign | 0x7BFFu);
  if (a < 0x1p-14f) return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(a * 0x1p24f));
  std::memcpy(&bits, &a, sizeof bits);
  return static_cast<std::uint16_t>(sign | ((bits - 0x38000000u) >> 13));
}

/// A row in its type, at an odd address if `shift` is odd.
struct Stored {
  std::vector<std::byte> bytes;
  DType dtype;
  std::size_t shift;
  std::uint32_t vocab;
  [[nodiscard]] sampler::RowView view() const { return {bytes.data() + shift, dtype, vocab}; }
  /// The values that are really there, as float32.
  [[nodiscard]] std::vector<float> values() const {
    std::vector<float> out(vocab);
    for (std::uint32_t v = 0; v < vocab; ++v) out[v] = sampler::logit_at(view(), v);
    return out;
  }
};

inline Stored store(const std::vector<float>& row, DType dtype, std::size_t shift) {
  const std::size_t size = sampler::bytes_per_logit(dtype);
  Stored out{std::vector<std::byte>(shift + size * row.size()), dtype, shift, static_cast<std::uint32_t>(row.size())};
  for (std::size_t v = 0; v < row.size(); ++v) {
    std::byte* place = out.bytes.data() + shift + size * v;
    if (dtype == DType::float32) {
      std::memcpy(place, &row[v], 4);
    } else {
      const std::uint16_t bits = dtype == DType::bfloat16 ? to_bfloat(row[v]) : to_half(row[v]);
      std::memcpy(place, &bits, 2);
    }
  }
  return out;
}

inline core::KeyWords random_key(Random& random) {
  core::KeyWords key{};
  for (auto& word : key.w) word = static_cast<std::uint32_t>(random());
  return key;
}

}  // namespace heirmark::test
