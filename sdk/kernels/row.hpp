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
  SliceResult result;
  SliceResult slices[kMaxSlices];
  std::uint32_t merged[kMaxMerged];
  std::uint32_t merged_count;
  union {
    struct {
      float sums[core::kBins];
      std::uint32_t words[core::kBins];
    } fast;
    struct {
      std::uint32_t mark[core::kBins], noise[core::kBins];
    } near;
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

/// Are a row's sums kept for its tournament? Whatever a slice's greatest logit: the row's decides.
HEIRMARK_HD_INLINE bool keeps_sums(const Batch& batch, const Resolved& resolved, bool truncated) {
  return batch.workspace.sums != nullptr && resolved.noise != nullptr && resolved.rule == marks::RuleKind::tournament && !truncated;
}

/// From a row's slices: what a race among them needs. Returns the number of bins in shared.merged, or kMaxMerged + 1 if bounds do not do.
template <class X, class S>
HEIRMARK_HD_INLINE std::uint32_t merge_candidates(X& x, std::uint32_t slices, float greatest, float slope, S& shared) {
  // Times are in units of each slice's greatest logit; e^(difference) brings them to the row's. A slice 2^-110 below cannot hold the winner.
  constexpr float kSliceFar = 0x1p-110f;
  typename X::template State<float> scale, least;
  typename X::template State<std::uint32_t> spilled;
  x.each([&](unsigned t) {
    scale[t] = 0;
    least[t] = kForever;
    spilled[t] = 0;
    if (t == 0) shared.merged_count = 0;
    if (t >= slices) return;
    const SliceResult& slice = shared.slices[t];
    scale[t] = x.exp2(exponent_of(slice.greatest, greatest, slope));
    if (!(scale[t] >= kSliceFar)) return;
    spilled[t] = slice.count > kMaxCandidates ? 1 : 0;
    for (std::uint32_t i = 0; i < slice.count && i < kMaxCandidates; ++i) least[t] = Smallest{}(least[t], slice.candidates[i].high * (1 + kSlack) / scale[t]);
  });
  const float limit = x.reduce(least, Smallest{});
  if (x.reduce(spilled, Largest{}) != 0) return kMaxMerged + 1;
  x.each([&](unsigned t) {
    if (t >= slices || !(scale[t] >= kSliceFar)) return;
    const SliceResult& slice = shared.slices[t];
    for (std::uint32_t i = 0; i < slice.count; ++i) {
      if (slice.candidates[i].low * (1 - kSlack) / scale[t] > limit) continue;
      if (const std::uint32_t place = x.add(&shared.merged_count, 1u); place < kMaxMerged) shared.merged[place] = slice.candidates[i].bin;
    }
  });
  x.sync();
  const std::uint32_t count = shared.merged_count;
  x.sync();
  return count;
}

/// The winner among a few bins, each summed exactly by a thread of its own.
template <DType D, class X, class S>
HEIRMARK_HD_COLD std::uint32_t race_of_few(X& x, const Batch& batch, const RowData<D>& row, const Resolved& resolved, const Exponential& exponential,
                                             std::uint32_t count, S& shared) {
  typename X::template State<Ring> first;
  x.each([&](unsigned t) {
    first[t] = {kNever, 0xFFFFFFFFu, 0};
    if (t >= count) return;
    const std::uint32_t bin = shared.merged[t];
    double mass = exact_mass(row, exponential, bin);
    if (resolved.rule == marks::RuleKind::greenlist && marks::greenlist::is_green(core::stream_word(*resolved.mark, core::kBinsCoarse, bin), batch.scheme.gamma))
      mass = core::d_mul(mass, batch.scheme.boost);
    if (!(mass > 0)) return;
    const std::uint32_t coarse = core::stream_word(*resolved.noise, core::kBinsCoarse, bin), fine = core::stream_word(*resolved.noise, core::kBinsFine, bin);
    first[t] = {core::d_div(marks::gumbel::bin_time(coarse, fine), mass), bin, 0};
  });
  return x.reduce(first, Smallest{}).place;
}

/// The token of a row that draws.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_INLINE std::uint32_t draw(X& x, const Batch& batch, std::uint32_t index, const Task<D>& task, const Resolved& resolved, float greatest, float total, S& shared) {
  const Exponential exponential(task.asked.temperature, greatest);
  Kept kept;
  std::uint32_t bin = kUndecided;
  if (!task.truncated && fast(batch.scheme, resolved.rule, greatest)) {
    const std::uint32_t count = merge_candidates(x, batch.shape.slices, greatest, task.slope, shared);
    if (count == 1) {
      bin = shared.merged[0];
    } else if (count <= kMaxMerged) {
      bin = race_of_few(x, batch, task.row, resolved, exponential, count, shared);
    }
  }
  if constexpr (kFull) {
    if (keeps_sums(batch, resolved, task.truncated) && greatest < kMaxFastLogit && greatest > -kMaxFastLogit) {
      const float* const sums = batch.shape.slices == 1 ? shared.fast.sums : batch.workspace.sums + std::uint64_t{index} * core::kBins;
      const auto sum_of = [&](std::uint32_t b) { return sums[b] * x.exp2(exponent_of(shared.slices[b / batch.shape.bins()].greatest, greatest, task.slope)); };
      bin = near_tournament(x, task.row, batch.shape, exponential, greatest, task.slope, batch.scheme.layers, *resolved.mark, *resolved.noise, sum_of, shared.near.mark,
                            shared.near.noise);
    }
  }
  if (bin == kUndecided) {
    if constexpr (kFull) {
      if (task.truncated) kept = truncate(x, task.row, batch.shape, task.delegates, task.limits, exponential, static_cast<double>(total), shared.exact, shared.truncate);
    }
    if (kept.listed != 0) {
      if constexpr (kFull) {
        if (batch.top != nullptr) {
          const std::uint64_t mass = sum_masses(x, kept.listed, exponential, shared.exact, shared.truncate);
          write_top(x, kept.listed, mass, exponential, shared.exact, batch.top[index]);
        }
      }
      masses_of_list(x, kept.listed, exponential, shared.exact);
    } else {
      exact_masses(x, task.row, exponential, kept.keep, shared.exact.masses);
    }
    apply_rule(x, batch.scheme, resolved.rule, resolved.mark, shared.exact);
    bin = exact_race(x, *resolved.noise, shared.exact.masses);
  }
  const std::uint32_t token = inner_draw(x, task.row, exponential, kept.keep, *resolved.noise, bin);
  if constexpr (kFull) {
    if (batch.top != nullptr && kept.listed == 0) top_of_row(x, task.row, batch.shape, task.delegates, exponential, kept.keep, shared.exact, shared.truncate, batch.top[index]);
  }
  return token;
}

