#include "report/findings.hpp"

#include <algorithm>
#include <array>
#include <boost/math/special_functions/beta.hpp>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/files.hpp"
#include "fixture.hpp"
#include "json/value.hpp"
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
  // Another name is shown, but an auditor may call a suspect as he likes.
  from.transcript.hello_name = "student-c";
  CHECK_FALSE(any_differs(from));
  const auto rows = plan_against_done(from);
  CHECK(std::any_of(rows.begin(), rows.end(), [](const Comparison& row) { return row.actual == "it calls itself student-c"; }));
}

TEST_CASE("the order of events is read off the dates") {
  Case from = read(fixture::Bag(Kind::guilty));
  for (const Order& row : order_of_events(from)) CHECK(row.state == Order::State::in_order);
  CHECK_THAT(words::answer_note(from), Catch::Contains("in order (section 2)") && !Catch::Contains("NOT"));

  from.suspect.released = "2026-02-26";  // the day of the commitment: not before it
  CHECK(order_of_events(from)[1].state == Order::State::in_order);
  from.suspect.released = "2026-02-25";
  CHECK(order_of_events(from)[1].state == Order::State::broken);
  CHECK_THAT(words::answer_note(from), Catch::Contains("NOT in order"));
  from.suspect.released = "";
  CHECK(order_of_events(from)[1].state == Order::State::undated);
  CHECK_THAT(words::answer_note(from), Catch::Contains("Not every date"));
}

TEST_CASE("a stamp shows the order only where it is not after the later event") {
  Case from = read(fixture::Bag(Kind::guilty));
  const auto stamped = [&] {
    std::vector<std::string> rows;
    for (const Order& row : order_of_events(from))
      if (row.stamped) rows.push_back(row.earlier + ", " + row.later);
    return rows;
  };
  using Rows = std::vector<std::string>;
  CHECK(stamped().empty());
  CHECK_THAT(words::limitations(from).front(), Catch::Contains("no time stamp of a third party"));
  const std::string committed = from.statement("commitment")->date, released = from.suspect.released;
  from.stamps = {{"commitment", "stamps/commitment-1.tsr", released + "T23:59:59Z", "CN=a"}};
  CHECK(stamped() == Rows{"key committed, suspect released"});  // in force since earlier
  from.stamps[0].time = committed;
  CHECK(stamped() == Rows{"key committed, key in force", "key committed, suspect released"});
  from.stamps.push_back({"commitment", "stamps/commitment-2.tsr", released + "T23:59:59Z", "CN=b"});  // nobody vouches for either: the one that says less counts
  CHECK(stamped() == Rows{"key committed, suspect released"});
  from.stamps[1].time = "2001-01-01T00:00:00Z";  // before the statement's own date it says nothing
  CHECK(stamped() == Rows{"key committed, key in force", "key committed, suspect released"});
  CHECK_THAT(words::limitations(from).front(), Catch::Contains("but not for ledger, plan, transcript"));
  from.stamps.push_back({"plan", "stamps/plan-1.tsr", "2099-01-01T00:00:00Z", "CN=a"});
  from.stamps.push_back({"transcript", "stamps/transcript-1.tsr", from.verdict.date, "CN=a"});
  CHECK(stamped() == Rows{"key committed, key in force", "key committed, suspect released", "transcript signed, verdict"});
  from.suspect.released = "2020-01-01";  // out of order: no stamp mends it
  CHECK(stamped() == Rows{"key committed, key in force", "transcript signed, verdict"});
}

