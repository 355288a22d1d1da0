// Whole null audits of the issued log: fresh key, ledger and suspect each time, the key's choices recomputed by scoring.
// False failure <= 1e-9 for each test case; n and alpha are stated at each.
#include <catch2/catch.hpp>

#include "../unit/audit/world.hpp"
#include "audit/issued.hpp"
#include "kit.hpp"

using namespace heirmark;
namespace {
audit::IssuedAnswer answer(const world::World& w, const std::vector<IssuedResponse>& ledger_for_bets, world::FakeSuspect& suspect,
                           std::span<const std::vector<TokenId>> c1_prompts = {}) {
  std::vector<std::vector<ScoredPosition>> asked;
  for (std::size_t d = 0; d < w.ledger.size(); ++d) {
    ScoreRequest request;
    request.tokens = w.ledger[d].prompt;
    request.tokens.insert(request.tokens.end(), w.ledger[d].tokens.begin(), w.ledger[d].tokens.end());
    request.from = static_cast<std::uint32_t>(w.ledger[d].prompt.size());
    request.top = 8;
    request.samples = 4;
    request.seed = d;
    asked.push_back(suspect.score(request).value());
  }
  const std::vector<std::vector<IssuedChoice>> keys{issued_choices(w.opening(), w.ledger).value()};
  audit::IssuedQuestion question;
  question.ledger = ledger_for_bets;
  question.asked = asked;
  question.keys = keys;
  question.other_prompts = c1_prompts;
  question.fit_responses = 1;
  question.window = w.opening().profile().window;
  question.c2 = question.c3 = true;
  return audit::answer_issued(question).value();
}
}  // namespace

TEST_CASE("innocent suspects reach no level more often than it says") {
  // n = 400 audits of 9 responses of 8 contexts, a third of each kind of suspect: plain, copying, copying strongly; alpha = .1, .01
  kit::Calibration c2({.1, .01}, 5e-10), c3({.1, .01}, 5e-10);
  for (std::uint64_t run = 0; run < 400; ++run) {
    const world::World w({.seed = 1000 + run, .responses = 10, .tokens = 8});
    world::FakeSuspect suspect(w, {.copy = static_cast<double>(run % 3) * 2});
    const auto found = answer(w, w.ledger, suspect);
    c2.add(-found.c2->log_e);
    c3.add(-found.c3->log_e);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
}

TEST_CASE("suspects that copy marked text from their prompts reach no level more often than it says") {
  // n = 150 audits of ledgers whose prompts hold marked text; alpha = .1, .01. Known-bad: the same bets without taint (n = 40).
  kit::Calibration c2({.1, .01}, 5e-10), c3({.1, .01}, 5e-10), untainted({.1});
  for (std::uint64_t run = 0; run < 150; ++run) {
    const world::World w = world::copied_world(5000 + run, 8, 8);
    world::FakeSuspect suspect(w, {.copy = 4});
    const auto found = answer(w, w.ledger, suspect);
    c2.add(-found.c2->log_e);
    c3.add(-found.c3->log_e);
    CHECK(found.tainted > 0);
    if (run >= 40) continue;
    // Hide the prompts from the taint rule: only their last two tokens stay, which make the first windows.
    std::vector<IssuedResponse> hidden = w.ledger;
    for (IssuedResponse& response : hidden) response.prompt.erase(response.prompt.begin(), response.prompt.end() - 2);
    untainted.add(-answer(w, hidden, suspect).c3->log_e);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
  CHECK(untainted.too_often() != "");
}

TEST_CASE("suspects that remember responses from prompts of C1 reach no level more often than it says") {
  // n = 150 audits, the first ten of 14 tokens of each response shown by C1; alpha = .1, .01. Known-bad: the same bets without taint (n = 40).
  kit::Calibration c2({.1, .01}, 5e-10), c3({.1, .01}, 5e-10), untainted({.1});
  for (std::uint64_t run = 0; run < 150; ++run) {
    const world::World w = world::written_world(9000 + run, 8, 14);
    std::vector<std::vector<TokenId>> prompts;
    for (const IssuedResponse& response : w.ledger) prompts.emplace_back(response.tokens.begin(), response.tokens.begin() + 10);
    world::FakeSuspect suspect(w, {.copy = 4, .remembers = prompts});
    const auto found = answer(w, w.ledger, suspect, prompts);
    c2.add(-found.c2->log_e);
    c3.add(-found.c3->log_e);
    CHECK(found.tainted > 0);
    if (run < 40) untainted.add(-answer(w, w.ledger, suspect).c3->log_e);
  }
  CHECK(c2.too_often() == "");
  CHECK(c3.too_often() == "");
  CHECK(untainted.too_often() != "");
}
