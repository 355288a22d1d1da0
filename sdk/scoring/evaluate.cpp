#include "scoring/evaluate.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>

#include "marks/score.hpp"
#include "scoring/tasks.hpp"

namespace heirmark {

Integer MemberStatistic::total() const noexcept {
  Integer sum = 0;
  for (const Integer x : by_class) sum += x;
  return sum;
}

namespace scoring {
namespace {

constexpr std::size_t kTile = 2048;        ///< words at a time: 8 KB, in cache
constexpr std::size_t kTask = kTile * 32;  ///< pairs of a thread's task when one member is evaluated
using Tile = std::array<std::uint32_t, kTile>;

/// Words to integers x in place. `count` is what the tile holds; padding is left undefined.
void integers(const Kernel& kernel, const WordRule& rule, bool negative, std::uint32_t* words, std::size_t count) {
  switch (rule.scheme) {
    case Scheme::gumbel: {
      if (!negative) {
        kernel.scores(words, padded(count), words);
        return;
      }
      // score'(c) = score(c - 1) + 1; a word 0 becomes 2^32 - 1, whose score is 0, and is set afterwards.
      std::array<std::uint64_t, kTile / 64> zero{};
      for (std::size_t i = 0; i < count; ++i) {
        if (words[i] == 0) zero[i / 64] |= std::uint64_t{1} << (i % 64);
        --words[i];
      }
      kernel.scores(words, padded(count), words);
      for (std::size_t i = 0; i < count; ++i)
        words[i] = (zero[i / 64] >> (i % 64) & 1) != 0 ? marks::kScoreUpZero : words[i] + 1;
      return;
    }
    case Scheme::greenlist:
      for (std::size_t i = 0; i < count; ++i) words[i] = words[i] < rule.gamma ? 1 : 0;
      return;
    case Scheme::tournament:
      for (std::size_t i = 0; i < count; ++i)
        words[i] = static_cast<std::uint32_t>(std::popcount(words[i] & rule.mask));
      return;
  }
}

/// a x is below 2^61, so four of them fit.
Integer dot(const std::int32_t* weights, const std::uint32_t* x, std::size_t count) {
  Integer sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += std::int64_t{weights[i]} * std::int64_t{x[i]};
  return sum;
}

Integer tile_sum(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs, const PairColumns::Run& run,
                 std::size_t at, std::size_t count, Tile& words) {
  if (pairs.weighted()) {
    integers(kernel, rule, run.negative, words.data(), count);
    return dot(pairs.weights() + at, words.data(), count);
  }
  switch (rule.scheme) {
    case Scheme::gumbel:
      std::fill(words.begin() + static_cast<std::ptrdiff_t>(count),
                words.begin() + static_cast<std::ptrdiff_t>(padded(count)), kPadWord);
      return static_cast<Integer>(kernel.sum_scores(words.data(), padded(count)));
    case Scheme::greenlist:
      return static_cast<Integer>(kernel.count_below(words.data(), count, rule.gamma));
    case Scheme::tournament:
      return static_cast<Integer>(kernel.count_ones(words.data(), count, rule.mask));
  }
  return 0;
}

/// Calls visit(run, first entry, count, tile of words) over the entries [from, to) of a run.
template <class Visit>
void for_tiles(const Kernel& kernel, const PairColumns& pairs, const PairColumns::Run& run, const WindowKeys& keys,
               std::size_t from, std::size_t to, Tile& words, const Visit& visit) {
  const Columns columns = pairs.columns();
  for (std::size_t at = from; at < to; at += kTile) {
    const std::size_t count = std::min(kTile, to - at);
    kernel.words(keys.by_class[run.window_class], core::kBinsCoarse, columns.from(at), padded(count), words.data());
    visit(at, count);
  }
}
}  // namespace

WordRule WordRule::of(const Profile& profile) noexcept {
  WordRule rule;
  rule.scheme = profile.scheme;
  rule.gamma = profile.gamma_q32;
  if (profile.scheme == Scheme::tournament) rule.mask = ~std::uint32_t{0} << (32 - profile.layers);
  return rule;
}

MemberStatistic evaluate(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs, const WindowKeys& keys) {
  MemberStatistic out;
  Tile words;
  for (const PairColumns::Run& run : pairs.runs())
    for_tiles(kernel, pairs, run, keys, run.begin, run.begin + run.count, words,
              [&](std::size_t at, std::size_t count) {
                out.by_class[run.window_class] += tile_sum(kernel, rule, pairs, run, at, count, words);
              });
  return out;
}

Result<Evaluation> evaluate_growth(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs,
                                   const WindowKeys& keys, std::span<const std::uint64_t> checkpoints, unsigned threads,
                                   const Progress& progress) {
  struct Task {
    const PairColumns::Run* run;
    std::size_t from, to;
  };
  std::vector<Task> tasks;
  for (const PairColumns::Run& run : pairs.runs())
    for (std::size_t from = run.begin; from < run.begin + run.count; from += kTask)
      tasks.push_back({&run, from, std::min(from + kTask, run.begin + run.count)});

  Evaluation out;
  out.prefix.assign(checkpoints.size(), 0);
  std::mutex mutex;
  const auto one = [&](std::uint64_t index) {
    const Task& task = tasks[index];
    Tile words;
    Integer sum = 0;
    std::vector<Integer> between(checkpoints.size(), 0);  // what lies between two checkpoints
    std::size_t next = 0;
    for_tiles(kernel, pairs, *task.run, keys, task.from, task.to, words, [&](std::size_t at, std::size_t count) {
      if (checkpoints.empty()) {
        sum += tile_sum(kernel, rule, pairs, *task.run, at, count, words);
        return;
      }
      integers(kernel, rule, task.run->negative, words.data(), count);
      for (std::size_t i = 0; i < count; ++i) {
        const Integer term = (pairs.weighted() ? std::int64_t{pairs.weights()[at + i]} : 1) * std::int64_t{words[i]};
        sum += term;
        while (next < checkpoints.size() && pairs.order()[at + i] >= checkpoints[next]) ++next;
        if (next < checkpoints.size()) between[next] += term;
      }
    });
    const std::lock_guard lock(mutex);
    out.statistic.by_class[task.run->window_class] += sum;
    for (std::size_t i = 0; i < between.size(); ++i) out.prefix[i] += between[i];
  };
  if (auto ok = run_tasks(threads, tasks.size(), one, progress); !ok) return ok.error();
  for (std::size_t i = 1; i < out.prefix.size(); ++i) out.prefix[i] += out.prefix[i - 1];
  return out;
}

Result<Decoys> evaluate_decoys(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs,
                               const Derive& derive, std::uint64_t first, std::uint64_t count, std::uint64_t size,
                               const MemberStatistic& live, unsigned threads, const Progress& progress) {
  constexpr std::uint64_t kMembers = 8;  // of one task
  Decoys out;
  out.totals.assign(count, 0);
  std::mutex mutex;
  const auto some = [&](std::uint64_t task) {
    std::array<std::uint64_t, 16> ge{};
    for (std::uint64_t j = task * kMembers; j < std::min(count, (task + 1) * kMembers); ++j) {
      const WindowKeys keys = derive(static_cast<std::uint32_t>((first + j) % size));
      const MemberStatistic decoy = evaluate(kernel, rule, pairs, keys);
      for (std::size_t c = 0; c < ge.size(); ++c) ge[c] += decoy.by_class[c] >= live.by_class[c] ? 1u : 0u;
      out.totals[j] = decoy.total();
    }
    const std::lock_guard lock(mutex);
    for (std::size_t c = 0; c < ge.size(); ++c) out.ge[c] += ge[c];
  };
  if (auto ok = run_tasks(threads, (count + kMembers - 1) / kMembers, some, progress); !ok) return ok.error();
  return out;
}

}  // namespace scoring
}  // namespace heirmark
