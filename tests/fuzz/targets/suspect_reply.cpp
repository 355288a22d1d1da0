// What a suspect answers, without the process: hello, then generate or score.
#include <heirmark/suspect.hpp>

#include "fuzz.hpp"
#include "suspect/replies.hpp"

using namespace heirmark;

namespace {
class Scripted final : public Suspect {
 public:
  Scripted(std::string_view first, std::string_view second) : first_(first), second_(second) {}

 private:
  Result<SuspectHello> do_hello() override { return suspect::parse_hello(first_); }
  Result<std::vector<std::vector<TokenId>>> do_generate(std::span<const GenerateRequest>, std::uint32_t) override { return suspect::parse_texts(second_); }
  Result<std::vector<ScoredPosition>> do_score(const ScoreRequest& request) override { return suspect::parse_positions(second_, request.samples, request.top); }
  std::string_view first_, second_;
};
constexpr std::string_view kHello = R"({"name":"s","vocab":50,"context":16,"weights_digest":""})";
}  // namespace

FUZZ_TARGET(suspect_reply) {
  const std::uint8_t kind = input.byte();
  const std::uint32_t top = input.byte() % 4, samples = input.byte() % 4;
  const std::string_view line = input.rest();
  if (kind % 3 == 0) {
    Scripted suspect(line, "");
    const auto hello = suspect.hello();
    if (!hello) return fuzz::check_error(hello.error(), "the suspect");
    fuzz::require(hello->vocab >= 1 && hello->vocab <= kMaxVocab && hello->context >= 1, "an accepted hello is in range");
    return;
  }
  Scripted suspect(kHello, line);
  if (kind % 3 == 1) {
    const std::vector<GenerateRequest> batch{{{1, 2}, 4, 9}, {{3}, 2, 10}};
    const auto texts = suspect.generate(batch, 1000);
    if (!texts) return fuzz::check_error(texts.error(), "the suspect");
    fuzz::require(texts->size() == 2 && (*texts)[0].size() <= 4 && (*texts)[1].size() <= 2, "no text is longer than asked for");
    for (const auto& text : *texts)
      for (const TokenId token : text) fuzz::require(token < 50, "tokens are in the vocabulary");
  } else {
    const auto positions = suspect.score({{1, 2, 3, 4}, 2, top, samples, 9});
    if (!positions) return fuzz::check_error(positions.error(), "the suspect");
    fuzz::require(positions->size() == 2, "one answer for each position");
    for (const ScoredPosition& position : *positions)
      fuzz::require(position.samples.size() == samples && position.top.size() <= top && (top == 0 || !position.top.empty()), "an answer has what was asked for");
  }
}
