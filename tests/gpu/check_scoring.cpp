// gpu_check_scoring [--small] [--json FILE]: compares bulk scoring on the GPU with the CPU's path over 10^8 (key, pair) sums, every scheme with and without
// weights, then measures it. --small: 10^5 sums of each, and no measuring: for a device that is emulated. Exit status 0: equal; 1: not; 2: usage;
// 77: there is no GPU; 5: it failed.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "scoring/bulk.hpp"

using namespace heirmark;
using namespace heirmark::scoring;

namespace {

/// Sebastiano Vigna's splitmix64.
struct Random {
  std::uint64_t state;
  std::uint64_t operator()() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
};

WindowKeys keys_of(std::uint32_t member) {
  Random random{member};
  WindowKeys out{};
  for (auto& key : out.by_class)
    for (auto& word : key.w) word = static_cast<std::uint32_t>(random() >> 32);
  return out;
}

PairSet pairs_of(std::uint64_t seed, std::size_t count, int h, bool weighted) {
  Random random{seed};
  PairSet set;
  set.weighted = weighted;
  set.pairs.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Pair pair{{core::kPad, core::kPad, core::kPad, core::kPad}, static_cast<std::uint16_t>(random() % core::kBins), 0, 1};
    for (std::size_t k = static_cast<std::size_t>(4 - h); k < 4; ++k) pair.window[k] = static_cast<std::uint32_t>(random() % 128256);
    pair.window_class = static_cast<std::uint8_t>(random() % core::kClasses);
    if (weighted) pair.weight = static_cast<std::int64_t>(random() % 131072) - 65536;
    if (pair.weight == 0) pair.weight = 1;
    set.pairs.push_back(pair);
  }
  set.positions = count;
  return set;
}

double seconds_since(std::chrono::steady_clock::time_point start) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }

struct Job {
  const Profile* profile;
  bool weighted;
  std::uint64_t keys;
  std::size_t pairs;
};

/// Sums and ranks of a job by both paths; prints a line.
Result<bool> agree(kernels::ScoreDevice& device, const Job& job, unsigned threads) {
  const PairSet set = pairs_of(job.pairs, job.pairs, job.profile->window, job.weighted);
  const auto columns = PairColumns::make(set, true);
  if (!columns) return columns.error();
  const WordRule rule = WordRule::of(*job.profile);
  std::vector<std::uint64_t> checkpoints;
  for (const std::uint64_t point : {std::uint64_t{1}, std::uint64_t{job.pairs / 3}, std::uint64_t{job.pairs}})
    if (checkpoints.empty() || point > checkpoints.back()) checkpoints.push_back(point);
  const auto live = evaluate_growth(best_kernel(), rule, *columns, keys_of(0), checkpoints, threads, {});
  const auto live_here = evaluate_growth(device, rule, *columns, keys_of(0), checkpoints, {});
  if (!live) return live.error();
  if (!live_here) return live_here.error();
  const std::uint64_t size = job.keys + 1;
  const auto cpu = evaluate_decoys(best_kernel(), rule, *columns, keys_of, 1, job.keys, size, live->statistic, threads, {});
  const auto gpu = evaluate_decoys(device, rule, *columns, keys_of, 1, job.keys, size, live->statistic, threads, {});
  if (!cpu) return cpu.error();
  if (!gpu) return gpu.error();
  std::uint64_t wrong = 0;
  for (std::size_t k = 0; k < cpu->totals.size(); ++k) wrong += cpu->totals[k] != gpu->totals[k] ? 1u : 0u;
  const bool same = wrong == 0 && cpu->ge == gpu->ge && live->prefix == live_here->prefix && live->statistic.by_class == live_here->statistic.by_class;
  std::printf("%-20s %-10s %8llu keys x %7zu pairs: %s\n", std::string(job.profile->name).c_str(), job.weighted ? "weighted" : "plain",
              static_cast<unsigned long long>(job.keys), job.pairs, same ? "equal" : "DIFFERENT");
  return same;
}

struct Rate {
  const Profile* profile;
  bool weighted;
  double sums, seconds;
};

