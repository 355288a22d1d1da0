#include "sampler/pool.hpp"

namespace heirmark::sampler {

Pool::Pool(unsigned workers) {
  try {
    threads_.reserve(workers);
    for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {  // the system has no more threads: those that exist are enough
  }
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(std::size_t count, Task task, void* context) {
  const std::unique_lock own(owner_, std::try_to_lock);
  if (!own || threads_.empty() || count < 2) {
    for (std::size_t i = 0; i < count; ++i) task(context, i);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    count_ = count;
    task_ = task;
    context_ = context;
    next_.store(0, std::memory_order_relaxed);
    busy_ = threads_.size();
    ++generation_;
  }
  start_.notify_all();
  take_indices();
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return busy_ == 0; });
}

void Pool::take_indices() {
  for (std::size_t i = next_.fetch_add(1, std::memory_order_relaxed); i < count_; i = next_.fetch_add(1, std::memory_order_relaxed))
    task_(context_, i);
}

void Pool::work() {
  std::size_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    start_.wait(lock, [&] { return stop_ || generation_ != seen; });
    if (stop_) return;
    seen = generation_;
    lock.unlock();
    take_indices();
    lock.lock();
    if (--busy_ == 0) finished_.notify_one();
  }
}

}  // namespace heirmark::sampler
