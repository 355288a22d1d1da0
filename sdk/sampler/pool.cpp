#include "sampler/pool.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <vector>

namespace heirmark::sampler {

struct Pool::State {
  std::mutex owner;                 ///< held by the call that uses the workers
  std::mutex mutex;                 ///< guards what follows
  std::condition_variable start, finished;
  std::size_t generation = 0;       ///< one more for every call
  std::size_t busy = 0;             ///< workers that have not finished this generation
  bool stop = false;
  std::size_t count = 0;
  Task task = nullptr;
  void* context = nullptr;
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;

  void take_indices() {
    for (std::size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count; i = next.fetch_add(1, std::memory_order_relaxed)) task(context, i);
  }

  void work() {
    std::size_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      start.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      lock.unlock();
      take_indices();
      lock.lock();
      if (--busy == 0) finished.notify_one();
    }
  }
};

Pool::Pool(unsigned workers) : state_(std::make_unique<State>()), maker_(getpid()) {
  try {
    state_->threads.reserve(workers);
    for (unsigned i = 0; i < workers; ++i) state_->threads.emplace_back([state = state_.get()] { state->work(); });
  } catch (...) {  // the system has no more threads: those that exist are enough
  }
}

Pool::~Pool() {
  if (getpid() != maker_) {
    // Locks may be held by, and conditions wait for, threads that this process does not have.
    static_cast<void>(state_.release());
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->start.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void Pool::run(std::size_t count, Task task, void* context) {
  const auto alone = [&] {
    for (std::size_t i = 0; i < count; ++i) task(context, i);
  };
  State& s = *state_;
  if (count < 2 || getpid() != maker_ || s.threads.empty()) return alone();
  const std::unique_lock own(s.owner, std::try_to_lock);
  if (!own) return alone();
  {
    const std::lock_guard lock(s.mutex);
    s.count = count;
    s.task = task;
    s.context = context;
    s.next.store(0, std::memory_order_relaxed);
    s.busy = s.threads.size();
    ++s.generation;
  }
  s.start.notify_all();
  s.take_indices();
  std::unique_lock lock(s.mutex);
  s.finished.wait(lock, [&s] { return s.busy == 0; });
}

}  // namespace heirmark::sampler
