// Runs numbered tasks on a few threads. Which thread runs which task is left open, so tasks must only add integers or
// fill own slots.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <heirmark/result.hpp>
#include <thread>
#include <vector>

namespace heirmark::scoring {

/// task(i) for i < count. `progress` is called from this thread with the share begun, every 50 ms or more; false, or a
/// task that returns false, ends it with ErrorCode::stopped.
template <class Task>
[[nodiscard]] Result<void> run_tasks(unsigned threads, std::uint64_t count, const Task& task,
                                     const std::function<bool(double)>& progress) {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&](bool caller) {
    auto last = std::chrono::steady_clock::now();
    while (!stop.load(std::memory_order_relaxed)) {
      const std::uint64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      task(i);
      if (!caller || !progress) continue;
      const auto now = std::chrono::steady_clock::now();
      if (now - last < std::chrono::milliseconds(50)) continue;
      last = now;
      if (!progress(static_cast<double>(i) / static_cast<double>(count))) stop = true;
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned t = 1; t < threads && t < count; ++t) {
    try {
      helpers.emplace_back(work, false);
    } catch (const std::exception&) {  // fewer threads give the same result
      break;
    }
  }
  work(true);
  for (std::thread& helper : helpers) helper.join();
  if (stop) return Error{ErrorCode::stopped, "stopped"};
  return {};
}

}  // namespace heirmark::scoring
