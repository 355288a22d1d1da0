// A response in bytes: what is sealed, and the digests that bind it (specs/ledger.md, "Sealed part" and "Digests").
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/ledger.hpp>

#include "crypto/sha256.hpp"

namespace heirmark::ledger {

struct Packed {
  RequestId request_id;
  std::string account;
  std::vector<TokenId> prompt, tokens;
  std::vector<std::uint8_t> positions;  ///< for each token: token, status, its likeliest tokens
  std::vector<std::uint32_t> begins;    ///< where each token's begins in positions
  std::uint32_t marked = 0;
  Packed() = default;
  Packed(Packed&&) noexcept = default;
  Packed& operator=(Packed&&) noexcept = default;
  ~Packed();
};

struct Digests { crypto::Digest account, request, prompt, tokens, positions; };

/// Salted digests of a response's parts; the salt is random and sealed with them.
[[nodiscard]] Digests digests_of(const Secret32& salt, const Packed& response);
/// The plaintext of the sealed part. Holds text of customers.
[[nodiscard]] std::vector<std::uint8_t> pack(const Secret32& salt, const Packed& response);

struct Unpacked {
  Secret32 salt;
  Packed packed;
  std::vector<std::vector<IssuedToken>> likeliest;  ///< as added: may be empty at a position
  std::vector<std::uint8_t> statuses;
};
/// Exactly what pack() writes, else `bad_input`.
[[nodiscard]] Result<Unpacked> unpack(std::span<const std::uint8_t> plaintext);

/// Wipes bytes when their scope is left.
struct WipedBytes {
  std::vector<std::uint8_t> bytes;
  ~WipedBytes();
};

}  // namespace heirmark::ledger
