// Min-p, top-k and top-p for one row, by one block: exactly the tokens of specs/marks.md, without sorting the row.
//
// The pass left the greatest logit of each chunk of 32 tokens, its delegates. The k-th greatest delegate is a lower bound of the k-th
// greatest logit, as is anything below it, and a depth below the greatest logit bounds min-p and top-p; so a few chunks hold all tokens that matter, and these fit
// a list in shared memory that is sorted. Where they do not fit, the last token that stays is found digit by digit of its place in the
// order, reading the row once a digit. Both ways count in integers, so both find the same token.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/exact.hpp"
#include "kernels/logits.hpp"
#include "kernels/pass.hpp"
#include "marks/masses.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kListedChunks = 1024;
inline constexpr std::uint32_t kOrderKeyBits = 32 + kIdBits;
using marks::kMassUnit, marks::kNoMass, marks::mass_of;
inline constexpr double kTotalError = 3e-4;  ///< relative, of the float32 total

/// Shared memory beside ExactMemory.
struct TruncateMemory {
  std::uint64_t part[kThreads];
  std::uint64_t answer[2];
  std::uint32_t chunk[kListedChunks];
  std::uint32_t chunks, count;
};

struct Limits {
  std::uint32_t top_k;  ///< 0: off
  double min_p, top_p;  ///< 0 and 1: off
};
HEIRMARK_HD_INLINE Limits limits_of(const DeviceRow& row, std::uint32_t vocab) {
  return {row.top_k < vocab ? row.top_k : 0, static_cast<double>(row.min_p), static_cast<double>(row.top_p)};
}
HEIRMARK_HD_INLINE bool truncates(const Limits& limits) { return limits.top_k != 0 || limits.min_p > 0 || limits.top_p < 1; }

/// What is left of a row.
struct Kept {
  Keep keep;
  std::uint32_t listed = 0;  ///< so many, all of them, are in memory.list in order; 0: not listed
};

/// The masses before a token that stays are fewer than this: ceil(share total / 2^32), share = floor(2^32 top_p). At least 1: the first token stays.
HEIRMARK_HD_INLINE std::uint64_t mass_limit(double top_p, std::uint64_t total) {
  const auto share = static_cast<std::uint64_t>(top_p * 0x1p32);
  const std::uint64_t low = share * (total & 0xFFFFFFFFu), limit = share * (total >> 32) + (low >> 32) + ((low & 0xFFFFFFFFu) != 0 ? 1 : 0);
  return limit == 0 ? 1 : limit;
}

/// A place in the order that no token within `depth` nats of the greatest comes after. The slack is far more than any rounding.
HEIRMARK_HD_INLINE std::uint32_t order_at_depth(const Exponential& exponential, double depth) {
  const double top = exponential.top, size = top < 0 ? -top : top;
  const double low = (top - depth - 1e-9 * (size + depth + 1)) * exponential.temperature;
  if (!(low > static_cast<double>(kLeastLogit))) return order_bits(kLeastLogit);
  return order_bits(static_cast<float>(low)) - 1;
}

/// A lower bound in the order: by its bits, or by how far below the row's greatest logit a logit is, in units of 1/64, or both.
struct Bound {
  static constexpr std::uint32_t kDeepest = 2047;  ///< whatever is deeper than 32
  float greatest;
  std::uint32_t order = 0, depth = kDeepest;
  [[nodiscard]] HEIRMARK_HD_INLINE float below(float logit) const { return (greatest - logit) * 64.0f; }
  /// Never falls while the logit falls.
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t depth_of(float logit) const {
    return below(logit) < static_cast<float>(kDeepest) ? static_cast<std::uint32_t>(below(logit)) : kDeepest;
  }
  /// Of a logit that is no NaN.
  [[nodiscard]] HEIRMARK_HD_INLINE bool operator()(float logit) const {
    return (depth == kDeepest || below(logit) < static_cast<float>(depth + 1)) && (order == 0 || order_bits(logit) >= order);
  }
};

