// The state of one response between steps: the last tokens, the position, the history of windows.
#include <heirmark/sampler.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/context.hpp"
#include "sampler/sequence_steps.hpp"

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

namespace sampler {

Sequence SequenceSteps::begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot) {
  Sequence sequence;
  sequence.request_id_ = request_id;
  sequence.account_slot_ = account_slot;
  const std::size_t count = std::min(prompt.size(), sequence.last_.size());
  std::copy(prompt.end() - static_cast<std::ptrdiff_t>(count), prompt.end(), sequence.last_.end() - static_cast<std::ptrdiff_t>(count));
  return sequence;
}

DeviceRow SequenceSteps::row(const Sequence& sequence, const SamplingParams& params, int window) {
  DeviceRow row;
  row.temperature = params.temperature;
  row.min_p = params.min_p;
  row.top_p = params.top_p;
  row.top_k = params.top_k;
  row.mode = static_cast<std::uint32_t>(params.mode);
  row.account_slot = sequence.account_slot_;
  row.position = sequence.position_;
  row.request_id = sequence.request_id_;
  const core::Context context = core::window_context(sequence.last_.data() + sequence.last_.size(), sequence.last_.size(), window);
  std::copy(std::begin(context.w), std::end(context.w), row.window);
  row.window_repeated = sequence.seen({context.w[0], context.w[1], context.w[2], context.w[3]}) ? 1 : 0;
  return row;
}

void SequenceSteps::settle(Sequence& sequence, const DeviceRow& row, const Sampled& sampled) {
  if (sampled.token == kNoToken || !has_token(sampled.status)) return;
  if (sampled.status == RowStatus::marked) sequence.record({row.window[0], row.window[1], row.window[2], row.window[3]});
  sequence.accept(sampled.token);
}

bool SequenceSteps::enter(Sequence& sequence) { return !std::exchange(sequence.in_call_, true); }
void SequenceSteps::leave(Sequence& sequence) { sequence.in_call_ = false; }

}  // namespace sampler
}  // namespace heirmark
