// All 2^32 words, against the inverse function: score(c) >= s iff c + 1 <= 2^32 e^(-s / 2^24). The thresholds come from
// products of two tables of 127-bit exponentials, so neither logarithms nor doubles are involved.
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "marks/score.hpp"
#include "scoring/kernel.hpp"

using namespace heirmark;
using Wide = unsigned __int128;

namespace {
constexpr int kLow = 14;  // s = i 2^14 + j

/// floor(2^127 e^(-k / 2^24)).
Wide exponential(std::uint64_t k) {
  using Real = boost::multiprecision::cpp_bin_float_100;
  const Real value = floor(ldexp(exp(-Real(k) / Real(1 << 24)), 127));
  const auto whole = value.convert_to<boost::multiprecision::uint128_t>();
  return static_cast<Wide>(static_cast<std::uint64_t>(whole >> 64)) << 64 |
         static_cast<std::uint64_t>(whole & 0xFFFFFFFFFFFFFFFFull);
}

/// a b / 2^128, short by less than 3.
Wide product(Wide a, Wide b) {
  const auto a1 = static_cast<std::uint64_t>(a >> 64), a0 = static_cast<std::uint64_t>(a);
  const auto b1 = static_cast<std::uint64_t>(b >> 64), b0 = static_cast<std::uint64_t>(b);
  const Wide cross =
      (static_cast<Wide>(a1) * b0 >> 1) + (static_cast<Wide>(a0) * b1 >> 1) + (static_cast<Wide>(a0) * b0 >> 65);
  return static_cast<Wide>(a1) * b1 + (cross >> 63);
}
}  // namespace

TEST_CASE("score over all 2^32 words") {
  std::vector<Wide> high((marks::kMaxScore >> kLow) + 2), low(1u << kLow);
  for (std::size_t i = 0; i < high.size(); ++i) high[i] = exponential(i << kLow);
  for (std::size_t j = 0; j < low.size(); ++j) low[j] = exponential(j);

  constexpr std::size_t kBlock = 1u << 16;
  std::vector<std::uint32_t> words(kBlock), expected(kBlock), got(kBlock);
  std::uint64_t wrong = 0, next = 1;  // next N = c + 1 to be given a score
  std::size_t filled = 0;
  double nearest = 1;  // least distance of 2^24 ln to an integer, N = 2^32 aside
  const auto settle = [&](std::uint32_t s) {
    expected[filled] = s;
    words[filled] = static_cast<std::uint32_t>(next - 1);
    ++next;
    if (++filled < kBlock) return;
    filled = 0;
    for (const auto* kernel : scoring::kernels()) {
      kernel->scores(words.data(), kBlock, got.data());
      if (got != expected) ++wrong;
    }
  };
  bool sharp = true;
  for (std::int64_t s = marks::kMaxScore; s >= 1; --s) {
    const auto k = static_cast<std::uint64_t>(s);
    const Wide fixed = product(high[k >> kLow], low[k & ((1u << kLow) - 1)]);  // 2^126 e^-s, short by less than 8
    const auto threshold = static_cast<std::uint64_t>(fixed >> 94);            // N <= threshold: score >= s
    const double part = std::ldexp(static_cast<double>(fixed & ((Wide{1} << 94) - 1)), -94);
    sharp = sharp && ((fixed + 8) >> 94) == threshold;
    if (threshold > 0) nearest = std::min(nearest, std::ldexp(part, 24) / static_cast<double>(threshold));
    nearest = std::min(nearest, std::ldexp(1 - part, 24) / static_cast<double>(threshold + 1));
    while (next <= threshold) settle(static_cast<std::uint32_t>(s));
  }
  while (next <= std::uint64_t{1} << 32) settle(0);
  CHECK(sharp);  // no threshold is so near an integer that the tables' error matters
  CHECK(filled == 0);
  CHECK(wrong == 0);
  WARN("nearest to an integer: 2^" << std::log2(nearest));
  CHECK(nearest > 0x1p-37);  // what score_exact counts on
}
