// Simulated audits under the null: a fresh key, a text that does not depend on it but in the ways that the rules allow
// for.
#pragma once
#include <algorithm>
#include <cmath>
#include <heirmark/detect.hpp>
#include <heirmark/stats.hpp>
#include <vector>

#include "core/context.hpp"
#include "core/dmath.hpp"
#include "kit.hpp"
#include "scoring/family.hpp"

namespace audits {

using namespace heirmark;

struct Key {
  scoring::WindowKeys window{};
  core::KeyWords coin{};
  explicit Key(kit::Rng& rng) {
    for (auto& key : window.by_class) draw(rng, key);
    draw(rng, coin);
  }
  /// Every byte of every subkey the same.
  explicit Key(std::uint8_t byte) {
    const std::uint32_t word = 0x01010101u * byte;
    for (auto& key : window.by_class)
      for (auto& w : key.w) w = word;
    for (auto& w : coin.w) w = word;
  }
  [[nodiscard]] Secret32 coin_secret() const {
    std::array<std::uint8_t, 32> bytes{};
    for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(coin.w[i / 4] >> (8 * (i % 4)));
    return Secret32(bytes);
  }

 private:
  static void draw(kit::Rng& rng, core::KeyWords& key) {
    for (std::size_t i = 0; i < 8; i += 2) {
      const std::uint64_t x = rng.next();
      key.w[i] = static_cast<std::uint32_t>(x);
      key.w[i + 1] = static_cast<std::uint32_t>(x >> 32);
    }
  }
};

inline Result<Detection> detect(const Profile& profile, const Key& key, const PairSet& pairs) {
  const scoring::Family family{profile, 2, 0, [&key](std::uint32_t) { return key.window; }};
  return scoring::detect_family(family, pairs, {}, scoring::best_kernel());
}
inline PairSet collect(const Profile& profile, const Key& key, const std::vector<TokenText>& texts,
                       CountRule rule = CountRule::distinct) {
  return collect_pairs(profile, key.coin_secret(), texts, rule).value();
}

/// Tokens of a Zipf law: rank r with probability near 1 / (r ln vocab).
inline TokenId zipf(kit::Rng& rng, double vocab) {
  return static_cast<TokenId>(std::exp(rng.uniform() * std::log(vocab))) - 1;
}

/// The next token of the provider's marked text: the race among 8 equally likely tokens, those of one of `groups`
/// groups at random.
inline TokenId marked_token(const Profile& profile, const Key& key, const std::vector<TokenId>& tokens, kit::Rng& rng,
                            std::uint64_t groups) {
  const auto first = static_cast<TokenId>(8 * rng.below(groups));
  const auto window = core::window_context(tokens.data() + tokens.size(), tokens.size(), profile.window);
  if (!core::coin_is_window(key.coin, window, profile.share_q32)) return first + static_cast<TokenId>(rng.below(8));
  const auto row = core::hchacha20(key.window.by_class[core::window_class(window)], window);
  std::uint32_t block[16] = {};
  core::stream_block(row, core::kBinsCoarse, first / 16, block);
  const std::uint32_t* words = block + first % 16;
  return first + static_cast<TokenId>(std::min_element(words, words + 8) - words);
}

/// A wrong detector: every position that the coin allows, prompts' windows and all; repeats counted each time unless
/// `dedup`.
inline PairSet collect_badly(const Profile& profile, const Key& key, const std::vector<TokenText>& texts, bool dedup) {
  PairSet out;
  for (const TokenText& text : texts)
    for (std::size_t t = text.prompt_tokens; t < text.tokens.size(); ++t) {
      const auto window = core::window_context(text.tokens.data() + t, t, profile.window);
      if (!core::coin_is_window(key.coin, window, profile.share_q32)) continue;
      const Pair pair{{window.w[0], window.w[1], window.w[2], window.w[3]},
                      static_cast<std::uint16_t>(core::bin_of(text.tokens[t])),
                      static_cast<std::uint8_t>(core::window_class(window)),
                      1};
      const bool known = std::any_of(out.pairs.begin(), out.pairs.end(), [&](const Pair& other) {
        return other.window == pair.window && other.bin == pair.bin;
      });
      if (!dedup || !known) out.pairs.push_back(pair);
    }
  return out;
}

}  // namespace audits
