// Detection and issued choices once the keys are words: what detect.hpp offers, without the opening.
#pragma once
#include <cstdint>
#include <functional>
#include <heirmark/detect.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/score.hpp"
#include "scoring/evaluate.hpp"

namespace heirmark::scoring {

struct Family {
  Profile profile;
  std::uint64_t size = 0;
  std::uint32_t member = 0;  ///< the one that is tested
  Derive derive;
};
/// The sums are the device's, if there is one, else the kernel's.
[[nodiscard]] Result<Detection> detect_family(const Family& family, const PairSet& set, const DetectOptions& options,
                                              const Kernel& kernel, kernels::ScoreDevice* device = nullptr);

/// One member's subkeys for an issued log.
struct IssuedKeys {
  core::KeyWords coin;
  WindowKeys window;
  std::function<Result<core::KeyWords>(std::string_view account)> issuance;
};
[[nodiscard]] Result<std::vector<IssuedChoice>> issued_choices_of(const Profile& profile, const IssuedKeys& keys,
                                                                  std::span<const IssuedResponse> ledger);

}  // namespace heirmark::scoring
