// Any machine: lanes are short arrays, which a compiler may or may not turn into vectors.
#include "sampler/passes.hpp"

namespace heirmark::sampler {
namespace {
struct Portable {
  static constexpr std::uint32_t kLanes = 4;
  struct F { float v[kLanes]; };
  struct I { std::int32_t v[kLanes]; };

  template <class Op> static HEIRMARK_HD_INLINE F each(const Op& op) {
    F out;
    for (std::uint32_t i = 0; i < kLanes; ++i) out.v[i] = op(i);
    return out;
  }
  template <class Op> static HEIRMARK_HD_INLINE std::uint32_t mask(const Op& op) {
    std::uint32_t out = 0;
    for (std::uint32_t i = 0; i < kLanes; ++i) out |= op(i) ? 1u << i : 0u;
    return out;
  }
  static F set(float x) { return each([&](std::uint32_t) { return x; }); }
  static I set_int(std::int32_t x) { return {{x, x, x, x}}; }
  static F load(const float* p) { return each([&](std::uint32_t i) { return p[i]; }); }
  static void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
  static void store_int(std::int32_t* p, I a) { std::memcpy(p, a.v, sizeof a.v); }
  static F add(F a, F b) { return each([&](std::uint32_t i) { return a.v[i] + b.v[i]; }); }
  static F sub(F a, F b) { return each([&](std::uint32_t i) { return a.v[i] - b.v[i]; }); }
  static F mul(F a, F b) { return each([&](std::uint32_t i) { return a.v[i] * b.v[i]; }); }
  static F mul_add(F a, F b, F c) { return each([&](std::uint32_t i) { return a.v[i] * b.v[i] + c.v[i]; }); }
  static F max(F a, F b) { return each([&](std::uint32_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }  // b if a is NaN
  static F round(F a) { return each([&](std::uint32_t i) { return (a.v[i] + 0x1.8p23f) - 0x1.8p23f; }); }      // |a| < 2^22
  static F reciprocal(F a) { return each([&](std::uint32_t i) { return 1.0f / a.v[i]; }); }
  static F scale_by_power(F p, F n) {
    return each([&](std::uint32_t i) { return from_bits(to_bits(p.v[i]) + (static_cast<std::uint32_t>(static_cast<std::int32_t>(n.v[i])) << 23)); });
  }
  static float reduce_max(F a) {
    float best = a.v[0];
    for (std::uint32_t i = 1; i < kLanes; ++i) best = a.v[i] > best ? a.v[i] : best;
    return best;
  }
  /// Clamped before the conversion, which has no meaning out of range; the caller sees a row that went above by its greatest logit.
  static F image(F y) {
    return each([&](std::uint32_t i) {
      const float low = y.v[i] > 0x1p23f ? y.v[i] : 0x1p23f;
      return from_bits(static_cast<std::uint32_t>(static_cast<std::int32_t>(low < 0x1.fep30f ? low : 0x1.fep30f)));
    });
  }
  static std::uint32_t equal(F a, F b) { return mask([&](std::uint32_t i) { return a.v[i] == b.v[i]; }); }
  static std::uint32_t not_less(F a, F b) { return mask([&](std::uint32_t i) { return a.v[i] >= b.v[i]; }); }
  static std::uint32_t not_greater(F a, F b) { return mask([&](std::uint32_t i) { return a.v[i] <= b.v[i]; }); }
  static F unsigned_to_float(const std::uint32_t* p) { return each([&](std::uint32_t i) { return static_cast<float>(p[i]); }); }
  static void keep_less(F a, std::int32_t where, F& best, I& index) {
    for (std::uint32_t i = 0; i < kLanes; ++i)
      if (a.v[i] < best.v[i]) { best.v[i] = a.v[i]; index.v[i] = where; }
  }
  template <DType D> static F load_logits(const std::byte* data, std::uint32_t v) {
    return each([&](std::uint32_t i) { return logit_at({data, D, 0}, v + i); });
  }
  template <DType D> static void prefetch(const std::byte*, std::uint32_t) {}
  using Doubles = double;
  static Doubles no_doubles() { return 0; }
  static Doubles add_doubles(Doubles s, F a) {
    for (std::uint32_t i = 0; i < kLanes; ++i) s += static_cast<double>(a.v[i]);
    return s;
  }
  static double reduce_doubles(Doubles s) { return s; }

 private:
  static std::uint32_t to_bits(float x) { std::uint32_t bits; std::memcpy(&bits, &x, sizeof bits); return bits; }
  static float from_bits(std::uint32_t bits) { float x; std::memcpy(&x, &bits, sizeof x); return x; }
};
}  // namespace

const Kernel kKernelPortable = make_kernel<Portable>(core::detail::blocks_portable);

}  // namespace heirmark::sampler
