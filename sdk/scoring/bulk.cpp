#include "scoring/bulk.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>

#include "base/wipe.hpp"
#include "scoring/tasks.hpp"

namespace heirmark::scoring {
namespace {

using kernels::ScoreSum;
using kernels::ScoreTerms;

constexpr std::uint32_t kRotations = 4;
constexpr std::uint32_t kLeastTerms = 1u << 12;
constexpr std::uint32_t kWords = 8 * core::kClasses;  ///< of a member's window subkeys

/// Window subkeys of a batch as ScoreBatch::key has them. Wiped.
class KeyBatch {
 public:
  KeyBatch() = default;
  KeyBatch(const KeyBatch&) = delete;
  KeyBatch& operator=(const KeyBatch&) = delete;
  ~KeyBatch() { clear(); }
  void resize(std::uint32_t count) {
    clear();
    words_.resize(std::size_t{count} * kWords);
    count_ = count;
  }
  void set(std::uint32_t k, const WindowKeys& keys) noexcept {
    for (std::uint32_t c = 0; c < core::kClasses; ++c)
      for (std::uint32_t w = 0; w < 8; ++w) words_[std::size_t{8 * c + w} * count_ + k] = keys.by_class[c].w[w];
  }
  [[nodiscard]] std::span<const std::uint32_t> words() const noexcept { return words_; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

 private:
  void clear() noexcept {
    wipe(words_.data(), words_.size() * sizeof(std::uint32_t));
    words_.clear();
  }
  std::vector<std::uint32_t> words_;
  std::uint32_t count_ = 0;
};

/// Fills a batch with keys `first`, first + 1, .. of the work; false from `go` stops it.
using Fill = std::function<Result<void>(std::uint64_t first, KeyBatch& batch, const std::function<bool()>& go)>;

/// Fills batches ahead of their use, on a thread of its own.
class Ahead {
 public:
  Ahead(const Fill& fill, std::uint64_t count, std::uint32_t step) : fill_(fill), count_(count), step_(step) { start(); }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;
  ~Ahead() {
    stop_ = true;
    // A fill that has not begun never will.
    if (next_.valid() && next_.wait_for(std::chrono::seconds(0)) != std::future_status::deferred) next_.wait();
  }
  /// The next batch, and the one after it is begun. `waiting` is asked now and then; false stops.
  Result<void> take(KeyBatch*& batch, const std::function<bool()>& waiting) {
    while (next_.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout)
      if (!waiting()) return Error{ErrorCode::stopped, "stopped"};
    if (auto done = next_.get(); !done) return done;
    batch = &batch_[current_];
    current_ ^= 1;
    first_ += batch->count();
    start();
    return {};
  }

