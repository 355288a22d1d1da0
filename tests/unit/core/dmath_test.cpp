// Errors of exp and log in units in the last place, against 50 decimal digits.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

#include <boost/multiprecision/cpp_bin_float.hpp>

#include "core/dmath.hpp"

using namespace heirmark::core;
using Wide = boost::multiprecision::cpp_bin_float_50;

namespace {
double ulps(double got, const Wide& want) {
  int exponent = 0;
  static_cast<void>(std::frexp(want.convert_to<double>(), &exponent));
  return abs(ldexp(Wide(got) - want, 53 - exponent)).convert_to<double>();
}
Wide wide_time(std::uint64_t word) {  // -ln(1 - u) without cancellation at either end: 1 - u = (~word + 1/2) / 2^64
  if (word >> 63 == 0) return -log1p(-ldexp(Wide(word) + 0.5, -64));
  return -log(ldexp(Wide(~word) + 0.5, -64));
}
constexpr int kTrials = 20000;
}  // namespace

TEST_CASE("exp_neg and dexp are within 2 ulp") {
  std::mt19937_64 random(20261104);
  double worst = 0;
  for (int i = 0; i < kTrials; ++i) {
    const double x = -std::ldexp(static_cast<double>(random() >> 11) * 0x1p-53, static_cast<int>(random() % 50) - 39);
    if (x < -708) continue;
    worst = std::max({worst, ulps(exp_neg(x), exp(Wide(x))), ulps(dexp(-x), exp(Wide(-x)))});
    REQUIRE(exp_neg(x) == dexp(x));
  }
  CHECK(worst < 2);
  CHECK(exp_neg(0.0) == 1.0);
  CHECK(exp_neg(-0.0) == 1.0);
  CHECK(exp_neg(-708.0) > 0.0);
  CHECK(exp_neg(-708.1) == 0.0);
  CHECK(exp_neg(-1e300) == 0.0);
  CHECK(exp_neg(-std::numeric_limits<double>::infinity()) == 0.0);
  CHECK(exp_neg(-5e-324) == 1.0);
  CHECK(dexp(-745.0) > 0.0);
  CHECK(dexp(-746.0) == 0.0);
  CHECK(std::isinf(dexp(710.0)));
  CHECK(std::isfinite(dexp(709.78)));
}

TEST_CASE("exp_neg does not decrease") {
  std::mt19937_64 random(20261105);
  for (int i = 0; i < kTrials; ++i) {
    const double x = -40 * (static_cast<double>(random() >> 11) * 0x1p-53);
    REQUIRE(exp_neg(std::nextafter(x, -1e9)) <= exp_neg(x));
  }
}

TEST_CASE("dlog is within 2 ulp") {
  std::mt19937_64 random(20261106);
  double worst = 0;
  for (int i = 0; i < kTrials; ++i) {
    const int range = i % 2 == 0 ? 2 : 2000;
    const double x = std::ldexp(1 + static_cast<double>(random() >> 11) * 0x1p-53, static_cast<int>(random() % static_cast<unsigned>(range)) - range / 2);
    if (x == 1) continue;
    worst = std::max(worst, ulps(dlog(x), log(Wide(x))));
  }
  CHECK(worst < 2);
  CHECK(dlog(1.0) == 0.0);
  CHECK(std::abs(dlog(5e-324) + 744.4400719213812) < 1e-12);
  CHECK(ulps(dlog(std::nextafter(1.0, 2.0)), log(Wide(std::nextafter(1.0, 2.0)))) < 2);
  CHECK(ulps(dlog(std::nextafter(1.0, 0.0)), log(Wide(std::nextafter(1.0, 0.0)))) < 2);
}

TEST_CASE("neg_log1m is within 2 ulp for every kind of word") {
  std::mt19937_64 random(20261107);
  double worst = 0;
  const auto probe = [&](std::uint64_t word) { worst = std::max(worst, ulps(neg_log1m(word), wide_time(word))); };
  for (int i = 0; i < kTrials; ++i) {
    const std::uint64_t word = random() >> (random() % 64);
    probe(random());
    probe(word);
    probe(~word);
  }
  for (int bit = 0; bit < 64; ++bit)
    for (std::uint64_t offset = 0; offset < 5; ++offset) {
      probe((1ull << bit) + offset - 2);
      probe(~((1ull << bit) + offset - 2));
    }
  CHECK(worst < 2);
  CHECK(neg_log1m(0) == 0x1p-65);
  CHECK(std::abs(neg_log1m(~0ull) - 65 * 0.6931471805599453) < 1e-14);
}

TEST_CASE("neg_log1m is at least unit_below") {
  std::mt19937_64 random(20261108);
  for (int i = 0; i < kTrials; ++i) {
    const std::uint64_t word = random() >> (random() % 64);
    REQUIRE(neg_log1m(word) >= unit_below(word));
  }
}
