// Validity of C2 and C3 as they are bet, looked at after every response: P(sup e >= 1 / alpha) <= alpha whatever the suspect
// does, as long as it does not know the key. False failure <= 1e-9 for each test case; n and alpha are stated at each.
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>

#include "audit/bets.hpp"
#include "kit.hpp"

using namespace heirmark;
namespace {
struct Spot {
  std::vector<IssuedToken> phat;
  std::int32_t draw(kit::Rng& rng) const {
    double u = rng.uniform();
    for (std::size_t i = 0; i < phat.size(); ++i)
      if ((u -= phat[i].p * 0x1p-32) <= 0) return static_cast<std::int32_t>(i);
    return -1;
  }
};

Spot random_spot(kit::Rng& rng) {
  Spot out;
  const std::size_t listed = 2 + rng.below(15);
  std::vector<double> weights(listed);
  double sum = rng.exponential() * 0.3;
  for (double& weight : weights) sum += weight = std::exp(2 * rng.normal());
  std::sort(weights.rbegin(), weights.rend());
  for (std::size_t i = 0; i < listed; ++i)
    out.phat.push_back({static_cast<TokenId>(i), static_cast<std::uint32_t>(std::clamp(weights[i] / sum * 0x1p32 - 1, 1.0, 0x1p32 - 1))});
  return out;
}

// What a suspect answers. `favourite` >= 0: it prefers that listed token by `nats`.
ScoredPosition answer(const Spot& spot, std::int32_t favourite, double nats, kit::Rng& rng) {
  std::vector<std::pair<double, TokenId>> q;
  double sum = 0.05;
  for (std::size_t i = 0; i < spot.phat.size(); ++i) {
    const double weight = std::pow(spot.phat[i].p * 0x1p-32, 0.8) * std::exp(rng.normal() + (static_cast<std::int32_t>(i) == favourite ? nats : 0));
    q.emplace_back(weight, spot.phat[i].token);
    sum += weight;
  }
  std::sort(q.rbegin(), q.rend());
  ScoredPosition out;
  for (const auto& [weight, token] : q) out.top.push_back({token, static_cast<std::uint32_t>(-1e6 * std::log(weight / sum))});
  for (int k = 0; k < 4; ++k) {
    double u = rng.uniform() * sum;
    TokenId token = 999;
    for (const auto& [weight, name] : q)
      if ((u -= weight) <= 0) { token = name; break; }
    out.samples.push_back(token);
  }
  return out;
}

struct Tables { audit::LogprobBets c3; audit::SampleBets c2; };
Tables tables(const Spot& spot, const ScoredPosition& asked) {
  Tables out;
  out.c3.set(spot.phat, asked, 0.85);
  out.c2.set(spot.phat, asked);
  return out;
}

// One audit of 8 responses of 6 contexts; the largest e after any response.
struct Best { double c2 = 0, c3 = 0; };
template <class NextSpot>
Best best_of_audit(NextSpot&& next) {
  stats::DocumentBets c2(audit::kC2Parameters), c3(audit::kC3Parameters);
  std::array<double, audit::kC2Parameters> log2{};
  std::array<double, audit::kC3Parameters> log3{};
  Best best;
  for (int d = 0; d < 8; ++d) {
    for (int t = 0; t < 6; ++t) {
      const auto& [table, choice] = next();
      table->c2.log_e(choice, log2);
      table->c3.log_e(choice, log3);
      c2.bet(log2);
      c3.bet(log3);
    }
    c2.end_document();
    c3.end_document();
    best.c2 = std::max(best.c2, c2.log_e());
    best.c3 = std::max(best.c3, c3.log_e());
  }
  return best;
}
}  // namespace

TEST_CASE("C2 and C3 keep their level against suspects that do not know the key, stopped when it looks best") {
  // n = 100,000 audits with 400 contexts to draw from; alpha = .1, .01, .001, .0001
  kit::Rng rng(31);
  std::vector<Spot> spots;
  std::vector<Tables> known;
  for (int i = 0; i < 400; ++i) {
    spots.push_back(random_spot(rng));
    const auto favourite = static_cast<std::int32_t>(rng.below(spots.back().phat.size()));  // strong tastes of its own
    known.push_back(tables(spots.back(), answer(spots.back(), favourite, i % 2 == 0 ? 4 : 0, rng)));
  }
  kit::Calibration c2({.1, .01, .001, .0001}, 5e-10), c3({.1, .01, .001, .0001}, 5e-10);
  for (int run = 0; run < 100'000; ++run) {
    const Best best = best_of_audit([&] {
      const std::size_t i = rng.below(spots.size());
      return std::pair<const Tables*, std::int32_t>(&known[i], spots[i].draw(rng));
    });
    c2.add(-best.c2);
    c3.add(-best.c3);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
}

TEST_CASE("C2 and C3 keep their level against suspects that copy what the key chose before") {
  // n = 1,500 audits; alpha = .1, .01. In each response the suspect prefers what the key chose at the contexts before: it sees
  // the tokens. Known-bad: one that knows the choice itself.
  kit::Rng rng(32);
  kit::Calibration c2({.1, .01}, 5e-10), c3({.1, .01}, 5e-10), bad({.1});
  for (int run = 0; run < 1500; ++run) {
    const bool cheat = run >= 1200;
    std::int32_t last = -1;
    Tables table;
    const Best best = best_of_audit([&] {
      const Spot spot = random_spot(rng);
      const std::int32_t choice = spot.draw(rng);
      table = tables(spot, answer(spot, cheat ? choice : last, 1.5, rng));
      last = choice;
      return std::pair<const Tables*, std::int32_t>(&table, choice);
    });
    if (cheat) { bad.add(-best.c3); continue; }
    c2.add(-best.c2);
    c3.add(-best.c3);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
  CHECK(bad.too_often() != "");
}