 private:
  void start() {
    if (first_ >= count_) return;
    // Where no thread can be had, the work is done when it is asked for.
    next_ = std::async(std::launch::async | std::launch::deferred, [this, at = current_, first = first_] {
      batch_[at].resize(static_cast<std::uint32_t>(std::min<std::uint64_t>(step_, count_ - first)));
      return fill_(first, batch_[at], [this] { return !stop_.load(std::memory_order_relaxed); });
    });
  }
  const Fill& fill_;
  std::uint64_t count_, first_ = 0;
  std::uint32_t step_;
  std::size_t current_ = 0;
  KeyBatch batch_[2];
  std::atomic<bool> stop_{false};
  std::future<Result<void>> next_;
};

/// Most tiles of a chunk: each group may end in one that is not full.
std::uint64_t tiles_of(const PairColumns& pairs, std::size_t segments, std::uint64_t terms, std::uint32_t key_lanes) {
  const std::uint64_t groups = pairs.runs().size() * segments * kRotations;
  return std::min(terms, groups) + terms / kernels::score_tile_terms(key_lanes);
}

/// The sums of all keys, by slot. take(k, sums, stride): sums[s * stride] is key k's sum of slot s.
template <class Take>
Result<void> sum_all(kernels::ScoreDevice& device, const WordRule& rule, const PairColumns& pairs,
                     std::span<const std::uint64_t> checkpoints, std::uint64_t count, const Fill& fill,
                     const Progress& progress, const BulkLimits& bulk, const Take& take) {
  const std::size_t segments = checkpoints.size() + 1;
  const kernels::ScoreRule score{rule.scheme, rule.gamma, rule.mask, pairs.weighted()};
  kernels::Scorer::Limits limits;
  limits.keys = static_cast<std::uint32_t>(std::min<std::uint64_t>(bulk.keys, count));
  limits.slots = static_cast<std::uint32_t>(segments * core::kClasses);
  const std::uint32_t lanes = kernels::score_key_lanes(limits.keys);
  const auto fit = [&](std::uint64_t terms) {
    limits.terms = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, std::min(terms, pairs.size())));
    limits.tiles = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, tiles_of(pairs, segments, limits.terms, lanes)));
    return kernels::Scorer::bytes(limits, score.weighted);
  };
  const auto free = device.free_bytes();
  if (!free) return free.error();
  for (std::uint64_t terms = bulk.terms; fit(terms) > *free / 2 && terms > kLeastTerms;) terms /= 2;
  auto scorer = kernels::Scorer::create(device, score, limits);
  if (!scorer) return scorer.error();

  const std::uint64_t chunks = (pairs.size() + limits.terms - 1) / limits.terms;
  const double steps = static_cast<double>((count + limits.keys - 1) / limits.keys * std::max<std::uint64_t>(1, chunks));
  double done = 0;
  const auto report = [&](double share) { return !progress || progress((done + share) / steps); };
  Ahead ahead(fill, count, limits.keys);
  std::vector<ScoreSum> sums;
  for (std::uint64_t first = 0; first < count;) {
    KeyBatch* batch = nullptr;
    if (auto ok = ahead.take(batch, [&] { return report(0); }); !ok) return ok;
    const std::uint32_t keys = batch->count();
    if (auto ok = scorer->begin(batch->words(), keys); !ok) return ok;
    for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
      if (chunks > 1 || first == 0) {
        const std::uint64_t from = chunk * limits.terms, to = std::min(pairs.size(), from + limits.terms);
        if (auto ok = scorer->load(score_terms(pairs, checkpoints, from, to, lanes)); !ok) return ok;
      }
      if (auto ok = scorer->run(report); !ok) return ok;
      ++done;
    }
    sums.resize(std::size_t{keys} * limits.slots);
    if (auto ok = scorer->sums(sums); !ok) return ok;
    for (std::uint32_t k = 0; k < keys; ++k) take(first + k, sums.data() + k, std::size_t{keys});
    first += keys;
  }
  return {};
}
}  // namespace

ScoreTerms score_terms(const PairColumns& pairs, std::span<const std::uint64_t> checkpoints, std::uint64_t from,
                       std::uint64_t to, std::uint32_t key_lanes) {
  const std::size_t segments = checkpoints.size() + 1;
  const Columns columns = pairs.columns();
  const auto bin = [&columns](std::size_t at) { return columns.word[at]; };
  // Calls visit(group, entry) for all entries of the chunk. Groups are numbered by run, segment, rotation.
  const auto walk = [&](const auto& visit) {
    std::uint64_t before = 0;
    for (std::size_t r = 0; r < pairs.runs().size(); ++r) {
      const PairColumns::Run& run = pairs.runs()[r];
      const std::uint64_t begin = std::max(from, before), end = std::min(to, before + run.count);
      for (std::uint64_t i = begin; i < end; ++i) {
        const std::size_t at = run.begin + (i - before);
        std::size_t segment = 0;
        if (!checkpoints.empty())
          segment = static_cast<std::size_t>(
              std::upper_bound(checkpoints.begin(), checkpoints.end(), std::uint64_t{pairs.order()[at]}) -
              checkpoints.begin());
        visit((r * segments + segment) * kRotations + kernels::score_rotation(bin(at)), at);
      }
      before += run.count;
    }
  };
  std::vector<std::uint32_t> next(pairs.runs().size() * segments * kRotations + 1);
  walk([&](std::size_t group, std::size_t) { ++next[group + 1]; });

  ScoreTerms out;
  const std::uint32_t most = kernels::score_tile_terms(key_lanes);
  for (std::size_t group = 0; group + 1 < next.size(); ++group) {
    const PairColumns::Run& run = pairs.runs()[group / kRotations / segments];
    const auto segment = static_cast<std::uint32_t>(group / kRotations % segments);
    std::uint32_t first = next[group];
    next[group + 1] += first;
    for (; first < next[group + 1]; first += most)
      out.tile.push_back({first, std::min(most, next[group + 1] - first), segment * core::kClasses + run.window_class,
                          static_cast<std::uint16_t>(run.window_class), static_cast<std::uint8_t>(group % kRotations),
                          run.negative ? std::uint8_t{1} : std::uint8_t{0}});
  }
  out.window.resize(next.back());
  out.term.resize(next.back());
  walk([&](std::size_t group, std::size_t at) {
    const std::uint32_t to_index = next[group]++;
    const auto rotation = static_cast<std::uint32_t>(group % kRotations);
    for (std::uint32_t k = 0; k < 4; ++k) {
      const std::uint32_t* window = columns.window[(k + rotation) % 4];
      out.window[to_index].w[k] = window == nullptr ? core::kPad : window[at];
    }
    out.term[to_index] = {kernels::score_place(bin(at)), pairs.weighted() ? pairs.weights()[at] : 1};
  });
  return out;
}

