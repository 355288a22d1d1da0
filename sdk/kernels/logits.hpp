// Reading logits: typed, at any address, up to the end of the real vocabulary and never beyond it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/half.hpp"
#include "kernels/batch.hpp"

namespace heirmark::kernels {

inline constexpr float kLeastLogit = -3.40282347e38f;  // -FLT_MAX

template <DType D>
struct Element {
  static constexpr std::uint32_t kBytes = 2, kPerPacket = 8;
  static HEIRMARK_HD_INLINE float value(std::uint32_t bits16) {
    return D == DType::bfloat16 ? core::bfloat_to_float(static_cast<std::uint16_t>(bits16)) : core::half_to_float(static_cast<std::uint16_t>(bits16));
  }
  static HEIRMARK_HD_INLINE float of(const Packet& packet, std::uint32_t i) { return value(packet.w[i / 2] >> (16 * (i % 2)) & 0xFFFFu); }
  static HEIRMARK_HD_INLINE float at(const std::byte* p) {
    return value(*reinterpret_cast<const std::uint16_t*>(p));
  }
};
template <>
struct Element<DType::float32> {
  static constexpr std::uint32_t kBytes = 4, kPerPacket = 4;
  static HEIRMARK_HD_INLINE float of(const Packet& packet, std::uint32_t i) { return core::float_from_bits(packet.w[i]); }
  static HEIRMARK_HD_INLINE float at(const std::byte* p) { return *reinterpret_cast<const float*>(p); }
};

/// One row. Elements lie at multiples of their own size, packets anywhere.
template <DType D>
struct RowData {
  const std::byte* data;
  std::uint32_t vocab;
  [[nodiscard]] HEIRMARK_HD_INLINE float at(std::uint32_t v) const { return Element<D>::at(data + std::uint64_t{v} * Element<D>::kBytes); }
};

/// The packet that begins `shift` bytes after the first byte of `a`, b being the 16 bytes after a; 0 < shift < 16.
HEIRMARK_HD_INLINE Packet straddle(const Packet& a, const Packet& b, std::uint32_t shift) {
  std::uint32_t w[8] = {a.w[0], a.w[1], a.w[2], a.w[3], b.w[0], b.w[1], b.w[2], b.w[3]};
  // Selections instead of an index that the compiler could not resolve to registers.
  for (int i = 0; i < 6; ++i) w[i] = (shift & 8) != 0 ? w[i + 2] : w[i];
  for (int i = 0; i < 5; ++i) w[i] = (shift & 4) != 0 ? w[i + 1] : w[i];
  const std::uint32_t bits = 8 * (shift & 3);
  Packet out;
  for (int i = 0; i < 4; ++i) out.w[i] = static_cast<std::uint32_t>((static_cast<std::uint64_t>(w[i + 1]) << 32 | w[i]) >> bits);
  return out;
}

/// Tokens first .. first + kPerPacket - 1; -infinity where the vocabulary has ended.
template <DType D, class X>
HEIRMARK_HD_INLINE Packet load_tokens(X& x, const RowData<D>& row, std::uint32_t first) {
  using E = Element<D>;
  const std::byte* p = row.data + std::uint64_t{first} * E::kBytes;
  if (first + E::kPerPacket <= row.vocab) {
    const auto shift = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(p) % 16);
    if (shift == 0) return x.load(p);
    // Both reads hold a byte of the row, so both lie in the row's own 16-byte granules.
    return straddle(x.load(p - shift), x.load(p - shift + 16), shift);
  }
  constexpr std::uint32_t kNone = D == DType::float32 ? 0xFF800000u : D == DType::bfloat16 ? 0xFF80FF80u : 0xFC00FC00u;
  Packet out = {{kNone, kNone, kNone, kNone}};
  for (std::uint32_t i = 0; i < E::kPerPacket; ++i) {
    if (first + i >= row.vocab) break;
    if constexpr (E::kBytes == 4) {
      out.w[i] = core::float_bits(E::at(p + 4 * i));
    } else {
      const std::uint32_t bits = *reinterpret_cast<const std::uint16_t*>(p + 2 * i);
      out.w[i / 2] = i % 2 == 0 ? (out.w[i / 2] & 0xFFFF0000u) | bits : (out.w[i / 2] & 0xFFFFu) | bits << 16;
    }
  }
  return out;
}

/// Where a thread's eight bins lie in a slice: 16-bit types have them side by side, float32 in two packets half a slice apart.
template <DType D>
struct Bins {
  static constexpr std::uint32_t kPackets = kBinsPerThread / Element<D>::kPerPacket;
  /// The i-th bin of a lane, counted from the slice's first.
  static HEIRMARK_HD_INLINE std::uint32_t local(const Shape& shape, std::uint32_t lane, std::uint32_t i) {
    return i / Element<D>::kPerPacket * (shape.bins() / kPackets) + lane * Element<D>::kPerPacket + i % Element<D>::kPerPacket;
  }
};

/// Logits without NaN: whatever is not a number counts as -FLT_MAX.
HEIRMARK_HD_INLINE float larger(float a, float b) {
#if defined(__CUDA_ARCH__)
  return fmaxf(a, b);  // the other one if one is NaN
#else
  return a > b || b != b ? a : b;
#endif
}

/// The order of truncation as one number: greatest logit first, then smallest id. 52 bits, 0 for nothing.
HEIRMARK_HD_INLINE std::uint32_t order_bits(float logit) {
  const std::uint32_t bits = core::float_bits(logit == 0 ? 0.0f : logit);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
HEIRMARK_HD_INLINE float logit_of_order(std::uint32_t order) {
  return core::float_from_bits((order & 0x80000000u) != 0 ? order & 0x7FFFFFFFu : ~order);
}
inline constexpr std::uint32_t kIdBits = 20;
HEIRMARK_HD_INLINE std::uint64_t order_key(float logit, std::uint32_t id) {
  return static_cast<std::uint64_t>(order_bits(logit)) << kIdBits | ((1u << kIdBits) - 1 - id);
}
HEIRMARK_HD_INLINE std::uint32_t id_of_key(std::uint64_t key) { return (1u << kIdBits) - 1 - (static_cast<std::uint32_t>(key) & ((1u << kIdBits) - 1)); }
HEIRMARK_HD_INLINE float logit_of_key(std::uint64_t key) { return logit_of_order(static_cast<std::uint32_t>(key >> kIdBits)); }

/// A real number that can be drawn: neither NaN nor infinite.
HEIRMARK_HD_INLINE bool is_finite(float logit) { return logit >= kLeastLogit && logit <= -kLeastLogit; }

}  // namespace heirmark::kernels