/// The row's token from its slices, which are in shared.slices.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_COLD void finish_row(X& x, const Batch& batch, std::uint32_t index, const Task<D>& task, const Resolved& resolved, S& shared) {
  float greatest = kLeastLogit;
  for (std::uint32_t i = 0; i < batch.shape.slices; ++i) greatest = larger(shared.slices[i].greatest, greatest);
  float total = 0;
  std::uint32_t first = 0xFFFFFFFFu;
  for (std::uint32_t i = 0; i < batch.shape.slices; ++i) {
    total += shared.slices[i].total * x.exp2(exponent_of(shared.slices[i].greatest, greatest, task.slope));
    if (shared.slices[i].greatest == greatest) first = Smallest{}(first, shared.slices[i].first);
  }
  RowStatus status = resolved.status;
  std::uint32_t token = 0xFFFFFFFFu;
  bool drawn = false;
  if (status != RowStatus::bad_parameter) {
    // -FLT_MAX may stand for "none": then the row is looked at once more, and its total is a number of equal terms.
    if (greatest == kLeastLogit) total = static_cast<float>(count_of(x, task.row, kLeastLogit));
    const bool none = greatest == kLeastLogit && total == 0;
    if (greatest > -kLeastLogit) {
      status = RowStatus::infinite_logit;
      token = first;
    } else if (none) {
      status = RowStatus::no_finite_logit;
    } else if (!resolved.greedy) {
      token = draw<D, kFull>(x, batch, index, task, resolved, greatest, total, shared);
      drawn = true;
    } else if (resolved.rule == marks::RuleKind::greenlist) {
      token = greenlist_greedy(x, task.row, batch.scheme, *resolved.mark, shared.exact);
    } else {
      token = greatest == kLeastLogit ? find(x, task.row, [](float logit) { return logit == kLeastLogit; }) : first;
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
  make_keys(x, *batch.keys, task.asked, shared.keys);
  typename X::template State<Partial> partial;
  const float greatest = pass(x, task.row, shape, slice, task.slope, kFull ? task.delegates : nullptr, partial);
  x.sync();
  Resolved resolved = resolve(batch.scheme, *batch.keys, task.asked, shared.keys);
  if (!batch.truncation && !task.greedy && truncates(task.limits)) resolved = Resolved{};  // this launch was promised that nobody asks
  const bool first_wanted = resolved.greedy || greatest > -kLeastLogit;
  const std::uint32_t first = first_wanted ? first_of(x, task.row, shape, slice, greatest, partial) : 0xFFFFFFFFu;
  const bool races = resolved.noise != nullptr && !task.truncated && fast(batch.scheme, resolved.rule, greatest);
  float total = 0;
  x.each([&](unsigned t) {
    if (t == 0) shared.result.count = 0;
  });
  const bool played = kFull && keeps_sums(batch, resolved, task.truncated);
  if (races || played || batch.log_probs || task.truncated) {
    gather<D>(x, shape, greatest, task.slope, partial, shared.fast.sums);
    typename X::template State<float> sum;
    x.each([&](unsigned t) {
      sum[t] = 0;
      for (std::uint32_t b = t; b < shape.bins(); b += kThreads) sum[t] += shared.fast.sums[b];
    });
    total = x.reduce(sum, Sum{});
  }
  if (played && shape.slices > 1) {
    x.each([&](unsigned t) {
      float* const sums = batch.workspace.sums + std::uint64_t{index} * core::kBins + slice * shape.bins();
      for (std::uint32_t b = t; b < shape.bins(); b += kThreads) sums[b] = shared.fast.sums[b];
    });
  }
  x.sync();
  if (races) {
    const std::uint32_t blocks = shape.bins() / kWordsPerBlock, first_block = slice * blocks;
    if (resolved.rule == marks::RuleKind::greenlist) {
      make_words(x, *resolved.mark, core::kBinsCoarse, first_block, blocks, shared.fast.words);
      const auto boost = static_cast<float>(batch.scheme.boost);
      x.each([&](unsigned t) {
        for (std::uint32_t b = t; b < shape.bins(); b += kThreads)
          if (marks::greenlist::is_green(shared.fast.words[b], batch.scheme.gamma)) shared.fast.sums[b] *= boost;
      });
      x.sync();
    }
    make_words(x, *resolved.noise, core::kBinsCoarse, first_block, blocks, shared.fast.words);
    slice_race(x, slice * shape.bins(), shape.bins(), shared.fast.sums, shared.fast.words, shared.result);
  }
  x.each([&](unsigned t) {
    if (t != 0) return;
    shared.result.greatest = greatest;
    shared.result.total = total;
    shared.result.first = first;
    if (shape.slices == 1) {
      shared.slices[0] = shared.result;
    } else {
      batch.workspace.slices[std::uint64_t{index} * kMaxSlices + slice] = shared.result;
    }
  });
  if (shape.slices > 1) {
    // Whoever comes last has everybody's results, and leaves the ticket as it was.
    if (x.arrive(&batch.workspace.tickets[index]) != shape.slices - 1) return;
    x.each([&](unsigned t) {
      if (t == 0) batch.workspace.tickets[index] = 0;
      if (t < shape.slices) shared.slices[t] = batch.workspace.slices[std::uint64_t{index} * kMaxSlices + t];
    });
  }
  x.sync();
  finish_row<D, kFull>(x, batch, index, task, resolved, shared);
}

}  // namespace heirmark::kernels
