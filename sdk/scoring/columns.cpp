#include <algorithm>

#include "scoring/evaluate.hpp"

namespace heirmark::scoring {

Result<PairColumns> PairColumns::make(const PairSet& set, bool order) {
  PairColumns out;
  const std::vector<Pair>& pairs = set.pairs;
  if (pairs.size() >= 0xFFFFFFFFull) return Error{ErrorCode::bad_input, "more than 2^32 - 2 pairs"};
  std::array<std::array<std::size_t, 2>, core::kClasses> counts{};
  std::array<bool, 4> used{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Pair& pair = pairs[i];
    constexpr std::int64_t kLimit = std::int64_t{1} << 31;
    if (pair.window_class >= core::kClasses || pair.bin >= core::kBins || pair.weight == 0 || pair.weight >= kLimit ||
        pair.weight <= -kLimit || (!set.weighted && pair.weight != 1))
      return Error{ErrorCode::bad_input, "pair " + std::to_string(i) + " has a class, bin or weight out of range"};
    ++counts[pair.window_class][pair.weight < 0 ? 1 : 0];
    for (std::size_t k = 0; k < 4; ++k) used[k] = used[k] || pair.window[k] != core::kPad;
  }
  std::array<std::array<std::size_t, 2>, core::kClasses> next{};
  std::size_t end = 0;
  for (std::uint32_t c = 0; c < core::kClasses; ++c)
    for (std::size_t sign = 0; sign < 2; ++sign) {
      next[c][sign] = end;
      if (counts[c][sign] == 0) continue;
      out.runs_.push_back({c, sign == 1, end, counts[c][sign]});
      out.class_pairs_[c] += counts[c][sign];
      end += padded(counts[c][sign]);
    }
  for (std::size_t k = 0; k < 4; ++k)
    if (used[k]) out.window_[k].resize(end);
  out.bin_.resize(end);
  if (order) out.order_.resize(end);
  if (set.weighted) out.weight_.resize(end);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Pair& pair = pairs[i];
    const std::size_t at = next[pair.window_class][pair.weight < 0 ? 1 : 0]++;
    for (std::size_t k = 0; k < 4; ++k)
      if (used[k]) out.window_[k][at] = pair.window[k];
    out.bin_[at] = pair.bin;
    if (order) out.order_[at] = static_cast<std::uint32_t>(i);
    if (set.weighted) out.weight_[at] = static_cast<std::int32_t>(pair.weight);
  }
  out.size_ = pairs.size();
  return out;
}

Columns PairColumns::columns() const noexcept {
  Columns out;
  for (std::size_t k = 0; k < 4; ++k) out.window[k] = window_[k].empty() ? nullptr : window_[k].data();
  out.word = bin_.data();
  return out;
}

}  // namespace heirmark::scoring
