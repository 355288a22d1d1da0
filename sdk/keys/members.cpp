#include "keys/members.hpp"

#include <cstring>
#include <string_view>

#include "crypto/secretbox.hpp"

namespace heirmark::keys {
namespace {
constexpr std::string_view kMember = "heirmark/v1/member/", kWindow = "heirmark/v1/window/";
}

void MemberKeys::windows(std::uint32_t i, Windows& out) const noexcept {
  std::uint8_t info[kMember.size() + 4];
  std::memcpy(info, kMember.data(), kMember.size());
  for (std::size_t byte = 0; byte < 4; ++byte) info[kMember.size() + byte] = static_cast<std::uint8_t>(i >> (24 - 8 * byte));
  std::array<std::uint8_t, 32> member;
  family_.expand(info, member);
  const crypto::Expander expander{std::span<const std::uint8_t, 32>(member)};
  crypto::wipe(member);

  std::uint8_t window[kWindow.size() + 1];
  std::memcpy(window, kWindow.data(), kWindow.size());
  for (std::size_t c = 0; c < out.size(); ++c) {
    window[kWindow.size()] = static_cast<std::uint8_t>(c);
    expander.expand(window, out[c]);
  }
}

}  // namespace heirmark::keys
