// A sequence's steps, for the samplers: from a sequence to what its row asks for, and from what came out back to the sequence.
#pragma once
#include <span>

#include <heirmark/device_sampler.hpp>

namespace heirmark::sampler {

struct SequenceSteps {
  [[nodiscard]] static Sequence begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot);
  [[nodiscard]] static DeviceRow row(const Sequence& sequence, const SamplingParams& params, int window);
  /// Takes the row's token, if it has one; at a window position the window enters the history.
  static void settle(Sequence& sequence, const DeviceRow& row, const Sampled& sampled);
  /// Marks the sequence as part of a call; false if it is in one.
  [[nodiscard]] static bool enter(Sequence& sequence);
  static void leave(Sequence& sequence);
};

}  // namespace heirmark::sampler
