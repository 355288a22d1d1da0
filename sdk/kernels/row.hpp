// The program of one block: its slice of a row, and, for the last block of a row, the row's token.
#pragma once
#include <cstdint>

#include "kernels/batch.hpp"
#include "kernels/exact.hpp"
#include "kernels/keys.hpp"
#include "kernels/logits.hpp"
#include "kernels/merge.hpp"
#include "kernels/near.hpp"
#include "kernels/pass.hpp"
#include "kernels/race.hpp"
#include "kernels/randomness.hpp"
#include "kernels/top.hpp"
#include "kernels/truncate.hpp"

namespace heirmark::kernels {

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
    FewMemory few;
    NearMemory near;
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

/// The token of a row that draws.
template <DType D, bool kFull, class X, class S>
HEIRMARK_HD_INLINE std::uint32_t draw(X& x, const Batch& batch, std::uint32_t index, const Task<D>& task, const Resolved& resolved, float greatest, float total, S& shared) {
  const Exponential exponential(task.asked.temperature, greatest);
  Kept kept;
  std::uint32_t bin = kUndecided;
  if (!task.truncated && fast(batch.scheme, resolved.rule, greatest)) bin = race_of_slices(x, batch, task.row, resolved, exponential, greatest, task.slope, shared);
  if constexpr (kFull) {
    if (plays(batch, resolved, task.truncated) && greatest < kMaxFastLogit && greatest > -kMaxFastLogit) {
      const PlayMemory& memory = batch.workspace.plays[index];
      const float* const sums = batch.shape.slices() == 1 ? shared.fast.sums : memory.sums;
      const auto sum_of = [&](std::uint32_t b) { return sums[b] * x.exp2(exponent_of(shared.slices[batch.shape.slice_of(b)].greatest, greatest, task.slope)); };
      bin = near_tournament(x, task.row, batch.shape, exponential, greatest, task.slope, batch.scheme.layers, memory.mark, memory.noise, sum_of, shared.near);
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
  std::uint32_t token = kUndecided;
  if (!task.truncated && fast(batch.scheme, marks::RuleKind::race, greatest)) token = inner_by_bounds(x, task.row, greatest, task.slope, shared.inner, bin);
  if (token == kUndecided) token = inner_draw(x, task.row, exponential, kept.keep, shared.inner, bin);
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
  x.each([&](unsigned t) {
    if (t >= kThreads / 2) prefetch_chunks(x, t, task.row, shape, slice);
  });
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
