// Microseconds a row at V = 128,256, one thread, beside what any sampler must pay (argmax), what an unmarked one pays (a Gumbel draw with a fast
// generator of no cryptographic strength) and the usual softmax with a multinomial draw. All four take turns row by row, and the counters hold
// medians of single calls and ratios of them, so that other programs on the machine disturb all alike. "cache" samples one row again and
// again; "memory" goes through 280 MB of float32, or 140 MB of 16 bits, each contender through rows of its own.
//
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <heirmark/sampler.hpp>

#include "core/words.hpp"
#if defined(__x86_64__)
#include "peers.hpp"
#endif

using namespace heirmark;

#if defined(__x86_64__)
const bench::Peers& bench::peers(core::InstructionSet set) { return set == core::InstructionSet::avx512 ? kPeersAvx512 : kPeersAvx2; }
#endif

namespace {
constexpr std::uint32_t kVocab = 128256;
constexpr std::size_t kMemoryRows = 546;  // 280 MB of float32

/// Rows like a language model's: a crowd and some tokens far above.
const std::vector<float>& rows() {
  static const std::vector<float> all = [] {
    std::vector<float> out(kVocab * kMemoryRows);
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal(0, 2.5f);
    std::vector<float> pool(1 << 20);
    for (float& x : pool) x = normal(random);
    for (std::size_t r = 0; r < kMemoryRows; ++r) {
      float* row = out.data() + r * kVocab;
      const std::size_t start = random() % (pool.size() - kVocab);
      std::memcpy(row, pool.data() + start, kVocab * sizeof *row);
      for (int k = 0; k < 60; ++k) row[random() % kVocab] += 18.0f * static_cast<float>(random() % 1000) / 1000.0f;
    }
    return out;
  }();
  return all;
}

/// The rows in another type, truncated (bfloat16) or rounded by the hardware's table of bits (float16 through float32's fields).
const std::vector<std::uint16_t>& rows16(DType dtype) {
  static const auto make = [](DType type) {
    std::vector<std::uint16_t> out(rows().size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::uint32_t bits = 0;
      const float x = rows()[i];
      std::memcpy(&bits, &x, sizeof bits);
      if (type == DType::bfloat16) {
        out[i] = static_cast<std::uint16_t>(bits >> 16);
      } else {
        const float a = std::fabs(x) < 0x1p-14f ? 0x1p-14f : std::fabs(x);
        std::uint32_t magnitude = 0;
        std::memcpy(&magnitude, &a, sizeof magnitude);
        out[i] = static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | ((magnitude - 0x38000000u) >> 13));
      }
    }
    return out;
  };
  static const std::vector<std::uint16_t> bfloat = make(DType::bfloat16), half = make(DType::float16);
  return dtype == DType::bfloat16 ? bfloat : half;
}

Subkeys subkeys() {
  Subkeys keys;
  std::mt19937_64 random(2);
  const auto secret = [&] {
    std::array<std::uint8_t, 32> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return Secret32(bytes);
  };
  for (auto& key : keys.window) key = secret();
  keys.coin = secret();
  keys.issuance.push_back(secret());
  return keys;
}

double microseconds(std::chrono::steady_clock::time_point from) { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - from).count(); }
double median(std::vector<double>& times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// Rows through the public API, and through the peers in turn.
void sample(benchmark::State& state, const Profile& profile, SamplingParams params, bool memory, DType dtype = DType::float32, bool log_probs = false) {
  auto sampler = Sampler::create(profile, subkeys(), {.vocab_size = kVocab, .max_rows = 1, .log_probs = log_probs}).value();
  const bool wide = dtype == DType::float32;
  const std::byte* data = wide ? reinterpret_cast<const std::byte*>(rows().data()) : reinterpret_cast<const std::byte*>(rows16(dtype).data());
  const std::size_t row_bytes = kVocab * (wide ? sizeof(float) : sizeof(std::uint16_t));
  Sequence sequence = sampler.begin({}, {});
  std::size_t steps = 0;
  // Of each row's own: one row again and again gives the same tokens, and a window that was there before is not marked.
  std::mt19937_64 random(3);
  const auto begin = [&] {
    RequestId request;
    std::array<std::uint32_t, 16> prompt;
    for (auto& byte : request.bytes) byte = static_cast<std::uint8_t>(random());
    for (auto& token : prompt) token = static_cast<std::uint32_t>(random() % kVocab);
    return sampler.begin(request, prompt);
  };
  // In turn through four quarters of the rows, so that no contender finds what another has just read.
  const auto row_of = [&](std::size_t contender) { return data + (memory ? (steps + contender * (kMemoryRows / 4)) % kMemoryRows : 0) * row_bytes; };
  const auto timed = [](std::vector<double>& times, const auto& call) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(call());
    times.push_back(microseconds(start));
  };
  std::vector<double> marked, times_argmax, times_gumbel, times_softmax;
#if defined(__x86_64__)
  const core::InstructionSet set = core::instruction_set();
  const bool has_peers = set != core::InstructionSet::portable;
  static bench::Noise noise = [] {
    bench::Noise seeds{};
    std::uint32_t x = 0;
    for (auto& seed : seeds.state) seed = x += 0x9E3779B9u;
    return seeds;
  }();
  static std::vector<float> scratch(kVocab + 64);
#endif
  for (auto _ : state) {
    sequence = begin();
    Row request{&sequence, params};
    Sampled out;
    timed(marked, [&] {
      if (!sampler.sample({row_of(0), dtype, 1, kVocab}, {&request, 1}, {&out, 1}).ok()) std::abort();
      return out.token;
    });
#if defined(__x86_64__)
    if (has_peers) {
      const bench::Peers& peers = bench::peers(set);
      const auto view = [&](std::size_t contender) { return sampler::RowView{row_of(contender), dtype, kVocab}; };
      timed(times_argmax, [&] { return peers.argmax(view(1)); });
      timed(times_gumbel, [&] { return peers.gumbel(view(2), 20.0f, noise); });
      timed(times_softmax, [&] { return peers.softmax(view(3), noise, scratch.data()); });
    }
#endif
    state.SetIterationTime(marked.back() * 1e-6);
    ++steps;
  }
  const double us = median(marked);
  state.counters["us"] = us;
  state.counters["rows_s"] = 1e6 / us;
  const auto against = [&](const char* name, std::vector<double>& times) {
    if (times.empty()) return;
    const double peer = median(times);
    state.counters[std::string(name) + "_us"] = peer;
    state.counters[std::string("over_") + name] = us / peer;
  };
  against("argmax", times_argmax);
  against("gumbel", times_gumbel);
  against("softmax", times_softmax);
  state.SetLabel(sampler.instruction_set());
}

