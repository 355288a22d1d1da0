// One row: where its logits lie, what is asked of it, what comes out. Keys and sequences are already resolved.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <heirmark/sampler.hpp>

#include "core/hd.hpp"
#include "marks/rule.hpp"

namespace heirmark::sampler {

/// The logits of one row: `vocab` elements of `dtype` at any address.
struct RowView {
  const std::byte* data = nullptr;
  DType dtype = DType::float32;
  std::uint32_t vocab = 0;
};

/// A half-precision number's value; exact.
HEIRMARK_HD_INLINE float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16, magnitude = h & 0x7FFFu;
  float value = 0;
  if (magnitude < 0x0400u) {
    value = static_cast<float>(magnitude) * 0x1p-24f;
  } else {
    const std::uint32_t bits = (magnitude << 13) + (magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u);
    std::memcpy(&value, &bits, sizeof value);
  }
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits |= sign;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

HEIRMARK_HD_INLINE float bfloat_to_float(std::uint16_t b) {
  const std::uint32_t bits = static_cast<std::uint32_t>(b) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Logit v as float32, whatever the type; NaN stays NaN.
HEIRMARK_HD_INLINE float logit_at(const RowView& row, std::uint32_t v) {
  if (row.dtype == DType::float32) {
    float value = 0;
    std::memcpy(&value, row.data + std::size_t{4} * v, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, row.data + std::size_t{2} * v, sizeof bits);
  return row.dtype == DType::bfloat16 ? bfloat_to_float(bits) : half_to_float(bits);
}

inline std::size_t bytes_per_logit(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

/// A row with everything that decides its token.
struct RowTask {
  RowView logits;
  marks::Filter filter;
  bool greedy = false;    ///< argmax; only a greenlist rule then uses keys.mark
  bool log_prob = false;
  marks::Rule rule;
  marks::RowKeys keys;
};

struct RowResult {
  enum class Kind : std::uint8_t { drawn, no_finite_logit, infinite_logit };
  Kind kind = Kind::no_finite_logit;
  TokenId token = kNoToken;
  float log_prob = 0;  ///< NaN unless asked for
};

}  // namespace heirmark::sampler
