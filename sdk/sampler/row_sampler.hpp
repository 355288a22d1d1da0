// From what a row asks for to its token, on the CPU: which randomness it uses (specs/marks.md), then the choice. One for each sampler.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <heirmark/device_sampler.hpp>

#include "core/dispatch.hpp"
#include "core/stream.hpp"
#include "sampler/row.hpp"
#include "sampler/workspace.hpp"

namespace heirmark::sampler {

/// What a profile and a vocabulary must be; nothing if they are.
[[nodiscard]] std::optional<Error> check(const Profile& profile, const Subkeys& subkeys, std::uint32_t vocab_size);

class RowSampler {
 public:
  /// Draws the key of mode off from the operating system.
  [[nodiscard]] static Result<std::unique_ptr<RowSampler>> create(const Profile& profile, Subkeys subkeys, std::uint32_t vocab_size);

  /// From several threads at once. `top` may be null.
  [[nodiscard]] Sampled sample(const std::byte* logits, DType dtype, const DeviceRow& row, bool log_prob, TopTokens* top) const;

  /// Is the row's position a window position that its scheme marks? Says nothing about its logits.
  [[nodiscard]] bool marks(const DeviceRow& row) const;

  [[nodiscard]] const Profile& profile() const noexcept { return profile_; }
  [[nodiscard]] const Subkeys& subkeys() const noexcept { return subkeys_; }
  [[nodiscard]] const Secret32& nobodys() const noexcept { return nobodys_; }
  [[nodiscard]] std::uint32_t vocab() const noexcept { return vocab_; }
  [[nodiscard]] core::InstructionSet instruction_set() const noexcept { return set_; }

 private:
  RowSampler(const Profile& profile, Subkeys subkeys, Secret32 nobodys, std::uint32_t vocab_size)
      : profile_(profile), subkeys_(std::move(subkeys)), nobodys_(std::move(nobodys)), vocab_(vocab_size) {}
  [[nodiscard]] std::unique_ptr<Workspace> take_workspace() const;
  void give_workspace(std::unique_ptr<Workspace> workspace) const;

  Profile profile_;
  Subkeys subkeys_;
  Secret32 nobodys_;  ///< the key of mode off: drawn when the sampler is made, kept nowhere else
  std::uint32_t vocab_;
  core::InstructionSet set_ = core::instruction_set();
  mutable std::mutex mutex_;  ///< guards idle_
  mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace heirmark::sampler
