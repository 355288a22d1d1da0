#include <catch2/catch.hpp>

#include "naive.hpp"

using namespace heirmark;

namespace {
constexpr std::uint32_t kNone = 0xFFFFFFFFu;
const Profile& always() { return profiles::window_only_2026_11(); }
PairSet must(Result<PairSet> result) {
  if (!result) FAIL(result.error().message);
  return std::move(result).value();
}
std::vector<std::array<std::uint32_t, 3>> simple(const PairSet& set) {  // last two window words and the bin
  std::vector<std::array<std::uint32_t, 3>> out;
  for (const Pair& pair : set.pairs) out.push_back({pair.window[2], pair.window[3], pair.bin});
  return out;
}
using Simple = std::vector<std::array<std::uint32_t, 3>>;
}  // namespace

TEST_CASE("windows are padded on the left, and every position counts once") {
  const Secret32 coin = naive::secret(1);
  const std::vector<TokenText> texts{{{5, 9, 2050}, 0}};
  const PairSet set = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  CHECK(simple(set) == Simple{{kNone, kNone, 5}, {kNone, 5, 9}, {5, 9, 2}});
  CHECK(set.positions == 3);
  CHECK(set.repeats + set.tainted + set.off_coin == 0);
  CHECK(!set.weighted);
  for (const Pair& pair : set.pairs) CHECK((pair.window[0] == kNone && pair.window[1] == kNone && pair.weight == 1));
}

TEST_CASE("a pair counts once, and bins, not tokens, make pairs") {
  const Secret32 coin = naive::secret(1);
  // (1 2 -> 3) three times, once as 3 + 2048, which has another window after it
  const std::vector<TokenText> texts{{{1, 2, 3, 1, 2, 3}, 0}, {{1, 2, 2051, 7}, 0}};
  const PairSet set = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  CHECK(simple(set) == Simple{{kNone, kNone, 1}, {kNone, 1, 2}, {1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {2, 2051, 7}});
  CHECK(set.positions == 10);
  CHECK(set.repeats == 4);
}

TEST_CASE("prompt tokens make windows, are not scored, and taint their windows in every text") {
  const Secret32 coin = naive::secret(1);
  // Prompt positions of text 2 have the windows (), (4), (4 5): text 1 loses the position after 4 5, though it comes
  // first.
  const std::vector<TokenText> texts{{{8, 4, 5, 6, 1}, 0}, {{4, 5, 6, 7}, 3}};
  const PairSet set = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  CHECK(simple(set) == Simple{{kNone, 8, 4}, {8, 4, 5}, {5, 6, 1}, {5, 6, 7}});
  CHECK(set.tainted == 2);  // text 1: (), (4 5)
  CHECK(set.positions == 6);
}

TEST_CASE("the coin takes whole windows out") {
  const Secret32 coin = naive::secret(5);
  const auto texts = naive::texts(3, 40, 60, 200, true);
  const PairSet half = must(collect_pairs(profiles::standard_2026_11(), coin, texts, CountRule::distinct));
  const PairSet all = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  const PairSet none = must(collect_pairs(profiles::issuance_only_2026_11(), coin, texts, CountRule::distinct));
  CHECK(none.pairs.empty());
  CHECK(none.off_coin + none.tainted == none.positions);
  std::size_t kept = 0;
  for (const Pair& pair : all.pairs)
    kept += core::coin_is_window(naive::words_of(coin), naive::context_of(pair), 1ull << 31) ? 1u : 0u;
  CHECK(kept == half.pairs.size());
  CHECK(half.pairs.size() > all.pairs.size() / 3);
  CHECK(half.pairs.size() < all.pairs.size() * 2 / 3);
}

TEST_CASE("collection equals the plain reading of the specification") {
  const Secret32 coin = naive::secret(6);
  for (int h = 1; h <= 4; ++h)
    for (const std::uint64_t share : {std::uint64_t{1} << 32, std::uint64_t{1} << 31, std::uint64_t{1} << 28})
      for (const CountRule rule : {CountRule::distinct, CountRule::sqrt2, CountRule::log2})
        for (const bool prompts : {false, true}) {
          Profile profile = always();
          profile.window = h;
          profile.share_q32 = share;
          const auto texts = naive::texts(static_cast<std::uint64_t>(h), 60, 70, 60, prompts);
          const PairSet expected = naive::collect(profile, coin, texts, rule),
                        got = must(collect_pairs(profile, coin, texts, rule));
          INFO("h " << h << " share " << share << " rule " << count_rule_name(rule));
          CHECK(naive::same(expected.pairs, got.pairs));
          CHECK(expected.positions == got.positions);
          CHECK(expected.repeats == got.repeats);
          CHECK(expected.tainted == got.tainted);
          CHECK(expected.off_coin == got.off_coin);
          CHECK(expected.weighted == got.weighted);
        }
}

TEST_CASE("many pairs: the table grows") {
  const Secret32 coin = naive::secret(7);
  std::vector<TokenText> texts(1);
  for (std::uint32_t i = 0; i < 300000; ++i) texts[0].tokens.push_back(i * 2654435761u >> 13);
  const PairSet set = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  CHECK(set.pairs.size() + set.repeats == 300000);
  CHECK(naive::same(set.pairs, naive::collect(always(), coin, texts, CountRule::distinct).pairs));
}

TEST_CASE("empty texts") {
  const Secret32 coin = naive::secret(1);
  CHECK(must(collect_pairs(always(), coin, {}, CountRule::sqrt2)).pairs.empty());
  const std::vector<TokenText> texts{{{}, 0}, {{3}, 1}};
  const PairSet set = must(collect_pairs(always(), coin, texts, CountRule::distinct));
  CHECK(set.pairs.empty());
  CHECK(set.positions == 0);
}

TEST_CASE("bad tokens and bad profiles are refused with their place") {
  const Secret32 coin = naive::secret(1);
  const std::vector<TokenText> bad{{{1}, 0}, {{1, 2, kNone, 4}, 0}};
  const auto token = collect_pairs(always(), coin, bad, CountRule::distinct);
  REQUIRE(!token.ok());
  CHECK(token.error().code == ErrorCode::bad_input);
  CHECK(token.error().message == "text 2, position 2: 4294967295 is no token id");
  const std::vector<TokenText> long_prompt{{{1, 2}, 3}};
  const auto prompt = collect_pairs(always(), coin, long_prompt, CountRule::distinct);
  REQUIRE(!prompt.ok());
  CHECK(prompt.error().message == "text 1: prompt_tokens is 3, more than its 2 tokens");
  for (const int h : {0, 5, -1}) {
    Profile profile = always();
    profile.window = h;
    CHECK(collect_pairs(profile, coin, {}, CountRule::distinct).error().code == ErrorCode::usage);
  }
}

TEST_CASE("names of count rules") {
  for (const CountRule rule : {CountRule::distinct, CountRule::sqrt2, CountRule::log2})
    CHECK(parse_count_rule(count_rule_name(rule)).value() == rule);
  CHECK(parse_count_rule("cube").error().code == ErrorCode::bad_input);
}
