// The program of one block: its slice of a row, and, for the last block of a row, the row's token.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/exact.hpp"
#include "kernels/keys.hpp"
#include "kernels/logits.hpp"
#include "kernels/near.hpp"
#include "kernels/pass.hpp"
#include "kernels/race.hpp"
#include "kernels/top.hpp"
#include "kernels/truncate.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kMaxMerged = 32;  ///< bins that the last block sums exactly one by one

/// Shared memory of a block. The stages use it one after the other.
struct Shared {
  MadeKeys keys;
  Resolved resolved;
  SliceResult result;
  SliceResult slices[kMaxSlices];
  std::uint64_t inner[kMaxStrides];  ///< words of the inner draw, of a row that draws
  std::uint16_t green[kRowBlocks];   ///< a bit for each green bin of the slice
  std::uint32_t merged[kMaxMerged];
  std::uint32_t merged_count;
  union {
    struct {
      float sums[core::kBins];
      std::uint32_t words[core::kBins];  ///< coarse words of the slice's bins
    } fast;
    struct {
      double terms[core::kBins];
      std::uint32_t coarse[kMaxMerged], fine[kMaxMerged];
      bool green[kMaxMerged];
    } few;
    ExactMemory exact;
  };
};
/// The same with room for truncation. A full program (kFull) truncates, lists top tokens and plays tournaments by bounds; a lean one cannot, and needs
/// fewer registers.
struct SharedTruncate : Shared {
  TruncateMemory truncate;
};

/// Everything that a row's finish needs.
template <DType D>
struct Task {
  RowData<D> row;
  const DeviceRow& asked;
  Limits limits;
  bool truncated, greedy;
  float slope;       ///< log2(e) / T
  float* delegates;  ///< null: nobody needs them
};

template <DType D, bool kFull>
HEIRMARK_HD_INLINE Task<D> task_of(const Batch& batch, std::uint32_t index) {
  const DeviceRow& asked = batch.row[index];
  Task<D> task{{batch.logits + index * batch.row_bytes, batch.vocab}, asked, limits_of(asked, batch.vocab), false, false, kLog2E, nullptr};
  const bool good = good_parameters(asked);
  task.greedy = !good || asked.temperature == 0 || asked.mode == static_cast<std::uint32_t>(Mode::greedy);
  task.truncated = kFull && !task.greedy && truncates(task.limits);
  if (!task.greedy) task.slope = kLog2E / asked.temperature;
  if (task.truncated || (kFull && batch.top != nullptr)) task.delegates = batch.workspace.delegates + std::uint64_t{index} * batch.shape.delegates();
  return task;
}

/// Can bounds decide this row's race?
HEIRMARK_HD_INLINE bool fast(const Scheme& scheme, marks::RuleKind rule, float greatest) {
  const bool small = greatest < kMaxFastLogit && greatest > -kMaxFastLogit;
  return small && (rule == marks::RuleKind::race || (rule == marks::RuleKind::greenlist && scheme.delta <= kMaxFastDelta));
}

/// Does a row play a tournament by bounds? Whatever a slice's greatest logit: the row's decides.
HEIRMARK_HD_INLINE bool plays(const Batch& batch, const Resolved& resolved, bool truncated) {
  return batch.workspace.plays != nullptr && resolved.noise != nullptr && resolved.rule == marks::RuleKind::tournament && !truncated;
}

