#include <immintrin.h>

#include "peers_lanes.hpp"

namespace heirmark::bench {
namespace {
struct Avx2 {
  using F = __m256;
  using I = __m256i;
  static constexpr std::uint32_t kLanes = 8;
  static F set(float x) { return _mm256_set1_ps(x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F mul_add(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static void store(float* p, F a) { _mm256_storeu_ps(p, a); }
  static void store(std::uint32_t* p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
  static I load(const std::uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static I step(I g) {
    g = _mm256_xor_si256(g, _mm256_slli_epi32(g, 13));
    g = _mm256_xor_si256(g, _mm256_srli_epi32(g, 17));
    return _mm256_xor_si256(g, _mm256_slli_epi32(g, 5));
  }
  static F unit_bits(I g) { return _mm256_cvtepi32_ps(_mm256_srli_epi32(g, 8)); }
  static F image(F y) { return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_cvtps_epi32(y), _mm256_set1_epi32(1 << 23))); }
  static F scale(F p, F shifted) { return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23))); }
  static std::uint32_t not_greater(F a, F b) { return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ))); }
  static float greatest(F a) {
    float lanes[8], best = kNothing;
    store(lanes, a);
    for (const float x : lanes) best = x > best ? x : best;
    return best;
  }
  static float total(F a) {
    float lanes[8], sum = 0;
    store(lanes, a);
    for (const float x : lanes) sum += x;
    return sum;
  }
  template <DType D> static F logits(const std::byte* data, std::uint32_t v) {
    if constexpr (D == DType::float32) return _mm256_loadu_ps(reinterpret_cast<const float*>(data + std::size_t{4} * v));
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + std::size_t{2} * v));
    if constexpr (D == DType::bfloat16) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
    return _mm256_cvtph_ps(raw);
  }
};
}  // namespace

const Peers kPeersAvx2 = make_peers<Avx2>();

}  // namespace heirmark::bench