/// Scores a second's work or more and prints the rate: uploads, derivation of these simple keys and sums of all classes included.
Result<Rate> measure(kernels::ScoreDevice& device, const Profile& profile, bool weighted, unsigned threads) {
  constexpr std::uint64_t kKeys = 65536;
  constexpr std::size_t kPairs = 200000;
  const PairSet set = pairs_of(1, kPairs, profile.window, weighted);
  const auto columns = PairColumns::make(set, false);
  if (!columns) return columns.error();
  const auto start = std::chrono::steady_clock::now();
  const auto found = evaluate_decoys(device, WordRule::of(profile), *columns, keys_of, 0, kKeys, kKeys, {}, threads, {});
  if (!found) return found.error();
  const double seconds = seconds_since(start);
  std::printf("%-20s %-10s %.3g (key, pair) a second: %.2f s for %llu keys x %zu pairs\n", std::string(profile.name).c_str(), weighted ? "weighted" : "plain",
              static_cast<double>(kKeys) * static_cast<double>(kPairs) / seconds, seconds, static_cast<unsigned long long>(kKeys), kPairs);
  return Rate{&profile, weighted, static_cast<double>(kKeys) * static_cast<double>(kPairs), seconds};
}

/// What tests/gpu/report.py reads. False: it could not be written.
bool write_json(const char* path, bool equal, double sums, double seconds, const std::vector<Rate>& rates) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return false;
  std::fprintf(file, R"({"result": "%s", "sums": %.0f, "seconds": %.3f, "rates": [)", equal ? "equal" : "different", sums, seconds);
  for (std::size_t i = 0; i < rates.size(); ++i)
    std::fprintf(file, R"(%s{"profile": "%s", "weighted": %s, "sums": %.0f, "seconds": %.6f})", i == 0 ? "" : ", ", std::string(rates[i].profile->name).c_str(),
                 rates[i].weighted ? "true" : "false", rates[i].sums, rates[i].seconds);
  std::fprintf(file, "]}\n");
  return std::fclose(file) == 0;
}

int run(bool small, const char* json) {
  const auto start = std::chrono::steady_clock::now();
  auto opened = kernels::open_score_device();
  if (!opened) {
    std::fprintf(stderr, "gpu_check_scoring: skipped: %s\n", opened.error().message.c_str());
    return 77;
  }
  kernels::ScoreDevice& device = **opened;
  const auto fail = [](const Error& error) {
    std::fprintf(stderr, "gpu_check_scoring: %s\n", error.message.c_str());
    return 5;
  };
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  const Profile* const profiles[] = {&profiles::standard_2026_11(), &profiles::greenlist_2026_11(), &profiles::tournament_2026_11()};
  std::vector<Job> jobs;
  for (const Profile* profile : profiles)
    for (const bool weighted : {false, true}) {
      jobs.push_back({profile, weighted, 8192 + 33, small ? 11u : 2003u});  // more than one batch of keys, the second not full
      jobs.push_back({profile, weighted, 1, 1});
      jobs.push_back({profile, weighted, small ? 3u : 7u, small ? 5003u : 100001u});
    }
  double sums = 0;
  bool all = true;
  for (const Job& job : jobs) {
    const auto same = agree(device, job, threads);
    if (!same) return fail(same.error());
    all = all && *same;
    sums += static_cast<double>(job.keys) * static_cast<double>(job.pairs);
  }
  std::printf("%.3g (key, pair) sums compared: %s\n", sums, all ? "all equal" : "THERE ARE DIFFERENCES");
  const double seconds = seconds_since(start);
  std::vector<Rate> rates;
  const auto write = [&] {  // after each rate: whoever stops this program keeps what is known
    if (json == nullptr || write_json(json, all, sums, seconds, rates)) return true;
    std::fprintf(stderr, "gpu_check_scoring: cannot write %s\n", json);
    return false;
  };
  if (!write()) return 5;
  if (!all || small) return all ? 0 : 1;
  for (const bool weighted : {false, true})
    for (const Profile* profile : profiles) {
      const auto rate = measure(device, *profile, weighted, threads);
      if (!rate) return fail(rate.error());
      rates.push_back(*rate);
      if (!write()) return 5;
    }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  bool small = false;
  const char* json = nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--small") {
      small = true;
    } else if (argument == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else {
      std::fprintf(stderr, "usage: gpu_check_scoring [--small] [--json FILE]\n");
      return 2;
    }
  }
  return run(small, json);
}
