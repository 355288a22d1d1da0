// The 16-bit floats of logits, as float32. Every value is exact there.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/hd.hpp"

namespace heirmark::core {

HEIRMARK_HD_INLINE float float_from_bits(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

HEIRMARK_HD_INLINE std::uint32_t float_bits(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

/// The value of an IEEE 754 binary16; NaN stays NaN.
HEIRMARK_HD_INLINE float half_to_float(std::uint16_t h) {
#if defined(__CUDA_ARCH__)
  float converted;  // one instruction, exact for subnormals too (PTX ISA 9, "cvt")
  asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(h));
  return converted;
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16, magnitude = h & 0x7FFFu;
  const float value = magnitude < 0x0400u ? static_cast<float>(magnitude) * 0x1p-24f
                                          : float_from_bits((magnitude << 13) + (magnitude >= 0x7C00u ? 0x70000000u : 0x38000000u));
  return float_from_bits(float_bits(value) | sign);
#endif
}

/// The value of a bfloat16: the upper half of a float32.
HEIRMARK_HD_INLINE float bfloat_to_float(std::uint16_t b) { return float_from_bits(static_cast<std::uint32_t>(b) << 16); }

}  // namespace heirmark::core
