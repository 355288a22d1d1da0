// The Merkle tree over the ledger's lines (RFC 9162, section 2.1; the same as RFC 6962's), kept by its peaks: the roots of the full subtrees that
// the binary digits of the size name, largest first.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>

#include "crypto/sha256.hpp"

namespace heirmark::ledger {

class Tree {
 public:
  Tree() = default;
  /// From what bytes() gave; `bad_input` unless there are as many peaks as `size` has one bits.
  [[nodiscard]] static Result<Tree> from(std::uint64_t size, std::string_view bytes);
  void add(std::string_view leaf);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// SHA-256 of nothing when empty.
  [[nodiscard]] crypto::Digest root() const;
  [[nodiscard]] std::string bytes() const;  ///< the peaks, 32 bytes each

 private:
  std::uint64_t size_ = 0;
  std::vector<crypto::Digest> peaks_;
};

}  // namespace heirmark::ledger
