// Decimal strings: format, direction of rounding, special values.
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>
#include <regex>

using namespace heirmark::stats;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
const double kLn10 = std::log(10.0);
}  // namespace

TEST_CASE("p is rounded up, e is rounded down") {
  CHECK(log10_p_string(-41.29995 * kLn10) == "-41.2999");
  CHECK(log10_p_string(-41.30005 * kLn10) == "-41.3000");
  CHECK(log10_e_string(41.29995 * kLn10) == "41.2999");
  CHECK(log10_e_string(41.30005 * kLn10) == "41.3000");
  CHECK(log10_e_string(-1.00005 * kLn10) == "-1.0001");
  CHECK(log10_p_string(-.00005 * kLn10) == "0.0000");
  CHECK(log10_e_string(-.00005 * kLn10) == "-0.0001");
  CHECK(log10_e_string(.00005 * kLn10) == "0.0000");
  // Exactly on the grid: the guard decides against the claim.
  CHECK(log10_p_string(-6 * kLn10) == "-5.9999");
  CHECK(log10_e_string(6 * kLn10) == "5.9999");
}

TEST_CASE("nothing is zero without a sign") {
  for (const double zero : {0.0, -0.0}) {
    CHECK(log10_p_string(zero) == "0.0000");
    CHECK(log10_e_string(zero) == "0.0000");
  }
  for (const double rounding : {1e-17, -1e-17, 2e-13, -2e-13}) CHECK(log10_e_string(rounding) == "0.0000");
  for (const double small : {3e-13, -3e-13}) CHECK(log10_e_string(small) == "-0.0001");
  CHECK(log10_p_string(-1e-300) == "0.0000");
  CHECK(log10_p_string(.5) == "0.0000");  // p is at most 1
  CHECK(log10_p_string(-1e-9) == "0.0000");
}

TEST_CASE("what is not a number counts against the accuser") {
  CHECK(log10_p_string(std::nan("")) == "0.0000");
  CHECK(log10_e_string(std::nan("")) == "-1000000000000.0000");
  CHECK(log10_p_string(kInf) == "0.0000");
}

TEST_CASE("what has no finite logarithm has a decimal, on the weak side") {
  for (const double log : {-kInf, -1e300, -1e14}) {
    CHECK(log10_p_string(log) == "-1000000000000.0000");
    CHECK(log10_e_string(log) == "-1000000000000.0000");
  }
  CHECK(log10_e_string(kInf) == "1000000000000.0000");
  CHECK(log10_e_string(1e200) == "1000000000000.0000");
  // More successes than trials, more than the largest sum: impossible data, and still a decimal.
  for (const double impossible : {log_binomial_tail(10, 0.5, 11), weighted_tail({Term::bernoulli, 0.5, 1}, std::vector<WeightGroup>{{1, 10}}, 10.5).log_chernoff}) {
    CHECK(impossible == -kInf);
    CHECK(log10_p_string(impossible) == log10_p_string(-kInf));
  }
}

TEST_CASE("strings have one form and the right side of the value") {
  const std::regex form("-?(0|[1-9][0-9]*)\\.[0-9]{4}");
  double value = 1e-7;
  for (int i = 0; i < 4000; ++i, value *= 1.008) {
    for (const double log : {value, -value}) {
      const std::string e = log10_e_string(log);
      CHECK(std::regex_match(e, form));
      CHECK(e != "-0.0000");
      CHECK(std::stod(e) <= log / kLn10);
      if (log > 0) continue;
      const std::string p = log10_p_string(log);
      CHECK(std::regex_match(p, form));
      CHECK(p != "-0.0000");
      CHECK(std::stod(p) >= log / kLn10);
      CHECK(std::stod(p) <= log / kLn10 + 1.01e-4 + 2e-12 * value);
    }
  }
}
