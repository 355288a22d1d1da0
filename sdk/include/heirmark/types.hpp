// The small types that every room shares: tokens, request ids, secrets.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace heirmark {

/// A token id of the engine's vocabulary, 0 <= id < vocabulary size. 0xFFFFFFFF is the window's padding, never a token.
using TokenId = std::uint32_t;
inline constexpr TokenId kNoToken = 0xFFFFFFFFu;

/// Vocabularies up to this size are accepted (the largest in use in 2026 is 262,144).
inline constexpr std::uint32_t kMaxVocab = 1u << 20;

/// 12 bytes that name one response (one sampled sequence; n > 1 samples have one each). It must be unique under a key:
/// two responses with one id would share their issuance randomness.
struct RequestId {
  std::array<std::uint8_t, 12> bytes{};
  friend bool operator==(const RequestId&, const RequestId&) = default;
};

/// 32 secret bytes. Wipes itself, cannot be copied by accident (use clone), cannot be printed.
class Secret32 {
 public:
  Secret32() noexcept = default;
  explicit Secret32(std::span<const std::uint8_t, 32> bytes) noexcept { std::memcpy(bytes_.data(), bytes.data(), 32); }
  Secret32(const Secret32&) = delete;
  Secret32& operator=(const Secret32&) = delete;
  Secret32(Secret32&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Secret32& operator=(Secret32&& other) noexcept {
    if (this != &other) { bytes_ = other.bytes_; other.wipe(); }
    return *this;
  }
  ~Secret32() { wipe(); }
  /// A second copy, on purpose.
  [[nodiscard]] Secret32 clone() const noexcept { return Secret32(std::span<const std::uint8_t, 32>(bytes_)); }
  /// The bytes. Every use of this word in the source is a place to review.
  [[nodiscard]] std::span<const std::uint8_t, 32> expose_secret() const noexcept { return bytes_; }
  /// Same bytes? Takes the same time whatever they are.
  [[nodiscard]] bool equals(const Secret32& other) const noexcept;
  void wipe() noexcept;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

/// What a sampler needs of one key: never the tree above it. Made by Keystore::subkeys or from raw bytes in tests.
/// Roles are specified in specs/keys.md.
struct Subkeys {
  static constexpr std::size_t kClasses = 16;
  std::array<Secret32, kClasses> window;  ///< one for each public class of the window
  Secret32 coin;                          ///< decides window or issuance for a window
  std::vector<Secret32> issuance;         ///< one for each account slot, at least one
  [[nodiscard]] Subkeys clone() const;
};

}  // namespace heirmark
