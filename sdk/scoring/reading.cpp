// C1 reading: the suspect's next-token probabilities while it reads -> weighted pairs (specs/scoring.md).
#include <algorithm>
#include <heirmark/detect.hpp>
#include <memory>
#include <string>

#include "scoring/windows.hpp"

namespace heirmark {
namespace {
using namespace scoring;

constexpr int kReadingBits = 16;

Result<void> check_list(std::span<const IssuedToken> list, std::size_t text, std::size_t position, const char* name,
                        std::vector<TokenId>& seen) {
  const auto fail = [&](const std::string& what) {
    return Error{ErrorCode::bad_input,
                 "text " + std::to_string(text) + ", position " + std::to_string(position) + ", " + name + ": " + what};
  };
  std::uint64_t sum = 0;
  seen.clear();
  for (const IssuedToken& entry : list) {
    if (entry.token == kNoToken) return fail("4294967295 is no token id");
    seen.push_back(entry.token);
    sum += entry.p;
  }
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return fail("a token twice");
  if (sum > std::uint64_t{1} << 32) return fail("probabilities sum to more than 1");
  return {};
}

/// Windows with the number of lines that met each, and the line that met it last.
struct Met {
  core::Context window;
  std::uint32_t lines = 0, last = 0;
};

class Reader {
 public:
  /// The window's place, made if it is new.
  std::uint32_t place(const core::Context& window) {
    const auto index = table_.insert(
        hash_(window, 0), [&](std::uint32_t i) { return met_[i].window == window; },
        [&](std::uint32_t i) { return hash_(met_[i].window, 0); });
    if (index == met_.size()) met_.push_back({window});
    return index;
  }
  Met& operator[](std::uint32_t place) { return met_[place]; }

 private:
  KeyedHash hash_;
  IndexTable table_;
  std::vector<Met> met_;
};
}  // namespace

Result<PairSet> collect_reading_pairs(const Profile& profile, const Secret32& coin,
                                      std::span<const ReadingText> texts) {
  if (auto ok = check_profile(profile); !ok) return ok.error();
  WindowSet tainted;
  std::vector<TokenId> seen;
  std::uint64_t scored = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const ReadingText& text = texts[i];
    if (auto ok = check_text(text.tokens, text.prompt_tokens, i + 1); !ok) return ok.error();
    if (text.positions.size() != text.tokens.size() - text.prompt_tokens)
      return Error{ErrorCode::bad_input, "text " + std::to_string(i + 1) + ": " +
                                             std::to_string(text.positions.size()) + " lists of probabilities for " +
                                             std::to_string(text.tokens.size() - text.prompt_tokens) + " positions"};
    for (std::size_t t = 0; t < text.positions.size(); ++t) {
      if (auto ok = check_list(text.positions[t].top, i + 1, text.prompt_tokens + t, "top", seen); !ok)
        return ok.error();
      if (auto ok = check_list(text.positions[t].base, i + 1, text.prompt_tokens + t, "base", seen); !ok)
        return ok.error();
      scored += text.positions[t].top.size() + text.positions[t].base.size();
    }
    for (std::size_t t = 0; t < text.prompt_tokens; ++t)
      tainted.insert(core::window_context(text.tokens.data() + t, t, profile.window));
  }
  if (scored >= IndexTable::kNone || texts.size() >= IndexTable::kNone)
    return Error{ErrorCode::bad_input, "more than 2^32 - 2 probabilities; split the texts"};

  PairSet set;
  set.weighted = true;
  set.weight_bits = kReadingBits;
  core::KeyWords key = core::key_words(coin.expose_secret().data());
  Reader reader;
  PairTable pairs;
  const auto batch = std::make_unique<WindowBatch>();
  std::vector<std::size_t> where;  // the batch's positions
  std::uint32_t line = 0;
  for (const ReadingText& text : texts) {
    ++line;
    const auto flush = [&] {
      const auto words = batch->first_words(key, core::kCoin);
      for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] >= profile.share_q32) {
          ++set.off_coin;
          continue;
        }
        const core::Context window = batch->window(i);
        Met& met = reader[reader.place(window)];
        if (met.last == line) {
          ++set.repeats;
          continue;
        }
        met.last = line;
        ++met.lines;
        const auto add = [&](std::span<const IssuedToken> list, std::int64_t sign) {
          for (const IssuedToken& entry : list) {
            const std::uint32_t bin = core::bin_of(entry.token);
            pairs.pairs()[pairs.insert(pairs.hash(window, bin), window, bin)].weight += sign * std::int64_t{entry.p};
          }
        };
        add(text.positions[where[i]].top, 1);
        add(text.positions[where[i]].base, -1);
      }
      batch->clear();
      where.clear();
    };
    for (std::size_t t = text.prompt_tokens; t < text.tokens.size(); ++t) {
      ++set.positions;
      const core::Context window = core::window_context(text.tokens.data() + t, t, profile.window);
      if (tainted.contains(window)) {
        ++set.tainted;
        continue;
      }
      batch->push(window);
      where.push_back(t - text.prompt_tokens);
      if (batch->full()) flush();
    }
    flush();
  }
  std::fill(std::begin(key.w), std::end(key.w), 0u);
  set.pairs = std::move(pairs.pairs());
  for (Pair& pair : set.pairs) {
    const std::int64_t lines =
        reader[reader.place({{pair.window[0], pair.window[1], pair.window[2], pair.window[3]}})].lines;
    pair.weight /= lines << kReadingBits;  // toward zero
  }
  std::erase_if(set.pairs, [](const Pair& pair) { return pair.weight == 0; });
  set_classes(set.pairs);
  return set;
}

}  // namespace heirmark
