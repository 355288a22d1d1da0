#include "scoring/windows.hpp"

namespace heirmark::scoring {

std::span<const std::uint32_t> WindowBatch::first_words(const core::KeyWords& key, core::Domain domain) {
  Columns columns;
  for (std::size_t k = 0; k < 4; ++k) columns.window[k] = column_[k].data();
  best_kernel().words(key, domain, columns, padded(size_), words_.data());
  return {words_.data(), size_};
}

void WindowSet::insert(const core::Context& window) {
  const auto index = table_.insert(
      hash_(window, 0), [&](std::uint32_t i) { return windows_[i] == window; },
      [&](std::uint32_t i) { return hash_(windows_[i], 0); });
  if (index == windows_.size()) windows_.push_back(window);
}

bool WindowSet::contains(const core::Context& window) const {
  return !windows_.empty() &&
         table_.find(hash_(window, 0), [&](std::uint32_t i) { return windows_[i] == window; }) != IndexTable::kNone;
}

namespace {
core::Context context_of(const Pair& pair) {
  return {{pair.window[0], pair.window[1], pair.window[2], pair.window[3]}};
}
}  // namespace

std::uint32_t PairTable::insert(std::uint64_t hash, const core::Context& window, std::uint32_t bin) {
  const auto index = table_.insert(
      hash, [&](std::uint32_t i) { return pairs_[i].bin == bin && context_of(pairs_[i]) == window; },
      [&](std::uint32_t i) { return hash_(context_of(pairs_[i]), pairs_[i].bin); });
  if (index == pairs_.size())
    pairs_.push_back({{window.w[0], window.w[1], window.w[2], window.w[3]}, static_cast<std::uint16_t>(bin), 0, 0});
  return index;
}

void set_classes(std::span<Pair> pairs) {
  WindowBatch batch;
  for (std::size_t from = 0; from < pairs.size(); from += WindowBatch::kCapacity) {
    const auto part = pairs.subspan(from, std::min(WindowBatch::kCapacity, pairs.size() - from));
    batch.clear();
    for (const Pair& pair : part) batch.push(context_of(pair));
    const auto words = batch.first_words(core::KeyWords{}, core::kClass);
    for (std::size_t i = 0; i < part.size(); ++i)
      part[i].window_class = static_cast<std::uint8_t>(words[i] % core::kClasses);
  }
}

Result<void> check_text(std::span<const TokenId> tokens, std::size_t prompt_tokens, std::size_t number) {
  const std::string where = "text " + std::to_string(number);
  if (prompt_tokens > tokens.size())
    return Error{ErrorCode::bad_input, where + ": prompt_tokens is " + std::to_string(prompt_tokens) +
                                           ", more than its " + std::to_string(tokens.size()) + " tokens"};
  for (std::size_t t = 0; t < tokens.size(); ++t)
    if (tokens[t] == kNoToken)
      return Error{ErrorCode::bad_input, where + ", position " + std::to_string(t) + ": 4294967295 is no token id"};
  return {};
}

Result<void> check_profile(const Profile& profile) {
  const bool scheme_ok = profile.scheme == Scheme::gumbel ||
                         (profile.scheme == Scheme::greenlist && profile.gamma_q32 != 0) ||
                         (profile.scheme == Scheme::tournament && profile.layers >= 1 && profile.layers <= 30);
  if (profile.window < 1 || profile.window > core::kMaxWindow || profile.share_q32 > (1ull << 32) || !scheme_ok)
    return Error{ErrorCode::usage, "profile \"" + std::string(profile.name) + "\" has parameters out of range"};
  return {};
}

}  // namespace heirmark::scoring
