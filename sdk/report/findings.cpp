#include "report/findings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <heirmark/stats.hpp>
#include <limits>

#include "report/numbers.hpp"

namespace heirmark::report {
namespace {
constexpr double kMillion = 1e6;
/// Printed decimals are rounded to 1e-4 each; several are added.
constexpr double kRounding = 0.002;

double log10_of(std::uint64_t value) { return std::log10(static_cast<double>(value)); }
double log10_alpha(const Verdict& verdict) { return std::log10(verdict.alpha.value); }

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

class Comparisons {
 public:
  void numbers(std::string what, std::uint64_t registered, std::uint64_t actual) {
    add(std::move(what), grouped(registered), grouped(actual), registered == actual);
  }
  void texts(std::string what, const std::string& registered, const std::string& actual) {
    add(std::move(what), or_none(registered), or_none(actual), registered == actual);
  }
  void add(std::string what, std::string registered, std::string actual, bool same) {
    rows_.push_back({std::move(what), std::move(registered), std::move(actual),
                     same ? Comparison::State::as_registered : Comparison::State::differs});
  }
  void shown(std::string what, std::string registered, std::string actual) {
    rows_.push_back({std::move(what), std::move(registered), std::move(actual), Comparison::State::not_comparable});
  }
  [[nodiscard]] std::vector<Comparison> take() { return std::move(rows_); }

