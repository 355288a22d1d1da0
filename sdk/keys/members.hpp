// The window subkeys of many members: what decoy ranks derive by the million (specs/keys.md, "Derivation").
#pragma once
#include <array>
#include <cstdint>

#include <heirmark/keys.hpp>

#include "crypto/expander.hpp"

namespace heirmark::keys {

/// Gives the same bytes as EpochSecret::windows, several times as fast. Threads may share one.
class MemberKeys {
 public:
  using Windows = std::array<std::array<std::uint8_t, 32>, Subkeys::kClasses>;

  explicit MemberKeys(const EpochSecret& epoch) noexcept : family_(epoch.expose_family_secret().expose_secret()) {}
  /// The 16 window subkeys of member i. The caller wipes those of the live member.
  void windows(std::uint32_t i, Windows& out) const noexcept;

 private:
  crypto::Expander family_;
};

}  // namespace heirmark::keys