/// f(i, read(i)) for i = t, t + kThreads, .. below `count`, several reads under way at once.
template <class Read, class F>
HEIRMARK_HD_INLINE void for_each_read(unsigned t, std::uint32_t count, const Read& read, const F& f) {
  constexpr std::uint32_t kAtOnce = 4;
  for (std::uint32_t first = t; first < count; first += kAtOnce * kThreads) {
    float values[kAtOnce];
    for (std::uint32_t k = 0; k < kAtOnce; ++k) values[k] = first + k * kThreads < count ? read(first + k * kThreads) : 0.0f;
    for (std::uint32_t k = 0; k < kAtOnce; ++k)
      if (first + k * kThreads < count) f(first + k * kThreads, values[k]);
  }
}

/// Among keys of `bits` bits with weights, in descending order of key: the last one of positive weight such that the weights before it sum to less
/// than `limit`. each_key(t, take) calls take(key, weight) for thread t's share of the keys. Needs a positive weight somewhere.
template <class X, class EachKey>
HEIRMARK_HD_COLD std::uint64_t descend(X& x, std::uint32_t bits, std::uint64_t limit, const EachKey& each_key, std::uint64_t* weights, TruncateMemory& memory) {
  constexpr std::uint32_t kWidth = 11, kDigits = 1u << kWidth, kOwn = kDigits / kThreads;
  std::uint64_t prefix = 0, before = 0;
  for (std::uint32_t shift = bits; shift > 0;) {
    const std::uint32_t width = shift < kWidth ? shift : kWidth;
    shift -= width;
    x.each([&](unsigned t) {
      for (std::uint32_t i = t; i < kDigits; i += kThreads) weights[i] = 0;
    });
    x.sync();
    x.each([&](unsigned t) {
      each_key(t, [&](std::uint64_t key, std::uint64_t weight) {
        if (key >> (shift + width) == prefix) x.add(&weights[key >> shift & ((1u << width) - 1)], weight);
      });
    });
    x.sync();
    // Thread t owns the digits from kDigits - 1 - 8t downwards.
    const auto digit = [](unsigned t, std::uint32_t i) { return kDigits - 1 - (kOwn * t + i); };
    typename X::template State<std::uint64_t> part, until;
    x.each([&](unsigned t) {
      part[t] = 0;
      for (std::uint32_t i = 0; i < kOwn; ++i) part[t] += weights[digit(t, i)];
      until[t] = part[t];
    });
    x.scan(until);
    typename X::template State<std::uint32_t> last;
    x.each([&](unsigned t) {
      last[t] = 0;  // 1 + place among the digits
      std::uint64_t sum = before + until[t] - part[t];
      for (std::uint32_t i = 0; i < kOwn && sum < limit; ++i) {
        const std::uint64_t weight = weights[digit(t, i)];
        if (weight != 0) last[t] = kOwn * t + i + 1;
        sum += weight;
      }
    });
    const std::uint32_t place = x.reduce(last, Largest{}) - 1;
    x.each([&](unsigned t) {
      if (t != place / kOwn) return;
      std::uint64_t sum = before + until[t] - part[t];
      for (std::uint32_t i = 0; i < place % kOwn; ++i) sum += weights[digit(t, i)];
      memory.answer[0] = kDigits - 1 - place;
      memory.answer[1] = sum;
    });
    x.sync();
    prefix = prefix << width | memory.answer[0];
    before = memory.answer[1];
    x.sync();
  }
  return prefix;
}

