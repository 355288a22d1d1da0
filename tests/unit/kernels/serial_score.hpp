// A device for bulk scoring that is the CPU: blocks run by the serial executor in an arbitrary order, memory is counted, and any call can be
// made to fail.
#pragma once
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/score_tile.hpp"
#include "serial_block.hpp"

namespace heirmark::test {

class SerialDevice final : public kernels::ScoreDevice {
 public:
  explicit SerialDevice(std::uint64_t seed = 1) : random_(seed) {}

  std::uint64_t memory = std::uint64_t{1} << 32;  ///< how much it has
  std::uint64_t fail_at = 0;                      ///< the call of this number, counted from 1, fails; 0: none
  std::string fail_from;                          ///< all calls of this name fail
  // What happened.
  std::uint64_t calls = 0, launches = 0, most_bytes = 0, bytes = 0;
  std::vector<std::vector<std::byte>> released;  ///< contents of what was released, in order
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }

  Result<std::uint64_t> free_bytes() override {
    if (auto ok = call("free_bytes"); !ok) return ok.error();
    return memory - bytes;
  }
  Result<void*> allocate(std::size_t size) override {
    if (auto ok = call("allocate"); !ok) return ok.error();
    if (size == 0 || bytes + size > memory) return Error{ErrorCode::io, "serial device: no memory for " + std::to_string(size) + " bytes"};
    void* const block = ::operator new(size, std::align_val_t{16});
    std::memset(block, 0xA5, size);  // nothing may rely on zeros
    held_.emplace(block, size);
    bytes += size;
    most_bytes = std::max(most_bytes, bytes);
    return block;
  }
  void release(void* block) noexcept override {
    const auto found = held_.find(block);
    if (found == held_.end()) std::abort();
    const auto* first = static_cast<const std::byte*>(block);
    released.emplace_back(first, first + found->second);
    bytes -= found->second;
    held_.erase(found);
    ::operator delete(block, std::align_val_t{16});
  }
  Result<void> put(void* to, const void* from, std::size_t size) override {
    if (auto ok = call("put"); !ok) return ok;
    std::memcpy(inside(to, size), from, size);
    return {};
  }
  Result<void> get(void* to, const void* from, std::size_t size) override {
    if (auto ok = call("get"); !ok) return ok;
    std::memcpy(to, inside(const_cast<void*>(from), size), size);
    return {};
  }
  Result<void> zero(void* block, std::size_t size) override {
    if (auto ok = call("zero"); !ok) return ok;
    std::memset(inside(block, size), 0, size);
    return {};
  }
  Result<void> launch(const kernels::ScoreBatch& batch, std::uint32_t blocks) override {
    if (auto ok = call("launch"); !ok) return ok;
    ++launches;
    std::vector<std::uint32_t> order(blocks);
    std::iota(order.begin(), order.end(), batch.first);
    std::shuffle(order.begin(), order.end(), random_);
    for (const std::uint32_t block : order) {
      SerialBlock x(random_());
      kernels::ScoreShared shared;
      std::memset(&shared, 0xA5, sizeof shared);
      switch (batch.rule.scheme) {
        case Scheme::gumbel: run<Scheme::gumbel>(x, batch, block, shared); break;
        case Scheme::greenlist: run<Scheme::greenlist>(x, batch, block, shared); break;
        case Scheme::tournament: run<Scheme::tournament>(x, batch, block, shared); break;
      }
    }
    return {};
  }
  Result<void> wait() override { return call("wait"); }

 private:
  template <Scheme S>
  static void run(SerialBlock& x, const kernels::ScoreBatch& batch, std::uint32_t block, kernels::ScoreShared& shared) {
    if (batch.rule.weighted) kernels::score_tile<S, true>(x, batch, block, shared);
    else kernels::score_tile<S, false>(x, batch, block, shared);
  }
  Result<void> call(const char* name) {
    if (++calls == fail_at || name == fail_from) return Error{ErrorCode::io, std::string("serial device: ") + name + " failed"};
    return {};
  }
  /// The address, if so many bytes from there are memory of the device.
  void* inside(void* at, std::size_t size) const {
    auto next = held_.upper_bound(at);
    if (next == held_.begin()) std::abort();
    --next;
    if (static_cast<std::byte*>(at) + size > static_cast<std::byte*>(next->first) + next->second) std::abort();
    return at;
  }
  std::mt19937_64 random_;
  std::map<void*, std::size_t> held_;
};

}  // namespace heirmark::test
