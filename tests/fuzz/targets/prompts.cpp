#include "audit/records.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(prompts) {
  const std::string_view bytes = input.rest();
  const auto prompts = audit::parse_prompts(bytes, 1000);
  if (!prompts) return fuzz::check_error(prompts.error(), "prompts.jsonl");
  std::string again;
  for (const auto& prompt : *prompts) again += audit::prompt_line(prompt);
  fuzz::require(again == bytes, "prompts come back");
}
