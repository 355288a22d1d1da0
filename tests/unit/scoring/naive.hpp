// What specs/scoring.md says, written plainly: maps instead of tables, one word at a time, no batches.
#pragma once
#include <algorithm>
#include <cmath>
#include <heirmark/detect.hpp>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/context.hpp"
#include "marks/score.hpp"
#include "scoring/evaluate.hpp"

namespace heirmark::naive {

using Key = std::pair<std::vector<std::uint32_t>, std::uint32_t>;

inline std::vector<std::uint32_t> window_of(const std::vector<TokenId>& tokens, std::size_t t, int h) {
  std::vector<std::uint32_t> w(4, 0xFFFFFFFFu);
  for (std::size_t k = 1; k <= static_cast<std::size_t>(h); ++k)
    if (k <= t) w[4 - k] = tokens[t - k];
  return w;
}
inline core::Context context_of(const std::vector<std::uint32_t>& w) { return {{w[0], w[1], w[2], w[3]}}; }
inline core::Context context_of(const Pair& pair) {
  return {{pair.window[0], pair.window[1], pair.window[2], pair.window[3]}};
}

inline Secret32 secret(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::array<std::uint8_t, 32> bytes{};
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return Secret32(bytes);
}
inline core::KeyWords words_of(const Secret32& key) { return core::key_words(key.expose_secret().data()); }
inline scoring::WindowKeys window_keys(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  scoring::WindowKeys out{};
  for (auto& key : out.by_class)
    for (auto& word : key.w) word = static_cast<std::uint32_t>(random());
  return out;
}

inline PairSet collect(const Profile& profile, const Secret32& coin, const std::vector<TokenText>& texts,
                       CountRule rule) {
  PairSet out;
  std::set<std::vector<std::uint32_t>> tainted;
  for (const TokenText& text : texts)
    for (std::size_t t = 0; t < text.prompt_tokens; ++t) tainted.insert(window_of(text.tokens, t, profile.window));
  std::map<Key, std::uint64_t> counts;
  std::vector<Key> order;
  for (const TokenText& text : texts)
    for (std::size_t t = text.prompt_tokens; t < text.tokens.size(); ++t) {
      ++out.positions;
      const Key key{window_of(text.tokens, t, profile.window), text.tokens[t] % 2048};
      if (tainted.contains(key.first)) ++out.tainted;
      else if (!core::coin_is_window(words_of(coin), context_of(key.first), profile.share_q32)) ++out.off_coin;
      else if (counts[key]++ > 0) ++out.repeats;
      else order.push_back(key);
    }
  out.weighted = rule != CountRule::distinct;
  for (const Key& key : order) {
    const std::uint64_t count = counts[key];
    if (rule != CountRule::distinct && count < 2) continue;
    Pair pair{{key.first[0], key.first[1], key.first[2], key.first[3]}, static_cast<std::uint16_t>(key.second), 0, 1};
    pair.window_class = static_cast<std::uint8_t>(core::window_class(context_of(pair)));
    const auto real = static_cast<long double>(count);
    if (rule == CountRule::sqrt2) pair.weight = static_cast<std::int64_t>(std::floor(256 * std::sqrt(real)));
    if (rule == CountRule::log2) pair.weight = static_cast<std::int64_t>(std::floor(256 * std::log1p(real)));
    out.pairs.push_back(pair);
  }
  return out;
}

inline std::uint32_t coarse(const scoring::WindowKeys& keys, const Pair& pair) {
  return core::stream_word(core::hchacha20(keys.by_class[pair.window_class], context_of(pair)), core::kBinsCoarse,
                           pair.bin);
}

/// Integer x of a pair.
inline std::int64_t integer(const Profile& profile, const scoring::WindowKeys& keys, const Pair& pair) {
  const std::uint32_t c = coarse(keys, pair);
  switch (profile.scheme) {
    case Scheme::gumbel:
      if (pair.weight > 0) return marks::score_exact(c);
      return c == 0 ? 1 << 30 : std::int64_t{marks::score_exact(c - 1)} + 1;
    case Scheme::greenlist:
      return c < profile.gamma_q32 ? 1 : 0;
    case Scheme::tournament: {
      int ones = 0;
      for (int layer = 1; layer <= profile.layers; ++layer) ones += static_cast<int>(c >> (32 - layer) & 1);
      return ones;
    }
  }
  return 0;
}
inline MemberStatistic statistic(const Profile& profile, const scoring::WindowKeys& keys,
                                 const std::vector<Pair>& pairs) {
  MemberStatistic out;
  for (const Pair& pair : pairs) out.by_class[pair.window_class] += Integer{pair.weight} * integer(profile, keys, pair);
  return out;
}

inline bool operator==(const Pair& a, const Pair& b) {
  return a.window == b.window && a.bin == b.bin && a.window_class == b.window_class && a.weight == b.weight;
}
inline bool same(const std::vector<Pair>& a, const std::vector<Pair>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Pair& x, const Pair& y) { return x == y; });
}

/// Texts with many repeats: `count` texts of `length` tokens below `vocab`, the first of each being prompt.
inline std::vector<TokenText> texts(std::uint64_t seed, std::size_t count, std::size_t length, std::uint32_t vocab,
                                    bool prompts) {
  std::mt19937_64 random(seed);
  std::vector<TokenText> out(count);
  for (TokenText& text : out) {
    for (std::size_t t = 0; t < length; ++t) {
      const double u = std::ldexp(static_cast<double>(random() >> 11), -53);
      text.tokens.push_back(static_cast<TokenId>(static_cast<double>(vocab) * u * u * u) *
                            97);  // few tokens often; some share bins
    }
    if (prompts) text.prompt_tokens = random() % 4;
  }
  return out;
}

}  // namespace heirmark::naive
