// gpu_bench: time of a launch, and time over the floor: the fastest of several kernels that only read the same bytes, in the same run.
//
// Launches are nodes of a CUDA graph, timed by events around its replays, so neither the host nor a launch's latency is measured. Cold: each
// node reads another part of a pool that is at least three times the second-level cache, so no node finds its logits there. Hot: all
// nodes read one buffer that fits. The time is the median over replays of the mean over nodes.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "bench_kernels.hpp"
#include "machine.hpp"
#include "subkeys.hpp"

namespace heirmark::gpu {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kExitUsage = 2, kExitNoDevice = 77;
constexpr std::uint32_t kMaxRows = 1024, kMaxVocab = 262144;
constexpr std::uint32_t kSmall = 64;  ///< of --small: rows and vocabularies are so many times smaller
constexpr std::size_t kMaxNodes = 2048, kFewNodes = 4, kHotNodes = 32;
constexpr std::size_t kFewBytes = std::size_t{1} << 30;  ///< read by a graph, so that the gap between two graphs is small beside it, if it has fewer than kHotNodes
constexpr double kColdTimes = 3;   ///< a cold pool over the second-level cache
constexpr double kHotShare = 0.5;  ///< a hot buffer's greatest share of it

[[noreturn]] void fail(const std::string& what) { throw MachineError(what); }
void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(std::string(what) + ": " + cudaGetErrorString(error));
}
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(result).value();
}
void must(const Result<void>& result) {
  if (!result) fail(result.error().message);
}

