// The CPU's executor made hostile: threads run in an order that changes from phase to phase, so that an
// algorithm which lets threads of one phase depend on each other gives different answers. Approximations are bent by as much as
// kernels/block.hpp allows the GPU's to be wrong.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/host_block.hpp"

namespace heirmark::test {

class SerialBlock : public kernels::HostBlock {
 public:
  enum class Bend { none, low, high, random };
  explicit SerialBlock(std::uint64_t seed, Bend bend = Bend::random) : state_(seed | 1), bend_(bend) {}

  template <class F>
  void each(const F& f) {
    // An odd factor and an offset: a permutation of the threads.
    const std::uint64_t word = next();
    const unsigned factor = static_cast<unsigned>(word) | 1u, offset = static_cast<unsigned>(word >> 32);
    for (unsigned i = 0; i < kernels::kThreads; ++i) f((i * factor + offset) % kernels::kThreads);
  }
  template <class F>
  void each_upper(const F& f) {
    each([&](unsigned t) {
      if (t >= kernels::kThreads / 2) f(t);
    });
  }
  template <class F>
  void first_warp(const F& f) {
    kernels::FirstWarp<SerialBlock> warp(*this);
    f(warp);
  }
  template <class T, class Op>
  T reduce(const State<T>& state, const Op& op) {
    const unsigned offset = static_cast<unsigned>(next() >> 32);
    T all = state[offset % kernels::kThreads];
    for (unsigned i = 1; i < kernels::kThreads; ++i) all = op(all, state[(i + offset) % kernels::kThreads]);
    return all;
  }

  float exp2(float z) { return z < -126.0f ? 0.0f : static_cast<float>(std::exp2(static_cast<double>(z)) * (1 + 0.9 * bent())); }
  float log2(float f) {
    const double exact = std::log2(static_cast<double>(f));
    return static_cast<float>(f >= 0.5f && f <= 2.0f ? exact + 0.9 * bent() : exact * (1 + 0.9 * bent()));
  }
  float reciprocal(float f) { return static_cast<float>(1 / static_cast<double>(f) * (1 + 0.9 * bent())); }
  kernels::Packet load(const std::byte* p) { return HostBlock::load(std::assume_aligned<16>(p)); }

 private:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  double bent() {
    switch (bend_) {
      case Bend::none: return 0;
      case Bend::low: return -static_cast<double>(kernels::kApproximationError);
      case Bend::high: return static_cast<double>(kernels::kApproximationError);
      case Bend::random: return static_cast<double>(kernels::kApproximationError) * (static_cast<double>(next() >> 11) * 0x1p-52 - 1);
    }
    return 0;
  }

  std::uint64_t state_;
  Bend bend_;
};

}  // namespace heirmark::test