/// A bound that at least k delegates pass, 1 <= k <= number of delegates: nearly always that the k-th greatest is no deeper.
template <class X>
HEIRMARK_HD_COLD Bound bound_of_kth(X& x, const float* delegates, std::uint32_t count, std::uint32_t k, float greatest, ExactMemory& exact, TruncateMemory& memory) {
  constexpr std::uint32_t kOwn = (Bound::kDeepest + 1) / kThreads;
  Bound bound{greatest};
  const auto read = [&](std::uint32_t i) { return delegates[i]; };
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i <= Bound::kDeepest; i += kThreads) exact.counts[i] = 0;
  });
  x.sync();
  x.each([&](unsigned t) { for_each_read(t, count, read, [&](std::uint32_t, float delegate) { x.add(&exact.counts[bound.depth_of(delegate)], 1u); }); });
  x.sync();
  typename X::template State<std::uint64_t> part, until;
  x.each([&](unsigned t) {
    part[t] = 0;
    for (std::uint32_t i = kOwn * t; i < kOwn * t + kOwn; ++i) part[t] += exact.counts[i];
    until[t] = part[t];
  });
  x.scan(until);
  x.each([&](unsigned t) {
    std::uint64_t sum = until[t] - part[t];
    if (sum >= k || until[t] < k) return;
    std::uint32_t depth = kOwn * t;
    while ((sum += exact.counts[depth]) < k) ++depth;
    memory.answer[0] = depth;
  });
  x.sync();
  bound.depth = static_cast<std::uint32_t>(memory.answer[0]);
  x.sync();
  if (bound.depth < Bound::kDeepest) return bound;
  const auto each_key = [&](unsigned t, const auto& take) { for_each_read(t, count, read, [&](std::uint32_t, float delegate) { take(order_bits(delegate), std::uint64_t{1}); }); };
  bound.order = static_cast<std::uint32_t>(descend(x, 32, k, each_key, exact.weights, memory));
  return bound;
}

/// Lists all tokens within `bound` that pass min-p. Returns how many, or kListed + 1 if they do not fit.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t collect(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, const Bound& bound, const Exponential& exponential,
                                         const Keep& keep, ExactMemory& exact, TruncateMemory& memory) {
  x.each([&](unsigned t) {
    if (t == 0) memory.chunks = memory.count = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    for_each_read(t, shape.delegates(), [&](std::uint32_t i) { return delegates[i]; }, [&](std::uint32_t i, float delegate) {
      if (bound(delegate))
        if (const std::uint32_t place = x.add(&memory.chunks, 1u); place < kListedChunks) memory.chunk[place] = i;
    });
  });
  x.sync();
  const std::uint32_t chunks = memory.chunks;
  x.sync();
  if (chunks > kListedChunks) return kListed + 1;
  x.each([&](unsigned t) {
    const auto token = [&](std::uint32_t i) {
      const std::uint32_t delegate = memory.chunk[i / kChunkTokens], lane = delegate % kLanes, inside = i % kChunkTokens;
      const std::uint32_t stride = delegate / kLanes * kChunk + inside / kBinsPerThread;
      return stride * core::kBins + shape.group_of(lane) * shape.bins() + Bins<D>::local(shape, shape.lane_of(lane), inside % kBinsPerThread);
    };
    const auto read = [&](std::uint32_t i) {
      const std::uint32_t v = token(i);
      return v < row.vocab ? row.at(v) : core::float_from_bits(0x7FC00000u);
    };
    for_each_read(t, chunks * kChunkTokens, read, [&](std::uint32_t i, float logit) {
      if (!is_finite(logit) || !bound(logit)) return;
      const std::uint32_t v = token(i);
      if (!keep(logit, v, keep.min_p > 0 ? exponential(logit) : 0)) return;
      if (const std::uint32_t place = x.add(&memory.count, 1u); place < kListed) exact.list[place] = order_key(logit, v);
    });
  });
  x.sync();
  const std::uint32_t count = memory.count;
  x.sync();
  return count > kListed ? kListed + 1 : count;
}