const char* name_of(DType dtype) { return dtype == DType::float32 ? "float32" : dtype == DType::bfloat16 ? "bfloat16" : "float16"; }
std::size_t size_of(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

// ---- What is measured, the most important first

enum class What : std::uint8_t { gumbel, off, greedy, greenlist, tournament };
constexpr const char* kWhat[] = {"gumbel", "off", "greedy", "greenlist", "tournament"};
enum class Cut : std::uint8_t { none, top_k_p, min_p, top_p };
constexpr const char* kCut[] = {"none", "top-k 50 + top-p 0.9", "min-p 0.05", "top-p 0.95"};

struct Case {
  What what;
  Cut cut;
  DType dtype;
  std::uint32_t batch, vocab;
  bool hot, top;   ///< top: the likeliest tokens too
  bool allowed;    ///< the sampler was made with truncation allowed
};

std::vector<Case> all_cases() {
  constexpr std::uint32_t kBatches[] = {128, 256, 64, 1, 1024, 512, 32, 8};
  constexpr DType kBoth[] = {DType::bfloat16, DType::float32};
  constexpr What kAll[] = {What::gumbel, What::off, What::greedy, What::greenlist, What::tournament};
  std::vector<Case> list;
  const auto add = [&](What what, Cut cut, DType dtype, std::uint32_t batch, std::uint32_t vocab, bool hot = false, bool top = false, bool allowed = false) {
    list.push_back({what, cut, dtype, batch, vocab, hot, top, allowed || cut != Cut::none});
  };
  const auto plain = [&](std::uint32_t vocab, bool hot) {
    for (const auto batch : kBatches)
      for (const auto dtype : kBoth)
        for (const auto what : kAll) add(what, Cut::none, dtype, batch, vocab, hot);
  };
  const auto cuts = [&](std::uint32_t vocab, bool hot, std::initializer_list<Cut> which) {
    for (const auto cut : which)
      for (const auto batch : kBatches)
        for (const auto dtype : kBoth) add(What::gumbel, cut, dtype, batch, vocab, hot);
  };
  // What the targets name.
  plain(128256, false);
  cuts(131072, false, {Cut::top_k_p, Cut::none});
  plain(151936, false);
  plain(262144, false);
  cuts(128256, false, {Cut::top_k_p, Cut::min_p, Cut::top_p});
  // What else an engine asks for.
  for (const auto batch : {1u, 64u, 256u})
    for (const auto dtype : kBoth) {
      add(What::gumbel, Cut::none, dtype, batch, 128256, false, false, true);
      add(What::gumbel, Cut::none, dtype, batch, 128256, false, true);
      add(What::gumbel, Cut::top_k_p, dtype, batch, 128256, false, true);
      add(What::greedy, Cut::none, dtype, batch, 128256, false, true);
    }
  for (const auto batch : {1u, 64u, 256u, 1024u}) {
    for (const auto what : kAll) add(what, Cut::none, DType::float16, batch, 128256);
    add(What::gumbel, Cut::top_k_p, DType::float16, batch, 128256);
    for (const auto what : {What::greenlist, What::tournament}) add(what, Cut::top_k_p, DType::bfloat16, batch, 128256);
  }
  plain(32000, false);
  cuts(32000, false, {Cut::top_k_p});
  plain(128256, true);
  plain(32000, true);
  cuts(151936, false, {Cut::top_k_p, Cut::min_p, Cut::top_p});
  cuts(262144, false, {Cut::top_k_p, Cut::min_p, Cut::top_p});
  cuts(32000, false, {Cut::min_p, Cut::top_p});
  cuts(128256, true, {Cut::top_k_p, Cut::min_p, Cut::top_p});
  return list;
}

std::string text_of(const Case& c) {
  return std::string(kWhat[static_cast<int>(c.what)]) + ", " + kCut[static_cast<int>(c.cut)] + (c.top ? ", top tokens" : "") + (c.allowed && c.cut == Cut::none ? ", truncation allowed" : "") + ", " +
         name_of(c.dtype) + ", B=" + std::to_string(c.batch) + ", V=" + std::to_string(c.vocab) + (c.hot ? ", hot" : ", cold");
}

/// How many buffers of `bytes` a cold measurement takes in turn.
std::size_t buffers_of(std::size_t bytes, std::size_t cache, std::size_t pool_bytes) {
  const auto wanted = static_cast<std::size_t>(kColdTimes * static_cast<double>(cache)) / bytes + 2;
  return std::clamp<std::size_t>(wanted, 1, std::min(kMaxNodes, pool_bytes / bytes));
}
/// Every buffer of `bytes` as often as any other, so that no replay begins with what the last one read at its end.
std::size_t cold_nodes(std::size_t buffers, std::size_t bytes, bool small) {
  const std::size_t least = small ? kFewNodes : std::clamp(kFewBytes / bytes, kFewNodes, kHotNodes);
  return (least + buffers - 1) / buffers * buffers;
}

// ---- Measuring

struct Settings {
  double seconds = 140;
  std::size_t most = SIZE_MAX;
  int device = 0;
  bool list = false, small = false;
  std::string json;
};

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings) {
    require(cudaSetDevice(settings.device), "cudaSetDevice");
    require(cudaGetDeviceProperties(&properties_, settings.device), "cudaGetDeviceProperties");
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    require(cudaEventCreate(&begin_), "cudaEventCreate");
    require(cudaEventCreate(&end_), "cudaEventCreate");
    for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
      void*& pool = pools_[static_cast<std::size_t>(dtype)];
      require(cudaMalloc(&pool, pool_elements() * size_of(dtype)), "the pool of logits");
      launch_fill(pool, dtype, pool_elements(), 20261125, stream_);
    }
    require(cudaMalloc(&out_, kMaxRows * sizeof(Sampled)), "cudaMalloc");
    require(cudaMalloc(&top_, kMaxRows * sizeof(TopTokens)), "cudaMalloc");
    require(cudaMalloc(&words_, sizeof(std::uint32_t) << 16), "cudaMalloc");
    require(cudaStreamSynchronize(stream_), "filling the pools");
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  int run(std::FILE* file);

 private:
  struct Made {
    std::unique_ptr<DeviceSampler> sampler;
    DeviceWorkspace workspace;
  };

  /// Microseconds of one node; node(i) launches the i-th of `nodes`.
  double time(std::size_t nodes, double milliseconds, const std::function<void(std::size_t)>& node);
  double floor_of(std::size_t bytes, bool hot);
  const Made& made(What what, std::uint32_t vocab, bool truncation);
  const DeviceRow* rows_of(What what, Cut cut, std::uint32_t vocab);
  double measure(const Case& c);
  /// Of the pool of each type.
  [[nodiscard]] std::size_t pool_elements() const { return std::size_t{kMaxRows} * kMaxVocab / (settings_.small ? kSmall * kSmall : 1); }
  [[nodiscard]] std::size_t cache() const { return static_cast<std::size_t>(properties_.l2CacheSize); }
  [[nodiscard]] unsigned processors() const { return static_cast<unsigned>(properties_.multiProcessorCount); }

  const Settings& settings_;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  void* pools_[3] = {};
  void *out_ = nullptr, *top_ = nullptr, *words_ = nullptr;
  std::map<std::tuple<int, std::uint32_t, bool>, Made> samplers_;
  std::map<std::tuple<int, int, std::uint32_t>, void*> rows_;
  std::map<std::pair<std::size_t, bool>, std::pair<double, unsigned>> floors_;
};

