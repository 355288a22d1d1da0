#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>

#include "naive.hpp"
#include "opening.hpp"
#include "scoring/family.hpp"

using namespace heirmark;

namespace {
PairSet pairs_of(const Opening& opening, CountRule rule, std::size_t texts = 30) {
  return collect_pairs(opening.profile(), opening.coin(), naive::texts(11, texts, 60, 10, true), rule).value();
}
MemberStatistic statistic_of(const Opening& opening, const PairSet& set, std::uint32_t member) {
  return naive::statistic(opening.profile(), test::window_keys(opening, member), set.pairs);
}
bool same(const Detection& a, const Detection& b) {
  const auto classes = [](const Detection& d) {
    std::vector<Integer> out;
    for (const auto& c : d.classes)
      out.insert(out.end(), {Integer{c.window_class}, Integer(c.pairs), Integer(c.ge), c.statistic});
    return out;
  };
  const auto growth = [](const Detection& d) {
    std::vector<double> out;
    for (const auto& g : d.growth) out.insert(out.end(), {static_cast<double>(g.n), g.log_p, g.log_e});
    return out;
  };
  return a.n == b.n && a.statistic == b.statistic && a.value == b.value && a.log_p_prf == b.log_p_prf &&
         a.log_p_rank == b.log_p_rank && a.log_p_saddlepoint == b.log_p_saddlepoint && a.log_p == b.log_p &&
         a.log_e == b.log_e && classes(a) == classes(b) && growth(a) == growth(b) &&
         a.histogram.counts == b.histogram.counts && a.histogram.low == b.histogram.low &&
         a.histogram.width == b.histogram.width;
}
}  // namespace

TEST_CASE("detection of each scheme and rule, piece by piece") {
  for (const char* name : {"standard-2026-11", "greenlist-2026-11", "tournament-2026-11"})
    for (const CountRule rule : {CountRule::distinct, CountRule::sqrt2, CountRule::log2}) {
      INFO(name << " " << count_rule_name(rule));
      const Opening opening = test::opening(1, 64, 60, name);
      const PairSet set = pairs_of(opening, rule);
      REQUIRE(set.pairs.size() > 50);
      DetectOptions options;
      options.decoys = 20;
      options.growth_points = 7;
      const Detection got = detect(opening, set, options).value();
      const MemberStatistic live = statistic_of(opening, set, 60);
      CHECK(got.statistic == live.total());
      CHECK(got.n == set.pairs.size());
      const double unit =
          (opening.profile().scheme == Scheme::gumbel ? 0x1p-24 : 1.0) * (rule == CountRule::distinct ? 1.0 : 0x1p-8);
      CHECK(got.value == Approx(static_cast<double>(live.total()) * unit).epsilon(1e-14));

      // Ranks and histogram: decoys 61, 62, 63, 0, .. 16.
      std::vector<Integer> totals;
      std::array<std::uint64_t, 16> ge{};
      for (std::uint32_t j = 1; j <= 20; ++j) {
        const auto decoy = statistic_of(opening, set, (60 + j) % 64);
        totals.push_back(decoy.total());
        for (std::size_t c = 0; c < 16; ++c) ge[c] += decoy.by_class[c] >= live.by_class[c] ? 1u : 0u;
      }
      std::vector<stats::RankClass> ranks;
      for (const ClassResult& c : got.classes) {
        CHECK(c.ge == ge[c.window_class]);
        CHECK(c.statistic == live.by_class[c.window_class]);
        CHECK(c.pairs ==
              static_cast<std::uint64_t>(std::count_if(set.pairs.begin(), set.pairs.end(), [&](const Pair& pair) {
                return pair.window_class == c.window_class;
              })));
        ranks.push_back({c.ge, c.pairs});
      }
      CHECK(*got.log_p_rank == stats::stouffer_ranks(ranks, 20).log_p);
      CHECK(got.log_p == std::max(got.log_p_prf, *got.log_p_rank));
      REQUIRE(got.histogram.counts.size() == 64);
      CHECK(got.histogram.live == live.total());
      for (std::size_t bin = 0; bin < 64; ++bin) {
        const Integer from = got.histogram.low + static_cast<Integer>(bin) * got.histogram.width;
        CHECK(got.histogram.counts[bin] ==
              static_cast<std::uint64_t>(std::count_if(totals.begin(), totals.end(), [&](Integer x) {
                return x >= from && x < from + got.histogram.width;
              })));
      }
      totals.push_back(live.total());
      CHECK(got.histogram.low == *std::min_element(totals.begin(), totals.end()));

      // p and e from the statistics library, and growth as the same call on a prefix.
      if (rule == CountRule::distinct) {
        CHECK(!got.log_p_saddlepoint);
        if (opening.profile().scheme == Scheme::gumbel) {
          CHECK(got.log_p_prf == Approx(stats::log_gamma_tail(got.n, got.value)).epsilon(1e-12));
          CHECK(got.log_e == Approx(stats::log_e_exponential(got.n, got.value)).epsilon(1e-12));
        }
        if (opening.profile().scheme == Scheme::tournament)
          CHECK(got.log_p_prf == stats::log_binomial_tail(got.n * 30, 0.5, static_cast<std::uint64_t>(got.statistic)));
        if (opening.profile().scheme == Scheme::greenlist)
          CHECK(got.log_p_prf == stats::log_binomial_tail(got.n, 0.25, static_cast<std::uint64_t>(got.statistic)));
      } else {
        CHECK(got.log_p_saddlepoint.has_value());
      }
      REQUIRE(got.growth.size() == 7);
      CHECK(got.growth.back().n == got.n);
      CHECK(got.growth.back().log_p == got.log_p_prf);
      CHECK(got.growth.back().log_e == got.log_e);
      PairSet prefix = set;
      CHECK(got.growth[2].n == got.n * 3 / 7);
      prefix.pairs.resize(got.growth[2].n);
      const Detection part = detect(opening, prefix, {}).value();
      CHECK(part.log_p_prf == got.growth[2].log_p);
      CHECK(part.log_e == got.growth[2].log_e);
      CHECK(!part.log_p_rank);
      CHECK(part.classes.empty());
      CHECK(part.histogram.counts.empty());
      CHECK(part.growth.empty());
    }
}

