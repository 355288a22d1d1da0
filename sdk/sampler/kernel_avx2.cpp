// Eight logits at a time. Compiled for AVX2, FMA and F16C; reached only through kernel().
#include <immintrin.h>

#include "sampler/passes.hpp"

namespace heirmark::sampler {
namespace {
/// lanes[mask]: the numbers of its bits, in order.
struct Packed {
  std::uint8_t lanes[256][8]{};
  constexpr Packed() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, count = 0; lane < 8; ++lane)
        if ((mask >> lane & 1) != 0) lanes[mask][count++] = static_cast<std::uint8_t>(lane);
  }
};
constexpr Packed kPacked;

struct Avx2 {
  using F = __m256;
  using I = __m256i;
  static constexpr std::uint32_t kLanes = 8;
  static F set(float x) { return _mm256_set1_ps(x); }
  static I set_int(std::int32_t x) { return _mm256_set1_epi32(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F a) { _mm256_storeu_ps(p, a); }
  static void store_int(std::int32_t* p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F mul_add(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }  // b if a is NaN
  static F reciprocal(F a) { return _mm256_div_ps(_mm256_set1_ps(1.0f), a); }
  static F scale_by_power(F p, F shifted) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
  }
  static F keep_from(F value, F x, F from) { return _mm256_and_ps(value, _mm256_cmp_ps(x, from, _CMP_GE_OQ)); }
  static float reduce_max(F a) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static F image(F y) { return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_cvtps_epi32(y), _mm256_set1_epi32(1 << 23))); }
  static std::uint32_t mask(F a) { return static_cast<std::uint32_t>(_mm256_movemask_ps(a)); }
  static std::uint32_t equal(F a, F b) { return mask(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
  static std::uint32_t not_less(F a, F b) { return mask(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
  static std::uint32_t not_greater(F a, F b) { return mask(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
  /// Upper and lower 16 bits on their own; the sum is rounded once.
  static F unsigned_to_float(const std::uint32_t* p) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const F high = _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16)), low = _mm256_cvtepi32_ps(_mm256_and_si256(x, _mm256_set1_epi32(0xFFFF)));
    return _mm256_fmadd_ps(high, _mm256_set1_ps(65536.0f), low);
  }
  static void keep_less(F a, std::int32_t where, F& best, I& index) {
    const F less = _mm256_cmp_ps(a, best, _CMP_LT_OQ);
    best = _mm256_blendv_ps(best, a, less);
    index = _mm256_blendv_epi8(index, _mm256_set1_epi32(where), _mm256_castps_si256(less));
  }
  /// The lanes of the mask, packed, and first + their numbers. Writes whole vectors.
  static void compress(std::uint32_t mask, F x, std::uint32_t first, float* values, std::uint32_t* ids) {
    const I lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kPacked.lanes[mask])));
    _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(x, lanes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(ids), _mm256_add_epi32(lanes, set_int(static_cast<std::int32_t>(first))));
  }
  /// Which of four kinds each of eight words is, by its bits shift + 1 and shift: the masks of either bit.
  struct Quarters { F high, low; };
  static Quarters quarters(const std::uint32_t* words, std::uint32_t shift) {
    const I w = _mm256_loadu_si256(reinterpret_cast<const I*>(words));
    const auto bit = [&](std::uint32_t n) {
      return _mm256_castsi256_ps(_mm256_srai_epi32(_mm256_sllv_epi32(w, _mm256_set1_epi32(static_cast<std::int32_t>(31 - n))), 31));
    };
    return {bit(shift + 1), bit(shift)};
  }
  static void add_quarters(F (&sums)[4], const Quarters& quarters, F a) {
    const F with = _mm256_and_ps(quarters.high, a), without = _mm256_andnot_ps(quarters.high, a);
    sums[0] = _mm256_add_ps(sums[0], _mm256_andnot_ps(quarters.low, without));
    sums[1] = _mm256_add_ps(sums[1], _mm256_and_ps(quarters.low, without));
    sums[2] = _mm256_add_ps(sums[2], _mm256_andnot_ps(quarters.low, with));
    sums[3] = _mm256_add_ps(sums[3], _mm256_and_ps(quarters.low, with));
  }
  static F table(const float* four) { return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(four)); }
  /// An entry of the table for each word, by the same two bits.
  static F pick(F table, const std::uint32_t* words, std::uint32_t shift) {
    return _mm256_permutevar_ps(table, _mm256_srlv_epi32(_mm256_loadu_si256(reinterpret_cast<const I*>(words)), _mm256_set1_epi32(static_cast<std::int32_t>(shift))));
  }
  template <DType D> static F load_logits(const std::byte* data, std::uint32_t v) {
    if constexpr (D == DType::float32) return _mm256_loadu_ps(reinterpret_cast<const float*>(data + std::size_t{4} * v));
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + std::size_t{2} * v));
    if constexpr (D == DType::bfloat16) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
    return _mm256_cvtph_ps(raw);
  }
  template <DType D> static void prefetch(const std::byte* data, std::uint32_t v) {
    if ((v & (D == DType::float32 ? 15u : 31u)) == 0)
      _mm_prefetch(reinterpret_cast<const char*>(data) + bytes_of_type<D>() * v, _MM_HINT_T1);
  }
  template <DType D> static constexpr std::size_t bytes_of_type() { return D == DType::float32 ? 4 : 2; }
  struct Doubles { __m256d low, high; };
  static Doubles no_doubles() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static Doubles add_doubles(Doubles s, F a) {
    return {_mm256_add_pd(s.low, _mm256_cvtps_pd(_mm256_castps256_ps128(a))), _mm256_add_pd(s.high, _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)))};
  }
  static double reduce_doubles(Doubles s) {
    double lanes[4];
    _mm256_storeu_pd(lanes, _mm256_add_pd(s.low, s.high));
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  }
};
}  // namespace

const Kernel kKernelAvx2 = make_kernel<Avx2>(core::detail::blocks_avx2);

}  // namespace heirmark::sampler
