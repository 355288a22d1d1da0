// From pairs and subkeys to exact integers: one member, or many.
#pragma once
#include <cstdint>
#include <functional>
#include <heirmark/detect.hpp>
#include <span>
#include <vector>

#include "scoring/kernel.hpp"

namespace heirmark::scoring {

/// Pairs as columns, one run of consecutive entries for each (class, sign of the weight), each run padded to kGroup.
class PairColumns {
 public:
  struct Run {
    std::uint32_t window_class;
    bool negative;  ///< weights below zero: the score rounds up (specs/scoring.md, "C1 reading")
    std::size_t begin, count;
  };
  /// `order` keeps each pair's place in the set, for checkpoints. Fails with `bad_input` on pairs that no collection
  /// gives.
  [[nodiscard]] static Result<PairColumns> make(const PairSet& set, bool order);

  [[nodiscard]] std::span<const Run> runs() const noexcept { return runs_; }
  [[nodiscard]] Columns columns() const noexcept;
  [[nodiscard]] bool weighted() const noexcept { return !weight_.empty(); }
  [[nodiscard]] const std::int32_t* weights() const noexcept { return weight_.data(); }
  [[nodiscard]] const std::uint32_t* order() const noexcept { return order_.data(); }
  [[nodiscard]] std::uint64_t class_pairs(std::uint32_t window_class) const noexcept {
    return class_pairs_[window_class];
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  std::vector<Run> runs_;
  std::array<std::vector<std::uint32_t>, 4> window_;  ///< empty: 0xFFFFFFFF everywhere
  std::vector<std::uint32_t> bin_, order_;
  std::vector<std::int32_t> weight_;
  std::array<std::uint64_t, 16> class_pairs_{};
  std::uint64_t size_ = 0;
};

/// The 16 window subkeys of a member, as words.
struct WindowKeys {
  core::KeyWords by_class[core::kClasses];
};
/// Derives them. Must be callable from several threads.
using Derive = std::function<WindowKeys(std::uint32_t member)>;

/// How a word becomes an integer.
struct WordRule {
  Scheme scheme = Scheme::gumbel;
  std::uint32_t gamma = 0;  ///< greenlist
  std::uint32_t mask = 0;   ///< tournament: the top `layers` bits
  [[nodiscard]] static WordRule of(const Profile& profile) noexcept;
};

/// Called now and then from the caller's thread with the share that is done; false stops.
using Progress = std::function<bool(double)>;

/// X by class. The sum over the runs of one member.
[[nodiscard]] MemberStatistic evaluate(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs,
                                       const WindowKeys& keys);

/// The same, and X over the first checkpoints[i] pairs of the set for each i (ascending; the columns must keep the
/// order).
struct Evaluation {
  MemberStatistic statistic;
  std::vector<Integer> prefix;
};
[[nodiscard]] Result<Evaluation> evaluate_growth(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs,
                                                 const WindowKeys& keys, std::span<const std::uint64_t> checkpoints,
                                                 unsigned threads, const Progress& progress);

/// Members first, first + 1, .. (mod size), `count` of them: totals, and for each class how many reach the live
/// statistic.
struct Decoys {
  std::vector<Integer> totals;
  std::array<std::uint64_t, 16> ge{};
};
[[nodiscard]] Result<Decoys> evaluate_decoys(const Kernel& kernel, const WordRule& rule, const PairColumns& pairs,
                                             const Derive& derive, std::uint64_t first, std::uint64_t count,
                                             std::uint64_t size, const MemberStatistic& live, unsigned threads,
                                             const Progress& progress);

}  // namespace heirmark::scoring
