// Class ranks and their combination.
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

using namespace heirmark::stats;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
}

TEST_CASE("one class gives its own rank") {
  for (const std::uint64_t decoys : {1ull, 19ull, 9999ull, 1ull << 40, 1ull << 62}) {
    for (const std::uint64_t ge : {0ull, 1ull, 5ull, 10ull}) {
      if (ge >= decoys) continue;
      const RankClass only{ge, 17};
      const auto result = stouffer_ranks(std::span(&only, 1), decoys);
      const double p = static_cast<double>(1 + ge) / (static_cast<double>(decoys) + 1);
      CHECK(result.log_p == Approx(std::log(p)).epsilon(1e-12));
      CHECK(result.class_p[0] == Approx(p));
    }
  }
}

TEST_CASE("a class with p = 1 makes p_rank = 1, however strong the others are") {
  const std::vector<RankClass> classes{{0, 1000000}, {0, 1000000}, {99, 1}};
  const auto result = stouffer_ranks(classes, 99);
  CHECK(result.log_p == 0);
  CHECK(result.z == -kInf);
  CHECK(result.class_p[2] == 1);
  const std::vector<RankClass> beyond{{5, 1}};  // more decoys than there are
  CHECK(stouffer_ranks(beyond, 3).log_p == 0);
}

TEST_CASE("classes without pairs are left out") {
  const std::vector<RankClass> with{{3, 10}, {9999, 0}, {40, 20}}, without{{3, 10}, {40, 20}};
  CHECK(stouffer_ranks(with, 9999).log_p == stouffer_ranks(without, 9999).log_p);
  CHECK(stouffer_ranks(with, 9999).class_p.size() == 3);
  CHECK(stouffer_ranks({}, 9999).log_p == 0);
  const std::vector<RankClass> none{{0, 0}};
  CHECK(stouffer_ranks(none, 9999).log_p == 0);
  CHECK(stouffer_ranks(without, 0).log_p == 0);  // no decoys: every rank is 1
}

TEST_CASE("p_rank rises with the number of decoys that reach the live statistic") {
  double before = -kInf;
  for (std::uint64_t ge = 0; ge <= 999; ++ge) {
    const std::vector<RankClass> classes{{ge, 500}, {10, 300}, {400, 200}};
    const auto result = stouffer_ranks(classes, 999);
    CHECK(result.log_p > before);
    before = result.log_p;
  }
  CHECK(before == 0);
}

TEST_CASE("decoys without number") {
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::vector<RankClass> classes(16, RankClass{0, 1000});
  // 16 classes at 2^-64: z = 4 z(2^-64)
  const double z = normal_quantile_from_log_tail(-64 * std::log(2.));
  CHECK(stouffer_ranks(classes, most).z == Approx(4 * z).epsilon(1e-12));
  const std::vector<RankClass> half{{most / 2, 5}};
  CHECK(stouffer_ranks(half, most).log_p == Approx(std::log(.5)).epsilon(1e-12));
}
