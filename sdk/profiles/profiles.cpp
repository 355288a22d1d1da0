#include <heirmark/profile.hpp>

#include <array>
#include <string>

namespace heirmark {
namespace {
constexpr std::uint64_t kAlways = 1ull << 32;
constexpr std::array<Profile, 5> kProfiles{{
    {"standard-2026-11", Scheme::gumbel, 2, kAlways / 2, 0, 0, 0},
    {"window-only-2026-11", Scheme::gumbel, 2, kAlways, 0, 0, 0},
    {"issuance-only-2026-11", Scheme::gumbel, 2, 0, 0, 0, 0},
    {"greenlist-2026-11", Scheme::greenlist, 2, kAlways, 1u << 30, 2'000'000, 0},
    {"tournament-2026-11", Scheme::tournament, 4, kAlways, 0, 0, 30},
}};
}  // namespace

std::string_view scheme_name(Scheme scheme) noexcept {
  switch (scheme) {
    case Scheme::gumbel: return "gumbel";
    case Scheme::greenlist: return "greenlist";
    case Scheme::tournament: return "tournament";
  }
  return "?";
}

namespace profiles {
std::span<const Profile> all() noexcept { return kProfiles; }

Result<Profile> find(std::string_view name) {
  std::string known;
  for (const Profile& profile : kProfiles) {
    if (profile.name == name) return profile;
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  }
  return Error{ErrorCode::bad_input, "unknown profile \"" + std::string(name) + "\"; known: " + known};
}

const Profile& standard_2026_11() noexcept { return kProfiles[0]; }
const Profile& window_only_2026_11() noexcept { return kProfiles[1]; }
const Profile& issuance_only_2026_11() noexcept { return kProfiles[2]; }
const Profile& greenlist_2026_11() noexcept { return kProfiles[3]; }
const Profile& tournament_2026_11() noexcept { return kProfiles[4]; }
}  // namespace profiles
}  // namespace heirmark
