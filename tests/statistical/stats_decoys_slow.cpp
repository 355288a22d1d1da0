// Longer null runs. False failure <= 1e-9 for each test case.
#include <array>
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>

#include "kit.hpp"

using namespace heirmark::stats;
using kit::Calibration;

TEST_CASE("p of gumbel sums is nominal at 1e-5 too") {
  // n = 4,000,000 runs of 20 pairs; alpha = 1e-2 .. 1e-5
  kit::Rng rng(41);
  Calibration calibration({1e-2, 1e-3, 1e-4, 1e-5});
  for (int run = 0; run < 4000000; ++run) calibration.add(log_gamma_tail(20, rng.gamma(20)));
  CHECK(calibration.off_nominal() == "");
}

TEST_CASE("decoy ranks of whole simulated families, a statistic with ties and a PRF that is no PRF") {
  // n = 20,000 families of 1 live key and 99 decoys, 16 classes of 8..38 pairs; alpha = .05, 1e-2, 1e-3. The words of a
  // pair are few and shared by all keys up to a member's own shift: p_prf would be nonsense, the rank stays exact.
  kit::Rng rng(42);
  Calibration calibration({.05, 1e-2, 1e-3});
  std::vector<RankClass> classes(16);
  for (int run = 0; run < 20000; ++run) {
    for (std::size_t c = 0; c < 16; ++c) {
      const std::uint64_t pairs = 8 + 2 * c;
      std::array<std::uint64_t, 40> base{};
      for (std::size_t i = 0; i < pairs; ++i) base[i] = rng.next();
      std::uint64_t live = 0, ge = 0;
      for (int member = 0; member < 100; ++member) {
        const int shift = static_cast<int>(rng.below(61));
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < pairs; ++i) sum += (base[i] >> shift) & 7;
        if (member == 0) live = sum;
        else ge += sum >= live;
      }
      classes[c] = {ge, pairs};
    }
    calibration.add(stouffer_ranks(classes, 99).log_p);
  }
  CHECK(calibration.too_often() == "");
  CHECK(calibration.count(0) > 200);
}