/// What the row's randomness is, and the words that nearly every row of its kind needs: those of the inner draw and those of the slice's bins, which a
/// tournament's last block wants from all slices.
/// By the upper half of the threads, while the lower half reads logits already; behind it an x.sync().
template <bool kFull, class X, class S>
HEIRMARK_HD_INLINE void make_randomness(X& x, const Batch& batch, std::uint32_t index, const DeviceRow& asked, bool refused, bool truncated, std::uint32_t slice, S& shared) {
  constexpr unsigned kHalf = kThreads / 2, kLastWarp = kThreads - 32;
  make_keys(x, *batch.keys, asked, shared.keys);
  x.sync_warp();
  x.each([&](unsigned t) {
    if (t == kLastWarp) shared.resolved = refused ? Resolved{} : resolve(batch.scheme, *batch.keys, asked, shared.keys);
  });
  x.each_upper([&](unsigned t) {
    const Resolved& resolved = shared.resolved;
    if (resolved.noise == nullptr) return;
    const bool races = !truncated && fast(batch.scheme, resolved.rule, 0), played = kFull && plays(batch, resolved, truncated);
    const bool marks_too = played || (races && resolved.rule == marks::RuleKind::greenlist);
    const std::uint32_t of_slice = batch.shape.bins() / kWordsPerBlock, strides = (batch.vocab + core::kBins - 1) / core::kBins;
    const std::uint32_t coarse = races || played ? of_slice : 0, inner = (strides + 7) / 8, all = coarse + inner + (marks_too ? of_slice : 0);
    for (std::uint32_t i = t - kHalf; i < all; i += kHalf) {
      const bool of_bins = i < coarse, of_tokens = !of_bins && i < coarse + inner;
      const std::uint32_t place = of_bins ? i : of_tokens ? i - coarse : i - coarse - inner;
      const core::Domain bins = core::kBinsCoarse, tokens = core::kInner;  // copies: the device has no address of a constant
      std::uint32_t block[kWordsPerBlock];
      core::stream_block(of_bins || of_tokens ? *resolved.noise : *resolved.mark, of_tokens ? tokens : bins, of_tokens ? place : slice * of_slice + place, block);
      if (played && !of_tokens) {
        PlayMemory& memory = batch.workspace.plays[index];
        std::uint32_t* const words = (of_bins ? memory.noise : memory.mark) + slice * batch.shape.bins() + kWordsPerBlock * place;
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) words[k] = block[k];
      } else if (of_bins) {
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) shared.fast.words[kWordsPerBlock * place + k] = block[k];
      } else if (of_tokens) {
        for (std::uint32_t k = 0; k < kWordsPerBlock / 2; ++k) shared.inner[kWordsPerBlock / 2 * place + k] = block[2 * k] | std::uint64_t{block[2 * k + 1]} << 32;
      } else {
        std::uint32_t bits = 0;
        for (std::uint32_t k = 0; k < kWordsPerBlock; ++k) bits |= marks::greenlist::is_green(block[k], batch.scheme.gamma) ? 1u << k : 0;
        shared.green[place] = static_cast<std::uint16_t>(bits);
      }
    }
  });
}

/// From a row's slices, each with candidates in units of its own greatest logit, to the row's race: e^(difference) brings times to the row's unit.
template <class X, class S>
struct Merge {
  X& x;
  const S& shared;
  std::uint32_t slices;
  float greatest, slope;
  static constexpr float kFar = -110;  ///< powers of two; a slice so far below cannot hold the winner

  /// What brings a slice's times to the row's unit; 0 for a slice that cannot hold the winner.
  [[nodiscard]] HEIRMARK_HD_INLINE float scale_of(const SliceResult& slice) const {
    const float down = exponent_of(slice.greatest, greatest, slope);
    return down >= kFar ? x.exp2(-down) : 0;
  }
  /// No later than this the winner rings.
  [[nodiscard]] HEIRMARK_HD_INLINE float limit() const {
    return x.fold(slices, [&](std::uint32_t i) {
      const SliceResult& slice = shared.slices[i];
      const float scale = scale_of(slice);
      float least = kForever;
      if (scale > 0)
        for (std::uint32_t k = 0; k < slice.count && k < kMaxCandidates; ++k) least = Smallest{}(least, slice.candidates[k].high * (1 + kSlack) * scale);
      return least;
    }, Smallest{}, kForever);
  }
  /// take(bin) for each candidate of a slice that may ring before the limit. False: the slice has more than it could say.
  template <class Take>
  HEIRMARK_HD_INLINE bool each_left(std::uint32_t i, float before, const Take& take) const {
    const SliceResult& slice = shared.slices[i];
    const float scale = scale_of(slice);
    if (!(scale > 0)) return true;
    if (slice.count > kMaxCandidates) return false;
    for (std::uint32_t k = 0; k < slice.count; ++k)
      if (slice.candidates[k].low * (1 - kSlack) * scale <= before) take(slice.candidates[k].bin);
    return true;
  }
  /// Those that may win; more than kMaxMerged if bounds do not do.
  [[nodiscard]] HEIRMARK_HD_INLINE Left left(float before) const {
    return x.fold(slices, [&](std::uint32_t i) {
      Left own = JoinLeft{}.identity();
      if (!each_left(i, before, [&](std::uint32_t bin) { own = JoinLeft{}(own, {1, bin}); })) own.count = kMaxMerged + 1;
      return own;
    }, JoinLeft{}, JoinLeft{}.identity());
  }
};

