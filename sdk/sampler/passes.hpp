// The passes over a row, written once over lanes. L gives the types F (floats) and I (32-bit integers), kLanes and the operations.
// Everything has internal linkage, since each file that includes this is compiled for another instruction set.
//
// Bins stay in their lanes: lane i of vector b holds bin b + i, and the row is read in strides of 2,048 tokens, eight strides at a time. So a
// sum is loaded and stored once for eight logits, and the reads are eight forward streams, which suits caches and memory alike.
#pragma once
#include <limits>

#include "marks/tournament/bounds.hpp"
#include "marks/tournament/tournament.hpp"
#include "sampler/kernel.hpp"

namespace heirmark::sampler {
namespace {

// Constants, so that no function of the library is instantiated here.
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNone = -kInfinity, kLeastNormal = std::numeric_limits<float>::min();
constexpr std::uint32_t kStrides = 8;
/// Above it, reference * per_logit * 2^23 loses too much in float32, and the reference is taken off each logit first.
constexpr double kFarReference = 0x1p36;

template <class L, DType D>
HEIRMARK_HD_INLINE typename L::F load_part(const RowView& row, std::uint32_t first, std::uint32_t count) {
  float part[L::kLanes];
  for (std::uint32_t i = 0; i < L::kLanes; ++i) part[i] = i < count ? logit_at(row, first + i) : kNone;
  return L::load(part);
}

template <class L, DType D>
HEIRMARK_HD_INLINE float greatest_of(const RowView& row) {
  using F = typename L::F;
  F best[4] = {L::set(kNone), L::set(kNone), L::set(kNone), L::set(kNone)};
  std::uint32_t v = 0;
  for (; v + 4 * L::kLanes <= row.vocab; v += 4 * L::kLanes)
    for (std::uint32_t i = 0; i < 4; ++i) best[i] = L::max(L::template load_logits<D>(row.data, v + i * L::kLanes), best[i]);
  for (; v < row.vocab; v += L::kLanes)
    best[0] = L::max(v + L::kLanes <= row.vocab ? L::template load_logits<D>(row.data, v) : load_part<L, D>(row, v, row.vocab - v), best[0]);
  return L::reduce_max(L::max(L::max(best[0], best[1]), L::max(best[2], best[3])));
}

template <class L, DType D>
HEIRMARK_HD_INLINE float glance_of(const RowView& row) {
  constexpr std::uint32_t kLooks = 256 / L::kLanes;
  if (row.vocab < 2 * 256) return greatest_of<L, D>(row);
  typename L::F best = L::set(kNone);
  const std::uint32_t step = row.vocab / kLooks;
  for (std::uint32_t i = 0; i < kLooks; ++i) best = L::max(L::template load_logits<D>(row.data, i * step), best);
  return L::reduce_max(best);
}

template <class L, DType D>
HEIRMARK_HD_INLINE std::uint32_t find_in(const RowView& row, float value) {
  const typename L::F wanted = L::set(value);
  std::uint32_t v = 0;
  for (; v + L::kLanes <= row.vocab; v += L::kLanes)
    if (const std::uint32_t mask = L::equal(L::template load_logits<D>(row.data, v), wanted); mask != 0)
      return v + static_cast<std::uint32_t>(__builtin_ctz(mask));
  while (v < row.vocab && !(logit_at(row, v) == value)) ++v;
  return v;
}

/// The integer image of the exponential: the bits of a float are 2^23 (127 + log2 of it), up to a chord of the curve that lies above
/// it by at most 6.2 %. y = that integer; images below the least normal number are raised to it, so the sum stays a bound.
template <class L, bool Subtract>
struct ImageTerm {
  typename L::F slope, offset, reference;
  explicit HEIRMARK_HD_INLINE ImageTerm(const Scale& scale) {
    const double slope_d = static_cast<double>(scale.per_logit) * 0x1p23;
    const double shift = static_cast<double>(scale.reference) * slope_d;
    // What rounding may take from y: of the offset, of the product and of the result, each 2^-24 of its size; the conversion 1.
    const double margin = ((Subtract ? 0 : (shift < 0 ? -shift : shift)) + 0x1p32) * 0x1p-23 + 4;
    slope = L::set(static_cast<float>(slope_d));
    offset = L::set(static_cast<float>(127 * 0x1p23 + margin - (Subtract ? 0 : shift)));
    reference = L::set(scale.reference);
  }
  HEIRMARK_HD_INLINE typename L::F operator()(typename L::F x) const {
    if constexpr (Subtract) x = L::sub(x, reference);
    return L::image(L::mul_add(x, slope, offset));
  }
};

/// 2^((x - reference) per_logit), not below 2^-120, for x up to kReach above the reference and T from 1e-3 to 1e3, within 2e-5 of itself. At most 1.5e-5 of that is the rounding of
/// the slope, the difference and the product where the exponent is -120; the polynomial, minimax in relative error on [-1/2, 1/2], is off by 7.5e-8.
template <class L>
struct ExpTerm {
  typename L::F slope, reference, least;
  explicit HEIRMARK_HD_INLINE ExpTerm(const Scale& scale) : slope(L::set(scale.per_logit)), reference(L::set(scale.reference)), least(L::set(-120.0f / scale.per_logit)) {}
  HEIRMARK_HD_INLINE typename L::F operator()(typename L::F x) const {
    using F = typename L::F;
    const F shift = L::set(0x1.8p23f);  // adding it rounds to an integer, which then sits in the low bits
    const F z = L::max(L::sub(x, reference), least), shifted = L::mul_add(z, slope, shift);
    const F f = L::mul_add(z, slope, L::sub(shift, shifted));
    F p = L::set(1.3276472e-3f);
    p = L::mul_add(p, f, L::set(9.6755413e-3f));
    p = L::mul_add(p, f, L::set(5.5507133e-2f));
    p = L::mul_add(p, f, L::set(2.4022120e-1f));
    p = L::mul_add(p, f, L::set(6.9314697e-1f));
    p = L::mul_add(p, f, L::set(1.0000001f));
    return L::scale_by_power(p, shifted);
  }
};

/// The same for logits from a threshold up; the others count nothing.
template <class L>
struct ExpTermFrom {
  ExpTerm<L> term;
  typename L::F threshold;
  HEIRMARK_HD_INLINE ExpTermFrom(const Scale& scale, float from) : term(scale), threshold(L::set(from)) {}
  HEIRMARK_HD_INLINE typename L::F operator()(typename L::F x) const { return L::keep_from(term(x), x, threshold); }
};

/// One group of N strides from token `first` on. Returns nothing; adds to sums, best and total.
template <class L, DType D, std::uint32_t N, bool Total, class Term>
HEIRMARK_HD_INLINE void stride_group(const RowView& row, std::uint32_t first, bool fresh, const Term& term, float* sums, typename L::F (&best)[4], double& total) {
  using F = typename L::F;
  typename L::Doubles all = L::no_doubles();
  for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) {
    F part[2] = {L::set(0.0f), L::set(0.0f)};
    for (std::uint32_t i = 0; i < N; ++i) {
      const std::uint32_t v = first + i * core::kBins + b;
      const F x = L::template load_logits<D>(row.data, v);
      L::template prefetch<D>(row.data, v + kStrides * core::kBins);
      best[i % 4] = L::max(x, best[i % 4]);
      part[i % 2] = L::add(part[i % 2], term(x));
    }
    const F sum = L::add(part[0], part[1]);
    if constexpr (Total) all = L::add_doubles(all, sum);
    L::store(sums + b, fresh ? sum : L::add(L::load(sums + b), sum));
  }
  if constexpr (Total) total += L::reduce_doubles(all);
}

template <class L, DType D, bool Total, class Term>
HEIRMARK_HD_INLINE Pass bin_pass(const RowView& row, const Term& term, float* sums) {
  using F = typename L::F;
  Pass pass;
  F best[4] = {L::set(kNone), L::set(kNone), L::set(kNone), L::set(kNone)};
  const std::uint32_t strides = row.vocab / core::kBins, rest = row.vocab % core::kBins;
  std::uint32_t j = 0;
  if (strides < kStrides)
    for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) L::store(sums + b, L::set(kLeastNormal));
  for (; j + kStrides <= strides; j += kStrides)
    stride_group<L, D, kStrides, Total>(row, j * core::kBins, j == 0, term, sums, best, pass.total);
  if (const std::uint32_t left = strides - j; left >= 4) {
    stride_group<L, D, 4, Total>(row, j * core::kBins, false, term, sums, best, pass.total);
    j += 4;
  }
  for (; j < strides; ++j) stride_group<L, D, 1, Total>(row, j * core::kBins, false, term, sums, best, pass.total);
  typename L::Doubles all = L::no_doubles();
  for (std::uint32_t b = 0; b < rest; b += L::kLanes) {
    const std::uint32_t v = strides * core::kBins + b;
    const F x = b + L::kLanes <= rest ? L::template load_logits<D>(row.data, v) : load_part<L, D>(row, v, rest - b);
    best[0] = L::max(x, best[0]);
    const F value = term(x);
    if constexpr (Total) all = L::add_doubles(all, value);
    L::store(sums + b, L::add(L::load(sums + b), value));
  }
  if constexpr (Total) pass.total += L::reduce_doubles(all);
  pass.greatest = L::reduce_max(L::max(L::max(best[0], best[1]), L::max(best[2], best[3])));
  return pass;
}

