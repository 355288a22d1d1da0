// The exact way: what decides where bounds do not, with the reference's own doubles in the reference's own order (specs/marks.md).
#pragma once
#include <cstdint>

#include "core/context.hpp"
#include "core/dmath.hpp"
#include "core/stream.hpp"
#include "kernels/batch.hpp"
#include "kernels/logits.hpp"
#include "kernels/pass.hpp"
#include "marks/greenlist/greenlist.hpp"
#include "marks/gumbel/gumbel.hpp"
#include "marks/rule.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kListed = 2048;  ///< tokens that a list holds

/// Shared memory of the exact way and of truncation; one use after the other.
struct ExactMemory {
  union {
    double masses[core::kBins];
    std::uint64_t listed[kListed];  ///< integer masses of a list's entries
    struct {
      double term[kThreads / 4];
      std::uint32_t word[2][kThreads / 4];
    } race;                         ///< of a short list
  };
  union {
    struct {
      std::uint32_t mark[core::kBins];
      double halves[core::kBins / 2];
    } scheme;
    std::uint64_t list[kListed];
    std::uint64_t weights[2048];
    std::uint32_t counts[2048];
  };
};

/// e_v of a row's logits.
struct Exponential {
  double temperature, top;
  HEIRMARK_HD_INLINE Exponential(float temperature_f, float greatest)
      : temperature(static_cast<double>(temperature_f)), top(core::d_div(static_cast<double>(greatest), temperature)) {}
  /// 0 for NaN and -inf.
  HEIRMARK_HD_INLINE double operator()(float logit) const {
    if (!is_finite(logit)) return 0;
    return core::exp_neg(core::d_sub(core::d_div(static_cast<double>(logit), temperature), top));
  }
};

/// Which tokens take part: all finite ones, or those that truncation left.
struct Keep {
  std::uint64_t last = 0;  ///< order_key of the last token that stays
  double min_p = 0;
  HEIRMARK_HD_INLINE bool operator()(float logit, std::uint32_t v, double e) const {
    return is_finite(logit) && e >= min_p && (last == 0 || order_key(logit, v) >= last);
  }
};

/// masses[b] = S_b of all bins.
template <DType D, class X>
HEIRMARK_HD_COLD void exact_masses(X& x, const RowData<D>& row, const Exponential& exponential, const Keep& keep, double* masses) {
  x.each([&](unsigned t) {
    for (std::uint32_t bin = t; bin < core::kBins; bin += kThreads) {
      double sum = 0;
      for (std::uint32_t v = bin; v < row.vocab; v += core::kBins) {
        const float logit = row.at(v);
        const double e = exponential(logit);
        if (keep(logit, v, e)) sum = core::d_add(sum, e);
      }
      masses[bin] = sum;
    }
  });
  x.sync();
}

/// S_b of one bin; the same for every thread.
template <DType D>
HEIRMARK_HD_INLINE double exact_mass(const RowData<D>& row, const Exponential& exponential, std::uint32_t bin) {
  double sum = 0;
  for (std::uint32_t v = bin; v < row.vocab; v += core::kBins) sum = core::d_add(sum, exponential(row.at(v)));
  return sum;
}

/// All 2,048 words of a row in a domain, to shared memory.
template <class X>
HEIRMARK_HD_INLINE void make_words(X& x, const core::KeyWords& key, core::Domain domain, std::uint32_t first_block, std::uint32_t blocks, std::uint32_t* words) {
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < blocks; i += kThreads) {
      std::uint32_t block[kWordsPerBlock];
      core::stream_block(key, domain, first_block + i, block);
      for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) words[kWordsPerBlock * i + k] = block[k];
    }
  });
  x.sync();
}