/// The winner among the `count` bins of shared.merged, summed exactly.
template <DType D, class X, class S>
HEIRMARK_HD_COLD std::uint32_t race_of_few(X& x, const Batch& batch, const RowData<D>& row, const Resolved& resolved, const Exponential& exponential,
                                             std::uint32_t count, S& shared) {
  const std::uint32_t strides = (row.vocab + core::kBins - 1) / core::kBins, at_once = core::kBins / strides;  // bins whose terms fit
  // Words by threads of their own, exponentials by all.
  typename X::template State<Ring> first;
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    const std::uint32_t i = t % kMaxMerged, which = t / kMaxMerged;
    if (i >= count || which > 2 || (which == 2 && resolved.rule != marks::RuleKind::greenlist)) return;
    const core::Domain coarse = core::kBinsCoarse, fine = core::kBinsFine;
    const std::uint32_t word = core::stream_word(which == 2 ? *resolved.mark : *resolved.noise, which == 1 ? fine : coarse, shared.merged[i]);
    if (which == 0) shared.few.coarse[i] = word;
    if (which == 1) shared.few.fine[i] = word;
    if (which == 2) shared.few.green[i] = marks::greenlist::is_green(word, batch.scheme.gamma);
  });
  for (std::uint32_t begin = 0; begin < count; begin += at_once) {
    const std::uint32_t end = begin + at_once < count ? begin + at_once : count;
    x.each([&](unsigned t) {
      for (std::uint32_t i = t; i < (end - begin) * strides; i += kThreads) {
        const std::uint32_t v = shared.merged[begin + i / strides] + i % strides * core::kBins;
        shared.few.terms[i] = v < row.vocab ? exponential(row.at(v)) : 0;
      }
    });
    x.sync();
    x.each([&](unsigned t) {
      if (t < begin || t >= end) return;
      double mass = 0;
      for (std::uint32_t j = 0; j < strides; ++j) mass = core::d_add(mass, shared.few.terms[(t - begin) * strides + j]);
      if (resolved.rule == marks::RuleKind::greenlist && shared.few.green[t]) mass = core::d_mul(mass, batch.scheme.boost);
      if (mass > 0) first[t] = {core::d_div(marks::gumbel::bin_time(shared.few.coarse[t], shared.few.fine[t]), mass), shared.merged[t], 0};
    });
    x.sync();
  }
  return x.reduce(first, Smallest{}).place;
}

/// The bin that wins among the slices' candidates; kUndecided if bounds do not do.
template <DType D, class X, class S>
HEIRMARK_HD_INLINE std::uint32_t race_of_slices(X& x, const Batch& batch, const Task<D>& task, const Resolved& resolved, const Exponential& exponential, float greatest,
                                                S& shared) {
  const Merge<X, S> merge{x, shared, batch.shape.slices(), greatest, task.slope};
  const float limit = merge.limit();
  const Left left = merge.left(limit);
  if (left.count == 1) return left.bin;
  if (left.count > kMaxMerged) return kUndecided;
  x.each([&](unsigned t) {
    if (t == 0) shared.merged_count = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    if (t >= batch.shape.slices()) return;
    (void)merge.each_left(t, limit, [&](std::uint32_t bin) {
      if (const std::uint32_t place = x.add(&shared.merged_count, 1u); place < kMaxMerged) shared.merged[place] = bin;
    });
  });
  x.sync();
  const std::uint32_t count = shared.merged_count;
  return count > kMaxMerged ? kUndecided : race_of_few(x, batch, task.row, resolved, exponential, count, shared);
}

