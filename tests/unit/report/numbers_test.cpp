#include "report/numbers.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace heirmark::report;

TEST_CASE("integers are grouped by three") {
  CHECK(grouped(std::uint64_t{0}) == "0");
  CHECK(grouped(std::uint64_t{999}) == "999");
  CHECK(grouped(std::uint64_t{1000}) == "1,000");
  CHECK(grouped(std::string_view("-319004147242")) == "\u2212319,004,147,242");
}

TEST_CASE("decimals") {
  CHECK(fixed(12.345, 1) == "12.3");
  CHECK(fixed(-0.04, 1) == "0.0");
  CHECK(fixed(-1.25, 2) == "\u22121.25");
  CHECK(minus_sign("-41.3000") == "\u221241.3000");
  CHECK(minus_sign("0.0000") == "0.0000");
}

TEST_CASE("one time in N never overstates") {
  CHECK(one_in(0) == "1");
  CHECK(one_in(-0.2) == "1");
  CHECK(one_in(-1) == "10");
  CHECK(one_in(std::log10(1 / 259.0)) == "250");
  CHECK(one_in(-6) == "1 million");
  CHECK(one_in(std::log10(1 / 2.59e6)) == "2.5 million");
  CHECK(one_in(std::log10(1 / 25.9e6)) == "25 million");
  CHECK(one_in(std::log10(1 / 259e9)) == "250 billion");
  CHECK(one_in(-13.2) == "15 trillion");
  CHECK(one_in(-40.8818) == "10⁴⁰");
  CHECK(one_in(-10000.5) == "10¹⁰⁰⁰⁰");
  CHECK(zeros_in_words(-40.8818) == "a 1 followed by 40 zeros");
  CHECK(zeros_in_words(-9).empty());
}

TEST_CASE("powers of ten in short form") {
  CHECK(from_log10(4.4249) == "2.7 × 10⁴");
  CHECK(from_log10(6) == "10⁶");
  CHECK(from_log10(std::log10(99.6)) == "100");
  CHECK(from_log10(0) == "1.0");
  CHECK(from_log10(std::log10(0.033)) == "0.033");
  CHECK(from_log10(-7) == "10⁻⁷");
}

TEST_CASE("the bound on the Bayes factor") {
  // p = 1e-6: 1 / (e 1e-6 13.8155) = 26,628.
  CHECK(std::pow(10, log10_bayes_bound(-6)) == Approx(26628.2).epsilon(1e-4));
  CHECK(log10_bayes_bound(std::log10(0.5)) == 0);
  CHECK(log10_bayes_bound(0) == 0);
  CHECK(log10_bayes_bound(-5000) == Approx(5000 - std::log10(std::exp(1.0) * 5000 * std::log(10))));
}

TEST_CASE("normal quantile and sums of powers") {
  CHECK(normal_upper_quantile(0.1) == Approx(1.2815515655).epsilon(1e-9));
  CHECK(normal_upper_quantile(1e-6) == Approx(4.7534243088).epsilon(1e-9));
  CHECK(log10_sum(0, 0) == Approx(std::log10(2.0)));
  CHECK(log10_sum(400, -400) == Approx(400));
}

TEST_CASE("numbers of any size can be printed") {
  // 64 digits in a bag: no conversion to an integer that does not hold them.
  CHECK(whole(-0.4) == "0");
  CHECK(whole(1234.6) == "1,235");
  CHECK(whole(-1e21) == "\u22121,000,000,000,000,000,000,000");
  CHECK(one_in(-1e63) == one_in(-1e15));
  CHECK(zeros_in_words(-1e63) == "a 1 followed by 1,000,000,000,000,000 zeros");
  CHECK(from_log10(-1e63) == from_log10(-1e15));
  CHECK_FALSE(from_log10(1e63).empty());
}