/// marks::tournament::sum_by_halving of 2,048 terms; the same tree, 1,024 doubles of memory. `term(b)` is asked for once for each b.
template <class X, class Term>
HEIRMARK_HD_INLINE double sum_by_halving(X& x, double* halves, const Term& term) {
  constexpr std::uint32_t kHalf = core::kBins / 2;
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < kHalf; i += kThreads) halves[i] = core::d_add(term(i), term(i + kHalf));
  });
  x.sync();
  for (std::uint32_t half = kHalf / 2; half > 0; half /= 2) {
    x.each([&](unsigned t) {
      for (std::uint32_t i = t; i < half; i += kThreads) halves[i] = core::d_add(halves[i], halves[i + half]);
    });
    x.sync();
  }
  const double sum = halves[0];
  x.sync();
  return sum;
}

/// marks::tournament::play over shared memory.
template <class X>
HEIRMARK_HD_COLD void play(X& x, int layers, ExactMemory& memory) {
  double* const masses = memory.masses;
  const std::uint32_t* const words = memory.scheme.mark;
  const double total = sum_by_halving(x, memory.scheme.halves, [&](std::uint32_t b) { return masses[b]; });
  x.each([&](unsigned t) {
    for (std::uint32_t b = t; b < core::kBins; b += kThreads) masses[b] = core::d_div(masses[b], total);
  });
  x.sync();
  for (int layer = 1; layer <= layers; ++layer) {
    const int shift = 32 - layer;
    const auto bit = [&](std::uint32_t b) { return static_cast<double>(static_cast<std::int32_t>(words[b] >> shift & 1)); };
    const double green = sum_by_halving(x, memory.scheme.halves, [&](std::uint32_t b) { return core::d_mul(masses[b], bit(b)); });
    x.each([&](unsigned t) {
      for (std::uint32_t b = t; b < core::kBins; b += kThreads) masses[b] = core::d_mul(masses[b], core::d_sub(core::d_add(1.0, bit(b)), green));
    });
    x.sync();
  }
}

/// What the scheme does to the masses before the race.
template <class X>
HEIRMARK_HD_COLD void apply_rule(X& x, const Scheme& scheme, marks::RuleKind rule, const core::KeyWords* mark, ExactMemory& memory) {
  if (rule == marks::RuleKind::race) return;
  make_words(x, *mark, core::kBinsCoarse, 0, kRowBlocks, memory.scheme.mark);
  if (rule == marks::RuleKind::tournament) return play(x, scheme.layers, memory);
  x.each([&](unsigned t) {
    for (std::uint32_t b = t; b < core::kBins; b += kThreads)
      if (marks::greenlist::is_green(memory.scheme.mark[b], scheme.gamma)) memory.masses[b] = core::d_mul(memory.masses[b], scheme.boost);
  });
  x.sync();
}

/// Who rings when: the earlier first, then the smaller place.
struct Ring {
  double time;
  std::uint32_t place, unused;
  HEIRMARK_HD_INLINE bool operator<(const Ring& other) const { return time < other.time || (time == other.time && place < other.place); }
  /// For Smallest: word after word of its time, then its place.
  template <class W>
  static HEIRMARK_HD_INLINE Ring least(W& w, const Ring& v) {
    const std::uint64_t bits = core::d_bits(v.time == 0 ? 0.0 : v.time), own = (bits >> 63) != 0 ? ~bits : bits | std::uint64_t{1} << 63;
    const auto high = static_cast<std::uint32_t>(own >> 32), low = static_cast<std::uint32_t>(own);
    const std::uint32_t least_high = w.least(high), least_low = w.least(high == least_high ? low : 0xFFFFFFFFu);
    const std::uint32_t place = w.least(high == least_high && low == least_low ? v.place : 0xFFFFFFFFu);
    const std::uint64_t order = std::uint64_t{least_high} << 32 | least_low;
    return {core::d_from_bits((order >> 63) != 0 ? order & ~(std::uint64_t{1} << 63) : ~order), place, 0};
  }
};
inline constexpr double kNever = 1.7976931348623157e308;

