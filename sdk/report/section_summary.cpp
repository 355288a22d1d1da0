// Section 1: one page that can be read alone.
#include <array>
#include <cmath>

#include "report/numbers.hpp"
#include "report/sections.hpp"
#include "report/words.hpp"

namespace heirmark::report {
namespace {

std::string or_not_stated(const std::string& text) { return text.empty() ? std::string(words::kNotStated) : text; }

std::string stated_day(const Case& from, std::string_view object) {
  const Statement* statement = from.statement(object);
  return statement == nullptr ? std::string(words::kNotSigned) : words::day(statement->date);
}

Html dates(const Case& from) {
  std::vector<std::pair<Html, Html>> rows{
      {"Key committed", stated_day(from, "commitment")},
      {"Key in force", words::day(from.commitment.not_before) + " to " + words::day(from.commitment.not_after)},
      {"Suspect released", or_not_stated(words::day(from.suspect.released))}};
  if (!from.plan.ledger.empty()) rows.insert(rows.begin() + 2, {"Ledger sealed", stated_day(from, "ledger")});
  rows.push_back({"Plan registered", words::day(from.plan.date)});
  rows.push_back({"First query", words::day(from.transcript.started)});
  rows.push_back({"Last query", words::day(from.transcript.ended)});
  rows.push_back({"Opening, verdict", words::day(from.verdict.date)});
  return facts(rows, "Key dates");
}

Html party(const Case& from, std::string_view role) {
  const std::string key = from.signer_key(role);
  return key.empty() ? Html(words::kNotSigned) : digest(key);
}

}  // namespace

Html section_summary(const Case& from, const Validation& validation) {
  const Verdict& verdict = from.verdict;
  const double bound = log10_bayes_bound(verdict.log10_p.value);
  Html meanings;
  for (const std::string& item : words::does_not_mean(from)) meanings.add(el("li", {}, item));

  const Html header = el(
      "header", {{"class", "title"}}, el("p", {{"class", "kind"}}, words::kTitle), el("h1", {}, words::kSubtitle),
      el("p", {{"class", "meta"}}, "Case ", code(from.plan.plan_id), ". Verdict of ", words::day(verdict.date), "."));
  const Html question = facts({{"Question", words::question(from)}, {"H1", from.plan.h1}, {"H2", from.plan.h2}},
                              "Question and propositions");
  const Html answer =
      el("div", {{"class", "answer"}}, el("p", {{"class", "finding"}}, words::finding(from)),
         el("p", {{"class", "sentence"}}, words::answer(from)), el("p", {{"class", "note"}}, words::answer_note(from)));
  const Html strength = facts(
      {{"In numbers",
        join("log10 p = ", minus_sign(verdict.log10_p.text), "; log10 e = ", minus_sign(verdict.log10_e.text),
             "; threshold alpha = ", verdict.alpha.text, " (log10 ", fixed(std::log10(verdict.alpha.value), 2), ")")},
       {"Ceiling", bound > 0
                       ? "What p alone allows as a Bayes factor is at most 1/(−e p ln p) = " + from_log10(bound) +
                             " (Sellke, Bayarri and Berger, 2001, under their conditions). It is no estimate, and smaller than 1/p."
                       : std::string("A p-value of this size alone allows no Bayes factor above 1 (Sellke, Bayarri and Berger, 2001).")},
       {"In words", words::strength(from, validation)}},
      "Strength");
  const Html limits = join(h3("What this does not mean"), el("ol", {}, meanings));
  const Html below =
      join(el("div", {{"class", "columns"}}, el("div", {{"class", "dates"}}, h3(from.stamps.empty() ? "Key dates" : "Key dates; time stamps are in section 2"), dates(from)),
              el("div", {{"class", "who"}}, h3("Who signed"),
                 facts({{"Provider", party(from, "provider")}, {"Auditor", party(from, "auditor")}}, "Signers"),
                 el("p", {{"class", "note"}}, words::independence(from)))),
           facts({{"Attempts", words::attempts(from)}}, "Attempts"));
  return join(header, el("section", {{"class", "summary"}, {"aria-labelledby", "s1"}}, h2("s1", "1. Summary"), question,
                         answer, strength, limits, below));
}

Html contents() {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kSections{
      {{"#s1", "Summary"},
       {"#s2", "Items received"},
       {"#s3", "Method"},
       {"#s4", "Plan and what was done"},
       {"#s5", "Results"},
       {"#s6", "Other explanations"},
       {"#s7", "Limitations"},
       {"#s8", "Technical annex"},
       {"#s9", "Reproduction"},
       {"#s10", "Words and templates"}}};
  Html items;
  for (const auto& [target, title] : kSections)
    items.add(el("li", {}, el("a", {{"href", std::string(target)}}, title)));
  return el("nav", {{"aria-label", "Contents"}}, h3("Contents"), el("ol", {}, items));
}

}  // namespace heirmark::report
