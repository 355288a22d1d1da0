// The state of one response between steps: the last tokens, the position, the history of windows.
#include <heirmark/sampler.hpp>

#include <algorithm>

namespace heirmark {
namespace {
constexpr std::size_t kUnsorted = 64;  // windows that may wait before they are merged into the sorted part
}

void Sequence::accept(TokenId token) {
  std::copy(last_.begin() + 1, last_.end(), last_.begin());
  last_.back() = token;
  if (position_ != kNoToken) ++position_;  // 2^32 - 1 is no position: such a row is refused
}

bool Sequence::seen(const Window& window) const {
  const auto middle = history_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  return std::binary_search(history_.begin(), middle, window) || std::find(middle, history_.end(), window) != history_.end();
}

void Sequence::record(const Window& window) {
  history_.push_back(window);
  if (history_.size() - sorted_ < kUnsorted) return;
  const auto middle = history_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  std::sort(middle, history_.end());
  std::inplace_merge(history_.begin(), middle, history_.end());
  sorted_ = history_.size();
}

}  // namespace heirmark
