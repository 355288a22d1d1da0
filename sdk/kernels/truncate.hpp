// Min-p, top-k and top-p for one row, by one block: exactly the tokens of specs/marks.md, without sorting the row.
//
// The pass left the greatest logit of each chunk of 32 tokens, its delegates. The k-th greatest delegate is a lower bound of the k-th
// greatest logit, and a depth below the greatest logit bounds min-p and top-p; so a few chunks hold all tokens that matter, and these fit
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

/// part[t] becomes the sum of part[0 .. t].
template <class X>
HEIRMARK_HD_INLINE void scan(X& x, std::uint64_t* part) {
  typename X::template State<std::uint64_t> sum;
  for (unsigned distance = 1; distance < kThreads; distance *= 2) {
    x.each([&](unsigned t) { sum[t] = part[t] + (t >= distance ? part[t - distance] : 0); });
    x.sync();
    x.each([&](unsigned t) { part[t] = sum[t]; });
    x.sync();
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
    x.each([&](unsigned t) {
      memory.part[t] = 0;
      for (std::uint32_t i = 0; i < kOwn; ++i) memory.part[t] += weights[digit(t, i)];
    });
    x.sync();
    scan(x, memory.part);
    typename X::template State<std::uint32_t> last;
    x.each([&](unsigned t) {
      last[t] = 0;  // 1 + place among the digits
      std::uint64_t sum = before + (t == 0 ? 0 : memory.part[t - 1]);
      for (std::uint32_t i = 0; i < kOwn && sum < limit; ++i) {
        const std::uint64_t weight = weights[digit(t, i)];
        if (weight != 0) last[t] = kOwn * t + i + 1;
        sum += weight;
      }
    });
    const std::uint32_t place = x.reduce(last, Largest{}) - 1;
    x.each([&](unsigned t) {
      if (t != place / kOwn) return;
      std::uint64_t sum = before + (t == 0 ? 0 : memory.part[t - 1]);
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

/// Order bits of the k-th greatest delegate, 1 <= k <= number of delegates.
template <class X>
HEIRMARK_HD_INLINE std::uint32_t kth_delegate(X& x, const float* delegates, std::uint32_t count, std::uint32_t k, ExactMemory& exact, TruncateMemory& memory) {
  const auto each_key = [&](unsigned t, const auto& take) {
    for (std::uint32_t i = t; i < count; i += kThreads) take(order_bits(delegates[i]), std::uint64_t{1});
  };
  return static_cast<std::uint32_t>(descend(x, 32, k, each_key, exact.weights, memory));
}

/// Lists all tokens at or above `least` in the order that pass min-p. Returns how many, or kListed + 1 if they do not fit.
template <DType D, class X>
HEIRMARK_HD_COLD std::uint32_t collect(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, std::uint32_t least, const Exponential& exponential,
                                         const Keep& keep, ExactMemory& exact, TruncateMemory& memory) {
  x.each([&](unsigned t) {
    if (t == 0) memory.chunks = memory.count = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < shape.delegates(); i += kThreads)
      if (order_bits(delegates[i]) >= least)
        if (const std::uint32_t place = x.add(&memory.chunks, 1u); place < kListedChunks) memory.chunk[place] = i;
  });
  x.sync();
  const std::uint32_t chunks = memory.chunks;
  x.sync();
  if (chunks > kListedChunks) return kListed + 1;
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < chunks * kChunkTokens; i += kThreads) {
      const std::uint32_t delegate = memory.chunk[i / kChunkTokens], lane = delegate % kLanes, inside = i % kChunkTokens;
      const std::uint32_t stride = delegate / kLanes * kChunk + inside / kBinsPerThread;
      const std::uint32_t v = stride * core::kBins + shape.group_of(lane) * shape.bins() + Bins<D>::local(shape, shape.lane_of(lane), inside % kBinsPerThread);
      if (v >= row.vocab) continue;
      const float logit = row.at(v);
      if (!is_finite(logit) || order_bits(logit) < least || !keep(logit, v, keep.min_p > 0 ? exponential(logit) : 0)) continue;
      if (const std::uint32_t place = x.add(&memory.count, 1u); place < kListed) exact.list[place] = order_key(logit, v);
    }
  });
  x.sync();
  const std::uint32_t count = memory.count;
  x.sync();
  return count > kListed ? kListed + 1 : count;
}

