// Small numeric pieces that the tails, bounds and e-values share. Plain IEEE doubles, no long double, no lgamma (which
// writes a global), no fused operation that is not written: the same bytes wherever log, log1p and exp are the same.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

namespace heirmark::stats {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kLogTwoPi = 1.8378770664093453;
inline constexpr double kLogTwo = 0.6931471805599453;

/// u - ln(1 + u) for u > -1, relative error of a few ulps near 0 too.
double minus_log1p(double u);

/// e^u - 1 - u, in the same quality.
double expm1_minus(double u);

/// x ln(x / m) + m - x: the deviance of a Poisson count. `diff` is m - x, given apart because the caller often knows it
/// better than the difference of two rounded numbers. x >= 0, m >= 0.
double deviance(double x, double m, double diff);

/// ln n! - ln(sqrt(2 pi n) (n / e)^n), n >= 1.
double stirling_error(double n);

/// (1 - Phi(z)) / phi(z), z >= 0.
double mills_ratio(double z);

/// A sum carried in two doubles: about 106 bits.
class WideSum {
 public:
  void add(double v) {
    const double s = high_ + v;
    const double b = s - high_;
    low_ += (high_ - (s - b)) + (v - b);
    high_ = s;
  }
  void add_product(double a, double b) {
    const double p = a * b;
    add(p);
    low_ += std::fma(a, b, -p);
  }
  [[nodiscard]] double value() const { return high_ + low_; }

 private:
  double high_ = 0, low_ = 0;
};

struct FractionElement {
  double a, b;
};

/// a_1/(b_1 + a_2/(b_2 + ...)) style fractions with positive elements, evaluated from the far end, where rounding
/// errors shrink at every step. `element(k)` gives {a_k, b_k}, k >= 1; the value is b0 + a_1/(b_1 + a_2/(b_2 + ...)).
/// `terms` bounds k: a_(terms + 1) = 0.
template <class Element>
double positive_fraction(double b0, double terms, Element element) {
  double before = -1;
  for (std::uint64_t length = 32; length <= (1ull << 26); length *= 2) {
    const bool whole = static_cast<double>(length) >= terms;
    const std::uint64_t first = whole ? static_cast<std::uint64_t>(terms) : length;
    double value = b0;
    if (first >= 1) {
      auto last = element(static_cast<double>(first));
      // Cut fractions end in the fixed point of their last element instead of 0: far fewer elements are needed.
      double inner = whole ? last.b : 0.5 * (last.b + std::sqrt(last.b * last.b + 4 * last.a));
      for (std::uint64_t k = first; k > 1; --k) {
        const auto outer = element(static_cast<double>(k - 1));
        inner = outer.b + last.a / inner;
        last = outer;
      }
      value = b0 + last.a / inner;
    }
    if (whole || std::fabs(value - before) <= 4e-16 * value) return value;
    before = value;
  }
  return before;
}

}  // namespace heirmark::stats
