// The executor of the block algorithms on the CPU: one thread after the other (kernels/block.hpp).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/block.hpp"

namespace heirmark::kernels {

/// The first warp of a block that runs one thread after the other.
template <class Block>
class FirstWarp {
 public:
  template <class T>
  using State = typename Block::template State<T>;
  explicit FirstWarp(Block& block) : block_(block) {}
  template <class F>
  void each(const F& f) {
    block_.each([&](unsigned t) {
      if (t < 32) f(t);
    });
  }
  template <std::uint32_t kCount>
  Words<kCount> sum_warp(const State<Words<kCount>>& state) {
    Words<kCount> sum{};
    for (unsigned t = 0; t < 32; ++t)
      for (std::uint32_t i = 0; i < kCount; ++i) sum.n[i] += state[t].n[i];
    return sum;
  }
  float reciprocal(float f) { return block_.reciprocal(f); }

 private:
  Block& block_;
};

class HostBlock {
 public:
  template <class T>
  class State {
   public:
    T& operator[](unsigned t) { return values_[t]; }
    const T& operator[](unsigned t) const { return values_[t]; }

   private:
    std::vector<T> values_ = std::vector<T>(kThreads);
  };

  template <class F>
  void each(const F& f) {
    for (unsigned t = 0; t < kThreads; ++t) f(t);
  }
  void sync() {}
  void sync_warp() {}
  template <class F>
  void each_upper(const F& f) {
    for (unsigned t = kThreads / 2; t < kThreads; ++t) f(t);
  }
  template <class F>
  void first_warp(const F& f) {
    FirstWarp<HostBlock> warp(*this);
    f(warp);
  }
  template <class T, class Op>
  T reduce(const State<T>& state, const Op& op) {
    T all = state[0];
    for (unsigned t = 1; t < kThreads; ++t) all = op(all, state[t]);
    return all;
  }
  std::uint64_t scan(State<std::uint64_t>& state) {
    for (unsigned t = 1; t < kThreads; ++t) state[t] += state[t - 1];
    return state[kThreads - 1];
  }
  template <class T, class F, class Op>
  T fold(std::uint32_t count, const F& f, const Op& op, T none) {
    for (std::uint32_t i = 0; i < count; ++i) none = op(none, f(i));
    return none;
  }
  float exp2(float z) { return z < -126.0f ? 0.0f : static_cast<float>(std::exp2(static_cast<double>(z))); }
  float log2(float f) { return static_cast<float>(std::log2(static_cast<double>(f))); }
  float reciprocal(float f) { return 1 / f; }
  void prefetch(const std::byte*) {}
  Packet load(const std::byte* p) {
    Packet packet;
    std::memcpy(&packet, p, sizeof packet);
    return packet;
  }
  template <class T>
  T add(T* word, T n) {
    const T before = *word;
    *word += n;
    return before;
  }
  std::uint32_t arrive(std::uint32_t* ticket) { return (*ticket)++; }
};

}  // namespace heirmark::kernels
