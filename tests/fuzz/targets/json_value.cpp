// Any JSON text, strict and lenient, and the canonical form.
#include "fuzz.hpp"
#include "json/value.hpp"

using namespace heirmark;

FUZZ_TARGET(json_value) {
  const std::string_view text = input.rest();
  const auto strict = json::parse(text), lenient = json::parse(text, {.floats = true}), exact = json::parse_canonical(text);
  for (const auto* result : {&strict, &lenient, &exact})
    if (!*result) fuzz::check_error(result->error(), "JSON");
  fuzz::require(!strict || lenient.ok(), "fractions allowed allows more");
  fuzz::require(!exact || strict.ok(), "canonical JSON is JSON");
  if (strict) fuzz::require(*strict == *lenient, "one text has one value");
  if (exact) fuzz::require(json::canonical(*exact) + "\n" == text, "canonical bytes come back");
  if (strict) {
    // Whatever was accepted is written in a form that is accepted again, unless canonical JSON cannot hold it.
    const auto again = json::parse_canonical(json::canonical(*strict), false);
    if (again) fuzz::require(*again == *strict, "a written value is the value");
    else fuzz::check_error(again.error());
  }
}
