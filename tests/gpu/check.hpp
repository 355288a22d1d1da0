// The checks of gpu_check, and what they are told.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "compare.hpp"

namespace heirmark::gpu {

using Clock = std::chrono::steady_clock;

struct Settings {
  std::uint64_t seed = 0;
  std::uint64_t rows = 10'000'000, small_cases = 42;
  double seconds = 150;
  unsigned threads = 0;
  int device = 0;
  bool on_host = false, small = false, bare = false;
  std::optional<std::uint64_t> only_case;
  std::string spoil, json;
};

struct Counts {
  std::atomic<std::uint64_t> rows{0}, comparisons{0}, launches{0}, cases{0};
  std::atomic<std::uint64_t> sharded{0}, sharded_plain{0}, plain_left{0};  ///< plain: shards should decide it; left: they did not
  std::atomic<std::uint64_t> by_dtype[3]{}, by_scheme[3]{}, by_status[7]{}, truncated{0}, large_vocab{0};
};

class Check {
 public:
  Check(const Settings& settings, Machine& machine) : settings_(settings), machine_(machine) {}

  const Counts& counts() const { return counts_; }
  Clock::time_point deadline() const { return start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings_.seconds)); }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void errors();
  void graphs();
  void streams();
  void drafts();
  void frequencies();
  void run_case(Worker& worker, std::uint64_t number);
  /// Cases until the rows or the time are reached; the difference that a worker found, empty if none.
  std::string cases();

 private:
  [[nodiscard]] Random random(std::uint64_t number) const { return Random(settings_.seed * 0x9E3779B97F4A7C15ull + number); }
  [[nodiscard]] DeviceSampler sampler(DeviceSampler::Backend backend, const Profile& profile, const Subkeys& keys, DeviceSampler::Options options) const {
    options.backend = backend;
    options.device = settings_.device;
    return must(DeviceSampler::create(profile, keys.clone(), options), backend == DeviceSampler::Backend::cuda ? "create on the device" : "create on the CPU");
  }
  void count(const Batch& batch, const Expected& want, Scheme scheme);
  void spoil(Results& results, const Batch& batch, Worker& worker);
  void shards(Worker& worker, Random& random, const DeviceSampler& device, const Batch& batch, const std::byte* logits, const std::byte* rows, const Expected& want, const Results& whole);
  void copy_batch(Worker& worker, const Batch& batch, std::byte*& logits, std::byte*& rows) {
    logits = worker.logits(batch.bytes.size());
    rows = worker.rows(batch.rows.size() * sizeof(DeviceRow));
    machine_.copy_in(logits, batch.bytes.data(), batch.bytes.size(), worker.stream());
    machine_.copy_in(rows, batch.rows.data(), batch.rows.size() * sizeof(DeviceRow), worker.stream());
  }

  const Settings& settings_;
  Machine& machine_;
  Counts counts_;
  Clock::time_point start_ = Clock::now();
  std::atomic<bool> spoiled_{false};
};

}  // namespace heirmark::gpu