TEST_CASE("words follow validation, not the size of p") {
  const Case guilty = read(fixture::Bag(Kind::guilty)), twin = read(fixture::Bag(Kind::twin)),
             both = read(fixture::Bag(Kind::controls_too));
  const auto study = [](std::uint64_t audits, bool simulated = false) {
    static constexpr std::array<Validation::Level, 2> silent{{{-2, 0}, {-6, 0}}};
    return Validation{audits, simulated, "the record", silent};
  };
  CHECK(verbal_strength(guilty.verdict, {}) == Strength::none);
  CHECK(verbal_strength(guilty.verdict, study(299)) == Strength::none);
  CHECK(verbal_strength(guilty.verdict, study(300)) == Strength::limited);
  CHECK(verbal_strength(guilty.verdict, study(3'000)) == Strength::moderate);
  CHECK(verbal_strength(guilty.verdict, study(30'000)) == Strength::strong);
  CHECK(verbal_strength(guilty.verdict, study(3'000'000)) == Strength::very_strong);
  CHECK(verbal_strength(twin.verdict, study(3'000'000)) == Strength::none);
  CHECK(verbal_strength(both.verdict, study(3'000'000)) == Strength::none);
  CHECK_THAT(words::strength(guilty, {}), Catch::Contains("no degree is stated"));
  CHECK_THAT(words::strength(guilty, study(100'000)),
             Catch::StartsWith("strong support for H1 over H2") && Catch::Contains("none of 100,000 null audits reached 1 in 1 million") &&
                 Catch::Contains("3/100,000") && !Catch::Contains("simulated"));

  // No number of simulated audits carries the strongest words, and the report says that they were simulated.
  CHECK(verbal_strength(guilty.verdict, study(3'000, true)) == Strength::moderate);
  CHECK(verbal_strength(guilty.verdict, study(3'000'000'000, true)) == Strength::strong);
  CHECK_THAT(words::strength(guilty, study(30'000, true)), Catch::Contains("none of 30,000 simulated null audits reached 1 in 1 million"));
  CHECK_THAT(words::strength_cap(study(30'000, true)),
             Catch::Contains("30,000 simulated null audits (the record)") && Catch::Contains("at most 1 in 100 in none of them and 1 in 1 million in none of them;") &&
                 Catch::Contains("They do not test custody"));
  CHECK_THAT(words::strength_cap(study(30'000)), !Catch::Contains("imulated"));
}

TEST_CASE("what was counted at a level bears on the p-values up to that level") {
  Case guilty = read(fixture::Bag(Kind::guilty));
  static constexpr std::array<Validation::Level, 3> levels{{{-2, 90}, {-3, 7}, {-4, 0}}};
  const Validation study{10'000, false, "the record", levels};
  CHECK(level_for(study, -1.9) == nullptr);
  CHECK(level_for(study, -2) == &levels[0]);
  CHECK(level_for(study, -2.9) == &levels[0]);
  CHECK(level_for(study, -3.5) == &levels[1]);
  CHECK(level_for(study, -41) == &levels[2]);
  CHECK(level_for({}, -41) == nullptr);
  CHECK(log10_validated_rate(study, -41) == Approx(std::log10(3e-4)));
  CHECK(log10_validated_rate(study, -1) == 0);

  guilty.verdict.log10_p.value = -2.5;  // at most 0.01: 90 of 10,000 did that
  CHECK(log10_validated_rate(study, -2.5) > std::log10(0.009));
  CHECK(verbal_strength(guilty.verdict, study) == Strength::none);
  CHECK_THAT(words::strength(guilty, study), Catch::Contains("too small to state a degree"));
  guilty.verdict.log10_p.value = -3.9;
  CHECK(verbal_strength(guilty.verdict, study) == Strength::limited);
  CHECK_THAT(words::strength(guilty, study),
             Catch::StartsWith("limited support") && Catch::Contains("7 false positives in 10,000 null audits supports only a rate of 1 in 760"));
}

TEST_CASE("the bound on a rate is Clopper and Pearson's, and 3/N for none") {
  CHECK(rate_bound(1000, 0) == 0.003);
  CHECK(rate_bound(2, 0) == 1);
  CHECK(rate_bound(10, 10) == 1);
  for (const auto& [n, seen] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{10, 1}, {10, 9}, {10'000, 7}, {31'200, 40}, {1'000'000, 1}})
    CHECK(rate_bound(n, seen) ==
          Approx(boost::math::ibeta_inv(static_cast<double>(seen) + 1, static_cast<double>(n - seen), 0.95)).epsilon(1e-9));
  CHECK(rate_bound(31'200, 0) > boost::math::ibeta_inv(1.0, 31'200.0, 0.95));
}

TEST_CASE("the study in the source is the one on record") {
  const Validation study = validation_of("heirmark-statistics-v1");
  CHECK(validation_of("another-method").null_audits == 0);
  const auto bytes = heirmark::files::read(std::filesystem::path(HEIRMARK_SOURCE_DIR) / study.record);
  REQUIRE(bytes);
  const auto record = heirmark::json::parse_canonical(*bytes);
  REQUIRE(record);
  const auto number = [](const heirmark::json::Value& value, const char* name) { return *value.find(name)->if_integer(); };
  const heirmark::json::Value& audits = *record->find("audits");
  CHECK(*record->find("method")->if_string() == "heirmark-statistics-v1");
  CHECK(*record->find("simulated")->if_bool() == study.simulated);
  CHECK(static_cast<std::uint64_t>(number(audits, "audits")) == study.null_audits);
  const auto& levels = *audits.find("levels")->if_array();
  REQUIRE(levels.size() == study.levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    CHECK(std::log10(std::stod(*levels[i].find("alpha")->if_string())) == Approx(study.levels[i].log10_alpha));
    CHECK(static_cast<std::uint64_t>(number(levels[i], "reached")) == study.levels[i].reached);
    // The record's bound is rounded up to three digits.
    CHECK(std::stod(*levels[i].find("upper95")->if_string()) == Approx(rate_bound(study.null_audits, study.levels[i].reached)).epsilon(0.012));
  }
}

TEST_CASE("the planning figure of C1") {
  // n = z^2 / (kappa r^2), specs/statistics.md, with alpha of this channel.
  const Case from = read(fixture::Bag(Kind::guilty));
  const double r = detectable_influence(from.verdict, *from.verdict.find("c1"));
  CHECK(0.87 * 18231 * r * r ==
        Approx(std::pow(5.1993375822 + 1.2815515655, 2)).epsilon(1e-6));  // z of 1e-7 and of 0.1
}
