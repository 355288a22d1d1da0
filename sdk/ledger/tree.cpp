#include "ledger/tree.hpp"

#include <algorithm>
#include <bit>

namespace heirmark::ledger {
namespace {
crypto::Digest node(const crypto::Digest& left, const crypto::Digest& right) {
  std::array<std::uint8_t, 65> bytes;
  bytes[0] = 1;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  return crypto::sha256(crypto::ByteView(bytes));
}
}  // namespace

Result<Tree> Tree::from(std::uint64_t size, std::string_view bytes) {
  Tree out;
  out.size_ = size;
  if (bytes.size() != 32 * static_cast<std::size_t>(std::popcount(size))) return Error{ErrorCode::bad_input, "the tree's peaks do not fit its size"};
  for (std::size_t at = 0; at < bytes.size(); at += 32) {
    crypto::Digest peak;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 32, reinterpret_cast<char*>(peak.data()));
    out.peaks_.push_back(peak);
  }
  return out;
}

void Tree::add(std::string_view leaf) {
  std::string bytes(1, '\0');
  bytes += leaf;
  crypto::Digest peak = crypto::sha256(bytes);
  // As many subtrees are full now as the size has trailing one bits.
  for (std::uint64_t rest = size_; (rest & 1) != 0; rest >>= 1) {
    peak = node(peaks_.back(), peak);
    peaks_.pop_back();
  }
  peaks_.push_back(peak);
  ++size_;
}

crypto::Digest Tree::root() const {
  if (peaks_.empty()) return crypto::sha256(std::string_view());
  crypto::Digest root = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i-- > 0;) root = node(peaks_[i], root);
  return root;
}

std::string Tree::bytes() const {
  std::string out;
  for (const crypto::Digest& peak : peaks_) out.append(reinterpret_cast<const char*>(peak.data()), peak.size());
  return out;
}

}  // namespace heirmark::ledger
