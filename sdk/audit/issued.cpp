#include "audit/issued.hpp"

#include <algorithm>
#include <map>
#include <thread>
#include <unordered_set>

#include <heirmark/stats.hpp>

#include "audit/bets.hpp"
#include "core/context.hpp"

namespace heirmark::audit {
namespace {
struct WindowHash {
  std::size_t operator()(const core::Context& window) const noexcept {
    std::uint64_t h = 0x9E3779B97F4A7C15ull;
    for (const std::uint32_t word : window.w) {
      h = (h ^ word) * 0xFF51AFD7ED558CCDull;
      h ^= h >> 32;
    }
    return static_cast<std::size_t>(h);
  }
};
using WindowSet = std::unordered_set<core::Context, WindowHash>;

/// Tokens of a response that, shown in a prompt of C1, make the next issuance position one that a suspect could recite.
constexpr int kShownRun = 4;

void add_prompt(WindowSet& shown, std::span<const TokenId> prompt, int h) {
  for (std::size_t t = 0; t < prompt.size(); ++t) shown.insert(core::window_context(prompt.data() + t, t, h));
}

/// The last kShownRun of the `count` tokens before `end`, or all of them.
core::Context run_before(const TokenId* end, std::size_t count) { return core::window_context(end, count, kShownRun); }

/// Every run of 0 to kShownRun tokens that a prompt shows with a token after it.
void add_runs(WindowSet& runs, std::span<const TokenId> prompt) {
  for (std::size_t t = 0; t < prompt.size(); ++t)
    for (std::size_t k = 0; k <= std::min<std::size_t>(t, kShownRun); ++k) runs.insert(run_before(prompt.data() + t, k));
}

core::Context window_at(const IssuedResponse& response, std::uint32_t position, int h) {
  std::vector<TokenId> last;
  for (std::size_t k = static_cast<std::size_t>(h); k >= 1; --k) {
    if (k <= position) last.push_back(response.tokens[position - k]);
    else if (k - position <= response.prompt.size()) last.push_back(response.prompt[response.prompt.size() - (k - position)]);
  }
  return core::window_context(last.data() + last.size(), last.size(), h);
}

template <class Table>
void fill_tables(std::vector<Table>& tables, unsigned threads, const std::function<void(Table&, std::size_t)>& set) {
  const auto work = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) set(tables[i], i);
  };
  const std::size_t workers = std::clamp<std::size_t>(tables.size() / 64, 1, std::max(threads, 1u));
  std::vector<std::thread> pool;
  for (std::size_t w = 1; w < workers; ++w) pool.emplace_back(work, tables.size() * w / workers, tables.size() * (w + 1) / workers);
  work(0, tables.size() / workers);
  for (std::thread& thread : pool) thread.join();
}

// One channel: the products of every key and every account, fed response by response.
template <class Table, std::size_t Parameters>
class Account {
 public:
  Account(std::size_t keys, std::size_t accounts)
      : keys_(keys, stats::DocumentBets(Parameters)), accounts_(accounts, stats::DocumentBets(Parameters)), counts_(accounts, 0) {}

  void bet(const Table& table, std::span<const std::int32_t> choices, std::size_t account, bool window) {
    std::array<double, Parameters> log_e{};
    for (std::size_t key = 0; key < choices.size(); ++key) {
      table.log_e(choices[key], log_e);
      keys_[key].bet(log_e);
      // A window's noise is shared by all accounts: who learned it from one account knows it in another's responses.
      if (key == 0 && !window) accounts_[account].bet(log_e);
    }
  }
  void end_response(std::size_t account, std::uint64_t contexts, bool checkpoint) {
    for (stats::DocumentBets& bets : keys_) bets.end_document();
    accounts_[account].end_document();
    ++counts_[account];
    if (checkpoint) growth_.push_back({contexts, keys_[0].log_e()});
  }
  [[nodiscard]] ChannelBets result(const std::vector<std::string>& names) const {
    ChannelBets out;
    out.log_e = keys_[0].log_e();
    for (std::size_t key = 1; key < keys_.size(); ++key) out.controls.push_back(keys_[key].log_e());
    out.growth = growth_;
    for (std::size_t a = 0; a < names.size(); ++a) out.accounts.push_back({names[a], counts_[a], accounts_[a].log_e()});
    return out;
  }

 private:
  std::vector<stats::DocumentBets> keys_, accounts_;
  std::vector<std::uint64_t> counts_;
  std::vector<IssuedGrowth> growth_;
};

struct Context { std::uint32_t response, position; std::size_t choice; };  // choice: index into every key's list
}  // namespace