/// Sorts list[0 .. count) in descending order. Keys are positive; the list up to the next power of two is overwritten.
template <class X>
HEIRMARK_HD_COLD void sort(X& x, std::uint64_t* list, std::uint32_t count) {
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

/// Integer masses of list[0 .. count), summed: part[t] those of entries up to 8 t + 7. Returns their total.
template <class X>
HEIRMARK_HD_INLINE std::uint64_t sum_masses(X& x, std::uint32_t count, const Exponential& exponential, const ExactMemory& exact, TruncateMemory& memory) {
  constexpr std::uint32_t kOwn = kListed / kThreads;
  x.each([&](unsigned t) {
    memory.part[t] = 0;
    for (std::uint32_t i = kOwn * t; i < kOwn * t + kOwn && i < count; ++i) memory.part[t] += mass_of(exponential(logit_of_key(exact.list[i])));
  });
  x.sync();
  scan(x, memory.part);
  const std::uint64_t total = memory.part[kThreads - 1];
  x.sync();
  return total;
}

/// How many entries of the list have less than `limit` before them; after sum_masses.
template <class X>
HEIRMARK_HD_INLINE std::uint32_t count_below(X& x, std::uint32_t count, std::uint64_t limit, const Exponential& exponential, const ExactMemory& exact,
                                             const TruncateMemory& memory) {
  constexpr std::uint32_t kOwn = kListed / kThreads;
  typename X::template State<std::uint32_t> last;
  x.each([&](unsigned t) {
    last[t] = 0;
    std::uint64_t before = t == 0 ? 0 : memory.part[t - 1];
    for (std::uint32_t i = kOwn * t; i < kOwn * t + kOwn && i < count && before < limit; ++i) {
      last[t] = i + 1;
      before += mass_of(exponential(logit_of_key(exact.list[i])));
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
                                      double total, ExactMemory& exact, TruncateMemory& memory) {
  const double scaled = total * kMassUnit, fewest = scaled * (1 - kTotalError) - row.vocab;
  const std::uint64_t limit_low = mass_limit(limits.top_p, fewest > 0 ? static_cast<std::uint64_t>(fewest) : 0);
  const std::uint64_t limit_high = mass_limit(limits.top_p, static_cast<std::uint64_t>(scaled * (1 + kTotalError)) + 1);
  // Tokens deeper than this have at most vocab e^-depth together, too little to reach the cut. A shallow depth mostly has it.
  double deep = core::dlog(row.vocab / ((1 - limits.top_p) * total)) + 0.1;
  if (!(deep < kNoMass)) deep = kNoMass;
  constexpr double kShallow = 5;
  for (int attempt = deep > kShallow + 2 ? 0 : 1; attempt < 2; ++attempt) {
    const std::uint32_t count = collect(x, row, shape, delegates, order_at_depth(exponential, attempt == 0 ? kShallow : deep), exponential, Keep{}, exact, memory);
    if (count > kListed) break;
    sort(x, exact.list, count);
    if (sum_masses(x, count, exponential, exact, memory) < limit_high) continue;
    std::uint32_t kept = count_below(x, count, limit_low, exponential, exact, memory);
    if (kept != count_below(x, count, limit_high, exponential, exact, memory)) {
      const std::uint64_t limit = mass_limit(limits.top_p, total_mass(x, row, exponential, Keep{}));
      kept = count_below(x, count, limit, exponential, exact, memory);
    }
    return {{exact.list[kept - 1], 0}, kept};
  }
  return {};
}

/// Which tokens of a row stay. `total` is the sum of e_v within kTotalError. Afterwards an x.sync() is due before memory.list changes.
template <DType D, class X>
HEIRMARK_HD_COLD Kept truncate(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, const Limits& limits, const Exponential& exponential,
                                 double total, ExactMemory& exact, TruncateMemory& memory) {
  if (limits.top_k == 0 && !(limits.min_p > 0)) {
    const Kept kept = top_p_by_list(x, row, shape, delegates, limits, exponential, total, exact, memory);
    if (kept.listed != 0) return kept;
  } else if (limits.top_k <= kListed) {
    std::uint32_t least = order_bits(kLeastLogit);
    if (limits.top_k != 0 && limits.top_k <= shape.delegates()) least = kth_delegate(x, delegates, shape.delegates(), limits.top_k, exact, memory);
    if (limits.min_p > 0) least = Largest{}(least, order_at_depth(exponential, -core::dlog(limits.min_p)));
    const std::uint32_t count = collect(x, row, shape, delegates, least, exponential, Keep{0, limits.min_p}, exact, memory);
    if (count <= kListed) {
      sort(x, exact.list, count);
      std::uint32_t kept = limits.top_k != 0 && limits.top_k < count ? limits.top_k : count;
      if (limits.top_p < 1) {
        const std::uint64_t sum = sum_masses(x, kept, exponential, exact, memory);
        kept = count_below(x, kept, mass_limit(limits.top_p, sum), exponential, exact, memory);
      }
      return {{exact.list[kept - 1], limits.min_p}, kept};
    }
  }
  return truncate_by_digits(x, row, limits, exponential, exact, memory);
}

/// exact.masses from a list of all tokens that stay; the list is lost.
template <class X>
HEIRMARK_HD_COLD void masses_of_list(X& x, std::uint32_t count, const Exponential& exponential, ExactMemory& exact) {
  constexpr std::uint32_t kStrideBits = kIdBits - 11;
  // Ascending by bin, then by token, which is descending by the complement.
  x.sync();
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < count; i += kThreads) {
      const std::uint64_t key = exact.list[i];
      const std::uint32_t v = id_of_key(key);
      const std::uint64_t place = static_cast<std::uint64_t>(core::bin_of(v)) << kStrideBits | v / core::kBins;
      exact.list[i] = ~(place << 32 | core::float_bits(logit_of_key(key)));
    }
    for (std::uint32_t b = t; b < core::kBins; b += kThreads) exact.masses[b] = 0;
  });
  x.sync();
  sort(x, exact.list, count);
  const auto bin = [&](std::uint32_t i) { return static_cast<std::uint32_t>(~exact.list[i] >> (32 + kStrideBits)); };
  x.each([&](unsigned t) {
    for (std::uint32_t i = t; i < count; i += kThreads) {
      if (i != 0 && bin(i - 1) == bin(i)) continue;
      double sum = 0;
      for (std::uint32_t j = i; j < count && bin(j) == bin(i); ++j)
        sum = core::d_add(sum, exponential(core::float_from_bits(static_cast<std::uint32_t>(~exact.list[j]))));
      exact.masses[bin(i)] = sum;
    }
  });
  x.sync();
}

}  // namespace heirmark::kernels