double Bench::time(std::size_t nodes, double milliseconds, const std::function<void(std::size_t)>& node) {
  node(0);  // before it is recorded: a kernel's first launch may load it
  require(cudaStreamSynchronize(stream_), "a first launch");
  require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "begin of a capture");
  for (std::size_t i = 0; i < nodes; ++i) node(i);
  cudaGraph_t graph = nullptr;
  require(cudaStreamEndCapture(stream_, &graph), "end of a capture");
  cudaGraphExec_t runnable = nullptr;
  require(cudaGraphInstantiate(&runnable, graph, 0), "cudaGraphInstantiate");
  const auto replay = [&] {
    // One that is not timed keeps the device busy while the host launches the one that is: else the launch's latency would be in it.
    require(cudaGraphLaunch(runnable, stream_), "cudaGraphLaunch");
    require(cudaEventRecord(begin_, stream_), "cudaEventRecord");
    require(cudaGraphLaunch(runnable, stream_), "cudaGraphLaunch");
    require(cudaEventRecord(end_, stream_), "cudaEventRecord");
    require(cudaEventSynchronize(end_), "a replay");
    float took = 0;
    require(cudaEventElapsedTime(&took, begin_, end_), "cudaEventElapsedTime");
    return static_cast<double>(took);
  };
  replay();
  const double first = std::max(replay(), 1e-3);
  std::vector<double> times(std::clamp<std::size_t>(static_cast<std::size_t>(milliseconds / (2 * first)), settings_.small ? 1 : 5, 101));
  for (double& t : times) t = replay();
  require(cudaGraphExecDestroy(runnable), "cudaGraphExecDestroy");
  require(cudaGraphDestroy(graph), "cudaGraphDestroy");
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle * 1e3 / static_cast<double>(nodes);
}

double Bench::floor_of(std::size_t bytes, bool hot) {
  const auto key = std::make_pair(bytes, hot);
  if (const auto found = floors_.find(key); found != floors_.end()) return found->second.first;
  // What is in the pool does not matter to a maximum; float32's is the largest.
  const auto* const pool = static_cast<const std::byte*>(pools_[static_cast<std::size_t>(DType::float32)]);
  const std::size_t buffers = hot ? 1 : buffers_of(bytes, cache(), pool_elements() * 4), nodes = hot ? kHotNodes : cold_nodes(buffers, bytes, settings_.small);
  std::pair<double, unsigned> best{1e30, 0};
  constexpr double kMilliseconds = 6;
  for (unsigned which = 0; which < kFloors; ++which) {
    const double us = time(nodes, kMilliseconds, [&](std::size_t i) {
      launch_floor(which, pool + i % buffers * bytes, bytes, static_cast<std::uint32_t*>(words_), processors(), stream_);
      require(cudaGetLastError(), floor_name(which));
    });
    best = std::min(best, std::make_pair(us, which));
  }
  return floors_.emplace(key, best).first->second.first;
}

const Bench::Made& Bench::made(What what, std::uint32_t vocab, bool truncation) {
  const int scheme = what == What::greenlist ? 1 : what == What::tournament ? 2 : 0;
  Made& made = samplers_[{scheme, vocab, truncation}];
  if (made.sampler) return made;
  const Profile& profile = scheme == 1 ? profiles::greenlist_2026_11() : scheme == 2 ? profiles::tournament_2026_11() : profiles::standard_2026_11();
  made.sampler = std::make_unique<DeviceSampler>(must(DeviceSampler::create(
      profile, test::keys(1, 8),
      {.vocab_size = vocab, .max_rows = kMaxRows, .truncation = truncation, .backend = DeviceSampler::Backend::cuda, .device = settings_.device})));
  made.workspace.bytes = made.sampler->workspace_bytes();
  require(cudaMalloc(&made.workspace.data, std::max<std::size_t>(made.workspace.bytes, 1)), "a workspace");
  must(made.sampler->prepare(made.workspace, stream_));
  return made;
}

