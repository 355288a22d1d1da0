// A memory-lean hash table from 16-byte windows (and a bin) to consecutive indices. The hash is keyed at random for
// each process, so that nobody can write a text whose pairs collide; no result depends on the key.
#pragma once
#include <array>
#include <cstdint>
#include <exception>
#include <random>
#include <vector>

#include "core/context.hpp"

namespace heirmark::scoring {

/// Two keyed 64 x 64 -> 128 bit products, folded.
class KeyedHash {
 public:
  [[nodiscard]] std::uint64_t operator()(const core::Context& window, std::uint32_t extra) const noexcept {
    const std::uint64_t low = static_cast<std::uint64_t>(window.w[1]) << 32 | window.w[0];
    const std::uint64_t high = static_cast<std::uint64_t>(window.w[3]) << 32 | window.w[2];
    return fold(fold(low ^ keys_[0], high ^ keys_[1]) ^ keys_[2], extra ^ keys_[3]);
  }

 private:
  using Keys = std::array<std::uint64_t, 4>;
  static const Keys& process_keys() noexcept {
    static const Keys drawn = [] {
      Keys keys{0x9E3779B97F4A7C15ull, 0xD1B54A32D192ED03ull, 0x8CB92BA72F3D8DD7ull, 0xABC98388FB8FAC03ull};
      try {
        std::random_device device;
        for (std::uint64_t& key : keys) key ^= static_cast<std::uint64_t>(device()) << 32 | device();
      } catch (const std::exception&) {  // without a generator a hostile text is slow, and nothing else
      }
      return keys;
    }();
    return drawn;
  }
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  Keys keys_ = process_keys();
};

/// Open addressing with linear probing; a slot holds 32 bits of the hash and an index + 1, so 8 bytes, and most misses
/// end without a look at the key. The caller keeps the keys. At most 2^32 - 2 entries.
class IndexTable {
 public:
  IndexTable() : slots_(kFirst) {}
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&slots_[place(hash)]); }

  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;
  template <class Equal>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const Equal& equal) const {
    const std::uint64_t tag = hash << 32;
    for (std::size_t at = place(hash);; at = (at + 1) & (slots_.size() - 1)) {
      const std::uint64_t slot = slots_[at];
      if (slot == 0) return kNone;
      const auto index = static_cast<std::uint32_t>(slot) - 1;
      if ((slot ^ tag) >> 32 == 0 && equal(index)) return index;
    }
  }
  /// The index of the entry, which is size() before the call if it is new. equal(i): is entry i the one sought?
  /// rehash(i): the hash of entry i.
  template <class Equal, class Rehash>
  std::uint32_t insert(std::uint64_t hash, const Equal& equal, const Rehash& rehash) {
    if (const std::uint32_t found = find(hash, equal); found != kNone) return found;
    if (size_ >= slots_.size() / 8 * 5) grow(rehash);
    put(hash, size_);
    return size_++;
  }

 private:
  static constexpr std::size_t kFirst = 64;
  /// The low half of the hash is the tag, the high half chooses the place (bits 32.. and, for large tables, mixed with
  /// the low ones).
  [[nodiscard]] std::size_t place(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>((hash >> 32) ^ (hash << 29)) & (slots_.size() - 1);
  }
  void put(std::uint64_t hash, std::uint32_t index) noexcept {
    std::size_t at = place(hash);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = hash << 32 | (std::uint64_t{index} + 1);
  }
  template <class Rehash>
  void grow(const Rehash& rehash) {
    const std::size_t wider = slots_.size() * 2;
    std::vector<std::uint64_t>().swap(slots_);
    slots_.resize(wider);
    for (std::uint32_t i = 0; i < size_; ++i) put(rehash(i), i);
  }
  std::vector<std::uint64_t> slots_;
  std::uint32_t size_ = 0;
};

}  // namespace heirmark::scoring
