// gpu_check: the sampler on a device gives what the sampler on the CPU gives, row for row (specs/marks.md: only integers are contract).
//
// The CPU's is tested against the double-precision reference elsewhere. Rows here come in numbered cases; a case is made from the seed and its
// number alone, so a difference is reproduced by naming both. Workers run cases side by side, each with a stream, a workspace and outputs of its own.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "check.hpp"

namespace heirmark::gpu {
namespace {
constexpr int kExitDifferent = 1, kExitUsage = 2, kExitTooFew = 3, kExitNoDevice = 77;

const char kHelp[] =
    "gpu_check: compares the sampler on a CUDA device with the sampler on the CPU, row for row.\n"
    "  --rows N       distinct rows to compare (default 10,000,000)\n"
    "  --seconds S    give up after S seconds (default 150)\n"
    "  --seed N       of all rows (default: from the clock; printed)\n"
    "  --threads N    workers, each with a stream of its own (default: one a core, at most 32)\n"
    "  --device N     CUDA's number of the device (default 0)\n"
    "  --small        a few hundred rows of every kind, memory allocated to the byte: for compute-sanitizer\n"
    "  --bare         leave the workspace as it was allocated, for initcheck\n"
    "  --cases N      with --small: so many cases (default 42)\n"
    "  --case N       this case only\n"
    "  --on-host      the CPU takes the device's place: tests this program\n"
    "  --spoil WHAT   spoils a result of the device's (token, status, log_prob, top, unwritten, guard): it must be found\n"
    "  --json FILE    also write a summary there\n"
    "Exit: 0 equal, 1 different, 2 usage, 3 fewer rows than asked for in the time, 77 no device.\n";

std::optional<Settings> parse(int argc, char** argv) {
  Settings s;
  s.seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000'007;
  const unsigned cores = std::thread::hardware_concurrency();
  s.threads = std::clamp(cores, 1u, 32u);
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto flag = [&](const char* known, bool& to) { return name == known && (to = true); };
    if (flag("--small", s.small) || flag("--bare", s.bare) || flag("--on-host", s.on_host)) continue;
    if (i + 1 == argc) return std::nullopt;
    const char* const text = argv[++i];
    char* end = nullptr;
    if (name == "--spoil" || name == "--json") {
      (name == "--spoil" ? s.spoil : s.json) = text;
      continue;
    }
    if (name == "--seconds") {
      s.seconds = std::strtod(text, &end);
    } else {
      const std::uint64_t value = std::strtoull(text, &end, 10);
      if (name == "--rows") s.rows = value;
      else if (name == "--seed") s.seed = value;
      else if (name == "--threads") s.threads = static_cast<unsigned>(std::clamp<std::uint64_t>(value, 1, 256));
      else if (name == "--device") s.device = static_cast<int>(value);
      else if (name == "--cases") s.small_cases = value;
      else if (name == "--case") s.only_case = value;
      else return std::nullopt;
    }
    if (end == text || *end != '\0') return std::nullopt;
  }
  return s;
}

bool write_summary(const Settings& settings, const Check& check, const std::string& device, const std::string& result, const std::string& failure) {
  const Counts& c = check.counts();
  std::string quoted;
  for (const char x : failure) quoted += x == '\n' ? std::string("\\n") : x == '"' || x == '\\' ? std::string("\\") + x : std::string(1, x);
  std::FILE* const file = std::fopen(settings.json.c_str(), "w");
  if (file == nullptr) return false;
  std::fprintf(file,
               "{\"device\": \"%s\", \"result\": \"%s\", \"seed\": %" PRIu64 ", \"small\": %s, \"rows\": %" PRIu64 ", \"comparisons\": %" PRIu64 ", \"launches\": %" PRIu64 ", \"cases\": %" PRIu64
               ", \"seconds\": %.1f,\n \"rows_of\": {\"float32\": %" PRIu64 ", \"bfloat16\": %" PRIu64 ", \"float16\": %" PRIu64 ", \"gumbel\": %" PRIu64 ", \"greenlist\": %" PRIu64
               ", \"tournament\": %" PRIu64 ", \"truncated\": %" PRIu64 ", \"vocabulary of 32,000 or more\": %" PRIu64 ", \"marked\": %" PRIu64 ", \"issued\": %" PRIu64 ", \"unmarked\": %" PRIu64
               ", \"no finite logit\": %" PRIu64 ", \"infinite logit\": %" PRIu64 ", \"bad parameter\": %" PRIu64 ", \"in shards\": %" PRIu64 "},\n \"shards\": {\"plain\": %" PRIu64 ", \"left to a whole launch\": %" PRIu64 "},\n \"failure\": \"%s\"}\n",
               device.c_str(), result.c_str(), settings.seed, settings.small ? "true" : "false", c.rows.load(), c.comparisons.load(), c.launches.load(), c.cases.load(), check.seconds(), c.by_dtype[0].load(),
               c.by_dtype[1].load(), c.by_dtype[2].load(), c.by_scheme[0].load(), c.by_scheme[1].load(), c.by_scheme[2].load(), c.truncated.load(), c.large_vocab.load(), c.by_status[0].load(),
               c.by_status[1].load(), c.by_status[2].load(), c.by_status[3].load(), c.by_status[4].load(), c.by_status[5].load(), c.sharded.load(), c.sharded_plain.load(), c.plain_left.load(), quoted.c_str());
  return std::fclose(file) == 0;
}

int run(int argc, char** argv) {
  const auto settings = parse(argc, argv);
  if (!settings) {
    std::fputs(kHelp, stderr);
    return kExitUsage;
  }
  std::string why;
  const std::unique_ptr<Machine> machine = settings->on_host ? host_machine() : cuda_machine(settings->device, why);
  if (machine == nullptr) {
    std::fprintf(stderr, "gpu_check: no CUDA device: %s\n", why.c_str());
    return kExitNoDevice;
  }
  Check check(*settings, *machine);
  std::printf("device %s, seed %" PRIu64 ", %u workers\n", machine->name().c_str(), settings->seed, settings->threads);
  std::string failure, part;
  try {
    machine->enter();
    if (!settings->only_case) {
      const std::pair<const char*, void (Check::*)()> parts[] = {
          {"calls that are refused", &Check::errors}, {"graphs", &Check::graphs}, {"two streams", &Check::streams}, {"drafts", &Check::drafts}, {"frequencies of mode off", &Check::frequencies}};
      for (const auto& [name, method] : parts) {
        part = name;
        (check.*method)();
        std::printf("ok      %s\n", name);
        std::fflush(stdout);
      }
    }
    part = "cases";
    failure = check.cases();
  } catch (const std::exception& error) {
    failure = part + ": " + error.what() + format("\nreproduce: gpu_check%s --seed %" PRIu64 "\n", settings->small ? " --small" : "", settings->seed);
  }
  const Counts& c = check.counts();
  const bool enough = settings->small || settings->only_case || c.rows >= settings->rows;
  const char* const result = !failure.empty() ? "different" : enough ? "equal" : "too few rows";
  std::printf("%-7s %" PRIu64 " rows, compared %" PRIu64 " times in %" PRIu64 " launches, %" PRIu64 " cases, %.1f s\n", failure.empty() ? enough ? "ok" : "short" : "FAILED", c.rows.load(),
              c.comparisons.load(), c.launches.load(), c.cases.load(), check.seconds());
  if (!failure.empty()) std::fprintf(stderr, "gpu_check: %s", failure.c_str());
  if (!settings->json.empty() && !write_summary(*settings, check, machine->name(), result, failure)) {
    std::fprintf(stderr, "gpu_check: %s cannot be written\n", settings->json.c_str());
    return kExitUsage;
  }
  return !failure.empty() ? kExitDifferent : enough ? 0 : kExitTooFew;
}
}  // namespace
}  // namespace heirmark::gpu

int main(int argc, char** argv) { return heirmark::gpu::run(argc, argv); }