template <class L, DType D>
HEIRMARK_HD_INLINE Pass bounds_of(const RowView& row, const Scale& scale, float* upper) {
  const double shift = static_cast<double>(scale.reference) * static_cast<double>(scale.per_logit) * 0x1p23;
  if (shift > kFarReference || shift < -kFarReference) return bin_pass<L, D, false>(row, ImageTerm<L, true>(scale), upper);
  return bin_pass<L, D, false>(row, ImageTerm<L, false>(scale), upper);
}

/// -ln(1 - u) >= u + u^2/2; `words` are turned to float32 with an error that `limit` has room for.
template <class L>
HEIRMARK_HD_INLINE typename L::F time_below(const std::uint32_t* words) {
  const typename L::F u = L::mul(L::unsigned_to_float(words), L::set(0x1p-32f));
  return L::mul_add(L::mul(u, L::set(0.5f)), u, u);
}

template <class L>
HEIRMARK_HD_INLINE std::uint32_t front_runner_of(const std::uint32_t* words, const float* upper) {
  using F = typename L::F;
  F best = L::set(kInfinity);
  typename L::I where = L::set_int(0);
  for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) {
    const F ratio = L::mul(time_below<L>(words + b), L::reciprocal(L::load(upper + b)));
    L::keep_less(ratio, static_cast<std::int32_t>(b), best, where);
  }
  float least[L::kLanes];
  std::int32_t base[L::kLanes];
  L::store(least, best);
  L::store_int(base, where);
  std::uint32_t lane = 0;
  for (std::uint32_t i = 1; i < L::kLanes; ++i)
    if (least[i] < least[lane]) lane = i;
  return static_cast<std::uint32_t>(base[lane]) + lane;
}