/// Sorts list[0 .. count) in descending order. Keys are positive and differ; the list up to the next power of two is overwritten.
template <class X>
HEIRMARK_HD_COLD void sort(X& x, std::uint64_t* list, std::uint32_t count) {
  if (count <= kThreads) {
    // A key's place is the number of greater ones.
    typename X::template State<std::uint64_t> key;
    typename X::template State<std::uint32_t> place;
    x.each([&](unsigned t) {
      key[t] = t < count ? list[t] : 0;
      place[t] = 0;
      if (t < count)
        for (std::uint32_t i = 0; i < count; ++i) place[t] += list[i] > key[t] ? 1u : 0u;
    });
    x.sync();
    x.each([&](unsigned t) {
      if (t < count) list[place[t]] = key[t];
    });
    x.sync();
    return;
  }
  std::uint32_t size = 2;
  while (size < count) size *= 2;
  x.each([&](unsigned t) {
    for (std::uint32_t i = count + t; i < size; i += kThreads) list[i] = 0;
  });
  x.sync();
  for (std::uint32_t run = 2; run <= size; run *= 2)
    for (std::uint32_t distance = run / 2; distance > 0; distance /= 2) {
      x.each([&](unsigned t) {
        for (std::uint32_t i = t; i < size / 2; i += kThreads) {
          const std::uint32_t a = 2 * i - (i & (distance - 1)), b = a + distance;
          const bool descending = (a & run) == 0;
          if ((list[a] < list[b]) == descending) {
            const std::uint64_t other = list[a];
            list[a] = list[b];
            list[b] = other;
          }
        }
      });
      x.sync();
    }
}

/// A thread's entries of a list: `own` of them from own * t on.
HEIRMARK_HD_INLINE std::uint32_t own_entries(std::uint32_t count) { return (count + kThreads - 1) / kThreads; }

/// Integer masses of list[0 .. count), in exact.listed and summed: part[t] those of the entries before thread t's. Returns their total.
template <class X>
HEIRMARK_HD_INLINE std::uint64_t sum_masses(X& x, std::uint32_t count, const Exponential& exponential, ExactMemory& exact, TruncateMemory& memory) {
  const std::uint32_t own = own_entries(count);
  typename X::template State<std::uint64_t> part, until;
  x.each([&](unsigned t) {
    part[t] = 0;
    for (std::uint32_t i = own * t; i < own * t + own && i < count; ++i) {
      exact.listed[i] = mass_of(exponential(logit_of_key(exact.list[i])));
      part[t] += exact.listed[i];
    }
    until[t] = part[t];
  });
  const std::uint64_t total = x.scan(until);
  x.each([&](unsigned t) { memory.part[t] = until[t] - part[t]; });
  x.sync();
  return total;
}

/// How many entries of the list have less than `limit` before them; after sum_masses of as many.
template <class X>
HEIRMARK_HD_INLINE std::uint32_t count_below(X& x, std::uint32_t count, std::uint64_t limit, const ExactMemory& exact, const TruncateMemory& memory) {
  const std::uint32_t own = own_entries(count);
  typename X::template State<std::uint32_t> last;
  x.each([&](unsigned t) {
    last[t] = 0;
    std::uint64_t before = memory.part[t];
    for (std::uint32_t i = own * t; i < own * t + own && i < count && before < limit; ++i) {
      last[t] = i + 1;
      before += exact.listed[i];
    }
  });
  return x.reduce(last, Largest{});
}

/// Integer masses of all tokens that `keep` keeps.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint64_t total_mass(X& x, const RowData<D>& row, const Exponential& exponential, const Keep& keep) {
  typename X::template State<std::uint64_t> sum;
  x.each([&](unsigned t) {
    sum[t] = 0;
    for (std::uint32_t v = t; v < row.vocab; v += kThreads) {
      const float logit = row.at(v);
      const double e = exponential(logit);
      if (keep(logit, v, e)) sum[t] += mass_of(e);
    }
  });
  return x.reduce(sum, Sum{});
}

/// The way that always works: the last token of the order that stays, digit by digit.
template <DType D, class X>
HEIRMARK_HD_COLD Kept truncate_by_digits(X& x, const RowData<D>& row, const Limits& limits, const Exponential& exponential, ExactMemory& exact, TruncateMemory& memory) {
  Kept kept{{0, limits.min_p}, 0};
  const auto each_key = [&](const auto& weight) {
    return [&, weight](unsigned t, const auto& take) {
      for (std::uint32_t v = t; v < row.vocab; v += kThreads) {
        const float logit = row.at(v);
        if (!is_finite(logit)) continue;
        const double e = exponential(logit);
        if (kept.keep(logit, v, e)) take(order_key(logit, v), weight(e));
      }
    };
  };
  if (limits.top_k != 0)
    kept.keep.last = descend(x, kOrderKeyBits, limits.top_k, each_key([](double) { return std::uint64_t{1}; }), exact.weights, memory);
  if (limits.top_p < 1) {
    const std::uint64_t limit = mass_limit(limits.top_p, total_mass(x, row, exponential, kept.keep));
    kept.keep.last = descend(x, kOrderKeyBits, limit, each_key([](double e) { return mass_of(e); }), exact.weights, memory);
  }
  return kept;
}

