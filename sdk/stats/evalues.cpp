// e-values of C1: a mixture of likelihood ratios over 40 effect sizes (specs/statistics.md, "e-value of C1").
#include <array>
#include <heirmark/stats.hpp>

#include "stats/numeric.hpp"
#include "stats/weighted.hpp"

namespace heirmark::stats {
namespace {

// exp(ln 1e-4 + (ln 0.6 - ln 1e-4) k / 39), rounded to nearest: a table, so that no libm has a say in it.
constexpr std::array<double, 40> kEffects{0.0001,
                                          0.00012499011656689067,
                                          0.00015622529239404915,
                                          0.0001952661750702878,
                                          0.00024406341983606152,
                                          0.00030505515295023303,
                                          0.00038128879126580285,
                                          0.0004765733046596154,
                                          0.0005956695290207362,
                                          0.0007445280386764668,
                                          0.0009305864634149007,
                                          0.0011631411053779897,
                                          0.0014538114234493697,
                                          0.0018171205928321397,
                                          0.002271221147141866,
                                          0.0028388019593044893,
                                          0.0035482218780378575,
                                          0.004434926661411435,
                                          0.005543220003754265,
                                          0.006928477144251656,
                                          0.008659911658910523,
                                          0.010824033677062016,
                                          0.013528972310199316,
                                          0.016909878260820486,
                                          0.02113567654951883,
                                          0.026417506756444557,
                                          0.03301927248894627,
                                          0.0412708271734732,
                                          0.051584454992244136,
                                          0.0644754704252012,
                                          0.08058796564151008,
                                          0.10072699219420925,
                                          0.125898784957865,
                                          0.15736103807513446,
                                          0.19668574492097976,
                                          0.24583774184718982,
                                          0.3072728801002143,
                                          0.38406073101570004,
                                          0.4800379553841759,
                                          0.6};

// ln of the mean over the effects of exp(log_bet(d)).
template <class LogBet>
double mixture(LogBet log_bet) {
  std::array<double, kEffects.size()> logs{};
  for (std::size_t k = 0; k < kEffects.size(); ++k) logs[k] = log_bet(kEffects[k]);
  return log_sum_exp(logs) - std::log(static_cast<double>(kEffects.size()));
}

}  // namespace

std::span<const double> effect_sizes() { return kEffects; }

double log_e_exponential(std::uint64_t count, double t) {
  if (count == 0) return 0;
  const double n = static_cast<double>(count);
  // n ln(1 - d) + d t, written around the mean so that nothing large cancels.
  return mixture([&](double d) { return d * (t - n) - n * minus_log1p(-d); });
}

double log_e_bernoulli(std::uint64_t count, double q, std::uint64_t x) {
  if (count == 0 || !(q > 0) || !(q < 1)) return 0;
  const double n = static_cast<double>(count);
  const double excess = -std::fma(n, q, -static_cast<double>(x));
  return mixture([&](double d) {
    // h/q = 1 + d (1 - q)/q and (1 - h)/(1 - q) = 1 - d; at the mean the two logarithms' first orders cancel.
    const double gain = d * (1 - q) / q;
    return excess * (std::log1p(gain) - std::log1p(-d)) - n * (q * minus_log1p(gain) + (1 - q) * minus_log1p(-d));
  });
}

double log_e_fair_bits(std::uint64_t bits, std::uint64_t ones) { return log_e_bernoulli(bits, 0.5, ones); }

double log_e_weighted(TermKind kind, std::span<const WeightGroup> weights, double x) {
  const WeightedSum sum(kind, weights);
  if (sum.empty()) return 0;
  const double unit = kind.term == Term::exponential ? 1 : kind.term == Term::bernoulli ? 4 : 2;
  const double above = sum.above_mean(x);
  return mixture([&](double d) {
    const double l = unit * d / sum.largest_weight();
    return l * above - sum.centred_cumulant(l);
  });
}

}  // namespace heirmark::stats
