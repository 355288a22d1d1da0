// The numbered sections of the report, in order (specs/report.md).
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "report/case.hpp"
#include "report/findings.hpp"
#include "report/html.hpp"

namespace heirmark::report {

[[nodiscard]] Html section_summary(const Case& from, const Validation& validation);  ///< 1, one page
[[nodiscard]] Html section_items(const Case& from);                                  ///< 2
[[nodiscard]] Html section_method(const Case& from, const Validation& validation);   ///< 3
[[nodiscard]] Html section_plan(const Case& from);                                   ///< 4
[[nodiscard]] Html section_results(const Case& from);                                ///< 5
[[nodiscard]] Html section_alternatives(const Case& from);                           ///< 6
[[nodiscard]] Html section_limitations(const Case& from);                            ///< 7
[[nodiscard]] Html section_annex(const Case& from);                                  ///< 8
[[nodiscard]] Html section_reproduction(const Case& from);                           ///< 9
[[nodiscard]] Html section_words(const Case& from, const Validation& validation);    ///< 10
[[nodiscard]] Html contents();

/// The page's style, with the case's id in the running head.
[[nodiscard]] Css style_sheet(const Case& from);

/// The whole document. `validation` is the study behind the method.
[[nodiscard]] std::string render(const Case& from, const Validation& validation);

}  // namespace heirmark::report
