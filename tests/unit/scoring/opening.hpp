// Openings for tests, made from a number.
#pragma once
#include <heirmark/keys.hpp>
#include <string>

#include "naive.hpp"

namespace heirmark::test {

inline std::string hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

inline Opening opening(std::uint64_t seed, std::uint32_t family_size, std::uint32_t live, const std::string& profile) {
  const EpochSecret epoch(naive::secret(seed));
  const std::string text = "{\"familySecret\":\"" + hex(epoch.expose_family_secret().expose_secret()) +
                           "\",\"familySize\":" + std::to_string(family_size) + ",\"keyId\":\"" + epoch.key_id() +
                           "\",\"liveIndex\":" + std::to_string(live) + ",\"nonce\":\"" + std::string(64, '0') +
                           "\",\"path\":\"acme/2026-11\",\"profile\":\"" + profile +
                           "\",\"type\":\"heirmark/opening/v1\"}\n";
  auto out = Opening::parse(text);
  if (!out) throw std::runtime_error(out.error().message);
  return std::move(out).value();
}

inline scoring::WindowKeys window_keys(const Opening& opening, std::uint32_t member) {
  scoring::WindowKeys out{};
  for (std::uint32_t c = 0; c < 16; ++c) out.by_class[c] = naive::words_of(opening.epoch().window(member, c));
  return out;
}

}  // namespace heirmark::test