TEST_CASE("a weighted sum of equal weights has the plain p, bounded from above") {
  const Opening opening = test::opening(2, 16, 3, "window-only-2026-11");
  PairSet set = pairs_of(opening, CountRule::distinct);
  // Pairs on which this member did well: evidence.
  std::erase_if(set.pairs, [&](const Pair& pair) {
    return naive::integer(opening.profile(), test::window_keys(opening, 3), pair) < 1 << 23;
  });
  const Detection plain = detect(opening, set, {}).value();
  set.weighted = true;
  set.weight_bits = 8;
  for (Pair& pair : set.pairs) pair.weight = 300;
  const Detection weighted = detect(opening, set, {}).value();
  CHECK(plain.log_p_prf < -20);
  CHECK(weighted.log_p_prf > plain.log_p_prf);
  CHECK(*weighted.log_p_saddlepoint == Approx(plain.log_p_prf).epsilon(1e-2));
  CHECK(weighted.log_e > 5);
}

TEST_CASE("threads change nothing") {
  const Opening opening = test::opening(3, 256, 200, "standard-2026-11");
  const PairSet set = pairs_of(opening, CountRule::log2, 120);
  DetectOptions options;
  options.decoys = 100;
  options.growth_points = 64;
  const Detection one = detect(opening, set, options).value();
  for (const unsigned threads : {0u, 2u, 7u}) {
    options.threads = threads;
    CHECK(same(one, detect(opening, set, options).value()));
  }
  for (const auto* kernel : scoring::kernels()) {
    const scoring::Family family{opening.profile(), opening.family_size(), opening.live_index(),
                                 [&](std::uint32_t i) { return test::window_keys(opening, i); }};
    CHECK(same(one, scoring::detect_family(family, set, options, *kernel).value()));
  }
}

TEST_CASE("another member, an empty set, and calls that make no sense") {
  const Opening opening = test::opening(4, 16, 5, "standard-2026-11");
  const PairSet set = pairs_of(opening, CountRule::distinct);
  CHECK(detect(opening, set, {}, 9).value().statistic == statistic_of(opening, set, 9).total());
  DetectOptions options;
  options.decoys = 15;
  options.growth_points = 64;
  const Detection none = detect(opening, PairSet{}, options).value();
  CHECK(none.n == 0);
  CHECK((none.log_p == 0 && none.log_e == 0 && none.log_p_rank == 0.0 && none.growth.empty() && none.classes.empty()));
  CHECK(none.histogram.counts[0] == 15);
  options.decoys = 16;
  CHECK(detect(opening, set, options).error().code == ErrorCode::usage);
  options.decoys = 0;
  options.growth_points = 65;
  CHECK(detect(opening, set, options).error().code == ErrorCode::usage);
  CHECK(detect(opening, set, {}, 16).error().code == ErrorCode::usage);
}