Result<Evaluation> evaluate_growth(kernels::ScoreDevice& device, const WordRule& rule, const PairColumns& pairs,
                                   const WindowKeys& keys, std::span<const std::uint64_t> checkpoints,
                                   const Progress& progress, const BulkLimits& limits) {
  const Fill fill = [&keys](std::uint64_t, KeyBatch& batch, const std::function<bool()>&) -> Result<void> {
    batch.set(0, keys);
    return {};
  };
  Evaluation out;
  out.prefix.assign(checkpoints.size(), 0);
  const auto take = [&](std::uint64_t, const ScoreSum* sums, std::size_t stride) {
    Integer before = 0;
    for (std::size_t segment = 0; segment <= checkpoints.size(); ++segment) {
      for (std::size_t c = 0; c < core::kClasses; ++c) {
        const Integer sum = sums[(segment * core::kClasses + c) * stride].value();
        out.statistic.by_class[c] += sum;
        before += sum;
      }
      if (segment < checkpoints.size()) out.prefix[segment] = before;
    }
  };
  if (auto ok = sum_all(device, rule, pairs, checkpoints, 1, fill, progress, limits, take); !ok) return ok.error();
  return out;
}

Result<Decoys> evaluate_decoys(kernels::ScoreDevice& device, const WordRule& rule, const PairColumns& pairs,
                               const Derive& derive, std::uint64_t first, std::uint64_t count, std::uint64_t size,
                               const MemberStatistic& live, unsigned threads, const Progress& progress,
                               const BulkLimits& limits) {
  const Fill fill = [&](std::uint64_t from, KeyBatch& batch, const std::function<bool()>& go) {
    constexpr std::uint64_t kMembers = 16;  // of one task
    const auto some = [&](std::uint64_t task) {
      for (std::uint64_t k = task * kMembers; k < std::min<std::uint64_t>(batch.count(), (task + 1) * kMembers); ++k) {
        WindowKeys keys = derive(static_cast<std::uint32_t>((first + from + k) % size));
        batch.set(static_cast<std::uint32_t>(k), keys);
        wipe(&keys, sizeof keys);
      }
    };
    return run_tasks(threads, (batch.count() + kMembers - 1) / kMembers, some, [&go](double) { return go(); });
  };
  Decoys out;
  out.totals.assign(count, 0);
  const auto take = [&](std::uint64_t k, const ScoreSum* sums, std::size_t stride) {
    for (std::size_t c = 0; c < core::kClasses; ++c) {
      const Integer sum = sums[c * stride].value();
      out.totals[k] += sum;
      out.ge[c] += sum >= live.by_class[c] ? 1u : 0u;
    }
  };
  if (auto ok = sum_all(device, rule, pairs, {}, count, fill, progress, limits, take); !ok) return ok.error();
  return out;
}

}  // namespace heirmark::scoring