const DeviceRow* Bench::rows_of(What what, Cut cut, std::uint32_t vocab) {
  const int mode = what == What::off ? 0 : what == What::greedy ? 1 : 2;
  void*& memory = rows_[{static_cast<int>(what), static_cast<int>(cut), vocab}];
  if (memory != nullptr) return static_cast<const DeviceRow*>(memory);
  std::mt19937_64 random(7 * vocab + static_cast<unsigned>(mode));
  std::vector<DeviceRow> rows(kMaxRows);
  for (DeviceRow& row : rows) {
    row.mode = static_cast<std::uint32_t>(mode);
    row.temperature = mode == 1 ? 0.0f : 0.8f;
    if (cut == Cut::top_k_p) row.top_k = 50, row.top_p = 0.9f;
    if (cut == Cut::min_p) row.min_p = 0.05f;
    if (cut == Cut::top_p) row.top_p = 0.95f;
    row.account_slot = static_cast<std::uint32_t>(random() % 8);
    row.position = static_cast<std::uint32_t>(random() % 4096);
    for (std::uint32_t& token : row.window) token = static_cast<std::uint32_t>(random() % vocab);
    if (what != What::tournament) row.window[0] = row.window[1] = kNoToken;  // h is 2
    for (auto& byte : row.request_id.bytes) byte = static_cast<std::uint8_t>(random());
  }
  require(cudaMalloc(&memory, rows.size() * sizeof(DeviceRow)), "rows");
  require(cudaMemcpy(memory, rows.data(), rows.size() * sizeof(DeviceRow), cudaMemcpyHostToDevice), "rows");
  return static_cast<const DeviceRow*>(memory);
}

double Bench::measure(const Case& c) {
  const Made& made = this->made(c.what, c.vocab, c.allowed);
  const DeviceRow* const rows = rows_of(c.what, c.cut, c.vocab);
  const std::size_t bytes = std::size_t{c.batch} * c.vocab * size_of(c.dtype), pool_bytes = pool_elements() * size_of(c.dtype);
  const std::size_t buffers = c.hot ? 1 : buffers_of(bytes, cache(), pool_bytes), nodes = c.hot ? kHotNodes : cold_nodes(buffers, bytes, settings_.small);
  const auto* const pool = static_cast<const std::byte*>(pools_[static_cast<std::size_t>(c.dtype)]);
  constexpr double kMilliseconds = 25;
  return time(nodes, kMilliseconds, [&](std::size_t i) {
    const Logits logits{pool + i % buffers * bytes, c.dtype, c.batch, c.vocab};
    must(made.sampler->sample(logits, rows, static_cast<Sampled*>(out_), c.top ? static_cast<TopTokens*>(top_) : nullptr, made.workspace, stream_));
  });
}

