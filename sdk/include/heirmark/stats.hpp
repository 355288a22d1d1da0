// Exact tails, bounds, e-values, ranks and planning (specs/statistics.md). Knows no scheme, no key and no text.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <heirmark/result.hpp>

/// Everything is in natural logarithms unless the name says log10.
namespace heirmark::stats {

/// ln Q(n, t): P(Gamma(n, 1) >= t), exact to 1e-12 relative in the logarithm down to ln p = -1e6. n >= 1, t >= 0; t <= 0 gives 0.
[[nodiscard]] double log_gamma_tail(std::uint64_t n, double t);
/// ln P(Binomial(n, q) >= k), 0 < q < 1. k = 0 gives 0; k > n gives -infinity.
[[nodiscard]] double log_binomial_tail(std::uint64_t n, double q, std::uint64_t k);
/// ln of the upper tail of the standard normal distribution, any z.
[[nodiscard]] double log_normal_tail(double z);
/// z with ln P(N >= z) = log_p; log_p <= 0.
[[nodiscard]] double normal_quantile_from_log_tail(double log_p);

/// Terms of a weighted sum: `count` terms with the same weight.
struct WeightGroup { double weight; std::uint64_t count; };
enum class Term : std::uint8_t { exponential, bernoulli, fair_bits };
/// What one term is: Exp(1), Bernoulli(q), or the sum of `bits` fair bits.
struct TermKind { Term term = Term::exponential; double q = 0.5; int bits = 1; };
struct WeightedTail {
  double log_chernoff = 0;     ///< rigorous upper bound of ln p
  double log_saddlepoint = 0;  ///< Lugannani-Rice approximation of ln p
};
/// Upper tail of sum_i a_i s_i at x; weights of any sign, not all zero.
[[nodiscard]] WeightedTail weighted_tail(TermKind kind, std::span<const WeightGroup> weights, double x);
/// Sum of the terms' cumulant functions at l; +infinity outside the domain.
[[nodiscard]] double cumulant(TermKind kind, std::span<const WeightGroup> weights, double l);

/// ln of the mixture e-value over the 40 registered effect sizes (specs/statistics.md, "e-value of C1").
[[nodiscard]] double log_e_exponential(std::uint64_t n, double t);
[[nodiscard]] double log_e_bernoulli(std::uint64_t n, double q, std::uint64_t x);
[[nodiscard]] double log_e_fair_bits(std::uint64_t bits, std::uint64_t ones);
[[nodiscard]] double log_e_weighted(TermKind kind, std::span<const WeightGroup> weights, double x);
[[nodiscard]] std::span<const double> effect_sizes();  ///< the 40 effect sizes

/// Combines class ranks: `ge[c]` decoys of `decoys` reached the live statistic of a class with `pairs[c]` > 0 pairs.
struct RankClass { std::uint64_t ge; std::uint64_t pairs; };
struct RankResult { double log_p = 0; double z = 0; std::vector<double> class_p; };
[[nodiscard]] RankResult stouffer_ranks(std::span<const RankClass> classes, std::uint64_t decoys);

/// A product of bets on documents (specs/statistics.md, "Bets on documents"). Feed each response's positions in order.
class DocumentBets {
 public:
  explicit DocumentBets(std::size_t parameters);              ///< number of parameter pairs g
  void bet(std::span<const double> log_e);                    ///< one position: ln e for each g
  void end_document();                                        ///< closes a response; an empty one changes nothing
  [[nodiscard]] double log_e() const;                         ///< mean over g and f, of closed documents
  [[nodiscard]] std::uint64_t documents() const noexcept { return documents_; }
  [[nodiscard]] std::uint64_t positions() const noexcept { return positions_; }
  [[nodiscard]] static std::span<const double> shares();      ///< the six f

 private:
  std::size_t parameters_;
  std::vector<double> open_;      ///< ln E_d per g
  std::vector<double> products_;  ///< ln M per (g, f)
  std::uint64_t documents_ = 0, positions_ = 0, open_positions_ = 0;
};

/// ln of (sum of exp), stable; -infinity for an empty span.
[[nodiscard]] double log_sum_exp(std::span<const double> values);

/// Decimal strings of evidence: log10 with 4 decimals, p rounded up, e rounded down ("-41.3000"). "-0.0000" is written "0.0000". Always
/// a decimal: what lies beyond 10^12 is printed there, and an e of 0 or NaN as -10^12 (specs/statistics.md, "Numbers").
[[nodiscard]] std::string log10_p_string(double log_p);
[[nodiscard]] std::string log10_e_string(double log_e);

/// Planning (specs/statistics.md, "Planning").
struct PowerQuery { double alpha = 1e-6; double power = 0.9; double kappa = 0.87; double effect = 0.05; };
struct PowerAnswer { double fixed_n; double e_process_mean; double e_process_quantile; };
[[nodiscard]] Result<PowerAnswer> plan_tokens(const PowerQuery& query);

}  // namespace heirmark::stats
