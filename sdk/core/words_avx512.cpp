// Sixteen blocks at a time. Compiled for AVX-512; reached only through blocks_function.
#include <immintrin.h>

#include "core/words_lanes.hpp"

namespace heirmark::core {
namespace {
struct Avx512 {
  using V = __m512i;
  static constexpr std::size_t kLanes = 16;
  static V set(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static V load(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  static V add(V a, V b) { return _mm512_add_epi32(a, b); }
  static V exclusive_or(V a, V b) { return _mm512_xor_si512(a, b); }
  template <int N> static V rotate(V a) { return _mm512_rol_epi32(a, N); }

  /// x[k] lane i is word k of block i; writes block after block. First 4x4 words inside each 128-bit part, then 4x4 parts.
  static void store_blocks(const V (&x)[16], std::uint32_t* out) {
    V y[4][4];  // y[g][i]: part q holds words 4g .. 4g+3 of block 4q + i
    for (int g = 0; g < 4; ++g) {
      const V a = _mm512_unpacklo_epi32(x[4 * g], x[4 * g + 1]), b = _mm512_unpackhi_epi32(x[4 * g], x[4 * g + 1]);
      const V c = _mm512_unpacklo_epi32(x[4 * g + 2], x[4 * g + 3]), d = _mm512_unpackhi_epi32(x[4 * g + 2], x[4 * g + 3]);
      y[g][0] = _mm512_unpacklo_epi64(a, c);
      y[g][1] = _mm512_unpackhi_epi64(a, c);
      y[g][2] = _mm512_unpacklo_epi64(b, d);
      y[g][3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int i = 0; i < 4; ++i) {
      const V even_low = _mm512_shuffle_i32x4(y[0][i], y[1][i], 0x88), odd_low = _mm512_shuffle_i32x4(y[0][i], y[1][i], 0xdd);
      const V even_high = _mm512_shuffle_i32x4(y[2][i], y[3][i], 0x88), odd_high = _mm512_shuffle_i32x4(y[2][i], y[3][i], 0xdd);
      _mm512_storeu_si512(out + 16 * i, _mm512_shuffle_i32x4(even_low, even_high, 0x88));
      _mm512_storeu_si512(out + 16 * (4 + i), _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
      _mm512_storeu_si512(out + 16 * (8 + i), _mm512_shuffle_i32x4(even_low, even_high, 0xdd));
      _mm512_storeu_si512(out + 16 * (12 + i), _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd));
    }
  }
};
}  // namespace

void detail::blocks_avx512(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out) {
  all_blocks<Avx512>(row, domain, first, count, out);
}

}  // namespace heirmark::core