template <class L>
HEIRMARK_HD_INLINE std::uint32_t contenders_of(const std::uint32_t* words, const float* upper, float limit, std::uint16_t* bins) {
  const typename L::F limits = L::set(limit);
  std::uint32_t count = 0;
  for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) {
    std::uint32_t mask = L::not_greater(time_below<L>(words + b), L::mul(L::load(upper + b), limits));
    for (; mask != 0; mask &= mask - 1) bins[count++] = static_cast<std::uint16_t>(b + static_cast<std::uint32_t>(__builtin_ctz(mask)));
  }
  return count;
}

template <class L>
HEIRMARK_HD_INLINE void boost_bins(float* upper, const std::uint32_t* words, std::uint32_t gamma, float factor) {
  for (std::uint32_t b = 0; b < core::kBins; ++b) upper[b] = words[b] < gamma ? upper[b] * factor : upper[b];
}

/// x_v - max x in double; -inf for NaN. Dividing by 1 changes nothing and costs much, so it is left out.
HEIRMARK_HD_INLINE double scaled(float logit, double temperature) {
  const auto x = static_cast<double>(logit);
  return temperature == 1.0 ? x : core::d_div(x, temperature);
}

template <DType D>
HEIRMARK_HD_INLINE std::uint32_t exact_bin_of(const RowView& row, double temperature, float greatest, std::uint32_t bin, double* masses) {
  const std::uint32_t count = bin < row.vocab ? (row.vocab - bin - 1) / core::kBins + 1 : 0;
  for (std::uint32_t j = 0; j < count; ++j) {
    const float x = logit_at({row.data, D, row.vocab}, bin + j * core::kBins);
    masses[j] = x == x ? static_cast<double>(x) : static_cast<double>(kNone);
  }
  if (temperature != 1.0)
    for (std::uint32_t j = 0; j < count; ++j) masses[j] = core::d_div(masses[j], temperature);
  const double top = scaled(greatest, temperature);
  for (std::uint32_t j = 0; j < count; ++j) masses[j] = core::exp_neg(core::d_sub(masses[j], top));
  return count;
}

