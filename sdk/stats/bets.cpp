// Bets on documents (specs/statistics.md): the product of bets inside a response, a share f of it staked, over
// responses.
#include <array>
#include <cstdlib>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"

namespace heirmark::stats {
namespace {

constexpr std::array<double, 6> kShares{1, .3, .1, .03, .01, .003};

// ln((1 - f) + f e^v).
double log_stake(double f, double v) {
  if (f >= 1) return v;
  if (v > 1) return v + std::log(f + (1 - f) * std::exp(-v));
  return std::log1p(f * std::expm1(v));
}

// A payoff of 0 stays 0: no later bet, and no NaN, may bring the stake back.
double plus(double a, double b) {
  const double s = a + b;
  return std::isnan(s) ? -kInfinity : s;
}

}  // namespace

std::span<const double> DocumentBets::shares() { return kShares; }

DocumentBets::DocumentBets(std::size_t parameters)
    : parameters_(parameters), open_(parameters, 0.0), products_(parameters * kShares.size(), 0.0) {}

void DocumentBets::bet(std::span<const double> log_e) {
  if (log_e.size() != parameters_) std::abort();  // a caller's bug, like reading a failed Result
  for (std::size_t g = 0; g < parameters_; ++g) open_[g] = plus(open_[g], log_e[g]);
  ++open_positions_;
}

void DocumentBets::end_document() {
  if (open_positions_ == 0) return;
  for (std::size_t g = 0; g < parameters_; ++g) {
    for (std::size_t f = 0; f < kShares.size(); ++f) {
      double& product = products_[g * kShares.size() + f];
      product = plus(product, log_stake(kShares[f], open_[g]));
    }
    open_[g] = 0;
  }
  positions_ += open_positions_;
  open_positions_ = 0;
  ++documents_;
}

double DocumentBets::log_e() const { return log_sum_exp(products_) - std::log(static_cast<double>(products_.size())); }

}  // namespace heirmark::stats
