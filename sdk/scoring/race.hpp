// The key's choice at one position of a ledger, from the logged probabilities alone (specs/scoring.md, "Issued log").
#pragma once
#include <cstdint>
#include <heirmark/detect.hpp>
#include <span>
#include <vector>

#include "core/stream.hpp"

namespace heirmark::scoring {

/// Scratch memory of many races.
class Race {
 public:
  /// Index into phat, or -1 for the rest. phat is valid (specs/formats.md).
  [[nodiscard]] std::int32_t choose(const core::KeyWords& row, std::span<const IssuedToken> phat);

 private:
  struct Runner {
    std::uint32_t bin;
    std::uint64_t mass;
  };
  std::vector<Runner> runners_;
  std::vector<std::uint32_t> coarse_;
};

/// Checks one distribution; empty when it is valid, else what is wrong.
[[nodiscard]] const char* distribution_fault(std::span<const IssuedToken> phat, std::vector<TokenId>& scratch);

}  // namespace heirmark::scoring
