// emulated_estimate [--lines N] [WHAT]: what launches of the sampler would take on an H100, by clock.hpp's model. An estimate, not a measurement: it is for
// finding what a kernel waits for, and for comparing a change with what was before.
//
// One launch of each kind over logits like gpu_bench's. Columns: blocks; microseconds at 1.755 GHz of the longest block, of the mean one, and of all if
// blocks did not disturb each other; for how long the busiest pipe of a processor has work; reading the logits once at 3.0 TB/s. A launch takes no less than
// the greatest of the last three. --lines N: where the longest block's time goes, N lines of source.
#include <cuda_runtime_api.h>

#include <heirmark/device_sampler.hpp>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "../bench_kernels.hpp"
#include "emulator.hpp"
#include "subkeys.hpp"

namespace heirmark::emulator {
namespace {
constexpr double kMicrosecond = 1755, kProcessors = 132, kBytesPerMicrosecond = 3.0e6;

struct Kind {
  const char* name;
  const Profile& profile;
  bool greedy, truncated;
};

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "emulated_estimate: %s failed\n", what);
  std::exit(1);
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  require(cudaMalloc(&memory, bytes) == cudaSuccess, "cudaMalloc");
  return memory;
}

void estimate(const Kind& kind, DType dtype, std::uint32_t rows, std::uint32_t vocab, std::size_t lines) {
  const std::size_t size = dtype == DType::float32 ? 4 : 2;
  void* const logits = allocate(std::size_t{rows} * vocab * size);
  gpu::launch_fill(logits, dtype, std::size_t{rows} * vocab, 20261125, nullptr);
  auto made = DeviceSampler::create(kind.profile, test::keys(1, 8), {.vocab_size = vocab, .max_rows = rows, .truncation = kind.truncated, .backend = DeviceSampler::Backend::cuda});
  require(static_cast<bool>(made), "creating the sampler");
  const DeviceSampler sampler = std::move(made).value();
  std::mt19937_64 random(vocab);
  std::vector<DeviceRow> asked(rows);
  for (DeviceRow& row : asked) {
    row.mode = kind.greedy ? 1 : 2;
    row.temperature = kind.greedy ? 0.0f : 0.8f;
    if (kind.truncated) row.top_k = 50, row.top_p = 0.9f;
    row.account_slot = static_cast<std::uint32_t>(random() % 8);
    row.position = static_cast<std::uint32_t>(random() % 4096);
    for (std::uint32_t& token : row.window) token = static_cast<std::uint32_t>(random() % vocab);
    if (kind.profile.window == 2) row.window[0] = row.window[1] = kNoToken;
    for (auto& byte : row.request_id.bytes) byte = static_cast<std::uint8_t>(random());
  }
  void *const device_rows = allocate(rows * sizeof(DeviceRow)), *const out = allocate(rows * sizeof(Sampled));
  require(cudaMemcpy(device_rows, asked.data(), rows * sizeof(DeviceRow), cudaMemcpyHostToDevice) == cudaSuccess, "copying rows");
  const DeviceWorkspace workspace{allocate(sampler.workspace_bytes()), sampler.workspace_bytes()};
  require(static_cast<bool>(sampler.prepare(workspace, nullptr)), "preparing the workspace");
  require(cudaDeviceSynchronize() == cudaSuccess, "waiting");
  estimate_launches(true);
  require(static_cast<bool>(sampler.sample({logits, dtype, rows, vocab}, static_cast<const DeviceRow*>(device_rows), static_cast<Sampled*>(out), nullptr, workspace, nullptr)), "the launch");
  require(cudaDeviceSynchronize() == cudaSuccess, "the kernel");
  estimate_launches(false);
  const Estimate found = take_estimates().at(0);
  std::printf("%-12s %-8s %5u %7u %7llu %9.2f %9.2f %9.2f %9.2f %9.2f %9llu\n", kind.name, size == 4 ? "float32" : "bfloat16", rows, vocab, static_cast<unsigned long long>(found.blocks),
              found.longest / kMicrosecond, found.mean / kMicrosecond, found.makespan / kMicrosecond, found.work * static_cast<double>(found.blocks) / kProcessors / kMicrosecond,
              static_cast<double>(rows) * vocab * static_cast<double>(size) / kBytesPerMicrosecond, static_cast<unsigned long long>(found.barriers));
  for (std::size_t i = 0; i < lines && i < found.lines.size(); ++i) std::printf("    %6.2f us  %s\n", found.lines[i].second / kMicrosecond, found.lines[i].first.c_str());
  std::fflush(stdout);
  for (void* memory : {logits, device_rows, out, workspace.data}) (void)cudaFree(memory);
}

int run(int argc, char** argv) {
  std::size_t lines = 0;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--lines" && i + 1 < argc) {
      lines = std::strtoul(argv[++i], nullptr, 10);
    } else if (argument[0] != '-' && only.empty()) {
      only = argument;
    } else {
      std::fputs("usage: emulated_estimate [--lines N] [gumbel|greedy|greenlist|tournament|top-k-p]\n", stderr);
      return 2;
    }
  }
  const Kind kinds[] = {{"gumbel", profiles::standard_2026_11(), false, false},
                        {"greedy", profiles::standard_2026_11(), true, false},
                        {"greenlist", profiles::greenlist_2026_11(), false, false},
                        {"tournament", profiles::tournament_2026_11(), false, false},
                        {"top-k-p", profiles::standard_2026_11(), false, true}};
  std::printf("%-12s %-8s %5s %7s %7s %9s %9s %9s %9s %9s %9s\n", "", "", "B", "V", "blocks", "longest", "mean", "all", "work", "memory", "barriers");
  for (const Kind& kind : kinds) {
    if (!only.empty() && only != kind.name) continue;
    for (const std::uint32_t rows : {1u, 64u, 128u})
      for (const DType dtype : {DType::bfloat16, DType::float32}) estimate(kind, dtype, rows, 128256, lines);
  }
  return 0;
}
}  // namespace
}  // namespace heirmark::emulator

int main(int argc, char** argv) { return heirmark::emulator::run(argc, argv); }
