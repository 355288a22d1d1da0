// Any machine: four lanes in the compiler's own vector type, which is SSE2 on every x86-64 and NEON on arm64.
#include "sampler/passes.hpp"

namespace heirmark::sampler {
namespace {
struct Portable {
  static constexpr std::uint32_t kLanes = 4;
  using F = float __attribute__((vector_size(16)));
  using I = std::int32_t __attribute__((vector_size(16)));
  using U = std::uint32_t __attribute__((vector_size(16)));

  static F set(float x) { return F{x, x, x, x}; }
  static I set_int(std::int32_t x) { return I{x, x, x, x}; }
  static F load(const float* p) { F a; std::memcpy(&a, p, sizeof a); return a; }
  static void store(float* p, F a) { std::memcpy(p, &a, sizeof a); }
  static void store_int(std::int32_t* p, I a) { std::memcpy(p, &a, sizeof a); }
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F mul_add(F a, F b, F c) { return a * b + c; }
  static F max(F a, F b) { return a > b ? a : b; }  // b if a is NaN
  static F reciprocal(F a) { return set(1.0f) / a; }
  /// Modulo 2^32, as the other kernels do: of a logit far above the reference nothing is used but that it is there.
  static F scale_by_power(F p, F shifted) {
    const U bits = reinterpret_cast<U>(p) + (reinterpret_cast<U>(shifted) << 23);
    return reinterpret_cast<F>(bits);
  }
  static F keep_from(F value, F x, F from) { return x >= from ? value : set(0); }
  static float reduce_max(F a) {
    float best = a[0];
    for (std::uint32_t i = 1; i < kLanes; ++i) best = a[i] > best ? a[i] : best;
    return best;
  }
  /// Clamped before the conversion, which has no meaning out of range; the caller sees a row that went above by its greatest logit.
  static F image(F y) {
    const F low = max(y, set(0x1p23f)), top = set(0x1.fep30f);
    return as_float(__builtin_convertvector(low < top ? low : top, I));
  }
  static std::uint32_t equal(F a, F b) { return mask(a == b); }
  static std::uint32_t not_less(F a, F b) { return mask(a >= b); }
  static std::uint32_t not_greater(F a, F b) { return mask(a <= b); }
  static F unsigned_to_float(const std::uint32_t* p) {
    I x;
    std::memcpy(&x, p, sizeof x);
    const I high = (x >> 16) & set_int(0xFFFF), low = x & set_int(0xFFFF);
    return __builtin_convertvector(high, F) * set(65536.0f) + __builtin_convertvector(low, F);
  }
  static void keep_less(F a, std::int32_t where, F& best, I& index) {
    const auto less = a < best;
    index = less ? set_int(where) : index;
    best = less ? a : best;
  }
  /// The lanes of the mask, packed, and first + their numbers.
  static void compress(std::uint32_t mask, F x, std::uint32_t first, float* values, std::uint32_t* ids) {
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<std::uint32_t>(__builtin_ctz(mask));
      *values++ = x[i];
      *ids++ = first + i;
    }
  }
  /// Which of four kinds each of four words is, by its bits shift + 1 and shift.
  using Quarters = I;
  static Quarters quarters(const std::uint32_t* words, std::uint32_t shift) {
    I w;
    std::memcpy(&w, words, sizeof w);
    return (w >> static_cast<std::int32_t>(shift)) & set_int(3);
  }
  static void add_quarters(F (&sums)[4], Quarters quarters, F a) {
    for (std::int32_t i = 0; i < 4; ++i) sums[i] += as_float(as_int(a) & (quarters == set_int(i)));
  }
  static const float* table(const float* four) { return four; }
  /// An entry of the table for each word, by the same two bits.
  static F pick(const float* table, const std::uint32_t* words, std::uint32_t shift) {
    const I q = quarters(words, shift);
    return F{table[q[0]], table[q[1]], table[q[2]], table[q[3]]};
  }
  template <DType D> static F load_logits(const std::byte* data, std::uint32_t v) {
    F a;
    if constexpr (D == DType::float32) {
      std::memcpy(&a, data + std::size_t{4} * v, sizeof a);
    } else {
      for (std::uint32_t i = 0; i < kLanes; ++i) a[i] = logit_at({data, D, 0}, v + i);
    }
    return a;
  }
  template <DType D> static void prefetch(const std::byte*, std::uint32_t) {}
  using Doubles = double;
  static Doubles no_doubles() { return 0; }
  static Doubles add_doubles(Doubles s, F a) { return s + ((static_cast<double>(a[0]) + static_cast<double>(a[1])) + (static_cast<double>(a[2]) + static_cast<double>(a[3]))); }
  static double reduce_doubles(Doubles s) { return s; }

 private:
  template <class V> static std::uint32_t mask(V a) {
    return (a[0] != 0 ? 1u : 0u) | (a[1] != 0 ? 2u : 0u) | (a[2] != 0 ? 4u : 0u) | (a[3] != 0 ? 8u : 0u);
  }
  static F as_float(I a) { F out; std::memcpy(&out, &a, sizeof out); return out; }
  static I as_int(F a) { I out; std::memcpy(&out, &a, sizeof out); return out; }
};
}  // namespace

const Kernel kKernelPortable = make_kernel<Portable>(core::detail::blocks_portable);

}  // namespace heirmark::sampler
