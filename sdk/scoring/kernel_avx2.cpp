// AVX2: eight lanes. Rotations by whole bytes are one shuffle, the others two shifts.
#include <immintrin.h>

#include "scoring/lanes.hpp"

namespace heirmark::scoring {
namespace {

struct Lanes {
  using V = __m256i;
  static constexpr std::size_t kLanes = 8;
  static V load(const std::uint32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static void store(std::uint32_t* to, V v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  static V set(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static V add(V a, V b) { return _mm256_add_epi32(a, b); }
  static V exclusive_or(V a, V b) { return _mm256_xor_si256(a, b); }
  template <int N>
  static V rotate(V a) {
    if constexpr (N == 16) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1,
                                                     6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    } else if constexpr (N == 8) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, 3, 0, 1, 2,
                                                     7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
    } else {
      return _mm256_or_si256(_mm256_slli_epi32(a, N), _mm256_srli_epi32(a, 32 - N));
    }
  }
  template <int N>
  static V shift_right(V a) {
    return _mm256_srli_epi32(a, N);
  }
  /// blendv looks at the top bit of each lane.
  template <int B>
  static V choose(V index, V odd, V even) {
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(even), _mm256_castsi256_ps(odd),
                                                _mm256_castsi256_ps(_mm256_slli_epi32(index, 31 - B))));
  }
};

void words(const core::KeyWords& key, core::Domain domain, const Columns& columns, std::size_t count,
           std::uint32_t* out) {
  lane_words<Lanes>(key, domain, columns, count, out);
}

constexpr double kMargin = 0x1p-21, kLn2 = 11629079.968045203;  // as in marks/score.hpp, with the same error bound

/// Scores of four words as whole doubles, settled where the error bound reaches an integer.
HEIRMARK_INLINE __m256d four_scores(const std::uint32_t* from) {
  const __m256i word = _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  // 2^52 + c is exact, and so is N = c + 1.
  const __m256d magic = _mm256_set1_pd(0x1p52);
  const __m256d n =
      _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(word, _mm256_castpd_si256(magic))), _mm256_set1_pd(0x1p52 - 1));
  const __m256i bits = _mm256_castpd_si256(n);
  __m256d exponent =
      _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64(bits, 52), _mm256_castpd_si256(magic))),
                    _mm256_set1_pd(0x1p52 + 1023));
  const __m256d one = _mm256_set1_pd(1.0);
  __m256d m = _mm256_or_pd(_mm256_and_pd(n, _mm256_castsi256_pd(_mm256_set1_epi64x(0xFFFFFFFFFFFFFll))), one);
  const __m256d high = _mm256_cmp_pd(m, _mm256_set1_pd(1.4142), _CMP_GT_OQ);
  m = _mm256_blendv_pd(m, _mm256_mul_pd(m, _mm256_set1_pd(0.5)), high);
  exponent = _mm256_add_pd(exponent, _mm256_and_pd(high, one));
  const __m256d z = _mm256_div_pd(_mm256_sub_pd(m, one), _mm256_add_pd(m, one)), w = _mm256_mul_pd(z, z);
  __m256d series = _mm256_set1_pd(1.0 / 17);
  for (int i = 15; i >= 1; i -= 2) series = _mm256_fmadd_pd(series, w, _mm256_set1_pd(1.0 / i));
  const __m256d log = _mm256_mul_pd(_mm256_mul_pd(z, _mm256_set1_pd(0x1p25)), series);
  const __m256d y = _mm256_fmsub_pd(_mm256_sub_pd(_mm256_set1_pd(32), exponent), _mm256_set1_pd(kLn2), log);
  __m256d whole = _mm256_floor_pd(y);
  const __m256d part = _mm256_sub_pd(y, whole);
  const __m256d near = _mm256_or_pd(_mm256_cmp_pd(part, _mm256_set1_pd(kMargin), _CMP_LT_OQ),
                                    _mm256_cmp_pd(part, _mm256_set1_pd(1 - kMargin), _CMP_GT_OQ));
  if (const int mask = _mm256_movemask_pd(near); __builtin_expect(mask != 0, 0)) {
    alignas(32) double settled[4];
    _mm256_store_pd(settled, whole);
    for (int k = 0; k < 4; ++k)
      if ((mask >> k & 1) != 0) settled[k] = exact_score(from[k]);
    whole = _mm256_load_pd(settled);
  }
  return whole;
}

std::uint64_t sum_scores(const std::uint32_t* from, std::size_t count) {
  std::uint64_t total = 0;
  while (count > 0) {
    const std::size_t now =
        count < (std::size_t{1} << 22) ? count : std::size_t{1} << 22;  // lanes' sums stay below 2^53
    __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
    for (std::size_t i = 0; i < now; i += 8) {
      a = _mm256_add_pd(a, four_scores(from + i));
      b = _mm256_add_pd(b, four_scores(from + i + 4));
    }
    alignas(32) double lane[8];
    _mm256_store_pd(lane, a);
    _mm256_store_pd(lane + 4, b);
    for (const double x : lane) total += static_cast<std::uint64_t>(x);
    from += now;
    count -= now;
  }
  return total;
}

void scores(const std::uint32_t* from, std::size_t count, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; i += 4)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_cvttpd_epi32(four_scores(from + i)));
}
std::uint64_t count_below(const std::uint32_t* from, std::size_t count, std::uint32_t limit) {
  return lane_count_below(from, count, limit);
}
std::uint64_t count_ones(const std::uint32_t* from, std::size_t count, std::uint32_t mask) {
  return lane_count_ones(from, count, mask);
}

}  // namespace

const Kernel kAvx2Kernel{"avx2", words, sum_scores, scores, count_below, count_ones};

}  // namespace heirmark::scoring