 private:
  std::vector<Comparison> rows_;
};

/// Dates compare as text; a day is before or on every time of that day.
bool not_after(const std::string& earlier, const std::string& later) {
  const std::size_t shared = std::min(earlier.size(), later.size());
  return earlier.substr(0, shared) <= later.substr(0, shared);
}

}  // namespace

Headline headline(const Verdict& verdict) {
  Headline result;
  double least = std::numeric_limits<double>::infinity(), sum = -std::numeric_limits<double>::infinity();
  for (const Channel& channel : verdict.channels) {
    const double share = std::log10(static_cast<double>(channel.weight) / kMillion);
    const double divided = channel.log10_p.value - share;
    if (divided < least) {
      least = divided;
      result.least = result.steps.size();
    }
    sum = log10_sum(sum, share + channel.log10_e.value);
    result.steps.push_back({&channel, share, divided});
  }
  result.log10_multiplicity = log10_of(verdict.multiplicity);
  result.log10_p = std::min(0.0, least + result.log10_multiplicity);
  result.log10_e = sum - result.log10_multiplicity;
  return result;
}

double channel_threshold(const Verdict& verdict, const Channel& channel) {
  return -(log10_alpha(verdict) + std::log10(static_cast<double>(channel.weight) / kMillion) -
           log10_of(verdict.multiplicity));
}

double account_threshold(const Verdict& verdict, const Channel& channel) {
  return log10_of(std::max<std::uint64_t>(1, channel.accounts.size())) - log10_alpha(verdict);
}

std::size_t controls_reached(const Verdict& verdict) {
  return static_cast<std::size_t>(
      std::count_if(verdict.controls.begin(), verdict.controls.end(),
                    [&](const Control& control) { return control.log10_p.value <= log10_alpha(verdict); }));
}

Result<void> check_consistency(const Case& from) {
  const Verdict& verdict = from.verdict;
  const auto wrong = [](std::string message) {
    return Error{ErrorCode::invalid_evidence, "verdict.json: " + std::move(message)};
  };
  const bool reached = verdict.log10_p.value <= log10_alpha(verdict);
  const Outcome follows = !reached                        ? Outcome::inconclusive
                          : controls_reached(verdict) > 0 ? Outcome::does_not_support
                                                          : Outcome::supports;
  if (follows != verdict.outcome)
    return wrong("field outcome: \"" + verdict.outcome_name + "\" does not follow from log10_p, alpha and controls");
  const Headline again = headline(verdict);
  if (std::abs(again.log10_p - verdict.log10_p.value) > kRounding)
    return wrong("field log10_p: " + verdict.log10_p.text + " does not follow from the channels, which give " +
                 fixed(again.log10_p, 4));
  if (std::abs(again.log10_e - verdict.log10_e.value) > kRounding)
    return wrong("field log10_e: " + verdict.log10_e.text + " does not follow from the channels, which give " +
                 fixed(again.log10_e, 4));
  for (const Channel& channel : verdict.channels) {
    if (channel.text()) {
      const double larger = std::max(channel.log10_p_prf.value,
                                     channel.log10_p_rank ? channel.log10_p_rank->value : channel.log10_p_prf.value);
      if (std::abs(larger - channel.log10_p.value) > kRounding)
        return wrong("channel c1: field log10_p is not the larger of its parts");
    } else if (std::abs(std::min(0.0, -channel.log10_e.value) - channel.log10_p.value) > kRounding) {
      return wrong("channel " + channel.channel + ": field log10_p is not that of its log10_e");
    }
  }
  return {};
}

std::vector<Comparison> plan_against_done(const Case& from) {
  const Plan& plan = from.plan;
  const Verdict& verdict = from.verdict;
  Comparisons rows;
  rows.texts("Key (path)", plan.path, from.commitment.path);
  rows.texts("Key id", plan.key_id, from.commitment.key_id);
  rows.texts("Profile of the mark", plan.profile, from.commitment.profile);
  rows.numbers("Keys in the family (live key and decoys)", plan.family_size, from.commitment.family_size);
  rows.texts("Threshold alpha", plan.alpha.text, verdict.alpha.text);
  rows.numbers("Multiplicity m", plan.multiplicity, verdict.multiplicity);
  rows.numbers("Control keys", plan.controls, verdict.controls.size());
  std::uint64_t queries = 0;
  for (const PlanChannel& planned : plan.channels) {
    const Channel* done = verdict.find(planned.channel);
    const std::string name = "Channel " + planned.channel + ": ";
    if (done == nullptr) {
      rows.add(name + "used", "yes", "no", false);
      continue;
    }
    rows.numbers(name + "weight (millionths)", planned.weight, done->weight);
    if (planned.channel == "c1") {
      const TranscriptFile* texts = from.transcript.find("transcript/c1.jsonl");
      queries += planned.texts;
      rows.numbers(name + "texts", planned.texts, texts != nullptr ? texts->lines : 0);
      const std::uint64_t most = planned.texts * planned.tokens_per_text;
      rows.add(name + "tokens written by the suspect", "at most " + grouped(most), grouped(done->positions),
               done->positions <= most);
      rows.texts(name + "count rule", planned.count_rule, done->count_rule);
      rows.numbers(name + "decoys per class", planned.decoys, done->decoys);
      rows.shown(name + "temperature (thousandths)", grouped(planned.temperature_milli),
                 "as asked; the suspect cannot be seen to obey");
    } else {
      rows.add(name + "responses bet on", grouped(plan.ledger_responses - plan.fit_responses), grouped(done->responses),
               done->responses == plan.ledger_responses - plan.fit_responses);
      if (planned.channel == "c2")
        rows.shown(name + "sampled tokens per context", grouped(planned.samples), "in transcript/issued.jsonl");
      if (planned.channel == "c3")
        rows.shown(name + "listed log-probabilities per context", grouped(planned.top), "in transcript/issued.jsonl");
    }
  }
  for (const Channel& done : verdict.channels)
    if (from.planned(done.channel) == nullptr) rows.add("Channel " + done.channel + ": used", "no", "yes", false);
  if (plan.ledger_responses > 0) {
    const TranscriptFile* issued = from.transcript.find("transcript/issued.jsonl");
    queries += plan.ledger_responses;
    rows.numbers("Responses of the ledger asked about", plan.ledger_responses, issued != nullptr ? issued->lines : 0);
    rows.shown("Responses kept for fitting, never bet on", grouped(plan.fit_responses), "the others are bet on");
  }
  rows.numbers("Queries in all", queries, from.transcript.queries);
  rows.add("Stopping rule", plan.stop == "fixed" ? "fixed: all queries, then the verdict" : plan.stop,
           queries == from.transcript.queries ? "all queries were made" : "not all queries were made",
           queries == from.transcript.queries);
  // A label that the auditor gave is no deviation.
  if (from.suspect.name == from.transcript.hello_name) rows.texts("Name of the suspect", from.suspect.name, from.transcript.hello_name);
  else rows.shown("Name of the suspect", from.suspect.name, "it calls itself " + or_none(from.transcript.hello_name));
  rows.numbers("Vocabulary of the suspect", from.suspect.vocab, from.transcript.hello_vocab);
  if (!from.suspect.weights.empty() && !from.transcript.weights_digest.empty())
    rows.texts("Digest of the suspect's weights", from.suspect.weights, from.transcript.weights_digest);
  else
    rows.shown("Digest of the suspect's weights", or_none(from.suspect.weights),
               or_none(from.transcript.weights_digest));
  return rows.take();
}

std::vector<Order> order_of_events(const Case& from) {
  std::vector<Order> rows;
  const auto stated = [&](std::string_view object) {
    const Statement* statement = from.statement(object);
    return statement != nullptr ? statement->date : std::string();
  };
  const auto order = [&](std::string earlier, const std::string& first, std::string later, const std::string& second,
                         std::string why, std::string_view object = {}) {
    const auto state = first.empty() || second.empty() ? Order::State::undated
                       : not_after(first, second)      ? Order::State::in_order
                                                       : Order::State::broken;
    const std::string stamp = from.stamped(object);
    rows.push_back({std::move(earlier), std::move(later), state, std::move(why),
                    state == Order::State::in_order && !stamp.empty() && not_after(stamp, second)});
  };
  const std::string committed = stated("commitment"), sealed = stated("ledger");
  order("key committed", committed, "key in force", from.commitment.not_before,
        "the key was fixed before any text was marked with it", "commitment");
  order("key committed", committed, "suspect released", from.suspect.released,
        "the key was not chosen to fit the suspect", "commitment");
  order("key in force", from.commitment.not_before, "suspect released", from.suspect.released,
        "marked text existed while the suspect could be trained");
  if (!from.plan.ledger.empty())
    order("ledger sealed", sealed, "suspect released", from.suspect.released,
          "the record of issued text was not written to fit the suspect", "ledger");
  order("plan dated", from.plan.date, "first query", from.transcript.started,
        "nothing about the test was chosen after answers were seen", "plan");
  order("plan signed", stated("plan"), "first query", from.transcript.started,
        "the same, by the auditor's signed word", "plan");
  order("last query", from.transcript.ended, "verdict", from.verdict.date,
        "the transcript was complete before the key was used on it");
  order("transcript signed", stated("transcript"), "verdict", from.verdict.date,
        "the transcript was sealed before the key was used on it", "transcript");
  return rows;
}

Validation validation_of(std::string_view method) noexcept {
  // A number is written here only for a study whose record is published with it; a test compares them.
  static constexpr std::array<Validation::Level, 4> kLevels{{{-2, 6}, {-3, 1}, {-4, 0}, {-6, 0}}};
  if (method != "heirmark-statistics-v1") return {};
  return {31'200, true, "specs/studies/2026-11-25-simulated-audits.json", kLevels};
}

double rate_bound(std::uint64_t n, std::uint64_t seen) {
  if (seen >= n) return 1;
  if (seen == 0) return std::min(1.0, 3.0 / static_cast<double>(n));
  // The rate q at which more than `seen` are met with probability 0.95.
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (stats::log_binomial_tail(n, middle, seen + 1) < std::log(0.95) ? low : high) = middle;
  }
  return high;
}

const Validation::Level* level_for(const Validation& validation, double log10_p) {
  const Validation::Level* found = nullptr;
  if (validation.null_audits > 0)
    for (const Validation::Level& level : validation.levels)
      if (log10_p <= level.log10_alpha) found = &level;
  return found;
}

double log10_validated_rate(const Validation& validation, double log10_p) {
  const Validation::Level* level = level_for(validation, log10_p);
  return level == nullptr ? 0 : std::log10(rate_bound(validation.null_audits, level->reached));
}

Strength verbal_strength(const Verdict& verdict, const Validation& validation) {
  if (verdict.outcome != Outcome::supports) return Strength::none;
  const double rate = std::max(verdict.log10_p.value, log10_validated_rate(validation, verdict.log10_p.value));
  const Strength most = validation.simulated ? Strength::strong : Strength::very_strong;
  return std::min(most, rate <= -6   ? Strength::very_strong
                        : rate <= -4 ? Strength::strong
                        : rate <= -3 ? Strength::moderate
                        : rate <= -2 ? Strength::limited
                                     : Strength::none);
}

double detectable_influence(const Verdict& verdict, const Channel& c1) {
  if (c1.n == 0) return std::numeric_limits<double>::infinity();
  const double kappa = c1.scheme == "gumbel" ? 0.87 : c1.scheme == "tournament" ? 0.37 : 0.16;  // mean entropy 1.1 nats
  const double alpha = std::pow(10.0, -channel_threshold(verdict, c1));
  const double z = normal_upper_quantile(alpha) + normal_upper_quantile(0.1);
  return z / std::sqrt(kappa * static_cast<double>(c1.n));
}

}  // namespace heirmark::report
