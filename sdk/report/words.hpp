// The wording of the report, in one place. The rules of language are in specs/report.md: "supports H1 over H2"; a
// p-value is never called a ratio of likelihoods; the absence of a signal never clears anybody; intent and breach are
// never claimed.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "report/case.hpp"
#include "report/findings.hpp"

namespace heirmark::report::words {

inline constexpr std::string_view kTitle = "Audit report";
inline constexpr std::string_view kSubtitle = "Influence of keyed text on the training of a language model";
inline constexpr std::string_view kNotStated = "not stated";
inline constexpr std::string_view kNotSigned = "not signed";

// Sentences that hold values of the case.
[[nodiscard]] std::string key_name(const Case& from);  ///< acme-70b/2026-11
[[nodiscard]] std::string question(const Case& from);
[[nodiscard]] std::string finding(const Case& from);                     ///< the heading of the answer
[[nodiscard]] std::string answer(const Case& from);                      ///< the answer sentence
[[nodiscard]] std::string answer_note(const Case& from);                 ///< what the sentence rests on
[[nodiscard]] std::vector<std::string> does_not_mean(const Case& from);  ///< three sentences
[[nodiscard]] std::string strength(const Case& from, const Validation& validation);
[[nodiscard]] std::string strength_cap(const Validation& validation);
[[nodiscard]] std::string attempts(const Case& from);
[[nodiscard]] std::string independence(const Case& from);
[[nodiscard]] std::string channel_title(std::string_view channel);  ///< "C1, the suspect's own texts"
[[nodiscard]] std::string control_result(const Case& from);
[[nodiscard]] std::string day(const std::string& time);  ///< 2 November 2026, 14:05 UTC; "" stays ""
[[nodiscard]] std::string detectable(const Case& from, const Channel& c1);

struct Alternative {
  std::string explanation, status, how;
};
[[nodiscard]] std::vector<Alternative> alternatives(const Case& from);
[[nodiscard]] std::vector<std::string> limitations(const Case& from);
[[nodiscard]] std::vector<std::string> would_change(const Case& from);
/// Ways in which a suspect that was influenced can show nothing.
[[nodiscard]] std::vector<std::string> silent_reasons();

struct Term {
  std::string_view word, meaning;
};
[[nodiscard]] const std::vector<Term>& glossary();
struct Rung {
  Strength strength;
  std::string_view words, rate;
};
[[nodiscard]] const std::vector<Rung>& scale();

}  // namespace heirmark::report::words