/// In parts that stay in the first cache. The division has a loop of its own, since most rows have T = 1 and need none.
HEIRMARK_HD_INLINE void exact_values_of(const float* logits, std::uint32_t count, double temperature, float greatest, double* values) {
  constexpr std::uint32_t kPart = 512;
  const double top = scaled(greatest, temperature);
  for (std::uint32_t first = 0; first < count; first += kPart) {
    const std::uint32_t end = count - first < kPart ? count : first + kPart;
    for (std::uint32_t i = first; i < end; ++i) values[i] = static_cast<double>(logits[i]);
    if (temperature != 1.0)
      for (std::uint32_t i = first; i < end; ++i) values[i] = core::d_div(values[i], temperature);
    for (std::uint32_t i = first; i < end; ++i) values[i] = core::exp_neg(core::d_sub(values[i], top));
  }
}

template <DType D>
HEIRMARK_HD_INLINE void exact_masses_of(const RowView& row, double temperature, float greatest, double* masses) {
  constexpr std::uint32_t kPart = 256;
  const RowView typed{row.data, D, row.vocab};
  const double top = scaled(greatest, temperature);
  for (std::uint32_t b = 0; b < core::kBins; ++b) masses[b] = 0;
  for (std::uint32_t v = 0; v < row.vocab; v += kPart) {
    const std::uint32_t count = row.vocab - v < kPart ? row.vocab - v : kPart;
    double* sums = masses + v % core::kBins;
    double x[kPart];
    for (std::uint32_t i = 0; i < count; ++i) {
      const float logit = logit_at(typed, v + i);
      x[i] = static_cast<double>(logit == logit ? logit : kNone);
    }
    if (temperature != 1.0)
      for (std::uint32_t i = 0; i < count; ++i) x[i] = core::d_div(x[i], temperature);
    for (std::uint32_t i = 0; i < count; ++i) sums[i] = core::d_add(sums[i], core::exp_neg(core::d_sub(x[i], top)));
  }
}

/// Masses from sums of bins (Kernel::near), and what each may be off by, relative to itself, in units of 2^-24. A term 2^z: 2.1 |z| (the slope, the difference, the product) and 4 (the
/// polynomial). A sum: 9 and one for each eight strides. The reference's own x / T, where it is up to kExactRange: 4. The mass: 1. Over a bin of n terms and sum S the mean of |z| is no more
/// than by how much a term is `above` the reference, and log2(n / S) where that is positive, and 0.54, which is 1.2 units more: 19.2 of the 22 here.
template <class L>
HEIRMARK_HD_INLINE void near_of(const float* sums, std::uint32_t vocab, float above, double total, float* masses, float* errors) {
  using F = typename L::F;
  constexpr float kUnit = 0x1p-24f, kSlope = 2.1f * kUnit;
  const auto strides = static_cast<float>(vocab / core::kBins);
  const F scale = L::set(static_cast<float>(1 / total)), slope = L::set(kSlope), base = L::set((22 + strides / 8) * kUnit + (above > 0 ? above : 0.0f) * kSlope);
  // log2 S is no less than the chord that S's own bits are: 2^23 (127 + it).
  float most = 127.01f;
  for (std::uint32_t n = vocab / core::kBins; n != 0; n /= 2) ++most;
  const F depth = L::set(most), per_bit = L::set(-0x1p-23f), zero = L::set(0.0f);
  for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) {
    const F bits = L::unsigned_to_float(reinterpret_cast<const std::uint32_t*>(sums + b));
    L::store(masses + b, L::mul(L::load(sums + b), scale));
    L::store(errors + b, L::mul_add(L::max(L::mul_add(bits, per_bit, depth), zero), slope, base));
  }
}

