// C2 and C3 over a whole ledger: which contexts are bet on, the fit, and the bets on documents for the live key, the
// control keys and the accounts (specs/statistics.md, specs/formats.md "Rules that bind the bytes").
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/suspect.hpp>

namespace heirmark::audit {

struct IssuedQuestion {
  std::span<const IssuedResponse> ledger;
  std::span<const std::vector<ScoredPosition>> asked;       ///< for each response, its first positions
  std::span<const std::vector<IssuedChoice>> keys;          ///< the live key's choices, then each control's; same positions
  std::span<const std::vector<TokenId>> other_prompts;      ///< prompts that the suspect saw before (C1)
  std::uint64_t fit_responses = 0;
  int window = 2;                                           ///< h
  bool c2 = false, c3 = false;
  unsigned threads = 1;
  std::function<bool(double)> progress;
};

struct IssuedGrowth { std::uint64_t n; double log_e; };
struct AccountBets { std::string account; std::uint64_t responses; double log_e; };
struct ChannelBets {
  double log_e = 0;                    ///< the live key
  std::vector<double> controls;        ///< log e of each control
  std::vector<IssuedGrowth> growth;
  std::vector<AccountBets> accounts;   ///< ascending by name
};
struct IssuedAnswer {
  std::uint64_t responses = 0, issuance = 0, window = 0, tainted = 0;
  std::int64_t alpha_micro = 1'000'000;
  std::optional<ChannelBets> c2, c3;
};
[[nodiscard]] Result<IssuedAnswer> answer_issued(const IssuedQuestion& question);

}  // namespace heirmark::audit
