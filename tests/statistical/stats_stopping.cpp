// Validity under optional stopping: the e-process may be looked at after every batch, with the topic of the next batch
// chosen by what was seen; the p-value may not, and the kit sees it.
// False failure <= 1e-9 for each test case; n and alpha are stated at each.
#include <array>
#include <catch2/catch.hpp>
#include <heirmark/stats.hpp>

#include "kit.hpp"

using namespace heirmark::stats;
using kit::Calibration;

TEST_CASE("peeking at the e-process of gumbel scores keeps its level") {
  // n = 4,000 runs of 2,000 pairs, a look every 5; alpha = .1, .01, .001
  kit::Rng rng(11);
  Calibration peeked_e({.1, .01, .001}), peeked_p({.01});
  for (int run = 0; run < 4000; ++run) {
    double t = 0, best_e = 0, best_p = 0;
    for (std::uint64_t n = 5; n <= 2000; n += 5) {
      t += rng.gamma(5);
      best_e = std::max(best_e, log_e_exponential(n, t));
      best_p = std::min(best_p, log_gamma_tail(n, t));
    }
    peeked_e.add(-best_e);
    peeked_p.add(best_p);
  }
  CHECK(peeked_e.too_often() == "");
  CHECK(peeked_p.too_often() != "");  // known-bad: the exact p, looked at 400 times
}

TEST_CASE("peeking at the e-process of green counts keeps its level") {
  // n = 4,000 runs of 2,000 pairs, a look every 10; alpha = .1, .01, .001
  kit::Rng rng(12);
  Calibration peeked_e({.1, .01, .001}), peeked_p({.01});
  for (int run = 0; run < 4000; ++run) {
    std::uint64_t x = 0;
    double best_e = 0, best_p = 0;
    for (std::uint64_t n = 10; n <= 2000; n += 10) {
      x += rng.binomial(10, .25);
      best_e = std::max(best_e, log_e_bernoulli(n, .25, x));
      best_p = std::min(best_p, log_binomial_tail(n, .25, x));
    }
    peeked_e.add(-best_e);
    peeked_p.add(best_p);
  }
  CHECK(peeked_e.too_often() == "");
  CHECK(peeked_p.too_often() != "");
}

TEST_CASE("going on with the topic that looked best keeps the level of the e-process, not of the best topic's p") {
  // n = 4,000 runs, 20 topics, 10 pairs each to begin with, then 80 batches of 10 for the topic with the highest mean;
  // alpha = .01. All pairs count in the e-process, whatever made the auditor ask for them.
  kit::Rng rng(13);
  Calibration process({.01}), best_topic({.01});
  for (int run = 0; run < 4000; ++run) {
    std::array<double, 20> sum{};
    std::array<std::uint64_t, 20> count{};
    double t = 0, best_e = 0;
    std::uint64_t n = 0;
    for (std::size_t batch = 0; batch < 100; ++batch) {
      std::size_t topic = batch;
      if (batch >= 20) {
        topic = 0;
        for (std::size_t i = 1; i < 20; ++i) {
          if (sum[i] * static_cast<double>(count[topic]) > sum[topic] * static_cast<double>(count[i])) topic = i;
        }
      }
      const double scores = rng.gamma(10);
      sum[topic] += scores;
      count[topic] += 10;
      t += scores;
      n += 10;
      best_e = std::max(best_e, log_e_exponential(n, t));
    }
    double p = 0;
    for (std::size_t i = 0; i < 20; ++i) p = std::min(p, log_gamma_tail(count[i], sum[i]));
    process.add(-best_e);
    best_topic.add(p);
  }
  CHECK(process.too_often() == "");
  CHECK(best_topic.too_often() != "");
}

TEST_CASE("bets on documents keep their level, stopped at the best moment") {
  // n = 20,000 runs of up to 60 responses with 8 positions and 3 parameters; alpha = .1, .01, .001. A position: the key
  // chose one of 4 tokens with probabilities .5 .3 .15 .05, the suspect's preference is arbitrary and depends on the
  // past.
  kit::Rng rng(14);
  const std::array<double, 4> probability{.5, .3, .15, .05};
  const std::array<double, 3> lambda{.1, .8, 3.2};
  Calibration peeked({.1, .01, .001});
  for (int run = 0; run < 20000; ++run) {
    DocumentBets bets(3);
    double best = 0;
    std::size_t last = 0;
    for (int document = 0; document < 60; ++document) {
      for (int position = 0; position < 8; ++position) {
        std::array<double, 4> preference{};
        for (std::size_t v = 0; v < 4; ++v) preference[v] = v == last ? 1.5 : rng.uniform() - .5;
        const double u = rng.uniform();
        const std::size_t chosen = u <= .5 ? 0u : u <= .8 ? 1u : u <= .95 ? 2u : 3u;
        std::array<double, 3> log_e{};
        for (std::size_t g = 0; g < 3; ++g) {
          double mean = 0;
          for (std::size_t v = 0; v < 4; ++v) mean += probability[v] * std::exp(lambda[g] * preference[v]);
          log_e[g] = lambda[g] * preference[chosen] - std::log(mean);
        }
        bets.bet(log_e);
        last = chosen;
      }
      bets.end_document();
      best = std::max(best, bets.log_e());
      if (best > 7) break;
    }
    peeked.add(-best);
  }
  CHECK(peeked.too_often() == "");
}
