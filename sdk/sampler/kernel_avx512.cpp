// Sixteen logits at a time. Compiled for AVX-512; reached only through kernel().
#include <immintrin.h>

#include "sampler/passes.hpp"

namespace heirmark::sampler {
namespace {
struct Avx512 {
  using F = __m512;
  using I = __m512i;
  static constexpr std::uint32_t kLanes = 16;
  static F set(float x) { return _mm512_set1_ps(x); }
  static I set_int(std::int32_t x) { return _mm512_set1_epi32(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static void store_int(std::int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F mul_add(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }  // b if a is NaN
  static F reciprocal(F a) { return _mm512_rcp14_ps(a); }
  static F scale_by_power(F p, F shifted) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  static F keep_from(F value, F x, F from) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, from, _CMP_GE_OQ), value); }
  static float reduce_max(F a) { return _mm512_reduce_max_ps(a); }
  static F image(F y) { return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_cvtps_epi32(y), _mm512_set1_epi32(1 << 23))); }
  static std::uint32_t equal(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static std::uint32_t not_less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static std::uint32_t not_greater(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  static F unsigned_to_float(const std::uint32_t* p) { return _mm512_cvtepu32_ps(_mm512_loadu_si512(p)); }
  static void keep_less(F a, std::int32_t where, F& best, I& index) {
    const __mmask16 less = _mm512_cmp_ps_mask(a, best, _CMP_LT_OQ);
    best = _mm512_mask_mov_ps(best, less, a);
    index = _mm512_mask_set1_epi32(index, less, where);
  }
  /// The lanes of the mask, packed, and first + their numbers. Writes whole vectors.
  static void compress(std::uint32_t mask, F x, std::uint32_t first, float* values, std::uint32_t* ids) {
    const auto m = static_cast<__mmask16>(mask);
    const I lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_storeu_ps(values, _mm512_maskz_compress_ps(m, x));
    _mm512_storeu_si512(ids, _mm512_maskz_compress_epi32(m, _mm512_add_epi32(lanes, set_int(static_cast<std::int32_t>(first)))));
  }
  /// Which of four kinds each of sixteen words is, by its bits shift + 1 and shift.
  struct Quarters { __mmask16 of[4]; };
  static Quarters quarters(const std::uint32_t* words, std::uint32_t shift) {
    const I pattern = _mm512_srlv_epi32(_mm512_loadu_si512(words), set_int(static_cast<std::int32_t>(shift)));
    const __mmask16 high = _mm512_test_epi32_mask(pattern, set_int(2)), low = _mm512_test_epi32_mask(pattern, set_int(1));
    return {{_knot_mask16(_kor_mask16(high, low)), _kandn_mask16(high, low), _kandn_mask16(low, high), _kand_mask16(high, low)}};
  }
  static void add_quarters(F (&sums)[4], const Quarters& quarters, F a) {
    for (int i = 0; i < 4; ++i) sums[i] = _mm512_mask_add_ps(sums[i], quarters.of[i], sums[i], a);
  }
  static F table(const float* four) { return _mm512_broadcast_f32x4(_mm_loadu_ps(four)); }
  /// An entry of the table for each word, by the same two bits.
  static F pick(F table, const std::uint32_t* words, std::uint32_t shift) {
    return _mm512_permutevar_ps(table, _mm512_srlv_epi32(_mm512_loadu_si512(words), set_int(static_cast<std::int32_t>(shift))));
  }
  template <DType D> static F load_logits(const std::byte* data, std::uint32_t v) {
    if constexpr (D == DType::float32) return _mm512_loadu_ps(data + std::size_t{4} * v);
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + std::size_t{2} * v));
    if constexpr (D == DType::bfloat16) return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
    return _mm512_cvtph_ps(raw);
  }
  template <DType D> static void prefetch(const std::byte* data, std::uint32_t v) {
    if constexpr (D == DType::float32) _mm_prefetch(reinterpret_cast<const char*>(data) + std::size_t{4} * v, _MM_HINT_T1);
    else if ((v & 31u) == 0) _mm_prefetch(reinterpret_cast<const char*>(data) + std::size_t{2} * v, _MM_HINT_T1);
  }
  struct Doubles { __m512d low, high; };
  static Doubles no_doubles() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static Doubles add_doubles(Doubles s, F a) {
    return {_mm512_add_pd(s.low, _mm512_cvtps_pd(_mm512_castps512_ps256(a))), _mm512_add_pd(s.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)))};
  }
  static double reduce_doubles(Doubles s) { return _mm512_reduce_add_pd(_mm512_add_pd(s.low, s.high)); }
};
}  // namespace

const Kernel kKernelAvx512 = make_kernel<Avx512>(core::detail::blocks_avx512);

}  // namespace heirmark::sampler
