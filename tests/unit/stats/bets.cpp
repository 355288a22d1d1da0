// Bets on documents: martingale by enumeration, numerical range, bookkeeping.
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

using namespace heirmark::stats;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();

// A fair bet on three outcomes: payoffs of mean 1 under the probabilities, chosen by what was seen before (`history`).
struct Bet {
  std::array<double, 3> probability, payoff;
};
Bet fair_bet(unsigned history, unsigned parameter) {
  Bet bet{};
  double mean = 0, total = 0;
  for (unsigned i = 0; i < 3; ++i) {
    bet.probability[i] = 1 + ((history * 7 + i * 5) % 11);
    bet.payoff[i] = i == 0 && history % 5 == 3 ? 0 : std::exp(.9 * ((history * (parameter + 3) + i * 13) % 7) - 2);
    total += bet.probability[i];
  }
  for (unsigned i = 0; i < 3; ++i) mean += (bet.probability[i] /= total) * bet.payoff[i];
  for (unsigned i = 0; i < 3; ++i) bet.payoff[i] /= mean;
  return bet;
}

enum class Stop { never, settle, drop };

// The expectation of e over every path of 7 bets. `stop` leaves at a bad bet in the middle of a response and closes the
// response there, or drops it.
double expectation(const DocumentBets& so_far, unsigned history, int depth, Stop stop) {
  if (depth == 0) return std::exp(so_far.log_e());
  double mean = 0;
  for (unsigned outcome = 0; outcome < 3; ++outcome) {
    DocumentBets bets = so_far;
    std::array<double, 2> log_e{};
    for (unsigned g = 0; g < 2; ++g) log_e[g] = std::log(fair_bet(history, g).payoff[outcome]);
    bets.bet(log_e);
    const unsigned next = history * 3 + outcome + 1;
    const double probability = fair_bet(history, 0).probability[outcome];
    const bool leave = stop != Stop::never && log_e[0] < 0;
    if (next % 2 == 0 || depth == 1 || (leave && stop == Stop::settle)) bets.end_document();
    mean += probability * (leave ? std::exp(bets.log_e()) : expectation(bets, next, depth - 1, stop));
  }
  return mean;
}
}  // namespace

TEST_CASE("bets on documents have expectation 1 on every predictable path") {
  for (unsigned start = 0; start < 5; ++start)
    CHECK(expectation(DocumentBets(2), start, 7, Stop::never) == Approx(1).epsilon(1e-12));
}

TEST_CASE("stopping in the middle of a response is free if the response is closed as it stands") {
  double dropped = 0;
  for (unsigned start = 0; start < 5; ++start) {
    CHECK(expectation(DocumentBets(2), start, 7, Stop::settle) == Approx(1).epsilon(1e-12));
    dropped = std::max(dropped, expectation(DocumentBets(2), start, 7, Stop::drop));
  }
  CHECK(dropped > 1.01);  // forgetting responses that began badly is cheating, and this test sees it
}

TEST_CASE("an empty response changes nothing, an open one is not counted yet") {
  DocumentBets bets(2);
  CHECK(bets.log_e() == 0);
  bets.end_document();
  CHECK(bets.documents() == 0);
  bets.bet(std::array{1.0, 2.0});
  CHECK(bets.log_e() == 0);
  CHECK(bets.documents() == 0);
  bets.end_document();
  CHECK(bets.documents() == 1);
  CHECK(bets.positions() == 1);
  double mean = 0;
  for (const double f : DocumentBets::shares()) mean += (1 - f) * 2 + f * (std::exp(1) + std::exp(2));
  CHECK(bets.log_e() == Approx(std::log(mean / 12)).epsilon(1e-14));
}

TEST_CASE("products far outside the range of a double") {
  DocumentBets up(1), down(1), swing(1);
  for (int i = 0; i < 1000; ++i) {
    for (int j = 0; j < 10; ++j) {
      up.bet(std::array{100.0});
      down.bet(std::array{-100.0});
    }
    swing.bet(std::array{800.0});
    swing.bet(std::array{-800.0});
    for (auto* bets : {&up, &down, &swing}) bets->end_document();
  }
  // f = 1 pays all: 10^6 nats, less ln 6 for the mixture; the other shares are smaller by ln f each response.
  CHECK(up.log_e() == Approx(1e6 - std::log(6.)).epsilon(1e-12));
  double left = 0;
  for (const double f : DocumentBets::shares()) left += std::pow(1 - f, 1000) / 6;
  CHECK(down.log_e() == Approx(std::log(left)).epsilon(1e-12));
  CHECK(swing.log_e() == Approx(0).margin(1e-12));
}

TEST_CASE("a payoff of zero ends the share that staked everything, and only that") {
  DocumentBets bets(1);
  bets.bet(std::array{-kInf});
  bets.bet(std::array{5.0});
  bets.end_document();
  double mean = 0;
  for (const double f : DocumentBets::shares()) mean += 1 - f;
  CHECK(bets.log_e() == Approx(std::log(mean / 6)));
  DocumentBets confused(1), lost(1);
  confused.bet(std::array{std::nan("")});  // counts as a payoff of zero
  confused.end_document();
  lost.bet(std::array{-kInf});
  lost.end_document();
  CHECK(confused.log_e() == lost.log_e());
}

TEST_CASE("shares") {
  const auto shares = DocumentBets::shares();
  CHECK(std::vector<double>(shares.begin(), shares.end()) == std::vector<double>{1, .3, .1, .03, .01, .003});
}