/// The 2,048 coarse words of a row.
void bench_words(benchmark::State& state, core::InstructionSet set) {
  const core::BlocksFunction blocks = core::blocks_function(set);
  std::vector<std::uint32_t> words(core::kBins);
  core::KeyWords row{};
  for (auto _ : state) {
    ++row.w[0];
    blocks(row, core::kBinsCoarse, 0, core::kRowBlocks, words.data());
    benchmark::DoNotOptimize(words.data());
    benchmark::ClobberMemory();
  }
  state.counters["words"] = benchmark::Counter(core::kBins, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(core::name(set));
}

void register_all() {
  struct Scheme { const char* name; const Profile& profile; };
  const Scheme schemes[] = {{"gumbel", profiles::window_only_2026_11()}, {"greenlist", profiles::greenlist_2026_11()}, {"tournament", profiles::tournament_2026_11()}};
  struct Filter { const char* name; SamplingParams params; };
  const Filter filters[] = {
      {"plain", {}},
      {"temperature_0.6", {.temperature = 0.6f}},
      {"greedy", {.temperature = 0}},
      {"min_p_0.05", {.min_p = 0.05f}},
      {"min_p_0.05_temperature_5", {.temperature = 5, .min_p = 0.05f}},
      {"top_k_50", {.top_k = 50}},
      {"top_k_50_temperature_5", {.temperature = 5, .top_k = 50}},
      {"top_p_0.95", {.top_p = 0.95f}},
      {"top_p_0.95_temperature_2", {.temperature = 2, .top_p = 0.95f}},
      {"top_k_50_top_p_0.95", {.top_k = 50, .top_p = 0.95f}},
  };
  const std::pair<const char*, DType> types[] = {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float16", DType::float16}};
  const auto add = [](const std::string& name, auto function) { return benchmark::RegisterBenchmark(name.c_str(), function)->Unit(benchmark::kMicrosecond); };
  for (const Scheme& scheme : schemes) {
    const std::string name = scheme.name;
    const Profile& profile = scheme.profile;
    for (const auto& [type, dtype] : types)
      for (const bool memory : {false, true})
        add(name + "/plain/" + type + (memory ? "/memory" : "/cache"), [=, &profile](benchmark::State& s) { sample(s, profile, {}, memory, dtype); })->UseManualTime();
    for (const Filter& filter : filters)
      if (filter.name != std::string("plain"))
        add(name + "/" + filter.name + "/float32/cache", [=, &profile](benchmark::State& s) { sample(s, profile, filter.params, false); })->UseManualTime();
    add(name + "/log_prob/float32/cache", [=, &profile](benchmark::State& s) { sample(s, profile, {}, false, DType::float32, true); })->UseManualTime();
  }
  for (const core::InstructionSet set : core::kInstructionSets) {
    if (!core::can_run(set)) continue;
    add(std::string("words_of_a_row/") + core::name(set), [=](benchmark::State& s) { bench_words(s, set); });
    if (set == core::instruction_set()) continue;
    const Profile& profile = schemes[0].profile;
    add(std::string("gumbel_") + core::name(set) + "/plain/float32/cache", [=, &profile](benchmark::State& s) {
      core::force_instruction_set(set);
      sample(s, profile, {}, false);
      core::force_instruction_set(std::nullopt);
    })->UseManualTime();
  }
}
}  // namespace

int main(int argc, char** argv) {
  rows();  // made before the clock starts
  rows16(DType::bfloat16);
  register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
