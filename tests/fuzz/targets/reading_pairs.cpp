// The reading mode: texts with next-token probabilities, of any shape, to p and e.
#include <cmath>

#include <heirmark/detect.hpp>

#include "fuzz.hpp"
#include "opening.hpp"

using namespace heirmark;

namespace {
std::vector<IssuedToken> list(fuzz::Input& input) {
  std::vector<IssuedToken> out(input.byte() % 5);
  for (IssuedToken& entry : out) {
    const std::uint8_t kind = input.byte();
    entry = {kind == 255 ? kNoToken : kind % 64u, input.word()};
  }
  return out;
}
}  // namespace

FUZZ_TARGET(reading_pairs) {
  const Opening& opening = fuzz::opening(input.byte());
  std::vector<ReadingText> texts(input.byte() % 8);
  for (ReadingText& text : texts) {
    text.tokens.resize(input.byte() % 40);
    for (TokenId& token : text.tokens) token = input.byte() % 8;
    const std::uint8_t shape = input.byte();
    text.prompt_tokens = shape == 255 ? text.tokens.size() + 1 : text.tokens.empty() ? 0 : shape % text.tokens.size();
    const std::size_t positions = text.prompt_tokens > text.tokens.size() ? 0 : text.tokens.size() - text.prompt_tokens;
    text.positions.resize(positions + (shape == 254 ? 1 : 0));
    for (ReadingPosition& position : text.positions) {
      position.top = list(input);
      position.base = list(input);
    }
  }
  const auto pairs = collect_reading_pairs(opening.profile(), opening.coin(), texts);
  if (!pairs) return fuzz::check_error(pairs.error(), "text");
  for (const Pair& pair : pairs->pairs) fuzz::require(pair.weight != 0 && std::abs(pair.weight) <= 1 << 16, "a mean of probabilities is at most 1");
  const auto found = detect(opening, *pairs, {.decoys = 3, .growth_points = 4, .progress = {}});
  if (!found) return fuzz::check_error(found.error());
  fuzz::require(found->log_p <= 0 && !std::isnan(found->log_e), "p is at most 1 and e is a number");
}
