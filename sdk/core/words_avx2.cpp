// Eight blocks at a time. Compiled for AVX2; reached only through blocks_function.
#include <immintrin.h>

#include "core/words_lanes.hpp"

namespace heirmark::core {
namespace {
struct Avx2 {
  using V = __m256i;
  static constexpr std::size_t kLanes = 8;
  static V set(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static V load(const std::uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static V add(V a, V b) { return _mm256_add_epi32(a, b); }
  static V exclusive_or(V a, V b) { return _mm256_xor_si256(a, b); }
  template <int N> static V rotate(V a) {
    if constexpr (N == 16)
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                                                     2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    if constexpr (N == 8)
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
                                                     3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
    return _mm256_or_si256(_mm256_slli_epi32(a, N), _mm256_srli_epi32(a, 32 - N));
  }

  /// x[k] lane i is word k of block i; writes block after block, eight words at a time.
  static void store_blocks(const V (&x)[16], std::uint32_t* out) {
    for (int half = 0; half < 2; ++half) {
      V y[2][4];  // y[g][i]: part q holds words 4g .. 4g+3 of this half, of block 4q + i
      for (int g = 0; g < 2; ++g) {
        const V* in = x + 8 * half + 4 * g;
        const V a = _mm256_unpacklo_epi32(in[0], in[1]), b = _mm256_unpackhi_epi32(in[0], in[1]);
        const V c = _mm256_unpacklo_epi32(in[2], in[3]), d = _mm256_unpackhi_epi32(in[2], in[3]);
        y[g][0] = _mm256_unpacklo_epi64(a, c);
        y[g][1] = _mm256_unpackhi_epi64(a, c);
        y[g][2] = _mm256_unpacklo_epi64(b, d);
        y[g][3] = _mm256_unpackhi_epi64(b, d);
      }
      for (int i = 0; i < 4; ++i) {
        store(out + 16 * i + 8 * half, _mm256_permute2x128_si256(y[0][i], y[1][i], 0x20));
        store(out + 16 * (4 + i) + 8 * half, _mm256_permute2x128_si256(y[0][i], y[1][i], 0x31));
      }
    }
  }
  static void store(std::uint32_t* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
};
}  // namespace

void detail::blocks_avx2(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out) {
  all_blocks<Avx2>(row, domain, first, count, out);
}

}  // namespace heirmark::core