/// The token of a row that draws.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_INLINE std::uint32_t draw(X& x, const Batch& batch, std::uint32_t index, const Task<D>& task, const Resolved& resolved, float greatest, float total, S& shared) {
  const Exponential exponential(task.asked.temperature, greatest);
  Kept kept;
  std::uint32_t bin = kUndecided;
  if (!task.truncated && fast(batch.scheme, resolved.rule, greatest)) bin = race_of_slices(x, batch, task, resolved, exponential, greatest, shared);
  if constexpr (kFull) {
    if (plays(batch, resolved, task.truncated) && greatest < kMaxFastLogit && greatest > -kMaxFastLogit) {
      const PlayMemory& memory = batch.workspace.plays[index];
      const float* const sums = batch.shape.slices() == 1 ? shared.fast.sums : memory.sums;
      const auto sum_of = [&](std::uint32_t b) { return sums[b] * x.exp2(exponent_of(shared.slices[batch.shape.slice_of(b)].greatest, greatest, task.slope)); };
      bin = near_tournament(x, task.row, batch.shape, exponential, greatest, task.slope, batch.scheme.layers, memory.mark, memory.noise, sum_of);
    }
  }
  if (bin == kUndecided) {
    if constexpr (kFull) {
      if (task.truncated) kept = truncate(x, task.row, batch.shape, task.delegates, task.limits, exponential, greatest, static_cast<double>(total), shared.exact, shared.truncate);
    }
    if (kept.listed != 0) {
      if constexpr (kFull) {
        if (batch.top != nullptr) {
          const std::uint64_t mass = sum_masses(x, kept.listed, exponential, shared.exact, shared.truncate);
          write_top(x, kept.listed, mass, exponential, shared.exact, batch.top[index]);
        }
      }
      if (kept.listed <= kShortList && resolved.rule != marks::RuleKind::tournament) {
        bin = race_of_list(x, kept.listed, batch.scheme, resolved.rule, resolved.mark, *resolved.noise, exponential, shared.exact);
      } else {
        masses_of_list(x, kept.listed, exponential, shared.exact);
      }
    } else {
      exact_masses(x, task.row, exponential, kept.keep, shared.exact.masses);
    }
    if (bin == kUndecided) {
      apply_rule(x, batch.scheme, resolved.rule, resolved.mark, shared.exact);
      bin = exact_race(x, *resolved.noise, shared.exact.masses);
    }
  }
  const std::uint32_t token = inner_draw(x, task.row, exponential, kept.keep, shared.inner, bin);
  if constexpr (kFull) {
    if (batch.top != nullptr && kept.listed == 0) top_of_row(x, task.row, batch.shape, task.delegates, exponential, greatest, kept.keep, shared.exact, shared.truncate, batch.top[index]);
  }
  return token;
}

/// The row's token from its slices, which are in shared.slices.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_COLD void finish_row(X& x, const Batch& batch, std::uint32_t index, const Task<D>& task, const Resolved& resolved, S& shared) {
  const std::uint32_t slices = batch.shape.slices();
  const float greatest = x.fold(slices, [&](std::uint32_t i) { return shared.slices[i].greatest; }, Largest{}, kLeastLogit);
  float total = 0;
  if (batch.log_probs || task.truncated)
    total = x.fold(slices, [&](std::uint32_t i) { return shared.slices[i].total * x.exp2(exponent_of(shared.slices[i].greatest, greatest, task.slope)); }, Sum{}, 0.0f);
  const auto first = [&] {
    return x.fold(slices, [&](std::uint32_t i) { return shared.slices[i].greatest == greatest ? shared.slices[i].first : 0xFFFFFFFFu; }, Smallest{}, 0xFFFFFFFFu);
  };
  RowStatus status = resolved.status;
  std::uint32_t token = 0xFFFFFFFFu;
  bool drawn = false;
  if (status != RowStatus::bad_parameter) {
    // -FLT_MAX may stand for "none": then the row is looked at once more, and its total is a number of equal terms.
    if (greatest == kLeastLogit) total = static_cast<float>(count_of(x, task.row, kLeastLogit));
    const bool none = greatest == kLeastLogit && total == 0;
    if (greatest > -kLeastLogit) {
      status = RowStatus::infinite_logit;
      token = first();
    } else if (none) {
      status = RowStatus::no_finite_logit;
    } else if (!resolved.greedy) {
      token = draw<D, kFull>(x, batch, index, task, resolved, greatest, total, shared);
      drawn = true;
    } else if (resolved.rule == marks::RuleKind::greenlist) {
      token = greenlist_greedy(x, task.row, batch.scheme, *resolved.mark, shared.exact);
    } else {
      token = greatest == kLeastLogit ? find(x, task.row, [](float logit) { return logit == kLeastLogit; }) : first();
    }
  }
  if constexpr (kFull) {
    if (batch.top != nullptr && !drawn) write_single(x, token, batch.top[index]);
  }
  x.each([&](unsigned t) {
    if (t != 0) return;
    Sampled& out = batch.out[index];
    out.token = token;
    out.status = status;
    out.log_prob = core::float_from_bits(0x7FC00000u);
    if (batch.log_probs && token != 0xFFFFFFFFu && status != RowStatus::infinite_logit) {
      const double temperature = task.greedy ? 1.0 : static_cast<double>(task.asked.temperature);
      const double above = (static_cast<double>(task.row.at(token)) - static_cast<double>(greatest)) / temperature;
      out.log_prob = static_cast<float>(above - core::dlog(static_cast<double>(total)));
    }
  });
}

