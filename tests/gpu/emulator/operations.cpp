#include "operations.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "block.hpp"

namespace heirmark::emulator {
namespace {
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

template <class T>
T get(u64 bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
/// NaNs have one pattern, as a device's arithmetic gives them.
template <class T>
u64 put(T value) {
  if constexpr (std::is_same_v<T, float>) {
    if (std::isnan(value)) return 0x7FFFFFFF;
  } else if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(value)) return 0x7FFFFFFFFFFFFFFF;
  }
  u64 bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class F>
void for_lanes(u32 lanes, const F& f) {
  if (lanes == ~0u) {
    for (unsigned lane = 0; lane < kLanes; ++lane) f(lane);
    return;
  }
  for (; lanes != 0; lanes &= lanes - 1) f(static_cast<unsigned>(std::countr_zero(lanes)));
}

// ---- Lane by lane

/// to[0] = F(from...), each operand read as its type.
template <auto F, class... Ts>
void lanewise(Step& step) {
  u64* const to = step.to(0);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    const u64* const from[] = {step.from(I)...};
    for_lanes(step.lanes, [&](unsigned lane) { to[lane] = put(F(get<Ts>(from[I][lane])...)); });
  }(std::index_sequence_for<Ts...>{});
}

using Table = std::unordered_map<std::string, Operation>;

template <auto F, class... Ts>
void set(Table& table, const std::string& name) { table[name] = {Kind::plain, lanewise<F, Ts...>, sizeof...(Ts)}; }

template <class F>
void each_integer(const F& f) {
  f("u8", u8{}), f("u16", u16{}), f("u32", u32{}), f("u64", u64{});
  f("s8", s8{}), f("s16", s16{}), f("s32", s32{}), f("s64", s64{});
}
template <class F>
void each_bits(const F& f) { f("b16", u16{}), f("b32", u32{}), f("b64", u64{}); }
template <class F>
void each_float(const F& f) { f("f32", float{}), f("f64", double{}); }

/// Without the surprises of promotion and of signed overflow.
template <class T>
u64 wide(T value) { return static_cast<u64>(value); }

template <class T>
T high_product(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> 64);
  } else {
    using Wide = std::conditional_t<std::is_signed_v<T>, s64, u64>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
  }
}

// What division by zero gives is not specified: all ones, and the dividend.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(~u64{0});
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return static_cast<T>(0 - wide(a));
  return static_cast<T>(a / b);
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  return std::is_signed_v<T> && b == static_cast<T>(-1) ? T{0} : static_cast<T>(a % b);
}

// Of floats: a NaN gives way to a number, and -0 is below +0.
template <class T>
T least(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return b;
    if (std::isnan(b)) return a;
    if (a == b) return std::signbit(a) ? a : b;
  }
  return b < a ? b : a;
}
template <class T>
T greatest(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return b;
    if (std::isnan(b)) return a;
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a < b ? b : a;
}

void integer_arithmetic(Table& t) {
  each_integer([&]<class T>(const std::string& type, T) {
    set<[](T a, T b) { return static_cast<T>(wide(a) + wide(b)); }, T, T>(t, "add." + type);
    set<[](T a, T b) { return static_cast<T>(wide(a) - wide(b)); }, T, T>(t, "sub." + type);
    set<[](T a, T b) { return static_cast<T>(wide(a) * wide(b)); }, T, T>(t, "mul.lo." + type);
    set<[](T a, T b) { return high_product(a, b); }, T, T>(t, "mul.hi." + type);
    set<[](T a, T b, T c) { return static_cast<T>(wide(a) * wide(b) + wide(c)); }, T, T, T>(t, "mad.lo." + type);
    set<[](T a, T b, T c) { return static_cast<T>(wide(high_product(a, b)) + wide(c)); }, T, T, T>(t, "mad.hi." + type);
    set<[](T a, T b) { return quotient(a, b); }, T, T>(t, "div." + type);
    set<[](T a, T b) { return remainder(a, b); }, T, T>(t, "rem." + type);
    set<[](T a, T b) { return least(a, b); }, T, T>(t, "min." + type);
    set<[](T a, T b) { return greatest(a, b); }, T, T>(t, "max." + type);
    set<[](T a) { return static_cast<T>(0 - wide(a)); }, T>(t, "neg." + type);
    if constexpr (std::is_signed_v<T>) set<[](T a) { return a < 0 ? static_cast<T>(0 - wide(a)) : a; }, T>(t, "abs." + type);
    set<[](T a, u32 n) { return n >= 8 * sizeof(T) ? static_cast<T>(a < 0 ? -1 : 0) : static_cast<T>(a >> n); }, T, u32>(t, "shr." + type);
  });
  set<[](u16 a, u16 b) { return u32{a} * b; }, u16, u16>(t, "mul.wide.u16");
  set<[](s16 a, s16 b) { return s32{a} * b; }, s16, s16>(t, "mul.wide.s16");
  set<[](u32 a, u32 b) { return u64{a} * b; }, u32, u32>(t, "mul.wide.u32");
  set<[](s32 a, s32 b) { return s64{a} * b; }, s32, s32>(t, "mul.wide.s32");
  set<[](u32 a, u32 b, u64 c) { return u64{a} * b + c; }, u32, u32, u64>(t, "mad.wide.u32");
  set<[](s32 a, s32 b, u64 c) { return static_cast<u64>(s64{a} * b) + c; }, s32, s32, u64>(t, "mad.wide.s32");
}

