// Threads that share out the rows of a call. Which thread works on which row changes nothing but the time.
#pragma once
#include <cstddef>
#include <memory>
#include <sys/types.h>

namespace heirmark::sampler {

class Pool {
 public:
  /// A task is called as task(context, index) for every index below a count. It must not throw.
  using Task = void (*)(void* context, std::size_t index) noexcept;

  explicit Pool(unsigned workers);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Returns when all indices are done. The caller works too. When another call has the workers, the caller does it alone; so it does in a process that was forked
  /// from the pool's own, where there are none.
  void run(std::size_t count, Task task, void* context);

 private:
  struct State;
  std::unique_ptr<State> state_;
  pid_t maker_;  ///< the process that has the threads
};

}  // namespace heirmark::sampler
