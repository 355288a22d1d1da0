// Decimal strings, alpha, dates and times: the two readers of fields agree, and comparisons are those of real numbers.
#include <cmath>
#include <cstdlib>

#include "audit/case.hpp"
#include "fuzz.hpp"
#include "report/fields.hpp"
#include "report/numbers.hpp"
#include "suspect/fields.hpp"

using namespace heirmark;

namespace {
std::string read_by_audit(const json::Value& value, bool& accepted) {
  fields::Fields in(value, "object");
  std::string text = in.decimal("x");
  const auto done = in.finish();
  if (!done) fuzz::check_error(done.error(), "\"x\"");
  accepted = done.ok();
  return text;
}
}  // namespace

FUZZ_TARGET(decimals) {
  const std::string text(input.rest());
  const json::Value value = json::Object{{"x", text}};
  bool accepted = false;
  const std::string same = read_by_audit(value, accepted);
  std::optional<Error> error;
  report::Fields in(value, "file.json", error);
  const report::Decimal decimal = in.decimal("x");
  if (error) fuzz::check_error(*error, "field x");
  fuzz::require(accepted == !error.has_value(), "both readers accept the same decimals", text);
  const bool time = text::is_time(text), date = text::is_date(text);
  std::optional<Error> time_error, date_error;
  report::Fields(value, "file.json", time_error).time("x");
  report::Fields(value, "file.json", date_error).date("x");
  fuzz::require(time == !time_error && date == !date_error, "both readers accept the same days and times", text);

  // Alpha as specs/formats.md has it: "0." and 1 to 38 digits, the last not 0.
  bool alpha = text.size() >= 3 && text.size() <= 40 && text.starts_with("0.") && text.back() != '0';
  for (std::size_t i = 2; alpha && i < text.size(); ++i) alpha = text[i] >= '0' && text[i] <= '9';
  // Above 0.9 the last digits of the longest strings are beyond a double, and beyond any use.
  if (alpha && text[2] != '9') {
    const double number = std::strtod(text.c_str(), nullptr);
    fuzz::require(number > 0 && number < 1, "alpha is between 0 and 1", text);
    fuzz::require(audit::reaches_alpha("-38.5", text) && !audit::reaches_alpha("0.0000", text), "alpha is compared as a number", text);
    fuzz::require(audit::names_account("60.0000", 10'000'000, text) && !audit::names_account("0.0000", 1, text), "accounts are compared as numbers", text);
  }
  if (!accepted) return;
  fuzz::require(same == text && decimal.text == text && std::isfinite(decimal.value), "a decimal is kept as it is written", text);
  fuzz::require(!report::one_in(decimal.value).empty() && !report::from_log10(decimal.value).empty() && !report::fixed(decimal.value, 4).empty(), "a decimal can be printed", text);
  (void)report::zeros_in_words(decimal.value);
  (void)report::log10_bayes_bound(std::min(0.0, decimal.value));
}