/// Masses below it are raised to it and so are factors of two layers, since subnormal numbers are slow.
constexpr float kLeastNear = 0x1p-100f, kLeastFactor = 0x1p-25f;

/// Two layers by bounds, on the sums of the masses and errors of four kinds of bins: 0 red in both, 1 green in the second, 2 in the first, 3 in both.
struct TwoLayers {
  double mass[4], error[4];
  /// factor, off: what masses are multiplied by, and what relative errors grow by. rest: what each bin may be off by beside its error, kLeastNear included. False: bounds say nothing.
  HEIRMARK_HD_INLINE bool play(double& rest, float (&factor)[4], float (&off)[4]);
};

HEIRMARK_HD_INLINE bool TwoLayers::play(double& rest, float (&factor)[4], float (&off)[4]) {
  constexpr double kSums = 0x1.2p-21;  // relative, of a mass's sum: seven additions of floats, then doubles
  constexpr double kRoundings = 1 + 0x1p-14;  // of an error's sum: 512 additions of floats at most, 2^-15; what errors lost so far, 2^-18; and kSums where it weighs errors
  constexpr double kReference = 0x1p-42;  // absolute: of its sums by halving, in all layers
  constexpr double kMass = 0x1.2p-23;     // relative: of a factor and of a mass, and the reference's
  double factors[4] = {1, 1, 1, 1}, offs[4] = {1, 1, 1, 1};
  for (int bit = 1; bit >= 0; --bit) {
    double masses[2] = {}, errors[2] = {};
    for (int kind = 0; kind < 4; ++kind) {
      masses[kind >> bit & 1] += mass[kind];
      errors[kind >> bit & 1] += error[kind] * kRoundings;
    }
    for (double& e : errors) e += core::kBins * rest;
    const double sum = masses[0] + masses[1], green = masses[1] / sum, all = errors[0] + errors[1];
    double red = masses[0] / sum;
    double distance = (red * errors[1] + green * errors[0]) / (sum - all) * (1 + 0x1p-30) + red * green * (2 * kSums) + kReference;
    if (!(all < sum / 4) || !(distance < marks::tournament::kMostDistance<double>)) return false;
    if (red < distance) {  // that of the reference is not below 0, so it is within `distance` of `distance`; twice that leaves room for roundings
      red = distance;
      distance *= 2;
    }
    const auto layer = marks::tournament::bound_layer(red, distance, [](double f) { return 1 / f; });
    for (int kind = 0; kind < 4; ++kind) {
      const double f = layer.factor[kind >> bit & 1], x = layer.off[kind >> bit & 1];
      error[kind] = f * (error[kind] + x * (mass[kind] + error[kind]));
      mass[kind] *= f;
      factors[kind] *= f;
      offs[kind] *= 1 + x;
    }
    rest = rest * 2 * (1 + layer.off[0]) * (1 + layer.off[1]) + kLeastNear;
  }
  for (int kind = 0; kind < 4; ++kind) {
    const bool tiny = factors[kind] < static_cast<double>(kLeastFactor);  // its masses are between none, but for roundings, and what they would be with the least factor
    factor[kind] = tiny ? kLeastFactor : static_cast<float>(factors[kind]);
    off[kind] = static_cast<float>((offs[kind] - 1 + (tiny ? 1 : kMass)) * (1 + 0x1p-20));
  }
  return true;
}

