#include <bit>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "naive.hpp"
#include "scoring/windows.hpp"

using namespace heirmark;
using namespace heirmark::scoring;

namespace {
PairSet random_pairs(std::uint64_t seed, std::size_t count, int h, bool weighted) {
  std::mt19937_64 random(seed);
  PairSet set;
  set.weighted = weighted;
  for (std::size_t i = 0; i < count; ++i) {
    Pair pair{{core::kPad, core::kPad, core::kPad, core::kPad}, static_cast<std::uint16_t>(random() % 2048), 0, 1};
    for (int k = 4 - h; k < 4; ++k)
      pair.window[static_cast<std::size_t>(k)] = static_cast<std::uint32_t>(random() % 1000);
    pair.window_class = static_cast<std::uint8_t>(random() % (seed % 16 + 1));
    if (weighted) {
      pair.weight = static_cast<std::int64_t>(random() >> (33 + random() % 30)) - (std::int64_t{1} << 30);
      if (pair.weight == 0) pair.weight = -1;
      if (i == 0) pair.weight = (std::int64_t{1} << 31) - 1;
      if (i == 1) pair.weight = -(std::int64_t{1} << 31) + 1;
    }
    set.pairs.push_back(pair);
  }
  set.positions = count;
  return set;
}
const Profile* const kSchemes[] = {&profiles::standard_2026_11(), &profiles::greenlist_2026_11(),
                                   &profiles::tournament_2026_11()};
}  // namespace

TEST_CASE("this machine runs the portable kernel, and says which others") {
  REQUIRE(!kernels().empty());
  CHECK(std::string(kernels().front()->name) == "portable");
  for (const auto* kernel : kernels()) WARN("tested: " << std::string(kernel->name));
}

TEST_CASE("kernels give the words of the stream") {
  std::mt19937_64 random(7);
  constexpr std::size_t kCount = 256;
  std::vector<std::uint32_t> column[4], word(kCount), out(kCount);
  for (auto& c : column)
    for (std::size_t i = 0; i < kCount; ++i) c.push_back(static_cast<std::uint32_t>(random()));
  for (std::size_t i = 0; i < kCount; ++i) word[i] = static_cast<std::uint32_t>(i < 64 ? i : random() % 2048);
  const core::KeyWords key = naive::window_keys(3).by_class[0];
  for (const auto* kernel : kernels())
    for (const int absent : {0, 1, 3})  // columns that are all padding
      for (const bool first : {true, false}) {
        Columns columns;
        for (int k = absent; k < 4; ++k) columns.window[k] = column[k].data();
        if (!first) columns.word = word.data();
        kernel->words(key, core::kBinsFine, columns, kCount, out.data());
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < kCount; ++i) {
          core::Context context{};
          for (int k = 0; k < 4; ++k) context.w[k] = k < absent ? core::kPad : column[k][i];
          wrong += out[i] != core::stream_word(core::hchacha20(key, context), core::kBinsFine, first ? 0 : word[i])
                       ? 1u
                       : 0u;
        }
        INFO(kernel->name << " absent " << absent << " first " << first);
        CHECK(wrong == 0);
      }
}

TEST_CASE("counts of words below a limit and of one bits") {
  std::mt19937_64 random(8);
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 1000u}) {
    std::vector<std::uint32_t> words(count);
    for (auto& word : words) word = static_cast<std::uint32_t>(random());
    if (count > 2) words[0] = 0, words[1] = 0xFFFFFFFFu;
    for (const std::uint32_t x : {0u, 1u, 1u << 30, 0xFFFFFFFFu, 0xFFFFFFFCu}) {
      std::uint64_t below = 0, ones = 0;
      for (const auto word : words) {
        below += word < x ? 1u : 0u;
        ones += static_cast<std::uint64_t>(std::popcount(word & x));
      }
      for (const auto* kernel : kernels()) {
        CHECK(kernel->count_below(words.data(), count, x) == below);
        CHECK(kernel->count_ones(words.data(), count, x) == ones);
      }
    }
  }
}

