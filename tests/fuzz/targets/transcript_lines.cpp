// The files below transcript/: a text of c1, answers about a response, progress.json.
#include "audit/records.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(transcript_lines) {
  const std::uint8_t kind = input.byte();
  const std::uint32_t samples = input.byte() % 4, top = input.byte() % 4;
  const std::string_view line = input.rest();
  if (kind % 3 == 0) {
    const std::vector<TokenId> prompt{1, 2};
    ChannelPlan plan;
    plan.tokens_per_text = 8;
    const auto text = audit::parse_text_line(line, 0, prompt, plan, 1000);
    if (!text) return fuzz::check_error(text.error());
    fuzz::require(audit::text_line(0, prompt, std::span(text->tokens).subspan(2)) == std::string(line) + "\n", "a text comes back");
  } else if (kind % 3 == 1) {
    const std::size_t positions = kind % 5;
    const auto answers = audit::parse_issued_line(line, 0, positions, samples, top, 1000);
    if (!answers) return fuzz::check_error(answers.error());
    fuzz::require(answers->size() == positions && audit::issued_line(0, *answers) == std::string(line) + "\n", "answers come back");
  } else {
    const auto progress = audit::parse_progress(line);
    if (!progress) return fuzz::check_error(progress.error(), "progress.json");
    fuzz::require(audit::progress_bytes(*progress) == line, "progress comes back");
  }
}
