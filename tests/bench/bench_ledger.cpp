// What the ledger costs a server: packing a token, the tokens a second that reach the disk, and what is left of the sampler beside it.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <heirmark/device_sampler.hpp>
#include <heirmark/keys.hpp>
#include <heirmark/ledger.hpp>

namespace {
using namespace heirmark;
using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kResponseTokens = 400, kTop = 16;

/// A ledger in a folder of its own: HEIRMARK_BENCH_DIR, or the system's folder for such files.
class Folder {
 public:
  Folder() {
    const char* place = std::getenv("HEIRMARK_BENCH_DIR");
    path_ = (place == nullptr ? std::filesystem::temp_directory_path() : std::filesystem::path(place)) / ("heirmark-bench-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
    store_.emplace(Keystore::create(path_ / "keys", Passphrase("bench"), Keystore::Cost::least()).value());
    info_ = make_ledger(path_ / "ledger", *store_, "2026-11-25T12:00:00Z").value();
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] Ledger open() const { return Ledger::open(path_ / "ledger", {.key_id = "0123456789abcdef", .model = "bench"}).value(); }
  [[nodiscard]] std::uintmax_t bytes() const { return std::filesystem::file_size(path_ / "ledger" / "ledger.db"); }

 private:
  std::filesystem::path path_;
  std::optional<Keystore> store_;
  LedgerInfo info_;
};

/// Likeliest tokens as a language model's: a few that matter and a tail.
std::vector<std::vector<IssuedToken>> distributions() {
  std::mt19937 random(1);
  std::vector<std::vector<IssuedToken>> out(256);
  for (auto& top : out) {
    double left = 0.98 * 4294967296.0;
    for (std::uint32_t i = 0; i < kTop; ++i) {
      const double p = left * (0.5 + 0.2 * static_cast<double>(random() % 1000) / 1000);
      if (p < 1) break;
      top.push_back({(static_cast<std::uint32_t>(random()) + i * 8192) % 131'072, static_cast<std::uint32_t>(p)});
      left -= p;
    }
    for (std::size_t i = 0; i < top.size(); ++i) top[i].token = static_cast<TokenId>(top[i].token / kTop * kTop + i);
  }
  return out;
}

Issued response(const std::vector<std::vector<IssuedToken>>& tops, std::uint32_t seed) {
  RequestId id;
  for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(seed >> (8 * i));
  Issued out(id, "default", std::vector<TokenId>(200, 17));
  for (std::uint32_t t = 0; t < kResponseTokens; ++t) {
    const auto& top = tops[(seed * 31 + t) % tops.size()];
    if (!out.add(top[t % 3].token, RowStatus::issued, top)) std::abort();
  }
  return out;
}

/// Packing alone, on the sampler's thread.
void pack(benchmark::State& state) {
  const auto tops = distributions();
  std::uint32_t seed = 0;
  for (auto _ : state) benchmark::DoNotOptimize(response(tops, seed++));
  state.counters["time_a_token"] = benchmark::Counter(static_cast<double>(state.iterations()) * kResponseTokens, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(pack);

/// Responses as fast as one thread can make them, until the last is on the disk: the ledger's ceiling.
void write_through(benchmark::State& state) {
  const Folder folder;
  const auto tops = distributions();
  std::uint64_t tokens = 0;
  std::uint32_t seed = 0;
  Ledger ledger = folder.open();
  for (auto _ : state) {
    std::uint64_t last = 0;
    for (int i = 0; i < 500; ++i) {
      for (;;) {
        Issued issued = response(tops, seed);
        const auto ticket = ledger.append(std::move(issued));
        if (ticket) { last = *ticket; break; }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      ++seed;
      tokens += kResponseTokens;
    }
    if (!ledger.wait(last, std::chrono::minutes(1))) state.SkipWithError("the ledger did not write");
  }
  if (!ledger.close()) state.SkipWithError("the ledger did not close");
  state.counters["tokens_per_s"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
  state.counters["bytes_a_token"] = static_cast<double>(folder.bytes()) / static_cast<double>(tokens);
}
BENCHMARK(write_through)->UseRealTime()->Unit(benchmark::kMillisecond)->MinTime(3);

/// One thread samples rows, as a server does; beside it the ledger gets 60,000 tokens a second. Rows a second with and without, in turns.
void beside_the_sampler(benchmark::State& state) {
  const Folder folder;
  const auto tops = distributions();
  constexpr std::uint32_t kVocab = 131'072, kRows = 16;
  constexpr double kTokensPerSecond = 60'000;
  Subkeys subkeys;
  subkeys.issuance.emplace_back();
  DeviceSampler::Options options;
  options.vocab_size = kVocab;
  options.max_rows = kRows;
  options.backend = DeviceSampler::Backend::cpu;
  const auto sampler = DeviceSampler::create(profiles::standard_2026_11(), std::move(subkeys), options).value();
  std::vector<float> logits(std::size_t{kRows} * kVocab);
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 3);
  for (float& x : logits) x = normal(random);
  std::vector<DeviceRow> rows(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    rows[i] = DeviceRow{};
    rows[i].temperature = 1;
    rows[i].top_p = 1;
    rows[i].mode = static_cast<std::uint32_t>(Mode::issuance);
    rows[i].position = i;
  }
  std::vector<Sampled> sampled(kRows);
  std::vector<TopTokens> top(kRows);
  double with = 0, without = 0, sustained = 0;
  std::uint64_t turns_with = 0, turns_without = 0;
  Ledger ledger = folder.open();
  std::uint32_t seed = 0;
  const auto turn = [&](bool recording) {
    std::atomic<bool> stop{false};
    std::uint64_t last = 0, tokens = 0;
    const auto start = Clock::now();
    std::thread server;
    if (recording)
      server = std::thread([&] {
        while (!stop) {
          const auto ticket = ledger.append(response(tops, seed++));
          if (!ticket) std::abort();
          last = *ticket;
          tokens += kResponseTokens;
          std::this_thread::sleep_until(start + std::chrono::duration<double>(static_cast<double>(tokens) / kTokensPerSecond));
        }
      });
    std::uint64_t done = 0;
    while (Clock::now() - start < std::chrono::milliseconds(1000)) {
      for (std::uint32_t i = 0; i < kRows; ++i) rows[i].position += kRows;
      if (!sampler.sample({logits.data(), DType::float32, kRows, kVocab}, rows.data(), sampled.data(), top.data(), {}, nullptr)) std::abort();
      done += kRows;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    stop = true;
    if (server.joinable()) {
      server.join();
      if (!ledger.wait(last, std::chrono::minutes(1))) std::abort();
      sustained += static_cast<double>(tokens) / std::chrono::duration<double>(Clock::now() - start).count();
    }
    return static_cast<double>(done) / seconds;
  };
  for (auto _ : state) {
    without += turn(false);
    with += turn(true);
    ++turns_with, ++turns_without;
  }
  if (!ledger.close()) state.SkipWithError("the ledger did not close");
  state.counters["rows_per_s"] = without / static_cast<double>(turns_without);
  state.counters["rows_per_s_recording"] = with / static_cast<double>(turns_with);
  state.counters["ratio"] = with / without;
  state.counters["recorded_tokens_per_s"] = sustained / static_cast<double>(turns_with);
}
BENCHMARK(beside_the_sampler)->UseRealTime()->Unit(benchmark::kSecond)->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
