// Scoring: pairs a second for one key and for many, subkeys a second, words a second, collection, issued choices. One
// thread where none is named.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>

#include <heirmark/keys.hpp>

#include "scoring/evaluate.hpp"
#include "scoring/family.hpp"
#include "scoring/windows.hpp"

using namespace heirmark;
using namespace heirmark::scoring;

namespace {
WindowKeys random_keys(std::mt19937_64& random) {
  WindowKeys keys{};
  for (auto& key : keys.by_class)
    for (auto& word : key.w) word = static_cast<std::uint32_t>(random());
  return keys;
}
PairSet random_pairs(std::size_t count, int h, bool weighted) {
  std::mt19937_64 random(1);
  PairSet set;
  set.weighted = weighted;
  set.weight_bits = weighted ? 8 : 0;
  for (std::size_t i = 0; i < count; ++i) {
    Pair pair{{core::kPad, core::kPad, core::kPad, core::kPad},
              static_cast<std::uint16_t>(random() % 2048),
              static_cast<std::uint8_t>(random() % 16),
              1};
    for (int k = 4 - h; k < 4; ++k)
      pair.window[static_cast<std::size_t>(k)] = static_cast<std::uint32_t>(random() % 128256);
    if (weighted) pair.weight = 362 + static_cast<std::int64_t>(random() % 300);
    set.pairs.push_back(pair);
  }
  return set;
}
Secret32 secret() {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return Secret32(bytes);
}
const Kernel& kernel_at(std::int64_t i) { return *kernels()[static_cast<std::size_t>(i)]; }
void per_second(benchmark::State& state, const char* what, double count) {
  state.counters[what] = benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate);
}

void one_key(benchmark::State& state) {
  const Profile& profile = profiles::all()[static_cast<std::size_t>(state.range(1))];
  const PairSet set = random_pairs(1 << 18, profile.window, state.range(2) != 0);
  const auto columns = PairColumns::make(set, false).value();
  std::mt19937_64 random(2);
  const WindowKeys keys = random_keys(random);
  for (auto _ : state)
    benchmark::DoNotOptimize(evaluate(kernel_at(state.range(0)), WordRule::of(profile), columns, keys));
  per_second(state, "pairs", 1 << 18);
  state.SetLabel(std::string(kernel_at(state.range(0)).name) + " " + std::string(scheme_name(profile.scheme)) +
                 (set.weighted ? " weighted" : ""));
}

void words(benchmark::State& state) {
  std::mt19937_64 random(3);
  std::vector<std::uint32_t> column[4], word, out(4096);
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (auto& c : column) c.push_back(static_cast<std::uint32_t>(random()));
    word.push_back(static_cast<std::uint32_t>(random() % 2048));
  }
  Columns columns;
  for (std::size_t k = 0; k < 4; ++k) columns.window[k] = column[k].data();
  columns.word = word.data();
  const core::KeyWords key = random_keys(random).by_class[0];
  for (auto _ : state) kernel_at(state.range(0)).words(key, core::kBinsCoarse, columns, out.size(), out.data());
  per_second(state, "words", 4096);
  state.SetLabel(std::string(kernel_at(state.range(0)).name));
}

void scores(benchmark::State& state) {
  std::mt19937_64 random(4);
  std::vector<std::uint32_t> from(4096);
  for (auto& word : from) word = static_cast<std::uint32_t>(random());
  for (auto _ : state) benchmark::DoNotOptimize(kernel_at(state.range(0)).sum_scores(from.data(), from.size()));
  per_second(state, "scores", 4096);
  state.SetLabel(std::string(kernel_at(state.range(0)).name));
}

void derivation(benchmark::State& state) {
  const EpochSecret epoch(secret());
  std::uint32_t member = 0;
  for (auto _ : state) benchmark::DoNotOptimize(epoch.windows(member++));
  per_second(state, "subkeys", 16);
}

