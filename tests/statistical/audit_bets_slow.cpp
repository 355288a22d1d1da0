// The calibration of audit_bets.cpp on 1,000,000 audits of a channel at levels down to 1e-5, with answers of another suspect.
// False failure <= 1e-9; n and alpha are stated.
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>

#include "../unit/audit/world.hpp"
#include "audit/bets.hpp"
#include "kit.hpp"

using namespace heirmark;

TEST_CASE("1,000,000 null audits by C2 and C3 keep their level, stopped when it looks best") {
  // n = 1,000,000 audits of 10 responses of 5 contexts; alpha = 1e-1 .. 1e-5. Contexts and answers are those of a fake suspect.
  const world::World w({.seed = 41, .responses = 60, .tokens = 10});
  world::FakeSuspect suspect(w, {.copy = 2});
  struct Spot { std::vector<IssuedToken> phat; audit::LogprobBets c3; audit::SampleBets c2; };
  std::vector<Spot> spots;
  for (const IssuedResponse& response : w.ledger) {
    ScoreRequest request;
    request.tokens = response.prompt;
    request.tokens.insert(request.tokens.end(), response.tokens.begin(), response.tokens.end());
    request.from = static_cast<std::uint32_t>(response.prompt.size());
    request.top = 10;
    request.samples = 4;
    const auto answers = suspect.score(request).value();
    for (std::size_t t = 0; t < answers.size(); ++t) {
      Spot& spot = spots.emplace_back();
      spot.phat = response.phat[t];
      spot.c3.set(spot.phat, answers[t], 0.9);
      spot.c2.set(spot.phat, answers[t]);
    }
  }
  kit::Rng rng(42);
  kit::Calibration c2({1e-1, 1e-2, 1e-3, 1e-4, 1e-5}, 5e-10), c3({1e-1, 1e-2, 1e-3, 1e-4, 1e-5}, 5e-10);
  std::array<double, audit::kC2Parameters> log2{};
  std::array<double, audit::kC3Parameters> log3{};
  for (int run = 0; run < 1'000'000; ++run) {
    stats::DocumentBets bets2(audit::kC2Parameters), bets3(audit::kC3Parameters);
    double best2 = 0, best3 = 0;
    for (int d = 0; d < 10; ++d) {
      for (int t = 0; t < 5; ++t) {
        const Spot& spot = spots[rng.below(spots.size())];
        double u = rng.uniform();
        std::int32_t choice = -1;
        for (std::size_t i = 0; i < spot.phat.size(); ++i)
          if ((u -= spot.phat[i].p * 0x1p-32) <= 0) { choice = static_cast<std::int32_t>(i); break; }
        spot.c2.log_e(choice, log2);
        spot.c3.log_e(choice, log3);
        bets2.bet(log2);
        bets3.bet(log3);
      }
      bets2.end_document();
      bets3.end_document();
      best2 = std::max(best2, bets2.log_e());
      best3 = std::max(best3, bets3.log_e());
    }
    c2.add(-best2);
    c3.add(-best3);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
}
