// What comes back from a launch, and whether it is right.
#pragma once
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "machine.hpp"

namespace heirmark::gpu {

constexpr std::size_t kGuard = 256;     ///< bytes before and behind whatever a launch may write
constexpr unsigned char kCanary = 0xC5;

/// The device and the CPU disagree, or a call did not do what it must.
struct Different : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Args>
std::string format(const char* text, Args... args) {
  char line[1024];
  std::snprintf(line, sizeof line, text, args...);
  return line;
}

inline void must(const Result<void>& result, const char* what) {
  if (!result) throw Different(std::string(what) + ": " + result.error().message);
}
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) throw Different(std::string(what) + ": " + result.error().message);
  return std::move(result).value();
}

struct Results {
  std::vector<Sampled> out;
  std::vector<TopTokens> top;  ///< empty: not asked for
};

/// Memory of one worker: grows, and is as large as a batch needs and no larger under a memory checker.
class Worker {
 public:
  Worker(Machine& machine, bool exact) : machine_(machine), exact_(exact), stream_(machine) {}

  Machine& machine() { return machine_; }
  void* stream() { return stream_.get(); }
  std::byte* logits(std::size_t bytes) { return take(logits_, bytes); }
  std::byte* rows(std::size_t bytes) { return take(rows_, bytes); }
  /// With a guard on either side; everything is filled with canaries.
  std::byte* out(std::size_t bytes) { return guarded(out_, bytes, kCanary); }
  std::byte* top(std::size_t bytes) { return guarded(top_, bytes, kCanary); }
  std::byte* sums(std::size_t bytes) { return guarded(sums_, bytes, kCanary); }
  std::byte* picks(std::size_t bytes) { return guarded(picks_, bytes, kCanary); }
  std::byte* workspace(std::size_t bytes, std::optional<unsigned char> poison) { return guarded(workspace_, bytes, poison); }

  /// Copies out what guarded() gave and looks at its guards.
  void fetch(const std::byte* place, void* to, std::size_t bytes, const char* what) {
    std::vector<unsigned char> guards(2 * kGuard);
    if (bytes != 0 && to != nullptr) machine_.copy_out(to, place, bytes, stream());
    machine_.copy_out(guards.data(), place - kGuard, kGuard, stream());
    machine_.copy_out(guards.data() + kGuard, place + bytes, kGuard, stream());
    machine_.wait(stream());
    for (std::size_t i = 0; i < guards.size(); ++i)
      if (guards[i] != kCanary) throw Different(format("%s: something was written %zu bytes %s it", what, i < kGuard ? kGuard - i : i - kGuard + 1, i < kGuard ? "before" : "behind"));
  }

 private:
  std::byte* take(std::unique_ptr<Buffer>& buffer, std::size_t bytes) {
    if (!buffer || exact_ || buffer->bytes() < bytes) {
      buffer.reset();
      buffer = std::make_unique<Buffer>(machine_, exact_ ? bytes : bytes + bytes / 4);
    }
    return buffer->data();
  }
  std::byte* guarded(std::unique_ptr<Buffer>& buffer, std::size_t bytes, std::optional<unsigned char> inside) {
    std::byte* const data = take(buffer, bytes + 2 * kGuard);
    machine_.fill(data, kCanary, kGuard, stream());
    if (inside) machine_.fill(data + kGuard, *inside, bytes, stream());
    machine_.fill(data + kGuard + bytes, kCanary, kGuard, stream());
    return data + kGuard;
  }

  Machine& machine_;
  bool exact_;
  Stream stream_;
  std::unique_ptr<Buffer> logits_, rows_, out_, top_, workspace_, sums_, picks_;
};

/// One launch over rows [from, from + count) of what lies on the machine. `poison` fills the workspace before, unless it is to stay `bare`.
[[nodiscard]] Results launch(Worker& worker, const DeviceSampler& sampler, const Batch& batch, const std::byte* logits, const std::byte* rows, std::size_t from, std::size_t count,
                             bool with_top, unsigned char poison, bool bare);

/// The same rows on the CPU.
struct Expected {
  std::vector<Sampled> out;
  std::vector<TopTokens> top;
};
[[nodiscard]] Expected expected(const DeviceSampler& sampler, const Batch& batch);

inline bool greedy(const DeviceRow& row) { return row.mode == static_cast<std::uint32_t>(Mode::greedy) || row.temperature == 0; }
/// Drawn with the key that nobody keeps: each sampler has its own.
inline bool nobodys(const DeviceRow& row) { return row.mode == static_cast<std::uint32_t>(Mode::off) && !greedy(row); }
/// Chosen by its logits, so with a log-probability.
inline bool chosen(RowStatus status) { return status == RowStatus::marked || status == RowStatus::issued || status == RowStatus::unmarked; }

[[nodiscard]] std::string text_of(const Sampled& sampled);
/// Everything about a row.
[[nodiscard]] std::string describe(const Batch& batch, std::size_t index);
/// Throws Different unless `got` is right for rows [from, ..) of the batch. `how` says how they were launched.
void compare(const Batch& batch, std::size_t from, const Results& got, const Expected& expected, bool log_probs, const char* how);

}  // namespace heirmark::gpu