/// Decoys with their derivation, range(0) pairs for each, on range(1) threads. `all` is what 2^20 of them would take at this pace, in seconds.
void decoys(benchmark::State& state) {
  const PairSet set = random_pairs(static_cast<std::size_t>(state.range(0)), 2, false);
  const auto columns = PairColumns::make(set, false).value();
  const EpochSecret epoch(secret());
  const Derive derive = [&](std::uint32_t member) {
    WindowKeys out{};
    const auto keys = epoch.windows(member);
    for (std::size_t c = 0; c < 16; ++c) out.by_class[c] = core::key_words(keys[c].expose_secret().data());
    return out;
  };
  const WordRule rule = WordRule::of(profiles::standard_2026_11());
  const MemberStatistic live = evaluate(best_kernel(), rule, columns, derive(0));
  const auto members = static_cast<std::uint64_t>(10'000'000 / state.range(0));
  const auto threads = static_cast<unsigned>(state.range(1));
  double least = 1e300, total = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(evaluate_decoys(best_kernel(), rule, columns, derive, 1, members, 1 << 20, live, threads, {}));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    least = std::min(least, seconds);
    total += seconds;
    state.SetIterationTime(seconds);
  }
  per_second(state, "decoys", static_cast<double>(members));
  per_second(state, "pairs", static_cast<double>(members) * static_cast<double>(state.range(0)));
  const double parts = static_cast<double>(1 << 20) / static_cast<double>(members);
  state.counters["slice_s"] = total / static_cast<double>(state.iterations());
  state.counters["all_s"] = state.counters["slice_s"] * parts;
  state.counters["all_best_s"] = least * parts;
  state.SetLabel(std::string(best_kernel().name));
}

void collection(benchmark::State& state) {
  std::mt19937_64 random(5);
  std::vector<TokenText> texts(static_cast<std::size_t>(state.range(0)) / 500);
  for (auto& text : texts)
    for (int t = 0; t < 500; ++t) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53;
      text.tokens.push_back(static_cast<TokenId>(128256 * u * u * u * u));
    }
  const Secret32 coin = secret();
  for (auto _ : state)
    benchmark::DoNotOptimize(collect_pairs(profiles::standard_2026_11(), coin, texts, CountRule::distinct));
  per_second(state, "tokens", static_cast<double>(state.range(0)));
}

void issued(benchmark::State& state) {
  std::mt19937_64 random(6);
  std::vector<IssuedResponse> ledger(64);
  for (auto& response : ledger) {
    for (auto& byte : response.request_id.bytes) byte = static_cast<std::uint8_t>(random());
    response.account = "default";
    for (int t = 0; t < 128; ++t) {
      response.tokens.push_back(static_cast<TokenId>(random() % 5000));
      std::vector<IssuedToken> phat;
      for (std::uint32_t k = 0; k < 16; ++k)
        phat.push_back({static_cast<TokenId>(random() % 8000 * 16 + k), (1u << 30) >> (k / 2)});
      std::sort(phat.begin(), phat.end(),
                [](const IssuedToken& a, const IssuedToken& b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
      std::uint64_t left = 1ull << 32;
      for (auto& entry : phat) left -= entry.p = static_cast<std::uint32_t>(std::min<std::uint64_t>(entry.p, left / 2));
      response.phat.push_back(std::move(phat));
    }
  }
  IssuedKeys keys{};
  keys.window = random_keys(random);
  keys.coin = random_keys(random).by_class[0];
  keys.issuance = [&](std::string_view) -> Result<core::KeyWords> { return keys.coin; };
  for (auto _ : state) {
    auto choices = issued_choices_of(profiles::standard_2026_11(), keys, ledger);
    if (!choices) state.SkipWithError(choices.error().message.c_str());
  }
  per_second(state, "positions", 64 * 128);
}
}  // namespace

BENCHMARK(one_key)
    ->Apply([](auto* b) {
      const auto best = static_cast<std::int64_t>(kernels().size()) - 1;
      for (std::int64_t i = 0; i <= best; ++i) b->Args({i, 1, 0});
      for (const std::int64_t scheme : {3, 4}) b->Args({best, scheme, 0});
      for (const std::int64_t scheme : {1, 3, 4}) b->Args({best, scheme, 1});
    })
    ->Unit(benchmark::kMillisecond);
BENCHMARK(words)->DenseRange(0, static_cast<int>(kernels().size()) - 1)->Unit(benchmark::kMicrosecond);
BENCHMARK(scores)->DenseRange(0, static_cast<int>(kernels().size()) - 1)->Unit(benchmark::kMicrosecond);
BENCHMARK(derivation)->Unit(benchmark::kMicrosecond);
BENCHMARK(decoys)->ArgsProduct({{100, 1000, 10000}, {1, 2}})->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(collection)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(issued)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