/// top-p alone: the total of all tokens is needed only as closely as the cut demands. listed = 0 if the list does not hold the cut.
template <DType D, class X>
HEIRMARK_HD_COLD Kept top_p_by_list(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, const Limits& limits, const Exponential& exponential,
                                      float greatest, double total, ExactMemory& exact, TruncateMemory& memory) {
  const double scaled = total * kMassUnit, fewest = scaled * (1 - kTotalError) - row.vocab;
  const std::uint64_t limit_low = mass_limit(limits.top_p, fewest > 0 ? static_cast<std::uint64_t>(fewest) : 0);
  const std::uint64_t limit_high = mass_limit(limits.top_p, static_cast<std::uint64_t>(scaled * (1 + kTotalError)) + 1);
  // Tokens deeper than this have at most vocab e^-depth together, too little to reach the cut. A shallow depth mostly has it.
  double deep = core::dlog(row.vocab / ((1 - limits.top_p) * total)) + 0.1;
  if (!(deep < kNoMass)) deep = kNoMass;
  constexpr double kShallow = 5;
  for (int attempt = deep > kShallow + 2 ? 0 : 1; attempt < 2; ++attempt) {
    const std::uint32_t count = collect(x, row, shape, delegates, Bound{greatest, order_at_depth(exponential, attempt == 0 ? kShallow : deep)}, exponential, Keep{}, exact, memory);
    if (count > kListed) break;
    sort(x, exact.list, count);
    if (sum_masses(x, count, exponential, exact, memory) < limit_high) continue;
    std::uint32_t kept = count_below(x, count, limit_low, exact, memory);
    if (kept != count_below(x, count, limit_high, exact, memory)) {
      const std::uint64_t limit = mass_limit(limits.top_p, total_mass(x, row, exponential, Keep{}));
      kept = count_below(x, count, limit, exact, memory);
    }
    return {{exact.list[kept - 1], 0}, kept};
  }
  return {};
}

/// Which tokens of a row stay. `total` is the sum of e_v within kTotalError. Afterwards an x.sync() is due before memory.list changes.
template <DType D, class X>
HEIRMARK_HD_COLD Kept truncate(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, const Limits& limits, const Exponential& exponential,
                                 float greatest, double total, ExactMemory& exact, TruncateMemory& memory) {
  if (limits.top_k == 0 && !(limits.min_p > 0)) {
    const Kept kept = top_p_by_list(x, row, shape, delegates, limits, exponential, greatest, total, exact, memory);
    if (kept.listed != 0) return kept;
  } else if (limits.top_k <= kListed) {
    Bound bound{greatest};
    if (limits.top_k != 0 && limits.top_k <= shape.delegates()) bound = bound_of_kth(x, delegates, shape.delegates(), limits.top_k, greatest, exact, memory);
    if (limits.min_p > 0) bound.order = Largest{}(bound.order, order_at_depth(exponential, -core::dlog(limits.min_p)));
    const std::uint32_t count = collect(x, row, shape, delegates, bound, exponential, Keep{0, limits.min_p}, exact, memory);
    if (count <= kListed) {
      sort(x, exact.list, count);
      std::uint32_t kept = limits.top_k != 0 && limits.top_k < count ? limits.top_k : count;
      if (limits.top_p < 1) {
        const std::uint64_t sum = sum_masses(x, kept, exponential, exact, memory);
        kept = count_below(x, kept, mass_limit(limits.top_p, sum), exact, memory);
      }
      return {{exact.list[kept - 1], limits.min_p}, kept};
    }
  }
  return truncate_by_digits(x, row, limits, exponential, exact, memory);
}

