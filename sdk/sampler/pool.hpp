// Threads that share out the rows of a call. Which thread works on which row changes nothing but the time.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace heirmark::sampler {

class Pool {
 public:
  /// A task is called as task(context, index) for every index below a count. It must not throw.
  using Task = void (*)(void* context, std::size_t index) noexcept;

  explicit Pool(unsigned workers);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Returns when all indices are done. The caller works too. When another call has the workers, the caller does it alone.
  void run(std::size_t count, Task task, void* context);

 private:
  void work();
  void take_indices();

  std::mutex owner_;                 ///< held by the call that uses the workers
  std::mutex mutex_;                 ///< guards what follows
  std::condition_variable start_, finished_;
  std::size_t generation_ = 0;       ///< one more for every call
  std::size_t busy_ = 0;             ///< workers that have not finished this generation
  bool stop_ = false;
  std::size_t count_ = 0;
  Task task_ = nullptr;
  void* context_ = nullptr;
  std::atomic<std::size_t> next_{0};
  std::vector<std::thread> threads_;
};

}  // namespace heirmark::sampler
