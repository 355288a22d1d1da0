// One row: where its logits lie, what is asked of it, what comes out. Keys and sequences are already resolved.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <heirmark/device_sampler.hpp>

#include "core/half.hpp"
#include "core/hd.hpp"
#include "marks/rule.hpp"

namespace heirmark::sampler {

/// The logits of one row: `vocab` elements of `dtype` at any address.
struct RowView {
  const std::byte* data = nullptr;
  DType dtype = DType::float32;
  std::uint32_t vocab = 0;
};

/// Logit v as float32, whatever the type; NaN stays NaN.
HEIRMARK_HD_INLINE float logit_at(const RowView& row, std::uint32_t v) {
  if (row.dtype == DType::float32) {
    float value = 0;
    std::memcpy(&value, row.data + std::size_t{4} * v, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, row.data + std::size_t{2} * v, sizeof bits);
  return row.dtype == DType::bfloat16 ? core::bfloat_to_float(bits) : core::half_to_float(bits);
}

inline std::size_t bytes_per_logit(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

/// A row with everything that decides its token.
struct RowTask {
  RowView logits;
  marks::Filter filter;
  bool greedy = false;    ///< argmax; only a greenlist rule then uses keys.mark
  bool log_prob = false;
  TopTokens* top = nullptr;  ///< null: nobody wants them
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
