// Openings that the targets score with: one secret, every profile, a small family.
#pragma once
#include <heirmark/keys.hpp>

#include "crypto/sha256.hpp"

namespace heirmark::fuzz {

inline const Opening& opening(std::size_t profile) {
  static const std::vector<Opening> all = [] {
    std::vector<Opening> out;
    const std::string secret = crypto::sha256_hex("a secret of the fuzz targets"), nonce = crypto::sha256_hex("a nonce of the fuzz targets");
    const auto raw = crypto::hex_decode(secret).value();
    const EpochSecret epoch{Secret32(std::span<const std::uint8_t, 32>(raw.data(), 32))};
    for (const Profile& one : profiles::all())
      out.push_back(Opening::parse("{\"familySecret\":\"" + secret + "\",\"familySize\":64,\"keyId\":\"" + epoch.key_id() + "\",\"liveIndex\":7,\"nonce\":\"" +
                                   nonce + "\",\"path\":\"acme-7b/2026-11\",\"profile\":\"" + std::string(one.name) + "\",\"type\":\"heirmark/opening/v1\"}\n")
                        .value());
    return out;
  }();
  return all[profile % all.size()];
}

}  // namespace heirmark::fuzz
