// A whole token file from the disk to p and e.
#include <cmath>

#include <heirmark/io.hpp>

#include "fuzz.hpp"
#include "opening.hpp"

using namespace heirmark;

FUZZ_TARGET(token_file) {
  static const fuzz::Scratch scratch;
  const auto rule = static_cast<CountRule>(input.byte() % 3);
  const Opening& opening = fuzz::opening(input.byte());
  const auto path = scratch.write("t.jsonl", input.rest());

  const auto texts = read_token_file(path);
  if (!texts) return fuzz::check_error(texts.error(), "t.jsonl:");
  const auto pairs = collect_pairs(opening.profile(), opening.coin(), *texts, rule);
  if (!pairs) return fuzz::check_error(pairs.error());
  const auto found = detect(opening, *pairs, {.count_rule = rule, .decoys = 3, .growth_points = 4, .progress = {}});
  if (!found) return fuzz::check_error(found.error());
  std::uint64_t generated = 0;
  for (const TokenText& text : *texts) generated += text.tokens.size() - text.prompt_tokens;
  fuzz::require(found->positions == generated, "every generated position is counted");
  fuzz::require(found->n == pairs->pairs.size() && found->n <= generated, "n is the number of pairs");
  fuzz::require(found->log_p <= 0 && !std::isnan(found->log_e), "p is at most 1 and e is a number");
}
