// The audit's end: C3 bets, contexts a second, and `verify` of a bag, which the set-up makes with the fixture of the tests.
#include <benchmark/benchmark.h>

#include "../unit/evidence/bag_world.hpp"
#include "audit/bets.hpp"
#include <heirmark/evidence.hpp>

using namespace heirmark;

namespace {
/// A context: the table of one position from its log, then the bet on the choice of one key.
void c3_contexts(benchmark::State& state) {
  std::mt19937_64 random(1);
  struct Position { std::vector<IssuedToken> phat; ScoredPosition asked; std::int32_t choice; };
  std::vector<Position> positions(256);
  for (auto& position : positions) {
    std::uint64_t left = 1ull << 32;
    std::uint32_t nlp = static_cast<std::uint32_t>(random() % 800'000);
    for (std::uint32_t i = 0; i < 20; ++i) {
      const auto p = static_cast<std::uint32_t>(left / 3);
      position.phat.push_back({100 + 7 * i, p});
      position.asked.top.push_back({static_cast<TokenId>(100 + 7 * (random() % 4 == 0 ? 20 + i : i)), nlp});
      left -= p;
      nlp += static_cast<std::uint32_t>(100'000 + random() % 900'000);
    }
    position.choice = static_cast<std::int32_t>(random() % 20);
  }
  audit::LogprobBets bets;
  std::array<double, audit::kC3Parameters> log_e{};
  std::size_t at = 0;
  for (auto _ : state) {
    const Position& position = positions[at++ % positions.size()];
    bets.set(position.phat, position.asked, 0.98);
    bets.log_e(position.choice, log_e);
    benchmark::DoNotOptimize(log_e.data());
  }
  state.counters["contexts"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}

/// range(0) responses of 20 tokens, three channels, decoys as planned; read from disk each time.
void verify(benchmark::State& state) {
  const world::World w({.responses = static_cast<std::size_t>(state.range(0)), .released = "2026-12-02"});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path() / "case/bag"))
    if (file.is_regular_file()) bytes += file.file_size();
  for (auto _ : state) {
    const auto report = verify_bag(folder.path() / "case/bag", {});
    if (!report || report->state != BagState::valid) {
      state.SkipWithError("the bag does not verify");
      break;
    }
  }
  state.counters["bag_bytes"] = static_cast<double>(bytes);
  state.counters["responses"] = benchmark::Counter(static_cast<double>(state.range(0)), benchmark::Counter::kIsIterationInvariantRate);
}
}  // namespace

BENCHMARK(c3_contexts)->Unit(benchmark::kMicrosecond);
BENCHMARK(verify)->Arg(30)->Arg(300)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