/// tournament::play by bounds (marks/tournament/bounds.hpp), two layers in each passage through the bins.
template <class L>
HEIRMARK_HD_INLINE bool play_near_of(float* masses, float* errors, const std::uint32_t* words, int layers, double& rest, float* upper) {
  using F = typename L::F;
  constexpr std::uint32_t kRun = 8 * L::kLanes;  // bins whose masses are summed in float32
  // Layers that are not there have no green bins.
  alignas(64) std::uint32_t bits[core::kBins];
  const std::uint32_t mask = layers == 0 ? 0 : 0xFFFFFFFFu << (32 - layers);
  for (std::uint32_t b = 0; b < core::kBins; ++b) bits[b] = words[b] & mask;
  float factors[4] = {1, 1, 1, 1}, offs[4] = {};
  std::uint32_t played = 30;
  const F least = L::set(kLeastNear);
  const auto play = [&](std::uint32_t b, const auto& factor, const auto& off, F& p, F& e) {
    const F x = L::pick(off, bits + b, played);
    p = L::max(L::mul(L::load(masses + b), L::pick(factor, bits + b, played)), least);
    e = L::load(errors + b);
    e = L::add(e, L::mul_add(e, x, x));
    L::store(masses + b, p);
  };
  for (int layer = 0; layer < layers; layer += 2) {
    const auto shift = static_cast<std::uint32_t>(30 - layer);
    const auto factor = L::table(factors), off = L::table(offs);
    typename L::Doubles mass[4] = {L::no_doubles(), L::no_doubles(), L::no_doubles(), L::no_doubles()};
    F error[4] = {L::set(0.0f), L::set(0.0f), L::set(0.0f), L::set(0.0f)};
    for (std::uint32_t first = 0; first < core::kBins; first += kRun) {
      F run[4] = {L::set(0.0f), L::set(0.0f), L::set(0.0f), L::set(0.0f)};
      for (std::uint32_t b = first; b < first + kRun; b += L::kLanes) {
        F p, e;
        play(b, factor, off, p, e);
        L::store(errors + b, e);
        const auto quarters = L::quarters(bits + b, shift);
        L::add_quarters(run, quarters, p);
        L::add_quarters(error, quarters, L::mul(p, e));
      }
      for (int kind = 0; kind < 4; ++kind) mass[kind] = L::add_doubles(mass[kind], run[kind]);
    }
    TwoLayers two;
    for (int kind = 0; kind < 4; ++kind) {
      two.mass[kind] = L::reduce_doubles(mass[kind]);
      two.error[kind] = L::reduce_doubles(L::add_doubles(L::no_doubles(), error[kind]));
    }
    if (!two.play(rest, factors, offs)) return false;
    played = shift;
  }
  const auto factor = L::table(factors), off = L::table(offs);
  const F slack = L::set(1 + 0x1p-17f), beside = L::set(static_cast<float>(rest * (1 + 0x1p-20)));  // what rounding took from errors
  for (std::uint32_t b = 0; b < core::kBins; b += L::kLanes) {
    F p, e;
    play(b, factor, off, p, e);
    e = L::mul(e, slack);
    L::store(errors + b, e);
    L::store(upper + b, L::add(L::mul_add(p, e, p), beside));
  }
  return true;
}

template <class L, DType D>
HEIRMARK_HD_INLINE std::uint32_t collect_from(const RowView& row, float threshold, float end, std::uint32_t most, std::uint32_t* ids, float* logits) {
  const typename L::F limit = L::set(threshold), over = L::set(end);
  std::uint32_t count = 0;
  for (std::uint32_t v = 0; v < row.vocab && count <= most; v += L::kLanes) {
    const bool full = v + L::kLanes <= row.vocab;
    const typename L::F x = full ? L::template load_logits<D>(row.data, v) : load_part<L, D>(row, v, row.vocab - v);
    std::uint32_t mask = L::not_less(x, limit) & ~L::not_less(x, over);
    if (!full) mask &= (1u << (row.vocab - v)) - 1;  // not the filling, when the threshold is -inf
    if (mask == 0) continue;
    L::compress(mask, x, v, logits + count, ids + count);
    count += static_cast<std::uint32_t>(__builtin_popcount(mask));
  }
  return count;
}

template <class L, DType D>
HEIRMARK_HD_INLINE std::uint32_t delegates_of(const RowView& row, std::uint32_t group, float* out) {
  std::uint32_t count = 0, v = 0;
  const std::uint32_t span = group * L::kLanes;
  for (; v + span <= row.vocab; v += span) {
    typename L::F best = L::set(kNone);
    for (std::uint32_t i = 0; i < group; ++i) best = L::max(L::template load_logits<D>(row.data, v + i * L::kLanes), best);
    L::store(out + count, best);
    count += static_cast<std::uint32_t>(L::kLanes);
  }
  for (; v < row.vocab; ++v) {
    const float x = logit_at(row, v);
    out[count++] = x == x ? x : kNone;
  }
  return count;
}

