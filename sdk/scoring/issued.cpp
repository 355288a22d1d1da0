// Issued log: which positions are usable, and what the key chose there (specs/scoring.md).
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "scoring/family.hpp"
#include "scoring/race.hpp"
#include "scoring/windows.hpp"

namespace heirmark::scoring {
namespace {

std::string where(std::size_t response) { return "response " + std::to_string(response); }
std::string where(std::size_t response, std::size_t position) {
  return where(response) + ", position " + std::to_string(position);
}

Result<void> check(std::span<const IssuedResponse> ledger) {
  std::set<std::array<std::uint8_t, 12>> ids;
  std::vector<TokenId> scratch;
  if (ledger.size() > 0x7FFFFFFF) return Error{ErrorCode::bad_input, "more than 2^31 - 1 responses"};
  for (std::size_t d = 0; d < ledger.size(); ++d) {
    const IssuedResponse& response = ledger[d];
    if (!ids.insert(response.request_id.bytes).second)
      return Error{ErrorCode::bad_input, where(d) + ": its request id has occurred before"};
    if (response.tokens.size() > kMaxVocab) return Error{ErrorCode::bad_input, where(d) + ": more than 2^20 tokens"};
    if (response.phat.size() != response.tokens.size())
      return Error{ErrorCode::bad_input, where(d) + ": " + std::to_string(response.phat.size()) +
                                             " distributions for " + std::to_string(response.tokens.size()) +
                                             " tokens"};
    for (const std::vector<TokenId>* list : {&response.prompt, &response.tokens})
      for (const TokenId token : *list)
        if (token >= kMaxVocab)
          return Error{ErrorCode::bad_input, where(d) + ": token id " + std::to_string(token) + " is out of range"};
    for (std::size_t t = 0; t < response.phat.size(); ++t)
      if (const char* fault = distribution_fault(response.phat[t], scratch))
        return Error{ErrorCode::bad_input, where(d, t) + ": " + fault};
  }
  return {};
}

}  // namespace

Result<std::vector<IssuedChoice>> issued_choices_of(const Profile& profile, const IssuedKeys& keys,
                                                    std::span<const IssuedResponse> ledger) {
  if (auto ok = check_profile(profile); !ok) return ok.error();
  if (profile.scheme != Scheme::gumbel)
    return Error{ErrorCode::usage,
                 "an issued log is scored for gumbel profiles only, and this one is " + std::string(profile.name)};
  if (auto ok = check(ledger); !ok) return ok.error();

  std::map<std::string, core::KeyWords, std::less<>> accounts;
  WindowSet met;  // windows that were a window position's, in the whole ledger
  std::vector<IssuedChoice> out;
  std::vector<TokenId> tokens;
  Race race;
  const auto batch = std::make_unique<WindowBatch>();
  for (std::size_t d = 0; d < ledger.size(); ++d) {
    const IssuedResponse& response = ledger[d];
    auto account = accounts.find(response.account);
    if (account == accounts.end()) {
      auto key = keys.issuance(response.account);
      if (!key) return key.error().at(where(d));
      account = accounts.emplace(response.account, *key).first;
    }
    tokens.assign(response.prompt.begin(), response.prompt.end());
    tokens.insert(tokens.end(), response.tokens.begin(), response.tokens.end());
    const std::size_t prompt = response.prompt.size();
    WindowSet history;
    for (std::size_t from = 0; from < response.tokens.size(); from += WindowBatch::kCapacity) {
      const std::size_t to = std::min(from + WindowBatch::kCapacity, response.tokens.size());
      batch->clear();
      for (std::size_t t = from; t < to; ++t)
        batch->push(core::window_context(tokens.data() + prompt + t, prompt + t, profile.window));
      const auto coins = batch->first_words(keys.coin, core::kCoin);
      for (std::size_t t = from; t < to; ++t) {
        const core::Context window = batch->window(t - from);
        const bool is_window = coins[t - from] < profile.share_q32 && !history.contains(window);
        core::KeyWords row{};
        if (is_window) {
          history.insert(window);
          if (met.contains(window)) continue;  // not usable
          met.insert(window);
          row = core::hchacha20(keys.window.by_class[core::window_class(window)], window);
        } else {
          row = core::hchacha20(
              account->second, core::issuance_context(response.request_id.bytes.data(), static_cast<std::uint32_t>(t)));
        }
        out.push_back({static_cast<std::uint32_t>(d), static_cast<std::uint32_t>(t), is_window,
                       race.choose(row, response.phat[t])});
      }
    }
  }
  return out;
}

}  // namespace heirmark::scoring
