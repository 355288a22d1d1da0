#include <heirmark/report.hpp>

#include "base/files.hpp"
#include "report/sections.hpp"
#include "report/words.hpp"

namespace heirmark {
namespace report {

std::string render(const Case& from, const Validation& validation) {
  const std::string title = "Audit report, case " + from.plan.plan_id + ": " + clipped(from.suspect.name, 60);
  const Html head =
      join(Markup::empty_element("meta", {{"charset", "utf-8"}}),
           Markup::empty_element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}),
           Markup::empty_element("meta", {{"http-equiv", "Content-Security-Policy"},
                                          {"content", "default-src 'none'; style-src 'unsafe-inline'"}}),
           el("title", {}, title), Markup::style(style_sheet(from)));
  const Html body =
      el("main", {}, section_summary(from, validation), contents(), section_items(from),
         section_method(from, validation), section_plan(from), section_results(from), section_alternatives(from),
         section_limitations(from), section_annex(from), section_reproduction(from), section_words(from, validation),
         el("p", {{"class", "end"}}, "End of the report on case ", code(from.plan.plan_id), "."));
  return Markup::document(head, body);
}

}  // namespace report

Result<std::string> render_report(const std::filesystem::path& bag) {
  auto from = report::read_case(bag);
  if (!from) return from.error();
  if (auto consistent = report::check_consistency(*from); !consistent) return consistent.error();
  return report::render(*from, report::validation_of(from->verdict.method));
}

Result<void> write_report(const std::filesystem::path& bag, const std::filesystem::path& file) {
  auto html = render_report(bag);
  if (!html) return html.error();
  return files::write_atomic(file, *html);
}

}  // namespace heirmark
