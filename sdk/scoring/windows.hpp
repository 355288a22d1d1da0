// Windows in batches: coins and classes by the kernels, and the set of tainted windows.
#pragma once
#include <array>
#include <cstdint>
#include <heirmark/detect.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/context.hpp"
#include "scoring/index_table.hpp"
#include "scoring/kernel.hpp"

namespace heirmark::scoring {

/// Up to kCapacity windows as columns.
class WindowBatch {
 public:
  static constexpr std::size_t kCapacity = 2048;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool full() const noexcept { return size_ == kCapacity; }
  void clear() noexcept { size_ = 0; }
  void push(const core::Context& window) noexcept {
    for (std::size_t k = 0; k < 4; ++k) column_[k][size_] = window.w[k];
    ++size_;
  }
  [[nodiscard]] core::Context window(std::size_t i) const noexcept {
    return {{column_[0][i], column_[1][i], column_[2][i], column_[3][i]}};
  }
  /// First word of stream(key, window i, domain) for every window.
  [[nodiscard]] std::span<const std::uint32_t> first_words(const core::KeyWords& key, core::Domain domain);

 private:
  std::array<std::array<std::uint32_t, kCapacity>, 4> column_{};
  std::array<std::uint32_t, kCapacity> words_{};
  std::size_t size_ = 0;
};

/// A set of windows.
class WindowSet {
 public:
  void insert(const core::Context& window);
  [[nodiscard]] bool contains(const core::Context& window) const;
  [[nodiscard]] bool empty() const noexcept { return windows_.empty(); }

 private:
  KeyedHash hash_;
  IndexTable table_;
  std::vector<core::Context> windows_;
};

/// Pairs by (window, bin), in order of first occurrence.
class PairTable {
 public:
  [[nodiscard]] std::uint64_t hash(const core::Context& window, std::uint32_t bin) const noexcept {
    return hash_(window, bin);
  }
  void prefetch(std::uint64_t hash) const noexcept { table_.prefetch(hash); }
  /// The pair's place in pairs(), made with weight 0 if it is new.
  std::uint32_t insert(std::uint64_t hash, const core::Context& window, std::uint32_t bin);
  [[nodiscard]] std::vector<Pair>& pairs() noexcept { return pairs_; }

 private:
  KeyedHash hash_;
  IndexTable table_;
  std::vector<Pair> pairs_;
};

/// Sets window_class of every pair.
void set_classes(std::span<Pair> pairs);

/// Are the tokens ids, and not more prompt tokens than tokens? `number` counts texts from 1.
[[nodiscard]] Result<void> check_text(std::span<const TokenId> tokens, std::size_t prompt_tokens, std::size_t number);
/// A profile that no table of this version has could have any h.
[[nodiscard]] Result<void> check_profile(const Profile& profile);

}  // namespace heirmark::scoring
