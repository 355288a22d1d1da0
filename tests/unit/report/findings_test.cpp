#include "report/findings.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "fixture.hpp"
#include "report/words.hpp"

using namespace heirmark::report;
using fixture::Kind;
using fixture::Texts;

namespace {
Case read(const fixture::Bag& bag) {
  auto from = read_case(bag.folder());
  INFO((from ? std::string() : from.error().message));
  REQUIRE(from);
  return *from;
}
bool any_differs(const Case& from) {
  for (const Comparison& row : plan_against_done(from))
    if (row.state == Comparison::State::differs) return true;
  return false;
}
}  // namespace

TEST_CASE("the headline is computed again from the channels") {
  const Case from = read(fixture::Bag(Kind::guilty));
  const Headline steps = headline(from.verdict);
  REQUIRE(steps.steps.size() == 3);
  CHECK(steps.least == 2);
  CHECK(steps.log10_p == Approx(-41.3377 - std::log10(0.7) + std::log10(2.0)).epsilon(1e-9));
  CHECK(steps.log10_e == Approx(41.3377 + std::log10(0.7) - std::log10(2.0)).epsilon(1e-9));
  CHECK(check_consistency(from));
}

TEST_CASE("thresholds of channels and accounts") {
  const Case from = read(fixture::Bag(Kind::guilty));
  CHECK(channel_threshold(from.verdict, *from.verdict.find("c1")) == Approx(6 + std::log10(5.0) + std::log10(2.0)));
  CHECK(account_threshold(from.verdict, *from.verdict.find("c3")) == Approx(6 + std::log10(12.0)));
}

TEST_CASE("a report never says more than its numbers") {
  for (const auto& [what, change] : std::vector<std::pair<std::string, std::function<void(Verdict&)>>>{
           {"outcome", [](Verdict& v) { v.log10_p.value = -5.9; }},
           {"outcome", [](Verdict& v) { v.controls[0].log10_p.value = -6; }},
           {"log10_p", [](Verdict& v) { v.log10_p.value -= 0.01; }},
           {"log10_e", [](Verdict& v) { v.log10_e.value += 0.01; }},
           {"c1", [](Verdict& v) { v.channels[0].log10_p.value = -9.4127; }},
           {"c2", [](Verdict& v) { v.channels[1].log10_p.value -= 1; }},
           {"log10_p", [](Verdict& v) { v.multiplicity = 1; }}}) {
    Case from = read(fixture::Bag(Kind::guilty));
    change(from.verdict);
    const auto done = check_consistency(from);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == heirmark::ErrorCode::invalid_evidence);
    CHECK_THAT(done.error().message, Catch::Contains("verdict.json") && Catch::Contains(what));
  }
}

TEST_CASE("the plan is compared with what was done") {
  Case from = read(fixture::Bag(Kind::guilty));
  CHECK_FALSE(any_differs(from));
  for (const auto& change : std::vector<std::function<void(Case&)>>{
           [](Case& c) { c.plan.channels[0].texts = 499; }, [](Case& c) { c.plan.channels[0].decoys = 0; },
           [](Case& c) { c.plan.channels[0].tokens_per_text = 100; },
           [](Case& c) { c.plan.channels[0].count_rule = "log2"; }, [](Case& c) { c.plan.channels[1].weight = 1; },
           [](Case& c) { c.plan.alpha.text = "0.01"; }, [](Case& c) { c.plan.multiplicity = 3; },
           [](Case& c) { c.plan.controls = 5; }, [](Case& c) { c.plan.fit_responses = 31; },
           [](Case& c) { c.plan.ledger_responses = 321; }, [](Case& c) { c.plan.key_id = "0000000000000000"; },
           [](Case& c) { c.plan.channels.pop_back(); }, [](Case& c) { c.verdict.channels.pop_back(); },
           [](Case& c) { c.transcript.queries = 819; }, [](Case& c) { c.transcript.hello_vocab = 1; },
           [](Case& c) { c.transcript.weights_digest = fixture::digest("other"); }}) {
    Case changed = from;
    change(changed);
    CHECK(any_differs(changed));
    CHECK_THAT(words::answer_note(changed), Catch::Contains("differs from the registered plan"));
  }
}

TEST_CASE("the order of events is read off the dates") {
  Case from = read(fixture::Bag(Kind::guilty));
  for (const Order& row : order_of_events(from)) CHECK(row.state == Order::State::in_order);
  CHECK_THAT(words::answer_note(from), Catch::Contains("in that order (section 2)") && !Catch::Contains("NOT"));

  from.suspect.released = "2026-02-26";  // the day of the commitment: not before it
  CHECK(order_of_events(from)[1].state == Order::State::in_order);
  from.suspect.released = "2026-02-25";
  CHECK(order_of_events(from)[1].state == Order::State::broken);
  CHECK_THAT(words::answer_note(from), Catch::Contains("NOT in that order"));
  from.suspect.released = "";
  CHECK(order_of_events(from)[1].state == Order::State::undated);
  CHECK_THAT(words::answer_note(from), Catch::Contains("Not every date"));
}

TEST_CASE("words follow validation, not the size of p") {
  const Case guilty = read(fixture::Bag(Kind::guilty)), twin = read(fixture::Bag(Kind::twin)),
             both = read(fixture::Bag(Kind::controls_too));
  CHECK(verbal_strength(guilty.verdict, {0}) == Strength::none);
  CHECK(verbal_strength(guilty.verdict, {300}) == Strength::limited);
  CHECK(verbal_strength(guilty.verdict, {3'000}) == Strength::moderate);
  CHECK(verbal_strength(guilty.verdict, {100'000}) == Strength::strong);
  CHECK(verbal_strength(guilty.verdict, {3'000'000}) == Strength::very_strong);
  CHECK(verbal_strength(twin.verdict, {3'000'000}) == Strength::none);
  CHECK(verbal_strength(both.verdict, {3'000'000}) == Strength::none);
  CHECK_THAT(words::strength(guilty, {0}), Catch::Contains("no degree is stated"));
  CHECK_THAT(words::strength(guilty, {100'000}),
             Catch::StartsWith("strong support for H1 over H2") && Catch::Contains("3/100,000"));
}

TEST_CASE("the planning figure of C1") {
  // n = z^2 / (kappa r^2), specs/statistics.md, with alpha of this channel.
  const Case from = read(fixture::Bag(Kind::guilty));
  const double r = detectable_influence(from.verdict, *from.verdict.find("c1"));
  CHECK(0.87 * 18231 * r * r ==
        Approx(std::pow(5.1993375822 + 1.2815515655, 2)).epsilon(1e-6));  // z of 1e-7 and of 0.1
}
