#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "audit/bets.hpp"
#include "naive.hpp"

using namespace heirmark;
namespace {
struct Example {
  std::vector<IssuedToken> phat;
  ScoredPosition asked;
};

// Any shape of position: few or many listed tokens, with and without a rest, a suspect that lists other tokens.
Example random_example(std::mt19937_64& rng) {
  Example out;
  const std::size_t listed = 1 + rng() % 20;
  std::vector<double> weights;
  double sum = 0;
  const bool whole = rng() % 4 == 0;  // no rest
  for (std::size_t i = 0; i < listed + !whole; ++i) {
    weights.push_back(std::exp(-3.0 * static_cast<double>(rng() % 1000) / 250));
    sum += weights.back();
  }
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < listed; ++i) {
    const auto p = static_cast<std::uint32_t>(std::clamp(weights[i] / sum * 0x1p32, 1.0, 0x1p32 - 1));
    out.phat.push_back({static_cast<TokenId>(100 + 7 * i), p});
    used += p;
  }
  if (whole && listed > 1 && used < 1ull << 32) out.phat[0].p += static_cast<std::uint32_t>(std::min<std::uint64_t>((1ull << 32) - used, 0xFFFFFFFFu - out.phat[0].p));
  std::sort(out.phat.begin(), out.phat.end(), [](auto a, auto b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
  std::uint32_t nlp = static_cast<std::uint32_t>(rng() % 800'000);
  const std::size_t top = 1 + rng() % 20;
  std::vector<TokenId> names;
  for (std::size_t i = 0; i < 40; ++i) names.push_back(static_cast<TokenId>(100 + 7 * i));
  std::shuffle(names.begin(), names.end(), rng);
  for (std::size_t i = 0; i < top; ++i) {
    out.asked.top.push_back({names[i], nlp});
    nlp += static_cast<std::uint32_t>(700'000 + rng() % 900'000);
  }
  for (std::size_t i = 0; i < 6; ++i) out.asked.samples.push_back(static_cast<TokenId>(100 + 7 * (rng() % 25)));
  return out;
}

naive::Position naive_of(const Example& example, int choice) {
  naive::Position out{{}, {}, example.asked.samples, choice};
  for (const auto& entry : example.phat) out.log.push_back({entry.token, entry.p});
  for (const auto& entry : example.asked.top) out.top.push_back({entry.token, entry.nlp});
  return out;
}
bool has_rest(const Example& example) { return naive::rest_of(naive_of(example, 0)) > 0; }
}  // namespace

TEST_CASE("a bet is what the specification says, outcome by outcome") {
  std::mt19937_64 rng(1);
  for (int round = 0; round < 300; ++round) {
    const Example example = random_example(rng);
    const double alpha = 0.5 + static_cast<double>(rng() % 1000) / 1000;
    audit::LogprobBets c3;
    c3.set(example.phat, example.asked, alpha);
    audit::SampleBets c2;
    c2.set(example.phat, example.asked);
    const int last = static_cast<int>(example.phat.size());
    for (int choice = has_rest(example) ? -1 : 0; choice < last; ++choice) {
      std::array<double, audit::kC3Parameters> log3{};
      std::array<double, audit::kC2Parameters> log2{};
      c3.log_e(choice, log3);
      c2.log_e(choice, log2);
      const auto naive3 = naive::c3(naive_of(example, choice), static_cast<naive::Real>(alpha));
      const auto naive2 = naive::c2(naive_of(example, choice));
      for (std::size_t g = 0; g < log3.size(); ++g) REQUIRE(std::abs(log3[g] - static_cast<double>(std::log(naive::bet(naive3, g, choice)))) < 1e-11);
      for (std::size_t g = 0; g < log2.size(); ++g) REQUIRE(std::abs(log2[g] - static_cast<double>(std::log(naive::bet(naive2, g, choice)))) < 1e-11);
    }
  }
}

TEST_CASE("a bet has expectation one over the logged distribution") {
  std::mt19937_64 rng(2);
  for (int round = 0; round < 300; ++round) {
    const Example example = random_example(rng);
    audit::LogprobBets c3;
    c3.set(example.phat, example.asked, 0.9);
    audit::SampleBets c2;
    c2.set(example.phat, example.asked);
    std::array<double, audit::kC3Parameters> mean3{}, log3{};
    std::array<double, audit::kC2Parameters> mean2{}, log2{};
    const auto add = [&](int choice, double mass) {
      c3.log_e(choice, log3);
      c2.log_e(choice, log2);
      for (std::size_t g = 0; g < log3.size(); ++g) mean3[g] += mass * std::exp(log3[g]);
      for (std::size_t g = 0; g < log2.size(); ++g) mean2[g] += mass * std::exp(log2[g]);
    };
    std::uint64_t rest = 1ull << 32;
    for (std::size_t i = 0; i < example.phat.size(); ++i) {
      add(static_cast<int>(i), example.phat[i].p * 0x1p-32);
      rest -= example.phat[i].p;
    }
    if (rest > 0) add(-1, static_cast<double>(rest) * 0x1p-32);
    for (const double mean : mean3) REQUIRE(std::abs(mean - 1) < 1e-12);
    for (const double mean : mean2) REQUIRE(std::abs(mean - 1) < 1e-12);
  }
}

TEST_CASE("the baseline's slope is the weighted least squares one, rounded") {
  std::mt19937_64 rng(3);
  audit::Baseline baseline;
  std::vector<naive::Position> positions;
  for (int i = 0; i < 200; ++i) {
    const Example example = random_example(rng);
    baseline.add(example.phat, example.asked);
    positions.push_back(naive_of(example, 0));
  }
  REQUIRE(std::abs(static_cast<double>(baseline.alpha_micro()) - 1e6 * static_cast<double>(naive::fit(positions))) <= 0.5000001);
}

TEST_CASE("a baseline that nothing determines is one") {
  REQUIRE(audit::Baseline().alpha_micro() == 1'000'000);
  audit::Baseline flat;
  const std::vector<IssuedToken> even{{1, 1u << 30}, {2, 1u << 30}};
  const ScoredPosition asked{{{1, 5}, {2, 900'000}}, {}};
  flat.add(even, asked);
  REQUIRE(flat.alpha_micro() == 1'000'000);
  for (std::uint32_t k = 1; k <= 64; ++k) {  // equal masses, whose rounding errors are not zero
    std::vector<IssuedToken> tokens;
    ScoredPosition top;
    for (std::uint32_t v = 0; v < k; ++v) {
      tokens.push_back({v, static_cast<std::uint32_t>((1ull << 32) / (k + 1))});
      top.top.push_back({v, 1000 + 7919 * v});
    }
    audit::Baseline rounded;
    rounded.add(tokens, top);
    CAPTURE(k);
    REQUIRE(rounded.alpha_micro() == 1'000'000);
  }
}

TEST_CASE("the slope is one up to 10^-12 of the uncentred squares, and fitted from there") {
  // x = ln(1/4) and a little more: S_xx is a quarter of its square, R_xx is ln(4)^2. At 10^-12 the second p is 2,977 above the first.
  const auto fitted = [](std::uint32_t more) {
    audit::Baseline baseline;
    baseline.add(std::vector<IssuedToken>{{1, (1u << 30) + more}, {2, 1u << 30}}, {{{1, 5}, {2, 6}}, {}});
    return baseline.alpha_micro();
  };
  for (const std::uint32_t more : {1u, 1000u, 2970u}) REQUIRE(fitted(more) == 1'000'000);
  for (const std::uint32_t more : {2984u, 4000u, 1u << 16}) REQUIRE(std::abs(static_cast<double>(fitted(more)) / (1e6 * 1e-6 / (more * 0x1p-30)) - 1) < 1e-3);
}

TEST_CASE("a slope is limited, so that it can be printed") {
  audit::Baseline steep;
  const std::vector<IssuedToken> nearly_even{{1, (1u << 30) + (1u << 16)}, {2, 1u << 30}};
  const ScoredPosition asked{{{1, 5}, {2, 2'000'000'000}}, {}};
  steep.add(nearly_even, asked);
  REQUIRE(steep.alpha_micro() == 1'000'000'000);
}

TEST_CASE("millionths are written as decimals") {
  REQUIRE(audit::micro_string(981204) == "0.981204");
  REQUIRE(audit::micro_string(0) == "0.000000");
  REQUIRE(audit::micro_string(-1'500'000) == "-1.500000");
  REQUIRE(audit::micro_string(-1) == "-0.000001");
}
