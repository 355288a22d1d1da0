// Power: marked text scores what theory says (specs/statistics.md, "Planning"). Means may be off by as many standard
// errors as give a false failure of 1e-9 in all (normal limit; the scores' fourth moment is small against n).
#include <boost/math/special_functions/digamma.hpp>
#include <catch2/catch.hpp>

#include "marks/score.hpp"
#include "scoring_audits.hpp"

using namespace audits;

TEST_CASE("power: a token of probability p scores the harmonic number of 1/p") {
  constexpr int kRaces = 300'000;
  const std::vector<double> masses{0.5, 0.2, 0.15, 0.1, 0.05};
  std::vector<double> sum(masses.size(), 0), squares(masses.size(), 0);
  std::vector<double> count(masses.size(), 0);
  kit::Rng rng(21);
  for (int i = 0; i < kRaces; ++i) {
    const core::KeyWords row = Key(rng).coin;
    std::uint32_t coarse[16] = {}, fine[16] = {};
    core::stream_block(row, core::kBinsCoarse, 0, coarse);
    core::stream_block(row, core::kBinsFine, 0, fine);
    std::size_t winner = 0;
    double best = HUGE_VAL;
    for (std::size_t b = 0; b < masses.size(); ++b) {
      const double time = core::neg_log1m(static_cast<std::uint64_t>(coarse[b]) << 32 | fine[b]) / masses[b];
      if (time < best) best = time, winner = b;
    }
    const double score = marks::score(coarse[winner]) * 0x1p-24;
    sum[winner] += score;
    squares[winner] += score * score;
    count[winner] += 1;
  }
  const double wide = kit::deviations(1e-10);  // ten checks
  for (std::size_t b = 0; b < masses.size(); ++b) {
    const double mean = sum[b] / count[b], error = std::sqrt((squares[b] / count[b] - mean * mean) / count[b]);
    const double harmonic = boost::math::digamma(1 / masses[b] + 1) + 0.57721566490153286;
    INFO("p " << masses[b] << " mean " << mean << " expected " << harmonic << " +- " << error);
    CHECK(std::fabs(mean - harmonic) < wide * error);
    CHECK(std::fabs(count[b] / kRaces - masses[b]) < wide * std::sqrt(masses[b] / kRaces));
  }
}

TEST_CASE("power: marked text convicts its own key and no other") {
  // 8 equally likely tokens: H_8 = 2.718 a window position against 1. 300 tokens make about 150 pairs: a sum of 408 +-
  // 15, where 300 is p = 1e-23.
  kit::Rng rng(22);
  const Profile& profile = profiles::standard_2026_11();
  double worst = -HUGE_VAL, least = HUGE_VAL, e = HUGE_VAL;
  for (int i = 0; i < 100; ++i) {
    const Key key(rng), other(rng);
    std::vector<TokenText> texts(15);
    for (TokenText& text : texts)
      for (int t = 0; t < 20; ++t) text.tokens.push_back(marked_token(profile, key, text.tokens, rng, 256));
    const PairSet pairs = collect(profile, key, texts);
    const Detection own = audits::detect(profile, key, pairs).value(),
                    foreign = audits::detect(profile, other, pairs).value();
    worst = std::max(worst, own.log_p_prf);
    e = std::min(e, own.log_e);
    least = std::min(least, foreign.log_p_prf);
  }
  INFO("largest own p " << worst << " smallest e " << e << " smallest foreign p " << least);
  CHECK(worst < std::log(1e-20));
  CHECK(e > std::log(1e18));
  CHECK(least > std::log(1e-11));  // 100 foreign keys: false failure 1e-9
}
