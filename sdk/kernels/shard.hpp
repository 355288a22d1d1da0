// Tensor parallelism: each rank holds some columns of every row. Three steps of one block a row, with an exchange after the first two
// (specs/device.md, "Shards"):
//
//   sum    a rank's bins in float32, its greatest logit                         -> ShardSums, gathered from all ranks
//   pick   the bins that bounds leave in the race, the rank's logits of these   -> ShardPick, gathered from all ranks
//   draw   the exact race among them                                            -> the token, the same on every rank
//
// Bounds do not serve every row: one that truncates, a tournament, logits beyond 1e30, more candidates than a pick holds. Such a row says so, and
// whoever wants its token gathers its logits.
#pragma once
#include <cstdint>

#include "kernels/exact.hpp"
#include "kernels/keys.hpp"
#include "kernels/pass.hpp"
#include "kernels/race.hpp"
#include "kernels/row.hpp"

namespace heirmark::kernels {

/// What a rank says of a row first.
struct ShardSums {
  std::uint32_t begin, size;  ///< its columns
  float greatest;             ///< -FLT_MAX if none is finite
  std::uint32_t first;        ///< smallest id with it; 0xFFFFFFFF if none is finite
  double value;               ///< greedy rows: the greatest logit, + delta on green bins; and whose it is
  std::uint32_t best, reserved;
  float sums[core::kBins];    ///< rows that draw: of e^((logit - greatest) / T)
};
static_assert(sizeof(ShardSums) == 32 + 4 * core::kBins);

/// What a rank says of the candidates: how many there are, which, and its logits of each in ascending order of id; NaN behind the last. `logits` has
/// kMaxCandidates * per_bin floats.
struct ShardPick {
  std::uint32_t count, bin[kMaxCandidates], reserved[3];
};
HEIRMARK_HD_INLINE std::uint32_t shard_per_bin(std::uint32_t largest) { return largest / core::kBins + (largest % core::kBins != 0 ? 1 : 0); }
HEIRMARK_HD_INLINE std::uint64_t shard_pick_bytes(std::uint32_t largest) {
  return (sizeof(ShardPick) + std::uint64_t{4} * kMaxCandidates * shard_per_bin(largest) + 15) / 16 * 16;
}

struct ShardBatch {
  const std::byte* logits = nullptr;  ///< of the rank's columns
  std::uint64_t row_bytes = 0;
  std::uint32_t rows = 0, vocab = 0, begin = 0, size = 0, ranks = 0, largest = 0;
  const DeviceRow* row = nullptr;
  const KeyTable* keys = nullptr;
  Scheme scheme;
  ShardSums* own_sums = nullptr;        ///< sum: `rows` of them
  const ShardSums* sums = nullptr;      ///< pick, draw: rank after rank, `rows` of each
  std::byte* own_pick = nullptr;        ///< pick: `rows` of shard_pick_bytes(largest)
  const std::byte* picks = nullptr;     ///< draw: rank after rank
  Sampled* out = nullptr;               ///< draw
};

/// Shared memory of a block.
struct ShardShared {
  MadeKeys keys;
  SliceResult result;
  float sums[core::kBins];
  std::uint32_t words[core::kBins];
};

/// Smallest id of a rank's columns in a bin; may be beyond its end.
HEIRMARK_HD_INLINE std::uint32_t first_of_bin(std::uint32_t bin, std::uint32_t begin) { return begin + (bin + core::kBins - begin % core::kBins) % core::kBins; }

/// May the row be decided by bounds, as far as its parameters go?
HEIRMARK_HD_INLINE bool shardable(const ShardBatch& batch, const DeviceRow& asked, const Resolved& resolved) {
  return resolved.greedy || (!truncates(limits_of(asked, batch.vocab)) && fast(batch.scheme, resolved.rule, 0));
}

template <DType D, class X>
HEIRMARK_HD_INLINE void shard_sum(X& x, const ShardBatch& batch, std::uint32_t index, ShardShared& shared) {
  const DeviceRow& asked = batch.row[index];
  const RowData<D> row{batch.logits + index * batch.row_bytes, batch.size};
  make_keys(x, *batch.keys, asked, shared.keys);
  x.sync();
  const Resolved resolved = resolve(batch.scheme, *batch.keys, asked, shared.keys);
  const float slope = resolved.greedy || resolved.noise == nullptr ? kLog2E : kLog2E / asked.temperature;
  const Shape shape{0, (batch.size + core::kBins * kChunk - 1) / (core::kBins * kChunk)};
  typename X::template State<Partial> partial;
  const float greatest = pass(x, row, shape, 0, slope, nullptr, partial);
  x.sync();
  // A greatest logit of -FLT_MAX may be a thread's start, and is then in no chunk that it noted.
  const std::uint32_t first = greatest == kLeastLogit ? find(x, row, [](float logit) { return logit == kLeastLogit; }) : first_of(x, row, shape, 0, greatest, partial);
  typename X::template State<Ring> best;  // its time is the negative of the value
  const bool green_list = resolved.greedy && resolved.rule == marks::RuleKind::greenlist;
  if (green_list) make_words(x, *resolved.mark, core::kBinsCoarse, 0, kRowBlocks, shared.words);
  x.each([&](unsigned t) {
    best[t] = {kNever, 0xFFFFFFFFu, 0};
    if (!green_list) {
      if (t == 0 && first != 0xFFFFFFFFu) best[t] = {-static_cast<double>(greatest), batch.begin + first, 0};
      return;
    }
    for (std::uint32_t v = t; v < batch.size; v += kThreads) {
      const float logit = row.at(v);
      if (!is_finite(logit)) continue;
      const bool green = marks::greenlist::is_green(shared.words[core::bin_of(batch.begin + v)], batch.scheme.gamma);
      const Ring ring{-(green ? core::d_add(static_cast<double>(logit), batch.scheme.delta) : static_cast<double>(logit)), batch.begin + v, 0};
      if (ring < best[t]) best[t] = ring;
    }
  });
  const Ring winner = x.reduce(best, Smallest{});
  const bool draws = resolved.noise != nullptr && greatest <= -kLeastLogit && shardable(batch, asked, resolved);
  if (draws) gather<D>(x, shape, greatest, slope, partial, shared.sums);
  ShardSums& out = batch.own_sums[index];
  x.each([&](unsigned t) {
    if (t == 0) {
      out.begin = batch.begin;
      out.size = batch.size;
      out.greatest = greatest;
      out.first = first == 0xFFFFFFFFu ? first : batch.begin + first;
      out.value = -winner.time;
      out.best = winner.place;
      out.reserved = 0;
    }
    for (std::uint32_t b = t; b < core::kBins; b += kThreads) out.sums[(b + batch.begin) % core::kBins] = draws ? shared.sums[b] : 0;
  });
}

/// What all ranks know of a row after the first exchange.
struct Merged {
  RowStatus status;
  std::uint32_t token;  ///< where nothing is drawn
  float greatest;
};

HEIRMARK_HD_INLINE Merged merge(const ShardBatch& batch, std::uint32_t index, const DeviceRow& asked, const Resolved& resolved) {
  Merged out{resolved.status, 0xFFFFFFFFu, kLeastLogit};
  if (resolved.status == RowStatus::bad_parameter) return out;
  std::uint32_t end = 0;
  bool covers = true, any = false;
  std::uint32_t infinite = 0xFFFFFFFFu;
  Ring best{kNever, 0xFFFFFFFFu, 0};
  for (std::uint32_t r = 0; r < batch.ranks; ++r) {
    const ShardSums& part = batch.sums[std::uint64_t{r} * batch.rows + index];
    covers = covers && part.begin == end && part.size <= batch.largest;
    end = part.begin + part.size;
    out.greatest = larger(part.greatest, out.greatest);
    if (part.first == 0xFFFFFFFFu) continue;
    any = true;
    if (part.greatest > -kLeastLogit) infinite = Smallest{}(infinite, part.first);
    if (const Ring ring{-part.value, part.best, 0}; part.best != 0xFFFFFFFFu && ring < best) best = ring;
  }
  if (!covers || end != batch.vocab) {
    out.status = RowStatus::bad_parameter;
  } else if (infinite != 0xFFFFFFFFu) {
    out.status = RowStatus::infinite_logit;
    out.token = infinite;
  } else if (!any) {
    out.status = RowStatus::no_finite_logit;
  } else if (resolved.greedy) {
    out.token = best.place;
  } else if (!shardable(batch, asked, resolved) || !fast(batch.scheme, resolved.rule, out.greatest)) {
    out.status = RowStatus::needs_all_logits;
  }
  return out;
}

/// Does the row go on after the first exchange?
HEIRMARK_HD_INLINE bool draws(const Resolved& resolved, const Merged& merged) {
  return !resolved.greedy && merged.token == 0xFFFFFFFFu && merged.status == resolved.status && merged.status != RowStatus::bad_parameter;
}

template <DType D, class X>
HEIRMARK_HD_INLINE void shard_pick(X& x, const ShardBatch& batch, std::uint32_t index, ShardShared& shared) {
  const DeviceRow& asked = batch.row[index];
  const RowData<D> row{batch.logits + index * batch.row_bytes, batch.size};
  make_keys(x, *batch.keys, asked, shared.keys);
  x.each([&](unsigned t) {
    if (t == 0) shared.result.count = 0;
  });
  x.sync();
  const Resolved resolved = resolve(batch.scheme, *batch.keys, asked, shared.keys);
  const Merged merged = merge(batch, index, asked, resolved);
  if (draws(resolved, merged)) {
    const float slope = kLog2E / asked.temperature;
    x.each([&](unsigned t) {
      for (std::uint32_t b = t; b < core::kBins; b += kThreads) shared.sums[b] = 0;
      for (std::uint32_t r = 0; r < batch.ranks; ++r) {
        const ShardSums& part = batch.sums[std::uint64_t{r} * batch.rows + index];
        const float factor = x.exp2(exponent_of(part.greatest, merged.greatest, slope));
        for (std::uint32_t b = t; b < core::kBins; b += kThreads) shared.sums[b] += part.sums[b] * factor;
      }
    });
    x.sync();
    if (resolved.rule == marks::RuleKind::greenlist) {
      make_words(x, *resolved.mark, core::kBinsCoarse, 0, kRowBlocks, shared.words);
      const auto boost = static_cast<float>(batch.scheme.boost);
      x.each([&](unsigned t) {
        for (std::uint32_t b = t; b < core::kBins; b += kThreads)
          if (marks::greenlist::is_green(shared.words[b], batch.scheme.gamma)) shared.sums[b] *= boost;
      });
      x.sync();
    }
    make_words(x, *resolved.noise, core::kBinsCoarse, 0, kRowBlocks, shared.words);
    slice_race(x, 0, core::kBins, shared.sums, shared.words, shared.result);
  }
  const std::uint32_t count = shared.result.count, per_bin = shard_per_bin(batch.largest);
  std::byte* const memory = batch.own_pick + index * shard_pick_bytes(batch.largest);
  ShardPick& out = *reinterpret_cast<ShardPick*>(memory);
  float* const logits = reinterpret_cast<float*>(memory + sizeof(ShardPick));
  x.each([&](unsigned t) {
    if (t == 0) {
      out.count = count;
      for (std::uint32_t i = 0; i < kMaxCandidates; ++i) out.bin[i] = i < count ? shared.result.candidates[i].bin : 0;
      for (std::uint32_t& word : out.reserved) word = 0;
    }
    for (std::uint32_t i = t; i < kMaxCandidates * per_bin; i += kThreads) {
      float logit = core::float_from_bits(0x7FC00000u);
      if (i / per_bin < count && count <= kMaxCandidates) {
        const std::uint32_t v = first_of_bin(shared.result.candidates[i / per_bin].bin, batch.begin) + i % per_bin * core::kBins;
        if (v < batch.begin + batch.size) logit = row.at(v - batch.begin);
      }
      logits[i] = logit;
    }
  });
}

template <class X>
HEIRMARK_HD_INLINE void shard_draw(X& x, const ShardBatch& batch, std::uint32_t index, ShardShared& shared) {
  const DeviceRow& asked = batch.row[index];
  make_keys(x, *batch.keys, asked, shared.keys);
  x.sync();
  const Resolved resolved = resolve(batch.scheme, *batch.keys, asked, shared.keys);
  Merged merged = merge(batch, index, asked, resolved);
  if (draws(resolved, merged)) {
    const std::uint32_t per_bin = shard_per_bin(batch.largest);
    const std::uint64_t stride = shard_pick_bytes(batch.largest);
    const auto pick = [&](std::uint32_t r) { return batch.picks + (std::uint64_t{r} * batch.rows + index) * stride; };
    // The candidates' order differs from rank to rank, as threads come; what they are does not. Rank 0's order leads.
    const ShardPick& lead = *reinterpret_cast<const ShardPick*>(pick(0));
    const auto logits_of = [&](std::uint32_t r, std::uint32_t bin) -> const float* {
      const ShardPick& part = *reinterpret_cast<const ShardPick*>(pick(r));
      for (std::uint32_t i = 0; i < kMaxCandidates; ++i)
        if (i < part.count && part.bin[i] == bin) return reinterpret_cast<const float*>(pick(r) + sizeof(ShardPick)) + i * per_bin;
      return nullptr;
    };
    const std::uint32_t count = lead.count;
    // Ranks on other models of GPU may bound a little differently: all must have kept the same bins.
    bool agreed = count > 0 && count <= kMaxCandidates;
    for (std::uint32_t r = 0; r < batch.ranks && agreed; ++r) {
      agreed = reinterpret_cast<const ShardPick*>(pick(r))->count == count;
      for (std::uint32_t i = 0; i < count && agreed; ++i) agreed = logits_of(r, lead.bin[i]) != nullptr;
    }
    if (!agreed) {
      merged.status = RowStatus::needs_all_logits;
    } else {
      const Exponential exponential(asked.temperature, merged.greatest);
      typename X::template State<Ring> first;
      x.each([&](unsigned t) {
        first[t] = {kNever, 0xFFFFFFFFu, 0};
        if (t >= count) return;
        const std::uint32_t bin = lead.bin[t];
        double mass = 0;
        for (std::uint32_t r = 0; r < batch.ranks; ++r)
          for (std::uint32_t i = 0; i < per_bin; ++i) mass = core::d_add(mass, exponential(logits_of(r, bin)[i]));
        if (resolved.rule == marks::RuleKind::greenlist && marks::greenlist::is_green(core::stream_word(*resolved.mark, core::kBinsCoarse, bin), batch.scheme.gamma))
          mass = core::d_mul(mass, batch.scheme.boost);
        if (!(mass > 0)) return;
        const std::uint32_t coarse = core::stream_word(*resolved.noise, core::kBinsCoarse, bin), fine = core::stream_word(*resolved.noise, core::kBinsFine, bin);
        first[t] = {core::d_div(marks::gumbel::bin_time(coarse, fine), mass), bin, 0};
      });
      const std::uint32_t bin = x.reduce(first, Smallest{}).place;
      x.each([&](unsigned t) {
        first[t] = {kNever, 0xFFFFFFFFu, 0};
        if (bin == 0xFFFFFFFFu) return;  // the logits are no longer those that were summed
        for (std::uint32_t i = t; i < batch.ranks * per_bin; i += kThreads) {
          const std::uint32_t r = i / per_bin;
          const double e = exponential(logits_of(r, bin)[i % per_bin]);
          if (!(e > 0)) continue;
          const std::uint32_t v = first_of_bin(bin, batch.sums[std::uint64_t{r} * batch.rows + index].begin) + i % per_bin * core::kBins;
          const Ring ring{core::d_div(core::neg_log1m(core::stream_word64(*resolved.noise, core::kInner, v / core::kBins)), e), v, 0};
          if (ring < first[t]) first[t] = ring;
        }
      });
      merged.token = x.reduce(first, Smallest{}).place;
      if (merged.token == 0xFFFFFFFFu) merged.status = RowStatus::needs_all_logits;
    }
  }
  x.each([&](unsigned t) {
    if (t != 0) return;
    Sampled& out = batch.out[index];
    out.token = merged.token;
    out.status = merged.status;
    out.log_prob = core::float_from_bits(0x7FC00000u);
  });
}

}  // namespace heirmark::kernels
