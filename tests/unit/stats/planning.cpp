// Planning: the published reference numbers and the refusal of nonsense.
#include <catch2/catch.hpp>
#include <cmath>
#include <heirmark/stats.hpp>

using namespace heirmark::stats;

TEST_CASE("tokens in units of (sigma / effect)^2") {
  CHECK(plan_tokens({1e-6, .5, 1, 1})->fixed_n == Approx(22.6).epsilon(.003));
  CHECK(plan_tokens({1e-6, .9, 1, 1})->fixed_n == Approx(36.4).epsilon(.003));
  CHECK(plan_tokens({1e-10, .5, 1, 1})->fixed_n == Approx(40.5).epsilon(.003));
  CHECK(plan_tokens({1e-10, .9, 1, 1})->fixed_n == Approx(58.4).epsilon(.003));
  CHECK(plan_tokens({1e-6, .9, 1, 1})->e_process_mean == Approx(33).epsilon(.02));
  CHECK(plan_tokens({1e-6, .9, 1, 1})->e_process_quantile == Approx(49).epsilon(.03));
  CHECK(plan_tokens({1e-10, .9, 1, 1})->e_process_mean == Approx(52).epsilon(.02));
  CHECK(plan_tokens({1e-10, .9, 1, 1})->e_process_quantile == Approx(72).epsilon(.03));
}

TEST_CASE("the published anchor: kappa eta^2 = .165") {
  CHECK(plan_tokens({1e-6, .9, .165, .10})->fixed_n == Approx(22000).epsilon(.02));
  CHECK(plan_tokens({1e-6, .9, .165, .05})->fixed_n == Approx(88000).epsilon(.02));
  CHECK(plan_tokens({1e-6, .9, .165, .01})->fixed_n == Approx(2.2e6).epsilon(.02));
}

TEST_CASE("a plan that makes no sense is refused") {
  const double nan = std::nan("");
  for (const double bad : {0., 1., -1., 2., nan}) {
    CHECK_FALSE(plan_tokens({bad, .9, 1, 1}).ok());
    CHECK_FALSE(plan_tokens({1e-6, bad, 1, 1}).ok());
  }
  for (const double bad : {0., -1., nan, std::numeric_limits<double>::infinity()}) {
    CHECK_FALSE(plan_tokens({1e-6, .9, bad, 1}).ok());
    CHECK_FALSE(plan_tokens({1e-6, .9, 1, bad}).ok());
  }
  CHECK(plan_tokens({0, .9, 1, 1}).error().message.find("alpha") != std::string::npos);
  CHECK(plan_tokens({.5, .1, 1, 1})->fixed_n == 0);  // already more likely than asked for
}