void bits(Table& t) {
  each_bits([&]<class T>(const std::string& type, T) {
    set<[](T a, T b) { return static_cast<T>(a & b); }, T, T>(t, "and." + type);
    set<[](T a, T b) { return static_cast<T>(a | b); }, T, T>(t, "or." + type);
    set<[](T a, T b) { return static_cast<T>(a ^ b); }, T, T>(t, "xor." + type);
    set<[](T a) { return static_cast<T>(~a); }, T>(t, "not." + type);
    set<[](T a, u32 n) { return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(wide(a) << n); }, T, u32>(t, "shl." + type);
    set<[](T a, u32 n) { return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a >> n); }, T, u32>(t, "shr." + type);
  });
  const auto field = [&]<class T>(const std::string& type, T) {
    // bfi: the low `length` bits of a, put into b from bit `begin` on.
    set<[](T a, T b, u32 begin, u32 length) {
      begin &= 255, length &= 255;
      T result = b;
      for (u32 i = 0; i < length && begin + i < 8 * sizeof(T); ++i) result = static_cast<T>((result & ~(T{1} << (begin + i))) | ((i < 8 * sizeof(T) ? a >> i & 1 : 0) << (begin + i)));
      return result;
    }, T, T, u32, u32>(t, "bfi." + type);
    set<[](T a) { return static_cast<u32>(std::popcount(a)); }, T>(t, "popc." + type);
    set<[](T a) { return static_cast<u32>(std::countl_zero(a)); }, T>(t, "clz." + type);
  };
  field("b32", u32{}), field("b64", u64{});
  // The 64 bits b:a, shifted: to the left, and the upper half taken; to the right, and the lower.
  set<[](u32 a, u32 b, u32 n) { return static_cast<u32>((u64{b} << 32 | a) << (n & 31) >> 32); }, u32, u32, u32>(t, "shf.l.wrap.b32");
  set<[](u32 a, u32 b, u32 n) { return static_cast<u32>((u64{b} << 32 | a) >> (n & 31)); }, u32, u32, u32>(t, "shf.r.wrap.b32");
  // Four bytes of b:a, each chosen by three bits; the fourth asks for its sign in all eight.
  set<[](u32 a, u32 b, u32 choice) {
    const u64 all = u64{b} << 32 | a;
    u32 result = 0;
    for (unsigned i = 0; i < 4; ++i) {
      const u32 chosen = (choice >> (4 * i)) & 15;
      u32 byte = static_cast<u32>(all >> (8 * (chosen & 7))) & 255;
      if ((chosen & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
      result |= byte << (8 * i);
    }
    return result;
  }, u32, u32, u32>(t, "prmt.b32");
  set<[](u8 a, u8 b) { return static_cast<u8>(a & b & 1); }, u8, u8>(t, "and.pred");
  set<[](u8 a, u8 b) { return static_cast<u8>((a | b) & 1); }, u8, u8>(t, "or.pred");
  set<[](u8 a, u8 b) { return static_cast<u8>((a ^ b) & 1); }, u8, u8>(t, "xor.pred");
  set<[](u8 a) { return static_cast<u8>(~a & 1); }, u8>(t, "not.pred");
}

void comparisons(Table& t) {
  const auto ordered = [&]<class T>(const std::string& type, T) {
    set<[](T a, T b) { return a == b; }, T, T>(t, "setp.eq." + type);
    set<[](T a, T b) { return a < b; }, T, T>(t, "setp.lt." + type);
    set<[](T a, T b) { return a <= b; }, T, T>(t, "setp.le." + type);
    set<[](T a, T b) { return b < a; }, T, T>(t, "setp.gt." + type);
    set<[](T a, T b) { return a >= b; }, T, T>(t, "setp.ge." + type);
    set<[](T a, T b) { return a < b || b < a; }, T, T>(t, "setp.ne." + type);  // of floats: false for a NaN
  };
  each_integer(ordered);
  each_bits(ordered);
  each_float(ordered);
  each_float([&]<class T>(const std::string& type, T) {
    set<[](T a, T b) { return !(a < b || a > b); }, T, T>(t, "setp.equ." + type);
    set<[](T a, T b) { return a != b; }, T, T>(t, "setp.neu." + type);
    set<[](T a, T b) { return !(a >= b); }, T, T>(t, "setp.ltu." + type);
    set<[](T a, T b) { return !(a > b); }, T, T>(t, "setp.leu." + type);
    set<[](T a, T b) { return !(a <= b); }, T, T>(t, "setp.gtu." + type);
    set<[](T a, T b) { return !(a < b); }, T, T>(t, "setp.geu." + type);
    set<[](T a, T b) { return !std::isnan(a) && !std::isnan(b); }, T, T>(t, "setp.num." + type);
    set<[](T a, T b) { return std::isnan(a) || std::isnan(b); }, T, T>(t, "setp.nan." + type);
  });
}

void float_arithmetic(Table& t) {
  each_float([&]<class T>(const std::string& type, T) {
    // Without a rounding mode they round to nearest too, unless ptxas fuses them: operations.hpp, Contraction.
    for (const char* rounding : {".", ".rn."}) {
      set<[](T a, T b) { return a + b; }, T, T>(t, "add" + (rounding + type));
      set<[](T a, T b) { return a - b; }, T, T>(t, "sub" + (rounding + type));
      set<[](T a, T b) { return a * b; }, T, T>(t, "mul" + (rounding + type));
    }
    t["mul." + type].contraction = Contraction::product;
    t["add." + type].contraction = Contraction::sum;
    t["sub." + type].contraction = Contraction::difference;
    set<[](T a, T b, T c) { return std::fma(a, b, -c); }, T, T, T>(t, "product less." + type);
    set<[](T a, T b, T c) { return std::fma(-a, b, c); }, T, T, T>(t, "less product." + type);
    set<[](T a, T b, T c) { return std::fma(a, b, c); }, T, T, T>(t, "fma.rn." + type);
    set<[](T a, T b) { return a / b; }, T, T>(t, "div.rn." + type);
    set<[](T a) { return T{1} / a; }, T>(t, "rcp.rn." + type);
    set<[](T a) { return std::sqrt(a); }, T>(t, "sqrt.rn." + type);
    set<[](T a) { return -a; }, T>(t, "neg." + type);
    set<[](T a) { return std::fabs(a); }, T>(t, "abs." + type);
    set<[](T a, T b) { return least(a, b); }, T, T>(t, "min." + type);
    set<[](T a, T b) { return greatest(a, b); }, T, T>(t, "max." + type);
  });
}

// ---- Approximations, with as much of the error that PTX permits as the executor likes

float flushed(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x; }

template <auto F>
void approximate(Step& step) {
  u64* const to = step.to(0);
  const u64* const from = step.from(0);
  for_lanes(step.lanes, [&](unsigned lane) { to[lane] = put(F(get<float>(from[lane]), step.executor.bend())); });
}

float power(float x, double bend) { return flushed(static_cast<float>(std::exp2(static_cast<double>(flushed(x))) * (1 + 0.9 * 0x1p-22 * bend))); }
float logarithm(float x, double bend) {
  const double exact = std::log2(static_cast<double>(flushed(x)));
  return flushed(static_cast<float>(x >= 0.5f && x <= 2.0f ? exact + 0.9 * 0x1p-22 * bend : exact * (1 + 0.9 * 0x1p-22 * bend)));
}
float reciprocal(float x, double bend) { return static_cast<float>(1 / static_cast<double>(x) * (1 + 0.9 * 0x1p-23 * bend)); }
float flushed_reciprocal(float x, double bend) { return flushed(reciprocal(flushed(x), bend)); }

// ---- Conversions

float of_half(u16 half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float sign = (half & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  return sign * std::ldexp(static_cast<float>(exponent == 0 ? fraction : fraction + 1024), (exponent == 0 ? 1 : exponent) - 25);
}

// To the nearest, of two the even one.
u16 to_bfloat(float x) {
  const u32 bits = std::bit_cast<u32>(x);
  return std::isnan(x) ? 0x7FFF : static_cast<u16>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
u16 to_half(float x) {
  const u16 sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return 0x7FFF;
  const float size = std::fabs(x);
  if (size == 0) return sign;
  if (size >= 65520) return sign | 0x7C00;
  int exponent = 0;
  (void)std::frexp(size, &exponent);
  const int unit = std::max(exponent, -13) - 11;  // of the last place
  const auto places = static_cast<u32>(std::nearbyint(std::ldexp(size, -unit)));
  return sign | static_cast<u16>(places + (exponent < -13 ? 0 : static_cast<u32>(exponent + 13) << 10));
}

/// Towards zero; beyond the range its end. Of a NaN 0 where both are of 32 bits or fewer, else the highest bit (PTX ISA 9, "cvt").
template <class I, class F>
I truncated(F x) {
  if (std::isnan(x)) return sizeof(F) == 8 || sizeof(I) == 8 ? static_cast<I>(u64{1} << (8 * sizeof(I) - 1)) : I{0};
  const F whole = std::trunc(x);
  if (whole <= static_cast<F>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
  if (whole >= static_cast<F>(std::numeric_limits<I>::max())) return std::numeric_limits<I>::max();
  return static_cast<I>(whole);
}

void conversions(Table& t) {
  each_integer([&]<class From>(const std::string& from, From) {
    each_integer([&]<class To>(const std::string& to, To) { set<[](From a) { return static_cast<To>(a); }, From>(t, "cvt." + to + "." + from); });
    each_float([&]<class To>(const std::string& to, To) {
      set<[](From a) { return static_cast<To>(a); }, From>(t, "cvt.rn." + to + "." + from);
      set<[](To a) { return truncated<From>(a); }, To>(t, "cvt.rzi." + from + "." + to);
    });
  });
  set<[](float a) { return static_cast<double>(a); }, float>(t, "cvt.f64.f32");
  set<[](double a) { return static_cast<float>(a); }, double>(t, "cvt.rn.f32.f64");
  set<[](float a) { return std::nearbyint(a); }, float>(t, "cvt.rni.f32.f32");
  set<of_half, u16>(t, "cvt.f32.f16");
  set<to_half, float>(t, "cvt.rn.f16.f32");
  set<to_bfloat, float>(t, "cvt.rn.bf16.f32");
}

// ---- Sums in several words: the condition code is a carry, or of a difference a borrow

enum class Term : u8 { sum, difference, low, high };

template <class T, Term kTerm, bool kIn, bool kOut>
void with_carry(Step& step) {
  constexpr bool kProduct = kTerm == Term::low || kTerm == Term::high;
  u64* const to = step.to(0);
  const u64 *const a = step.from(0), *const b = step.from(1), *const c = kProduct ? step.from(2) : nullptr;
  for_lanes(step.lanes, [&](unsigned lane) {
    unsigned __int128 x = get<T>(a[lane]), y = get<T>(b[lane]);
    if constexpr (kProduct) {
      x = x * y;
      x = kTerm == Term::low ? static_cast<T>(x) : static_cast<T>(x >> (8 * sizeof(T)));
      y = get<T>(c[lane]);
    }
    const unsigned in = kIn ? step.warp.carry >> lane & 1 : 0;
    const unsigned __int128 result = kTerm == Term::difference ? x - y - in : x + y + in;
    to[lane] = put(static_cast<T>(result));
    if constexpr (kOut) step.warp.carry = (step.warp.carry & ~(1u << lane)) | static_cast<u32>(result >> (8 * sizeof(T)) & 1) << lane;
  });
}

template <class T, Term kTerm>
void carries(Table& t, const std::string& plain, const std::string& in, const std::string& tail) {
  constexpr std::uint8_t kOperands = kTerm == Term::low || kTerm == Term::high ? 3 : 2;
  t[plain + tail + ".cc"] = {Kind::plain, with_carry<T, kTerm, false, true>, kOperands};
  t[in + tail] = {Kind::plain, with_carry<T, kTerm, true, false>, kOperands};
  t[in + tail + ".cc"] = {Kind::plain, with_carry<T, kTerm, true, true>, kOperands};
}

void carries(Table& t) {
  Table made;
  carries<u32, Term::sum>(made, "add", "addc", ""), carries<u32, Term::difference>(made, "sub", "subc", "");
  carries<u32, Term::low>(made, "mad", "madc", ".lo"), carries<u32, Term::high>(made, "mad", "madc", ".hi");
  for (const auto& [name, what] : made) t[name + ".u32"] = what;
  made.clear();
  carries<u64, Term::sum>(made, "add", "addc", ""), carries<u64, Term::difference>(made, "sub", "subc", "");
  for (const auto& [name, what] : made)
    for (const char* type : {".u64", ".s64"}) t[name + type] = what;
}

// ---- Moves

template <class Half, bool kPack>
void halves(Step& step) {
  for_lanes(step.lanes, [&](unsigned lane) {
    if constexpr (kPack) {
      step.to(0)[lane] = u64{get<Half>(step.from(0)[lane])} | u64{get<Half>(step.from(1)[lane])} << (8 * sizeof(Half));
    } else {
      const u64 whole = step.from(0)[lane];
      if (step.to(0) != nullptr) step.to(0)[lane] = get<Half>(whole);
      if (step.to(1) != nullptr) step.to(1)[lane] = get<Half>(whole >> (8 * sizeof(Half)));
    }
  });
}

void moves(Table& t) {
  for (const char* type : {"u16", "u32", "u64", "s16", "s32", "s64", "b16", "b32", "b64", "f32", "f64", "pred"}) {
    set<[](u64 a) { return a; }, u64>(t, std::string("mov.") + type);
    set<[](u64 a, u64 b, u8 p) { return (p & 1) != 0 ? a : b; }, u64, u64, u8>(t, std::string("selp.") + type);
  }
  t["mov.b64.pack2"] = {Kind::plain, halves<u32, true>, 2};
  t["mov.b64.unpack2"] = {Kind::plain, halves<u32, false>, 1};
  t["mov.b32.pack2"] = {Kind::plain, halves<u16, true>, 2};
  t["mov.b32.unpack2"] = {Kind::plain, halves<u16, false>, 1};
}

/// From a window of a space to an address that says its space, and back.
template <Space kSpace, bool kToSpace>
void window(Step& step) {
  for_lanes(step.lanes, [&](unsigned lane) {
    const u64 base = kSpace == Space::shared ? step.executor.generic_shared() : kSpace == Space::local ? step.executor.generic_local(step.warp, lane)
                     : kSpace == Space::param ? step.executor.generic_params() : 0;
    step.to(0)[lane] = kToSpace ? step.from(0)[lane] - base : step.from(0)[lane] + base;
  });
}

template <Space kSpace>
void windows(Table& t, const std::string& space) {
  t["cvta." + space + ".u64"] = {Kind::plain, window<kSpace, false>, 1};
  t["cvta.to." + space + ".u64"] = {Kind::plain, window<kSpace, true>, 1};
}

void fence(Step& step) {
  for_lanes(step.lanes, [&](unsigned lane) { step.executor.fence(step, lane); });
}

// ---- Memory

template <class Bits, bool kSign>
void load(Step& step) {
  const unsigned count = step.instruction.count;
  for_lanes(step.lanes, [&](unsigned lane) {
    const std::byte* const from = step.executor.touch(step, lane, false, false);
    for (unsigned k = 0; k < count; ++k) {
      Bits bits;
      std::memcpy(&bits, from + k * sizeof bits, sizeof bits);
      if (step.to(k) != nullptr) step.to(k)[lane] = kSign ? static_cast<u64>(s64{std::make_signed_t<Bits>(bits)}) : u64{bits};
    }
  });
}

template <class Bits, bool>
void store(Step& step) {
  const unsigned count = step.instruction.count;
  for_lanes(step.lanes, [&](unsigned lane) {
    std::byte* const to = step.executor.touch(step, lane, true, false);
    for (unsigned k = 0; k < count; ++k) std::memcpy(to + k * sizeof(Bits), &step.from(k)[lane], sizeof(Bits));
  });
}

template <class T>
void add_atomically(Step& step) {
  for_lanes(step.lanes, [&](unsigned lane) {
    std::byte* const where = step.executor.touch(step, lane, true, true);
    T before;
    std::memcpy(&before, where, sizeof before);
    const T after = static_cast<T>(before + get<T>(step.from(0)[lane]));
    std::memcpy(where, &after, sizeof after);
    if (step.to(0) != nullptr) step.to(0)[lane] = before;
  });
}

// ---- Special registers

template <unsigned kWhich>
void position(Step& step) {
  for_lanes(step.lanes, [&](unsigned lane) {
    const u32 values[] = {step.warp.number * kLanes + lane, step.executor.launch().threads, step.executor.block(), step.executor.launch().blocks, lane, step.warp.number, 0, 1};
    step.to(0)[lane] = values[kWhich];
  });
}

Table make_table() {
  Table t;
  integer_arithmetic(t);
  bits(t);
  comparisons(t);
  float_arithmetic(t);
  conversions(t);
  carries(t);
  moves(t);
  windows<Space::global>(t, "global");
  windows<Space::shared>(t, "shared");
  windows<Space::local>(t, "local");
  windows<Space::param>(t, "param");
  t["ex2.approx.ftz.f32"] = {Kind::plain, approximate<power>, 1};
  t["lg2.approx.ftz.f32"] = {Kind::plain, approximate<logarithm>, 1};
  t["rcp.approx.ftz.f32"] = {Kind::plain, approximate<flushed_reciprocal>, 1};
  t["rcp.approx.f32"] = {Kind::plain, approximate<reciprocal>, 1};
  t["membar.gl"] = {Kind::plain, fence};
  t["bar.sync"] = {Kind::barrier, nullptr, 1};
  t["bar.sync of some"] = {Kind::barrier, nullptr, 2};
  t["bar.warp.sync"] = {Kind::warp_barrier, nullptr, 1};
  t["shfl.sync.bfly.b32"] = {Kind::shuffle, nullptr, 4};
  t["shfl.sync.up.b32"] = {Kind::shuffle_up, nullptr, 4};
  t["redux.sync.add.u32"] = {Kind::sum, nullptr, 2};
  t["redux.sync.max.u32"] = {Kind::greatest, nullptr, 2};
  t["redux.sync.min.u32"] = {Kind::least, nullptr, 2};
  t["redux.sync.or.b32"] = {Kind::any, nullptr, 2};
  return t;
}
}  // namespace

Execute fused(Contraction how, bool product_first, unsigned width) {
  const std::string name = how == Contraction::sum ? "fma.rn." : product_first ? "product less." : "less product.";
  return operation(name + (width == 4 ? "f32" : "f64")).execute;
}

Operation operation(const std::string& name) {
  static const Table table = make_table();
  const auto found = table.find(name);
  return found == table.end() ? Operation{} : found->second;
}

Execute access(const std::vector<std::string_view>& parts, bool atomic) {
  for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
    const std::string_view part = parts[i];
    const bool place = part == "global" || part == "shared" || part == "local" || part == "param" || part == "v2" || part == "v4";
    const bool hint = part == "volatile" || (parts[0] == "ld" && (part == "nc" || part == "L1::no_allocate"));
    if (!place && !hint && !(atomic && part == "add")) return nullptr;
  }
  const std::string_view type = parts.back();
  const bool loads = parts[0] == "ld";
  if (loads || parts[0] == "st") {
    const bool sign = type[0] == 's';
    if (type == "u8" || type == "b8" || type == "s8") return loads ? (sign ? load<u8, true> : load<u8, false>) : store<u8, false>;
    if (type == "u16" || type == "b16" || type == "s16") return loads ? (sign ? load<u16, true> : load<u16, false>) : store<u16, false>;
    if (type == "u32" || type == "b32" || type == "s32" || type == "f32") return loads ? (sign ? load<u32, true> : load<u32, false>) : store<u32, false>;
    if (type == "u64" || type == "b64" || type == "s64" || type == "f64") return loads ? load<u64, false> : store<u64, false>;
    return nullptr;
  }
  if (parts[parts.size() - 2] != "add") return nullptr;
  if (type == "u32" || type == "s32") return add_atomically<u32>;
  return type == "u64" ? add_atomically<u64> : nullptr;
}

Execute special(std::string_view name) {
  if (name == "%tid.x") return position<0>;
  if (name == "%ntid.x") return position<1>;
  if (name == "%ctaid.x") return position<2>;
  if (name == "%nctaid.x") return position<3>;
  if (name == "%laneid") return position<4>;
  if (name == "%warpid") return position<5>;
  if (name == "%tid.y" || name == "%tid.z" || name == "%ctaid.y" || name == "%ctaid.z") return position<6>;
  if (name == "%ntid.y" || name == "%ntid.z" || name == "%nctaid.y" || name == "%nctaid.z") return position<7>;
  return nullptr;
}

Execute address_of_local() {
  return [](Step& step) {
    for_lanes(step.lanes, [&](unsigned lane) { step.to(0)[lane] = kLocalBias + step.frame.local_base + static_cast<u64>(step.instruction.offset); });
  };
}

}  // namespace heirmark::emulator