/// A function for the row's type.
#define HEIRMARK_BY_DTYPE(call)                                       \
  switch (row.dtype) {                                                \
    case DType::bfloat16: { constexpr DType D = DType::bfloat16; return call; } \
    case DType::float16: { constexpr DType D = DType::float16; return call; }   \
    default: { constexpr DType D = DType::float32; return call; }               \
  }

template <class L> float glance(const RowView& row) { HEIRMARK_BY_DTYPE((glance_of<L, D>(row))) }
template <class L> float greatest(const RowView& row) { HEIRMARK_BY_DTYPE((greatest_of<L, D>(row))) }
template <class L> std::uint32_t find(const RowView& row, float value) { HEIRMARK_BY_DTYPE((find_in<L, D>(row, value))) }
template <class L> Pass bounds(const RowView& row, const Scale& scale, float* upper) { HEIRMARK_BY_DTYPE((bounds_of<L, D>(row, scale, upper))) }
template <class L> Pass sums(const RowView& row, const Scale& scale, float* upper) { HEIRMARK_BY_DTYPE((bin_pass<L, D, true>(row, ExpTerm<L>(scale), upper))) }
template <class L> double total_from(const RowView& row, const Scale& scale, float threshold, float* scratch) {
  HEIRMARK_BY_DTYPE((bin_pass<L, D, true>(row, ExpTermFrom<L>(scale, threshold), scratch).total))
}
template <class L> void boost(float* upper, const std::uint32_t* words, std::uint32_t gamma, float factor) { boost_bins<L>(upper, words, gamma, factor); }
template <class L> std::uint32_t front_runner(const std::uint32_t* words, const float* upper) { return front_runner_of<L>(words, upper); }
template <class L> std::uint32_t contenders(const std::uint32_t* words, const float* upper, float limit, std::uint16_t* bins) { return contenders_of<L>(words, upper, limit, bins); }
template <class L> std::uint32_t exact_bin(const RowView& row, double temperature, float top, std::uint32_t bin, double* masses) {
  HEIRMARK_BY_DTYPE((exact_bin_of<D>(row, temperature, top, bin, masses)))
}
template <class L> void exact_masses(const RowView& row, double temperature, float top, double* masses) { HEIRMARK_BY_DTYPE((exact_masses_of<D>(row, temperature, top, masses))) }
template <class L> void exact_values(const float* logits, std::uint32_t count, double temperature, float top, double* values) { exact_values_of(logits, count, temperature, top, values); }
template <class L> void play(double* masses, const std::uint32_t* words, int layers, double* scratch) { marks::tournament::play(masses, words, layers, scratch); }
template <class L> void near(const float* sums, std::uint32_t vocab, float above, double total, float* masses, float* errors) { near_of<L>(sums, vocab, above, total, masses, errors); }
template <class L> bool play_near(float* masses, float* errors, const std::uint32_t* words, int layers, double& rest, float* upper) {
  return play_near_of<L>(masses, errors, words, layers, rest, upper);
}
template <class L> std::uint32_t collect(const RowView& row, float threshold, float end, std::uint32_t most, std::uint32_t* ids, float* logits) {
  HEIRMARK_BY_DTYPE((collect_from<L, D>(row, threshold, end, most, ids, logits)))
}
template <class L> std::uint32_t delegates(const RowView& row, std::uint32_t group, float* out) { HEIRMARK_BY_DTYPE((delegates_of<L, D>(row, group, out))) }
#undef HEIRMARK_BY_DTYPE

template <class L>
constexpr Kernel make_kernel(core::BlocksFunction blocks) {
  return {blocks, glance<L>, greatest<L>, find<L>, bounds<L>, sums<L>, total_from<L>, boost<L>, front_runner<L>, contenders<L>, exact_bin<L>, exact_values<L>, exact_masses<L>, play<L>, near<L>, play_near<L>, collect<L>, delegates<L>};
}

}  // namespace
}  // namespace heirmark::sampler
