// The executor of the block algorithms by real threads, 256 to a block, with barriers where a GPU has them and nowhere else: what one thread
// leaves for another without one between is a data race, which ThreadSanitizer reports (preset tsan); a barrier that some threads do not reach
// never lets the others go.
#pragma once
#include <pthread.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/host_block.hpp"

namespace heirmark::test {

class Barrier {
 public:
  explicit Barrier(unsigned count) { pthread_barrier_init(&barrier_, nullptr, count); }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  ~Barrier() { pthread_barrier_destroy(&barrier_); }
  void wait() { pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

class ThreadedBlock {
 public:
  static constexpr unsigned kWarp = 32, kWarps = kernels::kThreads / kWarp;
  /// What the threads of a block share.
  struct Team {
    Barrier all{kernels::kThreads}, upper{kernels::kThreads / 2};
    std::vector<std::unique_ptr<Barrier>> warp;
    struct alignas(16) Slot { std::byte bytes[16]; };
    std::vector<Slot> slots[2] = {std::vector<Slot>(kernels::kThreads), std::vector<Slot>(kernels::kThreads)};
    struct Words { std::uint32_t n[8]; };
    std::vector<Words> in_warps[2] = {std::vector<Words>(kernels::kThreads), std::vector<Words>(kernels::kThreads)};  ///< of sum_warp
    std::uint32_t last = 0;
    Team() {
      for (unsigned w = 0; w < kWarps; ++w) warp.push_back(std::make_unique<Barrier>(kWarp));
    }
  };

  template <class T>
  class State {
   public:
    T& operator[](unsigned) { return value_; }
    const T& operator[](unsigned) const { return value_; }

   private:
    T value_;
  };

  ThreadedBlock(Team& team, unsigned thread) : team_(team), thread_(thread) {}

  template <class F>
  void each(const F& f) { f(thread_); }
  void sync() { team_.all.wait(); }
  template <class F>
  void each_upper(const F& f) {
    if (thread_ < kernels::kThreads / 2) return;
    team_.upper.wait();
    f(thread_);
  }
  template <class F>
  void first_warp(const F& f) {
    if (thread_ < kWarp) f(*this);
  }
  void sync_warp() { team_.warp[thread_ / kWarp]->wait(); }
  template <class T, class Op>
  T reduce(const State<T>& state, const Op& op) {
    static_assert(sizeof(T) <= sizeof(typename Team::Slot));
    // One barrier: what the next one needs lies elsewhere.
    auto& slots = team_.slots[turn_++ % 2];
    std::memcpy(slots[thread_].bytes, &state[thread_], sizeof(T));
    sync();
    const auto slot = [&](unsigned t) {
      T value;
      std::memcpy(static_cast<void*>(&value), slots[t].bytes, sizeof(T));
      return value;
    };
    T all = slot(0);
    for (unsigned t = 1; t < kernels::kThreads; ++t) all = op(all, slot(t));
    return all;
  }
  template <std::uint32_t kCount>
  kernels::Words<kCount> sum_warp(const State<kernels::Words<kCount>>& state) {
    auto& words = team_.in_warps[warp_turn_++ % 2];
    for (std::uint32_t i = 0; i < kCount; ++i) words[thread_].n[i] = state[thread_].n[i];
    sync_warp();
    kernels::Words<kCount> sum{};
    for (unsigned t = thread_ / kWarp * kWarp; t < (thread_ / kWarp + 1) * kWarp; ++t)
      for (std::uint32_t i = 0; i < kCount; ++i) sum.n[i] += words[t].n[i];
    return sum;
  }
  std::uint64_t scan(State<std::uint64_t>& state) {
    auto& slots = team_.slots[turn_++ % 2];
    std::memcpy(slots[thread_].bytes, &state[thread_], sizeof(std::uint64_t));
    sync();
    std::uint64_t sum = 0;
    for (unsigned t = 0; t < kernels::kThreads; ++t) {
      std::uint64_t value;
      std::memcpy(&value, slots[t].bytes, sizeof value);
      sum += value;
      if (t == thread_) state[thread_] = sum;
    }
    return sum;
  }
  template <class T, class F, class Op>
  T fold(std::uint32_t count, const F& f, const Op& op, T none) { return host_.fold(count, f, op, none); }
  float exp2(float z) { return host_.exp2(z); }
  float log2(float f) { return host_.log2(f); }
  float reciprocal(float f) { return host_.reciprocal(f); }
  void prefetch(const std::byte*) {}
  kernels::Packet load(const std::byte* p) { return host_.load(p); }
  template <class T>
  T add(T* word, T n) { return std::atomic_ref<T>(*word).fetch_add(n, std::memory_order_relaxed); }
  std::uint32_t arrive(std::uint32_t* ticket) {
    sync();
    if (thread_ == 0) team_.last = std::atomic_ref<std::uint32_t>(*ticket).fetch_add(1, std::memory_order_acq_rel);
    sync();
    return team_.last;
  }

 private:
  Team& team_;
  unsigned thread_, turn_ = 0, warp_turn_ = 0;
  kernels::HostBlock host_;
};

/// Runs blocks, some of them at a time.
struct ThreadedExecutor {
  unsigned at_a_time = 2;
  template <class Shared, class Program>
  void run(std::uint32_t blocks, const Program& program) const {
    for (std::uint32_t first = 0; first < blocks; first += at_a_time) {
      struct Block {
        ThreadedBlock::Team team;
        Shared shared;
      };
      std::vector<std::unique_ptr<Block>> running;
      std::vector<std::thread> threads;
      for (std::uint32_t b = first; b < blocks && b < first + at_a_time; ++b) {
        running.push_back(std::make_unique<Block>());
        std::memset(static_cast<void*>(&running.back()->shared), 0xFF, sizeof(Shared));
      }
      for (std::uint32_t b = 0; b < running.size(); ++b)
        for (unsigned t = 0; t < kernels::kThreads; ++t)
          threads.emplace_back([&, b, t] {
            ThreadedBlock x(running[b]->team, t);
            program(x, first + b, running[b]->shared);
          });
      for (std::thread& thread : threads) thread.join();
    }
  }
};

}  // namespace heirmark::test