/// The bin that wins among the masses.
template <class X>
HEIRMARK_HD_COLD std::uint32_t exact_race(X& x, const core::KeyWords& noise, const double* masses) {
  typename X::template State<Ring> first;
  // Two threads to a block of words, each with half of its bins.
  constexpr std::uint32_t kHalf = kWordsPerBlock / 2;
  static_assert(kThreads == 2 * kRowBlocks);
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    bool any = false;
    for (std::uint32_t k = 0; k < kHalf; ++k) any = any || masses[kHalf * t + k] > 0;
    if (!any) return;
    std::uint32_t block[kWordsPerBlock], coarse[kHalf];
    core::stream_block(noise, core::kBinsCoarse, t / 2, block);
    for (std::uint32_t k = 0; k < kHalf; ++k) coarse[k] = t % 2 == 0 ? block[k] : block[kHalf + k];
    core::stream_block(noise, core::kBinsFine, t / 2, block);
    for (std::uint32_t k = 0; k < kHalf; ++k) {
      const std::uint32_t bin = kHalf * t + k, fine = t % 2 == 0 ? block[k] : block[kHalf + k];
      if (!(masses[bin] > 0)) continue;
      const Ring ring{core::d_div(marks::gumbel::bin_time(coarse[k], fine), masses[bin]), bin, 0};
      if (ring < first[t]) first[t] = ring;
    }
  });
  return x.reduce(first, Smallest{}).place;
}

/// The token that wins inside a bin. `inner`: the words of the row's strides.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t inner_draw(X& x, const RowData<D>& row, const Exponential& exponential, const Keep& keep, const std::uint64_t* inner, std::uint32_t bin) {
  const std::uint32_t count = (row.vocab - bin - 1) / core::kBins + 1;
  typename X::template State<Ring> first;
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    for (std::uint32_t j = t; j < count; j += kThreads) {
      const std::uint32_t v = bin + core::kBins * j;
      const float logit = row.at(v);
      const double own = core::neg_log1m(inner[j]), e = exponential(logit);  // the first one while the logit is on its way
      if (!(e > 0) || !keep(logit, v, e)) continue;
      const Ring ring{core::d_div(own, e), v, 0};
      if (ring < first[t]) first[t] = ring;
    }
  });
  return x.reduce(first, Smallest{}).place;
}

/// Smallest id for which wanted(logit) holds, 0xFFFFFFFF if there is none.
template <DType D, class X, class Wanted>
HEIRMARK_HD_COLD std::uint32_t find(X& x, const RowData<D>& row, const Wanted& wanted) {
  typename X::template State<std::uint32_t> id;
  x.each([&](unsigned t) {
    id[t] = 0xFFFFFFFFu;
    for (std::uint32_t v = t; v < row.vocab && id[t] == 0xFFFFFFFFu; v += kThreads)
      if (wanted(row.at(v))) id[t] = v;
  });
  return x.reduce(id, Smallest{});
}

/// How many logits equal `wanted`.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t count_of(X& x, const RowData<D>& row, float wanted) {
  typename X::template State<std::uint32_t> count;
  x.each([&](unsigned t) {
    count[t] = 0;
    for (std::uint32_t v = t; v < row.vocab; v += kThreads) count[t] += row.at(v) == wanted ? 1u : 0u;
  });
  return x.reduce(count, Sum{});
}

/// The greenlist's argmax of logit + delta on green bins, smallest id on a tie.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t greenlist_greedy(X& x, const RowData<D>& row, const Scheme& scheme, const core::KeyWords& mark, ExactMemory& memory) {
  make_words(x, mark, core::kBinsCoarse, 0, kRowBlocks, memory.scheme.mark);
  typename X::template State<Ring> first;  // its time is the negative of the value
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    for (std::uint32_t v = t; v < row.vocab; v += kThreads) {
      const float logit = row.at(v);
      if (!is_finite(logit)) continue;
      const bool green = marks::greenlist::is_green(memory.scheme.mark[core::bin_of(v)], scheme.gamma);
      const double value = green ? core::d_add(static_cast<double>(logit), scheme.delta) : static_cast<double>(logit);
      const Ring ring{-value, v, 0};
      if (ring < first[t]) first[t] = ring;
    }
  });
  return x.reduce(first, Smallest{}).place;
}

}  // namespace heirmark::kernels