TEST_CASE("every kernel evaluates every scheme to the same integers as the plain reading of the specification") {
  for (const Profile* profile : kSchemes)
    for (const bool weighted : {false, true})
      for (const std::size_t count : {1u, 2u, 17u, 300u, 5000u}) {
        const PairSet set = random_pairs(count + (weighted ? 1 : 0), count, profile->window, weighted);
        const WindowKeys keys = naive::window_keys(count);
        const MemberStatistic expected = naive::statistic(*profile, keys, set.pairs);
        const auto columns = PairColumns::make(set, false);
        REQUIRE(columns.ok());
        for (const auto* kernel : kernels()) {
          INFO(kernel->name << " " << profile->name << " " << count << " weighted " << weighted);
          CHECK(evaluate(*kernel, WordRule::of(*profile), *columns, keys).by_class == expected.by_class);
        }
      }
}

TEST_CASE("prefixes and threads") {
  for (const Profile* profile : kSchemes)
    for (const bool weighted : {false, true}) {
      const PairSet set = random_pairs(31, 70000, profile->window, weighted);
      const auto columns = PairColumns::make(set, true);
      REQUIRE(columns.ok());
      const WindowKeys keys = naive::window_keys(9);
      const std::vector<std::uint64_t> checkpoints{1, 2, 77, 40000, 69999, 70000};
      for (const auto* kernel : kernels()) {
        const auto rule = WordRule::of(*profile);
        const auto whole = evaluate(*kernel, rule, *columns, keys);
        for (const unsigned threads : {1u, 3u}) {
          const auto grown = evaluate_growth(*kernel, rule, *columns, keys, checkpoints, threads, {});
          REQUIRE(grown.ok());
          CHECK(grown->statistic.by_class == whole.by_class);
          CHECK(grown->prefix.back() == whole.total());
          const auto plain = evaluate_growth(*kernel, rule, *columns, keys, {}, threads, {});
          CHECK(plain->statistic.by_class == whole.by_class);
          const std::vector<Pair> first(set.pairs.begin(), set.pairs.begin() + 77);
          CHECK(grown->prefix[2] == naive::statistic(*profile, keys, first).total());
          CHECK(grown->prefix[0] == naive::statistic(*profile, keys, {set.pairs[0]}).total());
        }
      }
    }
}

TEST_CASE("decoys: totals and ranks do not depend on kernel or threads") {
  const Profile& profile = profiles::standard_2026_11();
  const PairSet set = random_pairs(15, 400, 2, false);
  const auto columns = PairColumns::make(set, false);
  const auto derive = [](std::uint32_t member) { return naive::window_keys(member); };
  const MemberStatistic live = naive::statistic(profile, naive::window_keys(250), set.pairs);
  std::array<std::uint64_t, 16> ge{};
  std::vector<Integer> totals;
  for (std::uint32_t j = 251; j < 251 + 60; ++j) {  // past the end of a family of 256: 251 .. 255, 0 .. 54
    const auto decoy = naive::statistic(profile, naive::window_keys(j % 256), set.pairs);
    totals.push_back(decoy.total());
    for (std::size_t c = 0; c < 16; ++c) ge[c] += decoy.by_class[c] >= live.by_class[c] ? 1u : 0u;
  }
  for (const auto* kernel : kernels())
    for (const unsigned threads : {1u, 2u, 5u}) {
      const auto decoys =
          evaluate_decoys(*kernel, WordRule::of(profile), *columns, derive, 251, 60, 256, live, threads, {});
      REQUIRE(decoys.ok());
      CHECK(decoys->totals == totals);
      CHECK(decoys->ge == ge);
    }
  const auto stopped = evaluate_decoys(
      *kernels().back(), WordRule::of(profile), *columns,
      [](std::uint32_t member) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return naive::window_keys(member);
      },
      0, 200, 256, live, 2, [](double) { return false; });
  REQUIRE(!stopped.ok());
  CHECK(stopped.error().code == ErrorCode::stopped);
}

TEST_CASE("pairs that no collection gives are refused") {
  const auto broken = [](auto&& change) {
    PairSet set = random_pairs(1, 3, 2, true);
    change(set);
    const auto columns = PairColumns::make(set, false);
    return !columns.ok() && columns.error().code == ErrorCode::bad_input;
  };
  CHECK(!broken([](PairSet&) {}));
  CHECK(broken([](PairSet& set) { set.pairs[1].window_class = 16; }));
  CHECK(broken([](PairSet& set) { set.pairs[1].bin = 2048; }));
  CHECK(broken([](PairSet& set) { set.pairs[1].weight = 0; }));
  CHECK(broken([](PairSet& set) { set.pairs[1].weight = std::int64_t{1} << 31; }));
  CHECK(broken([](PairSet& set) { set.weighted = false; }));
}
