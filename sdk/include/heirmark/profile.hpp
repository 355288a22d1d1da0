// Profiles: frozen, dated bundles of scheme and parameters (specs/marks.md). Never changed, only superseded.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include <heirmark/result.hpp>

namespace heirmark {

enum class Scheme : std::uint8_t { gumbel = 0, greenlist = 1, tournament = 2 };

struct Profile {
  std::string_view name;                   ///< for example "standard-2026-11"
  Scheme scheme = Scheme::gumbel;
  int window = 2;                          ///< h, tokens; 1..4
  std::uint64_t share_q32 = 1ull << 31;    ///< share of window positions times 2^32; 0..2^32
  std::uint32_t gamma_q32 = 0;             ///< greenlist: share of green bins times 2^32
  std::uint32_t delta_micro = 0;           ///< greenlist: delta in 1e-6 nats
  int layers = 0;                          ///< tournament: 1..30
};

/// "gumbel", "greenlist" or "tournament".
[[nodiscard]] std::string_view scheme_name(Scheme scheme) noexcept;

namespace profiles {
/// All profiles this version knows, newest default first.
[[nodiscard]] std::span<const Profile> all() noexcept;
/// The profile of that exact name; ErrorCode::bad_input names the ones that exist.
[[nodiscard]] Result<Profile> find(std::string_view name);
[[nodiscard]] const Profile& standard_2026_11() noexcept;
[[nodiscard]] const Profile& window_only_2026_11() noexcept;
[[nodiscard]] const Profile& issuance_only_2026_11() noexcept;
[[nodiscard]] const Profile& greenlist_2026_11() noexcept;
[[nodiscard]] const Profile& tournament_2026_11() noexcept;
}  // namespace profiles
}  // namespace heirmark