/// Block (index, slice) of a launch. Tokens do not depend on which blocks run when.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_INLINE void sample_slice(X& x, const Batch& batch, std::uint32_t index, std::uint32_t slice, S& shared) {
  const Shape& shape = batch.shape;
  const Task<D> task = task_of<D, kFull>(batch, index);
  const bool refused = !batch.truncation && !task.greedy && truncates(task.limits);  // this launch was promised that nobody asks
  make_randomness<kFull>(x, batch, index, task.asked, refused, task.truncated, slice, shared);
  typename X::template State<Partial> partial;
  const float greatest = pass(x, task.row, shape, slice, task.slope, kFull ? task.delegates : nullptr, partial);
  x.sync();
  const Resolved resolved = shared.resolved;
  const bool first_wanted = resolved.greedy || greatest > -kLeastLogit;
  const std::uint32_t first = first_wanted ? first_of(x, task.row, shape, slice, greatest, partial) : 0xFFFFFFFFu;
  const bool races = resolved.noise != nullptr && !task.truncated && fast(batch.scheme, resolved.rule, greatest);
  float total = 0;
  x.each([&](unsigned t) {
    if (t == 0) shared.result.count = 0;
  });
  const bool played = kFull && plays(batch, resolved, task.truncated);
  const bool totals = batch.log_probs || task.truncated;
  if (races || played || totals) gather<D>(x, shape, greatest, task.slope, partial, shared.fast.sums);
  if (totals) {
    typename X::template State<float> sum;
    x.each([&](unsigned t) {
      sum[t] = 0;
      for (std::uint32_t b = t; b < shape.bins(); b += kThreads) sum[t] += shared.fast.sums[b];
    });
    total = x.reduce(sum, Sum{});
  }
  if (played && shape.slices() > 1) {
    x.each([&](unsigned t) {
      float* const sums = batch.workspace.plays[index].sums + slice * shape.bins();
      for (std::uint32_t b = t; b < shape.bins(); b += kThreads) sums[b] = shared.fast.sums[b];
    });
  }
  x.sync();
  if (races) {
    if (resolved.rule == marks::RuleKind::greenlist) {
      const auto boost = static_cast<float>(batch.scheme.boost);
      x.each([&](unsigned t) {
        for (std::uint32_t b = t; b < shape.bins(); b += kThreads)
          if ((shared.green[b / kWordsPerBlock] >> b % kWordsPerBlock & 1) != 0) shared.fast.sums[b] *= boost;
      });
      x.sync();
    }
    slice_race(x, slice * shape.bins(), shape.bins(), shared.fast.sums, shared.fast.words, shared.result);
  }
  x.each([&](unsigned t) {
    if (t != 0) return;
    shared.result.greatest = greatest;
    shared.result.total = total;
    shared.result.first = first;
    if (shape.slices() == 1) {
      shared.slices[0] = shared.result;
    } else {
      batch.workspace.slices[std::uint64_t{index} * kMaxSlices + slice] = shared.result;
    }
  });
  if (shape.slices() > 1) {
    // Whoever comes last has everybody's results, and leaves the ticket as it was.
    if (x.arrive(&batch.workspace.tickets[index]) != shape.slices() - 1) return;
    x.each([&](unsigned t) {
      if (t == 0) batch.workspace.tickets[index] = 0;
      if (t < shape.slices()) shared.slices[t] = batch.workspace.slices[std::uint64_t{index} * kMaxSlices + t];
    });
  }
  x.sync();
  finish_row<D, kFull>(x, batch, index, task, resolved, shared);
}

}  // namespace heirmark::kernels