/// Turns a list of tokens that stay into one that ascends by bin, then by token: its complements descend.
template <class X>
HEIRMARK_HD_COLD void sort_by_bin(X& x, std::uint32_t count, ExactMemory& exact) {
  constexpr std::uint32_t kStrideBits = kIdBits - 11;
  x.sync();
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < count; i += kThreads) {
      const std::uint64_t key = exact.list[i];
      const std::uint32_t v = id_of_key(key);
      const std::uint64_t place = static_cast<std::uint64_t>(core::bin_of(v)) << kStrideBits | v / core::kBins;
      exact.list[i] = ~(place << 32 | core::float_bits(logit_of_key(key)));
    }
  });
  x.sync();
  sort(x, exact.list, count);
}
/// Of an entry of such a list.
HEIRMARK_HD_INLINE std::uint32_t bin_of_entry(std::uint64_t entry) { return static_cast<std::uint32_t>(~entry >> (32 + kIdBits - 11)); }
HEIRMARK_HD_INLINE float logit_of_entry(std::uint64_t entry) { return core::float_from_bits(static_cast<std::uint32_t>(~entry)); }

/// exact.masses from a list of all tokens that stay; the list is lost.
template <class X>
HEIRMARK_HD_COLD void masses_of_list(X& x, std::uint32_t count, const Exponential& exponential, ExactMemory& exact) {
  sort_by_bin(x, count, exact);
  x.each([&](unsigned t) {
    for (std::uint32_t b = t; b < core::kBins; b += kThreads) exact.masses[b] = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < count; i += kThreads) {
      const std::uint32_t bin = bin_of_entry(exact.list[i]);
      if (i != 0 && bin_of_entry(exact.list[i - 1]) == bin) continue;
      double sum = 0;
      for (std::uint32_t j = i; j < count && bin_of_entry(exact.list[j]) == bin; ++j) sum = core::d_add(sum, exponential(logit_of_entry(exact.list[j])));
      exact.masses[bin] = sum;
    }
  });
  x.sync();
}

/// The bin that wins among the tokens of a short list, of rules that weigh each bin by itself. The list is lost.
inline constexpr std::uint32_t kShortList = kThreads / 4;
template <class X>
HEIRMARK_HD_COLD std::uint32_t race_of_list(X& x, std::uint32_t count, const Scheme& scheme, marks::RuleKind rule, const core::KeyWords* mark, const core::KeyWords& noise,
                                            const Exponential& exponential, ExactMemory& exact) {
  sort_by_bin(x, count, exact);
  const auto heads = [&](std::uint32_t i) { return i < count && (i == 0 || bin_of_entry(exact.list[i - 1]) != bin_of_entry(exact.list[i])); };
  // Coarse words, fine words and exponentials by warps that do not share a scheduler.
  x.each([&](unsigned t) {
    const std::uint32_t i = t % kShortList, which = t / kShortList;
    if (which == 2 && i < count) exact.race.term[i] = exponential(logit_of_entry(exact.list[i]));
    const core::Domain coarse = core::kBinsCoarse, fine = core::kBinsFine;
    if (which < 2 && heads(i)) exact.race.word[which][i] = core::stream_word(noise, which == 0 ? coarse : fine, bin_of_entry(exact.list[i]));
  });
  x.sync();
  typename X::template State<Ring> first;
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    if (!heads(t)) return;
    const std::uint32_t bin = bin_of_entry(exact.list[t]);
    double mass = 0;
    for (std::uint32_t j = t; j < count && bin_of_entry(exact.list[j]) == bin; ++j) mass = core::d_add(mass, exact.race.term[j]);
    if (rule == marks::RuleKind::greenlist && marks::greenlist::is_green(core::stream_word(*mark, core::kBinsCoarse, bin), scheme.gamma)) mass = core::d_mul(mass, scheme.boost);
    if (mass > 0) first[t] = {core::d_div(marks::gumbel::bin_time(exact.race.word[0][t], exact.race.word[1][t]), mass), bin, 0};
  });
  return x.reduce(first, Smallest{}).place;
}

}  // namespace heirmark::kernels