int Bench::run(std::FILE* file) {
  const auto start = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  // A second of work, so that the clocks are where they stay.
  while (passed() < 1) {
    launch_fill(pools_[0], DType::float32, pool_elements(), 20261125, stream_);
    require(cudaStreamSynchronize(stream_), "warming up");
  }
  std::printf("device %s, %u processors, L2 %.0f MiB\n%-62s %10s %10s %7s\n", properties_.name, processors(), static_cast<double>(cache()) / (1 << 20), "", "us", "floor us", "ratio");
  std::size_t measured = 0, left = 0;
  std::string first_left;
  for (Case c : all_cases()) {
    if (settings_.small) {
      c.batch = std::max(1u, c.batch / kSmall);
      c.vocab = (c.vocab / kSmall + 7) / 8 * 8;  // the floors read 16 bytes at a time
    }
    const std::size_t bytes = std::size_t{c.batch} * c.vocab * size_of(c.dtype);
    if (c.hot && static_cast<double>(bytes) > kHotShare * static_cast<double>(cache())) continue;
    if (passed() > settings_.seconds || measured >= settings_.most) {
      if (left++ == 0) first_left = text_of(c);
      continue;
    }
    const double floor_us = floor_of(bytes, c.hot), us = measure(c);
    std::printf("%-62s %10.2f %10.2f %7.3f\n", text_of(c).c_str(), us, floor_us, us / floor_us);
    std::fflush(stdout);
    if (file != nullptr) {
      std::fprintf(file,
                   "{\"device\": \"%s\", \"impl\": \"heirmark%s%s\", \"scheme\": \"%s\", \"truncation\": \"%s\", \"dtype\": \"%s\", \"batch\": %" PRIu32 ", \"vocab\": %" PRIu32
                   ", \"l2\": \"%s\", \"us\": %.3f, \"floor_us\": %.3f, \"ratio\": %.4f}\n",
                   properties_.name, c.top ? " + top tokens" : "", c.allowed && c.cut == Cut::none ? " (truncation allowed)" : "", kWhat[static_cast<int>(c.what)],
                   kCut[static_cast<int>(c.cut)], name_of(c.dtype), c.batch, c.vocab, c.hot ? "hot" : "cold", us, floor_us, us / floor_us);
      std::fflush(file);
    }
    ++measured;
  }
  std::printf("measured %zu cases in %.0f s", measured, passed());
  if (left != 0) std::printf("; left out %zu, the first: %s", left, first_left.c_str());
  std::printf("\nfloors:\n");
  for (const auto& [key, best] : floors_)
    std::printf("  %11zu bytes %s  %9.2f us  %7.0f GB/s  %s\n", key.first, key.second ? "hot " : "cold", best.first, static_cast<double>(key.first) / best.first * 1e-3, floor_name(best.second));
  if (file != nullptr)
    std::fprintf(file, "{\"bench_seconds\": %.1f, \"measured\": %zu, \"left_out\": %zu, \"first_left_out\": \"%s\"}\n", passed(), measured, left, first_left.c_str());
  return 0;
}

const char kHelp[] =
    "gpu_bench: times the sampler's launches on a CUDA device against the floor, one read of the logits.\n"
    "  --seconds S    start no measurement after S seconds (default 140); the most important come first\n"
    "  --most N       nor after N of them\n"
    "  --json FILE    one JSON object a line\n"
    "  --device N     CUDA's number of the device (default 0)\n"
    "  --small        rows and vocabularies 64 times smaller: a rehearsal, for a device that is emulated\n"
    "  --list         print what would be measured; needs no device\n"
    "Exit: 0, 2 usage, 1 the device failed, 77 no device.\n";

int run(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--list" || name == "--small") {
      (name == "--list" ? settings.list : settings.small) = true;
      continue;
    }
    const char* const text = i + 1 < argc ? argv[++i] : "";
    char* end = nullptr;
    if (name == "--json") {
      settings.json = text;
      if (!settings.json.empty()) continue;
    }
    if (name == "--seconds") settings.seconds = std::strtod(text, &end);
    if (name == "--most") settings.most = std::strtoull(text, &end, 10);
    if (name == "--device") settings.device = static_cast<int>(std::strtol(text, &end, 10));
    if (end == nullptr || end == text || *end != '\0') {
      std::fputs(kHelp, stderr);
      return kExitUsage;
    }
  }
  if (settings.list) {
    for (const Case& c : all_cases()) std::printf("%s\n", text_of(c).c_str());
    return 0;
  }
  std::string why;
  if (cuda_machine(settings.device, why) == nullptr) {
    std::fprintf(stderr, "gpu_bench: no CUDA device: %s\n", why.c_str());
    return kExitNoDevice;
  }
  std::FILE* const file = settings.json.empty() ? nullptr : std::fopen(settings.json.c_str(), "w");
  if (!settings.json.empty() && file == nullptr) {
    std::fprintf(stderr, "gpu_bench: %s cannot be written\n", settings.json.c_str());
    return kExitUsage;
  }
  int status = 1;
  try {
    status = std::make_unique<Bench>(settings)->run(file);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_bench: %s\n", error.what());
  }
  if (file != nullptr && std::fclose(file) != 0) {
    std::fprintf(stderr, "gpu_bench: %s cannot be written\n", settings.json.c_str());
    return kExitUsage;
  }
  return status;
}
}  // namespace
}  // namespace heirmark::gpu

int main(int argc, char** argv) { return heirmark::gpu::run(argc, argv); }