TEST_CASE("progress rises to one, and false stops") {
  const Opening opening = test::opening(5, 1024, 5, "standard-2026-11");
  const PairSet set = pairs_of(opening, CountRule::distinct);
  DetectOptions options;
  options.decoys = 500;
  double last = 0;
  bool ordered = true;
  options.progress = [&](double done) {
    ordered = ordered && done >= last && done <= 1;
    last = done;
    return true;
  };
  CHECK(detect(opening, set, options).ok());
  CHECK(ordered);
  CHECK(last == 1.0);
  options.progress = [](double) { return false; };
  CHECK(detect(opening, set, options).error().code == ErrorCode::stopped);
}

TEST_CASE("reading: weights by hand") {
  const Secret32 coin = naive::secret(1);
  const Profile& profile = profiles::window_only_2026_11();
  constexpr std::uint32_t half = 1u << 31, quarter = 1u << 30;
  std::vector<ReadingText> texts(2);
  // Windows: () (1) (1 1) (1 1) (1 1): the last two meet again in their own line.
  texts[0] = {{1, 1, 1, 1, 1},
              0,
              {{{{7, half}}, {}},
               {{{7, quarter}, {2055, quarter}}, {{8, half}}},
               {{{9, half}}, {}},
               {{{9, half}}, {}},
               {{{9, half}}, {}}}};
  // Prompt 1 position: () is tainted. (1) is met again, in another line; then (1 2).
  texts[1] = {{1, 2, 3}, 1, {{{{7, quarter}, {9, 1}}, {}}, {{}, {{5, 100}}}}};
  const PairSet set = collect_reading_pairs(profile, coin, texts).value();
  CHECK(set.weighted);
  CHECK(set.weight_bits == 16);
  CHECK((set.positions == 7 && set.tainted == 1 && set.repeats == 2 && set.off_coin == 0));
  // (1): bin 7: (1/2 + 1/4)/2, bin 8: -1/2/2, bin 9: 2^-32/2 -> 0. (1 1): bin 9: 1/2. (1 2): bin 5: -100/2^16 -> 0.
  REQUIRE(set.pairs.size() == 3);
  CHECK((set.pairs[0].bin == 7 && set.pairs[0].weight == 24576 && set.pairs[0].window[3] == 1 &&
         set.pairs[0].window[2] == 0xFFFFFFFFu));
  CHECK((set.pairs[1].bin == 8 && set.pairs[1].weight == -16384));
  CHECK((set.pairs[2].bin == 9 && set.pairs[2].weight == 32768 && set.pairs[2].window[2] == 1));
  texts[1].positions.pop_back();
  CHECK(collect_reading_pairs(profile, coin, texts).error().code == ErrorCode::bad_input);
  texts[1].positions.push_back({{{5, 1}, {5, 1}}, {}});
  CHECK(collect_reading_pairs(profile, coin, texts).error().message == "text 2, position 2, top: a token twice");
  texts[1].positions.back() = {{}, {{5, 0xFFFFFFFFu}, {6, 2}}};
  CHECK(collect_reading_pairs(profile, coin, texts).error().message ==
        "text 2, position 2, base: probabilities sum to more than 1");
}

TEST_CASE("reading: signed weights are scored against the accuser") {
  const Opening opening = test::opening(6, 16, 2, "standard-2026-11");
  std::mt19937_64 random(3);
  std::vector<ReadingText> texts(40);
  for (ReadingText& text : texts)
    for (int t = 0; t < 30; ++t) {
      text.tokens.push_back(static_cast<TokenId>(random() % 12));
      ReadingPosition position;
      for (std::uint32_t v = 0; v < 6; ++v) {
        position.top.push_back({v * 1031, static_cast<std::uint32_t>(random() >> 36)});
        position.base.push_back({v * 1031, static_cast<std::uint32_t>(random() >> 36)});
      }
      text.positions.push_back(position);
    }
  const PairSet set = collect_reading_pairs(opening.profile(), opening.coin(), texts).value();
  CHECK(set.off_coin > 0);
  const auto negative =
      std::count_if(set.pairs.begin(), set.pairs.end(), [](const Pair& pair) { return pair.weight < 0; });
  CHECK(negative > 100);
  DetectOptions options;
  options.decoys = 10;
  options.growth_points = 5;
  const Detection got = detect(opening, set, options).value();
  CHECK(got.statistic == statistic_of(opening, set, 2).total());
  CHECK(got.value == Approx(static_cast<double>(got.statistic) * 0x1p-40));
  CHECK(got.log_p_prf <= 0);
  CHECK(got.growth.size() == 5);
}
