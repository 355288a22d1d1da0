#include "audit/causal.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "audit/plan.hpp"
#include "audit/records.hpp"

namespace heirmark::audit {
namespace {
constexpr std::uint32_t kProbes = 16;
constexpr std::uint32_t kTwice = 693'147;  // of nlp: ln 2
constexpr std::uint32_t kNotice = 1'000;   // of nlp: a thousandth
constexpr std::uint32_t kUnlisted = 0x80000000u;  // above every nlp

std::uint32_t nlp_of(const ScoredPosition& position, TokenId token) {
  const auto found = std::find_if(position.top.begin(), position.top.end(), [&](const ScoredToken& entry) { return entry.token == token; });
  return found == position.top.end() ? kUnlisted : found->nlp;
}
bool drawn(const ScoredPosition& position, TokenId token) { return std::find(position.samples.begin(), position.samples.end(), token) != position.samples.end(); }

/// A token that `answer` does not have and that does not stand there; where a suspect lists all, the one that it finds least likely.
TokenId stranger(const ScoredPosition& answer, TokenId actual, std::uint64_t word, std::uint64_t vocab) {
  for (std::uint64_t i = 0; i < vocab; ++i) {
    const auto token = static_cast<TokenId>((word + i) % vocab);
    if (token != actual && nlp_of(answer, token) == kUnlisted && !drawn(answer, token)) return token;
  }
  const auto last = std::find_if(answer.top.rbegin(), answer.top.rend(), [&](const ScoredToken& entry) { return entry.token != actual; });
  return last == answer.top.rend() ? actual : last->token;
}
}  // namespace

Result<std::string> find_dependence(Suspect& suspect, std::span<const IssuedResponse> ledger, const std::array<std::uint8_t, 32>& seed, const SuspectHello& hello, std::uint32_t samples,
                                    std::uint32_t top) {
  std::uint32_t probes = 0, named = 0, gained = 0, lost = 0;
  for (const std::uint32_t number : prompt_order(seed, static_cast<std::uint32_t>(ledger.size()))) {
    if (probes == kProbes) break;
    const IssuedResponse& response = ledger[number];
    const std::size_t asked = asked_positions(response, hello.context);
    if (asked < 2) continue;
    const std::uint64_t word = query_seed(seed, "causal", number);
    ScoreRequest request;
    request.tokens = response.prompt;
    request.tokens.insert(request.tokens.end(), response.tokens.begin(), response.tokens.begin() + static_cast<std::ptrdiff_t>(asked));
    request.from = static_cast<std::uint32_t>(response.prompt.size() + 1 + word % (asked - 1));
    request.top = top;
    request.samples = samples;
    request.seed = word;
    const auto about = [&]() -> Result<ScoredPosition> {
      auto answer = suspect.score(request);
      if (!answer) return answer.error().at("response " + std::to_string(number) + ", asked about twice");
      return std::move(answer->front());
    };
    const auto before = about();
    if (!before) return before.error();
    TokenId& token = request.tokens[request.from];
    const TokenId actual = std::exchange(token, stranger(*before, token, word / asked, hello.vocab));
    const auto after = about();
    if (!after) return after.error();
    ++probes;
    const bool more = nlp_of(*before, token) > nlp_of(*after, token) + kTwice;
    if (more || (drawn(*after, token) && !drawn(*before, token))) ++named;
    if (nlp_of(*before, actual) + kNotice < nlp_of(*after, actual)) ++gained;
    if (nlp_of(*after, actual) + kNotice < nlp_of(*before, actual)) ++lost;
  }
  const auto refused = [&](const std::string& seen) {
    return "the suspect sees what it is asked about: " + seen + " of " + std::to_string(probes) +
           " times. Its answer may depend on the tokens before a position alone, and lists the likeliest alone (suspect protocol)";
  };
  if (named * 4 > probes) return refused("a token drawn at random was among its answers once it stood at the position itself, " + std::to_string(named));
  // A server that is not quite the same each time changes answers both ways.
  if (probes >= 8 && gained * 4 > probes * 3 && lost * 8 <= probes) return refused("it gave a token more where that token stood at the position itself, " + std::to_string(gained));
  return std::string();
}

}  // namespace heirmark::audit
