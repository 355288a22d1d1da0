// HKDF-Expand under one key, many times: HMAC's two key blocks are hashed once and kept.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace heirmark::crypto {

/// Gives the same bytes as expand() for short infos, several times as fast. Threads may share one.
class Expander {
 public:
  /// Longest info: with 0x01 and the padding it is one block of SHA-256.
  static constexpr std::size_t kMaxInfo = 54;

  explicit Expander(std::span<const std::uint8_t, 32> key) noexcept;
  Expander(const Expander&) = delete;
  Expander& operator=(const Expander&) = delete;
  ~Expander();
  /// out = HMAC-SHA256(key, info || 0x01). An info longer than kMaxInfo is a bug of the caller and ends the process.
  void expand(std::span<const std::uint8_t> info, std::span<std::uint8_t, 32> out) const noexcept;

 private:
  using State = std::array<std::uint32_t, 8>;
  State inner_{}, outer_{};
};

}  // namespace heirmark::crypto
