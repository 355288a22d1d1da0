// AVX-512 (F, VL, DQ, BW): sixteen lanes, the whole state in registers, rotations in one instruction.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 finds it in its own intrinsics (bug 105593)
#endif
#include <immintrin.h>

#include "scoring/lanes.hpp"

namespace heirmark::scoring {
namespace {

struct Lanes {
  using V = __m512i;
  static constexpr std::size_t kLanes = 16;
  static V load(const std::uint32_t* from) { return _mm512_loadu_si512(from); }
  static void store(std::uint32_t* to, V v) { _mm512_storeu_si512(to, v); }
  static V set(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static V add(V a, V b) { return _mm512_add_epi32(a, b); }
  static V exclusive_or(V a, V b) { return _mm512_xor_si512(a, b); }
  template <int N>
  static V rotate(V a) {
    return _mm512_rol_epi32(a, N);
  }
  template <int N>
  static V shift_right(V a) {
    return _mm512_srli_epi32(a, N);
  }
  template <int B>
  static V choose(V index, V odd, V even) {
    return _mm512_mask_blend_epi32(_mm512_test_epi32_mask(index, _mm512_set1_epi32(1 << B)), even, odd);
  }
};

void words(const core::KeyWords& key, core::Domain domain, const Columns& columns, std::size_t count,
           std::uint32_t* out) {
  lane_words<Lanes>(key, domain, columns, count, out);
}

constexpr double kMargin = 0x1p-21, kLn2 = 11629079.968045203;  // as in marks/score.hpp, with the same error bound

/// Scores of eight words as whole doubles, settled where the error bound reaches an integer.
HEIRMARK_INLINE __m512d eight_scores(const std::uint32_t* from) {
  const __m512d one = _mm512_set1_pd(1.0);
  const __m512d n = _mm512_add_pd(_mm512_cvtepu32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))), one);
  __m512d exponent = _mm512_getexp_pd(n);
  __m512d m = _mm512_getmant_pd(n, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
  const __mmask8 high = _mm512_cmp_pd_mask(m, _mm512_set1_pd(1.4142), _CMP_GT_OQ);
  m = _mm512_mask_mul_pd(m, high, m, _mm512_set1_pd(0.5));
  exponent = _mm512_mask_add_pd(exponent, high, exponent, one);
  const __m512d z = _mm512_div_pd(_mm512_sub_pd(m, one), _mm512_add_pd(m, one)), w = _mm512_mul_pd(z, z);
  __m512d series = _mm512_set1_pd(1.0 / 17);
  for (int i = 15; i >= 1; i -= 2) series = _mm512_fmadd_pd(series, w, _mm512_set1_pd(1.0 / i));
  const __m512d log = _mm512_mul_pd(_mm512_mul_pd(z, _mm512_set1_pd(0x1p25)), series);
  const __m512d y = _mm512_fmsub_pd(_mm512_sub_pd(_mm512_set1_pd(32), exponent), _mm512_set1_pd(kLn2), log);
  __m512d whole = _mm512_roundscale_pd(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  const __m512d part = _mm512_sub_pd(y, whole);
  const __mmask8 near = static_cast<__mmask8>(_mm512_cmp_pd_mask(part, _mm512_set1_pd(kMargin), _CMP_LT_OQ) |
                                              _mm512_cmp_pd_mask(part, _mm512_set1_pd(1 - kMargin), _CMP_GT_OQ));
  if (__builtin_expect(near != 0, 0)) {
    alignas(64) double settled[8];
    _mm512_store_pd(settled, whole);
    for (int k = 0; k < 8; ++k)
      if ((near >> k & 1) != 0) settled[k] = exact_score(from[k]);
    whole = _mm512_load_pd(settled);
  }
  return whole;
}

std::uint64_t sum_scores(const std::uint32_t* from, std::size_t count) {
  std::uint64_t total = 0;
  while (count > 0) {
    const std::size_t now =
        count < (std::size_t{1} << 22) ? count : std::size_t{1} << 22;  // lanes' sums stay below 2^53
    __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
    for (std::size_t i = 0; i < now; i += 16) {
      a = _mm512_add_pd(a, eight_scores(from + i));
      b = _mm512_add_pd(b, eight_scores(from + i + 8));
    }
    alignas(64) double lane[16];
    _mm512_store_pd(lane, a);
    _mm512_store_pd(lane + 8, b);
    for (const double x : lane) total += static_cast<std::uint64_t>(x);
    from += now;
    count -= now;
  }
  return total;
}

void scores(const std::uint32_t* from, std::size_t count, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; i += 8)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm512_cvttpd_epi32(eight_scores(from + i)));
}
std::uint64_t count_below(const std::uint32_t* from, std::size_t count, std::uint32_t limit) {
  return lane_count_below(from, count, limit);
}
std::uint64_t count_ones(const std::uint32_t* from, std::size_t count, std::uint32_t mask) {
  return lane_count_ones(from, count, mask);
}

}  // namespace

const Kernel kAvx512Kernel{"avx512", words, sum_scores, scores, count_below, count_ones};

}  // namespace heirmark::scoring