Result<IssuedAnswer> answer_issued(const IssuedQuestion& question) {
  IssuedAnswer answer;
  const auto& ledger = question.ledger;
  const auto& live = question.keys[0];
  for (const auto& other : question.keys)
    if (other.size() != live.size() || !std::equal(other.begin(), other.end(), live.begin(), [](const IssuedChoice& a, const IssuedChoice& b) {
          return a.response == b.response && a.position == b.position && a.window == b.window;
        }))
      return Error{ErrorCode::usage, "the keys of one epoch do not share their usable positions"};

  // Contexts that are fitted or bet on, in ledger order.
  std::vector<Context> contexts;
  WindowSet shown, runs;
  for (const auto& prompt : question.other_prompts) {
    add_prompt(shown, prompt, question.window);
    add_runs(runs, prompt);
  }
  std::size_t next = 0;
  for (std::uint32_t d = 0; d < ledger.size(); ++d) {
    add_prompt(shown, ledger[d].prompt, question.window);
    for (; next < live.size() && live[next].response == d; ++next) {
      const IssuedChoice& choice = live[next];
      if (choice.position >= question.asked[d].size()) continue;
      const bool bet = d >= question.fit_responses;
      // A rule on the tokens before the position alone: one that looked at the token itself would choose by the key.
      if (choice.window ? shown.contains(window_at(ledger[d], choice.position, question.window))
                        : runs.contains(run_before(ledger[d].tokens.data() + choice.position, choice.position))) {
        answer.tainted += bet;
        continue;
      }
      contexts.push_back({d, choice.position, next});
      if (bet) ++(choice.window ? answer.window : answer.issuance);
    }
  }

  std::size_t at = 0;
  if (question.c3) {
    Baseline baseline;
    for (; at < contexts.size() && contexts[at].response < question.fit_responses; ++at)
      baseline.add(ledger[contexts[at].response].phat[contexts[at].position], question.asked[contexts[at].response][contexts[at].position]);
    answer.alpha_micro = baseline.alpha_micro();
  }
  while (at < contexts.size() && contexts[at].response < question.fit_responses) ++at;
  const double alpha = static_cast<double>(answer.alpha_micro) / 1e6;

  std::map<std::string, std::size_t> account_index;
  for (std::size_t d = question.fit_responses; d < ledger.size(); ++d) account_index.emplace(ledger[d].account, 0);
  std::vector<std::string> names;
  for (auto& [name, index] : account_index) { index = names.size(); names.push_back(name); }

  Account<SampleBets, kC2Parameters> c2(question.keys.size(), names.size());
  Account<LogprobBets, kC3Parameters> c3(question.keys.size(), names.size());
  std::vector<SampleBets> c2_tables;
  std::vector<LogprobBets> c3_tables;
  std::vector<std::int32_t> choices(question.keys.size());
  answer.responses = ledger.size() - std::min<std::size_t>(question.fit_responses, ledger.size());
  const std::uint64_t points = std::min<std::uint64_t>(64, answer.responses);
  std::uint64_t closed = 0, point = 1, bets = 0;
  for (std::size_t d = question.fit_responses; d < ledger.size();) {
    // A batch of whole responses: tables on all threads, then the products in order.
    std::size_t batch_end = d, end = at;
    while (batch_end < ledger.size() && (end - at < 4096 || batch_end == d)) {
      while (end < contexts.size() && contexts[end].response == batch_end) ++end;
      ++batch_end;
    }
    const auto phat = [&](std::size_t i) -> std::span<const IssuedToken> { return ledger[contexts[at + i].response].phat[contexts[at + i].position]; };
    const auto asked = [&](std::size_t i) -> const ScoredPosition& { return question.asked[contexts[at + i].response][contexts[at + i].position]; };
    if (question.c2) {
      c2_tables.resize(end - at);
      fill_tables<SampleBets>(c2_tables, question.threads, [&](SampleBets& table, std::size_t i) { table.set(phat(i), asked(i)); });
    }
    if (question.c3) {
      c3_tables.resize(end - at);
      fill_tables<LogprobBets>(c3_tables, question.threads, [&](LogprobBets& table, std::size_t i) { table.set(phat(i), asked(i), alpha); });
    }
    std::size_t i = at;
    for (; d < batch_end; ++d) {
      const std::size_t account = account_index.at(ledger[d].account);
      for (; i < end && contexts[i].response == d; ++i) {
        for (std::size_t key = 0; key < question.keys.size(); ++key) choices[key] = question.keys[key][contexts[i].choice].choice;
        if (question.c2) c2.bet(c2_tables[i - at], choices, account, live[contexts[i].choice].window);
        if (question.c3) c3.bet(c3_tables[i - at], choices, account, live[contexts[i].choice].window);
        ++bets;
      }
      ++closed;
      const bool checkpoint = point <= points && closed == answer.responses * point / points;
      point += checkpoint;
      if (question.c2) c2.end_response(account, bets, checkpoint);
      if (question.c3) c3.end_response(account, bets, checkpoint);
    }
    at = end;
    if (question.progress && !question.progress(static_cast<double>(closed) / static_cast<double>(answer.responses)))
      return Error{ErrorCode::stopped, "stopped while betting on the ledger"};
  }
  if (question.c2) answer.c2 = c2.result(names);
  if (question.c3) answer.c3 = c3.result(names);
  return answer;
}

}  // namespace heirmark::audit
