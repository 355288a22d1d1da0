// C1 text: tokens -> pairs (specs/scoring.md). Two passes over the texts: the tainted windows, then the pairs.
#include <algorithm>
#include <array>
#include <heirmark/detect.hpp>
#include <memory>
#include <string>

#include "marks/score.hpp"
#include "scoring/windows.hpp"

namespace heirmark {
namespace {
using namespace scoring;

/// Walks the positions in batches: coin by the kernel, then the table with its slots fetched ahead.
class Collector {
 public:
  Collector(const Profile& profile, const Secret32& coin, PairSet& set)
      : share_(profile.share_q32), coin_(core::key_words(coin.expose_secret().data())), set_(set) {}
  ~Collector() { std::fill(std::begin(coin_.w), std::end(coin_.w), 0u); }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  void add(const core::Context& window, std::uint32_t bin) {
    bins_[batch_.size()] = bin;
    batch_.push(window);
    if (batch_.full()) flush();
  }
  void flush() {
    std::size_t kept = 0;
    const bool always = share_ == std::uint64_t{1} << 32;
    const auto words = always ? std::span<const std::uint32_t>() : batch_.first_words(coin_, core::kCoin);
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (!always && words[i] >= share_) {
        ++set_.off_coin;
        continue;
      }
      kept_[kept] = static_cast<std::uint32_t>(i);
      hashes_[kept] = table_.hash(batch_.window(i), bins_[i]);
      table_.prefetch(hashes_[kept++]);
    }
    for (std::size_t k = 0; k < kept; ++k) {
      Pair& pair = table_.pairs()[table_.insert(hashes_[k], batch_.window(kept_[k]), bins_[kept_[k]])];
      if (pair.weight++ > 0) ++set_.repeats;
    }
    batch_.clear();
  }
  [[nodiscard]] std::vector<Pair> take() { return std::move(table_.pairs()); }

 private:
  std::uint64_t share_;
  core::KeyWords coin_;
  PairSet& set_;
  WindowBatch batch_;
  std::array<std::uint32_t, WindowBatch::kCapacity> bins_{}, kept_{};
  std::array<std::uint64_t, WindowBatch::kCapacity> hashes_{};
  PairTable table_;
};

/// Counts become weights; what a rule leaves out goes.
void apply(CountRule rule, std::vector<Pair>& pairs) {
  if (rule == CountRule::distinct) {
    for (Pair& pair : pairs) pair.weight = 1;
    return;
  }
  std::erase_if(pairs, [](const Pair& pair) { return pair.weight < 2; });
  std::array<std::int64_t, 1024> known{};  // most counts are small
  for (Pair& pair : pairs) {
    const auto count = static_cast<std::uint64_t>(pair.weight);
    std::int64_t& slot = known[count % known.size()];
    if (count >= known.size() || slot == 0) {
      pair.weight = rule == CountRule::sqrt2 ? marks::sqrt_weight(count) : marks::log_weight(count);
      if (count < known.size()) slot = pair.weight;
    } else {
      pair.weight = slot;
    }
  }
}
}  // namespace

Result<CountRule> parse_count_rule(std::string_view name) {
  for (const CountRule rule : {CountRule::distinct, CountRule::sqrt2, CountRule::log2})
    if (name == count_rule_name(rule)) return rule;
  return Error{ErrorCode::bad_input, "unknown count rule \"" + std::string(name) + "\"; known: distinct, sqrt2, log2"};
}

std::string_view count_rule_name(CountRule rule) noexcept {
  switch (rule) {
    case CountRule::distinct:
      return "distinct";
    case CountRule::sqrt2:
      return "sqrt2";
    case CountRule::log2:
      return "log2";
  }
  return "?";
}

Result<PairSet> collect_pairs(const Profile& profile, const Secret32& coin, std::span<const TokenText> texts,
                              CountRule rule) {
  if (auto ok = check_profile(profile); !ok) return ok.error();
  std::uint64_t scored = 0;
  WindowSet tainted;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const TokenText& text = texts[i];
    if (auto ok = check_text(text.tokens, text.prompt_tokens, i + 1); !ok) return ok.error();
    scored += text.tokens.size() - text.prompt_tokens;
    for (std::size_t t = 0; t < text.prompt_tokens; ++t)
      tainted.insert(core::window_context(text.tokens.data() + t, t, profile.window));
  }
  if (scored >= IndexTable::kNone) return Error{ErrorCode::bad_input, "more than 2^32 - 2 positions; split the texts"};

  PairSet set;
  set.weighted = rule != CountRule::distinct;
  set.weight_bits = set.weighted ? static_cast<int>(marks::kWeightBits) : 0;
  const auto collector = std::make_unique<Collector>(profile, coin, set);
  for (const TokenText& text : texts)
    for (std::size_t t = text.prompt_tokens; t < text.tokens.size(); ++t) {
      ++set.positions;
      const core::Context window = core::window_context(text.tokens.data() + t, t, profile.window);
      if (tainted.contains(window)) ++set.tainted;
      else collector->add(window, core::bin_of(text.tokens[t]));
    }
  collector->flush();
  set.pairs = collector->take();
  apply(rule, set.pairs);
  set_classes(set.pairs);
  return set;
}

}  // namespace heirmark
