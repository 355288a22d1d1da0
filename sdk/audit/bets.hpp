// Bets at one usable position of the issued log: C2 and C3 (specs/statistics.md, "Issued log"). Knows no key: a position's
// table is computed once and then asked for the choice of any key.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/suspect.hpp>

namespace heirmark::audit {

inline constexpr std::array<double, 10> kC3Lambda{.005, .01, .02, .05, .1, .2, .4, .8, 1.6, 3.2};
inline constexpr std::array<double, 3> kC3Clip{.5, 2, 5};
inline constexpr std::size_t kC3Parameters = kC3Lambda.size() * kC3Clip.size();
inline constexpr std::array<double, 4> kC2Lambda{.05, .15, .4, .8};
inline constexpr std::array<double, 5> kC2Kappa{1, 4, 16, 64, 256};
inline constexpr std::size_t kC2Parameters = kC2Lambda.size() * kC2Kappa.size();

/// The fitted baseline ln b = alpha x. alpha is rounded to 10^-6 before it is used, so that no bit of a bet depends on the
/// order in which the fit was summed.
class Baseline {
 public:
  void add(std::span<const IssuedToken> phat, const ScoredPosition& asked);  ///< a usable position of a fit response
  [[nodiscard]] std::int64_t alpha_micro() const;  ///< within +-10^9; 10^6 when the fit is singular

 private:
  double sxx_ = 0, sxy_ = 0, raw_xx_ = 0;  ///< centred within a position; x^2 as it is
};

/// C3 at one position. log_e(choice) = l clip(D) - ln(sum over outcomes of p L), for each of the 30 (l, c), l outermost.
class LogprobBets {
 public:
  void set(std::span<const IssuedToken> phat, const ScoredPosition& asked, double alpha);
  /// `choice` is an index into phat, or -1 for the rest.
  void log_e(std::int32_t choice, std::span<double, kC3Parameters> out) const;

 private:
  std::vector<double> payoff_;  ///< D of each listed token, then of the rest
  std::array<double, kC3Parameters> log_norm_{};
};

/// C2 at one position, for each of the 20 (l, k), l outermost.
class SampleBets {
 public:
  void set(std::span<const IssuedToken> phat, const ScoredPosition& asked);
  void log_e(std::int32_t choice, std::span<double, kC2Parameters> out) const;

 private:
  struct Seen { std::int32_t outcome; std::array<double, kC2Kappa.size()> log_odds; };  ///< ln(1 + n / (k p))
  std::vector<Seen> seen_;      ///< outcomes that were sampled at least once
  std::array<double, kC2Parameters> log_norm_{};
};

/// "0.981204" from 981204.
[[nodiscard]] std::string micro_string(std::int64_t micro);

}  // namespace heirmark::audit
