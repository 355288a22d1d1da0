#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined parts of its own intrinsics for variables.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "peers_lanes.hpp"

namespace heirmark::bench {
namespace {
struct Avx512 {
  using F = __m512;
  using I = __m512i;
  static constexpr std::uint32_t kLanes = 16;
  static F set(float x) { return _mm512_set1_ps(x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F mul_add(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static void store(std::uint32_t* p, I a) { _mm512_storeu_si512(p, a); }
  static I load(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  static I step(I g) {
    g = _mm512_xor_si512(g, _mm512_slli_epi32(g, 13));
    g = _mm512_xor_si512(g, _mm512_srli_epi32(g, 17));
    return _mm512_xor_si512(g, _mm512_slli_epi32(g, 5));
  }
  static F unit_bits(I g) { return _mm512_cvtepi32_ps(_mm512_srli_epi32(g, 8)); }
  static F image(F y) { return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_cvtps_epi32(y), _mm512_set1_epi32(1 << 23))); }
  static F scale(F p, F shifted) { return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23))); }
  static std::uint32_t not_greater(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  static float greatest(F a) { return _mm512_reduce_max_ps(a); }
  static float total(F a) { return _mm512_reduce_add_ps(a); }
  template <DType D> static F logits(const std::byte* data, std::uint32_t v) {
    if constexpr (D == DType::float32) return _mm512_loadu_ps(data + std::size_t{4} * v);
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + std::size_t{2} * v));
    if constexpr (D == DType::bfloat16) return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
    return _mm512_cvtph_ps(raw);
  }
};
}  // namespace

const Peers kPeersAvx512 = make_peers<Avx512>();

}  // namespace heirmark::bench
