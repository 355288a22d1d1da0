// Null audits at scale: does p <= alpha happen with probability alpha at most? 100,000 audits a case, alpha 1e-2, 1e-3,
// 1e-4, each case fails with probability at most 1e-9 when the code is right (kit.hpp). Where the statistic is as good
// as continuous (gumbel, equal weights) the rate must be alpha, not only at most alpha.
#include <catch2/catch.hpp>

#include "scoring_audits.hpp"

using namespace audits;

namespace {
constexpr int kAudits = 100'000;
const std::vector<double> kAlphas{1e-2, 1e-3, 1e-4};
const Profile& standard() { return profiles::standard_2026_11(); }

/// Runs audits; `text(rng, key)` writes what the suspect wrote. Returns p and e calibrations.
struct Outcome {
  kit::Calibration p, e;
};
template <class Text>
Outcome run(std::uint64_t seed, const Profile& profile, CountRule rule, const Text& text, int audits = kAudits) {
  kit::Rng rng(seed);
  Outcome out{kit::Calibration(kAlphas), kit::Calibration(kAlphas)};
  for (int i = 0; i < audits; ++i) {
    const Key key(rng);
    const Detection found = audits::detect(profile, key, collect(profile, key, text(rng, key), rule)).value();
    out.p.add(found.log_p_prf);
    out.e.add(-found.log_e);  // Markov: P(e >= 1/alpha) <= alpha
  }
  return out;
}

std::vector<TokenText> zipf_text(kit::Rng& rng, const Key&) {
  std::vector<TokenText> texts(1);
  for (int t = 0; t < 70; ++t) texts[0].tokens.push_back(zipf(rng, 9));
  return texts;
}

/// Prompts are the provider's marked text; the suspect copies spans of any prompt and writes noise between them.
std::vector<TokenText> copied_text(kit::Rng& rng, const Key& key) {
  std::vector<TokenText> texts(2);
  for (TokenText& text : texts) {
    for (int t = 0; t < 24; ++t) text.tokens.push_back(marked_token(standard(), key, text.tokens, rng, 1));
    text.prompt_tokens = 24;
  }
  for (TokenText& text : texts)
    while (text.tokens.size() < 60) {
      const TokenText& from = texts[rng.below(2)];
      if (rng.below(2) == 0) text.tokens.push_back(static_cast<TokenId>(rng.below(8)));
      else
        for (std::size_t k = 0, start = rng.below(18); k < 6; ++k) text.tokens.push_back(from.tokens[start + k]);
    }
  return texts;
}

/// The same sentences in every audit, with a slot that varies.
std::vector<TokenText> templated_text(kit::Rng& rng, const Key&) {
  std::vector<TokenText> texts(6);
  for (TokenText& text : texts) {
    for (TokenId t = 0; t < 10; ++t) text.tokens.push_back(100 + t);
    text.tokens.push_back(static_cast<TokenId>(rng.below(5)));
    for (TokenId t = 0; t < 5; ++t) text.tokens.push_back(200 + t % 3);
    text.prompt_tokens = 3;
  }
  return texts;
}
}  // namespace

TEST_CASE("null: Zipf text with many repeats") {
  const Outcome out = run(1, standard(), CountRule::distinct, zipf_text);
  CHECK(out.p.off_nominal() == "");
  CHECK(out.e.too_often() == "");
}

TEST_CASE("null: suspects that copy marked prompts") {
  const Outcome out = run(2, standard(), CountRule::distinct, copied_text);
  CHECK(out.p.off_nominal() == "");
  CHECK(out.e.too_often() == "");
}

TEST_CASE("null: templated text") {
  const Outcome out = run(3, standard(), CountRule::distinct, templated_text);
  CHECK(out.p.off_nominal() == "");
  CHECK(out.e.too_often() == "");
}

TEST_CASE("null: keys that look unlucky are like all others on fresh text") {
  for (const std::uint8_t byte : {std::uint8_t{0x00}, std::uint8_t{0xFF}}) {
    const Key key(byte);
    kit::Rng rng(4u + byte);
    kit::Calibration calibration(kAlphas, 5e-10);
    for (int i = 0; i < kAudits / 2; ++i) {
      std::vector<TokenText> texts(1);
      for (int t = 0; t < 40; ++t) texts[0].tokens.push_back(static_cast<TokenId>(rng.below(1u << 20)));
      calibration.add(audits::detect(standard(), key, collect(standard(), key, texts)).value().log_p_prf);
    }
    CHECK(calibration.off_nominal() == "");
  }
}

TEST_CASE("null: count rules are never too small") {
  for (const CountRule rule : {CountRule::sqrt2, CountRule::log2}) {
    const Outcome out = run(5 + static_cast<std::uint64_t>(rule), standard(), rule, zipf_text, kAudits / 2);
    CHECK(out.p.too_often() == "");
    CHECK(out.e.too_often() == "");
  }
}

TEST_CASE("null: greenlist and tournament") {
  for (const Profile* profile : {&profiles::greenlist_2026_11(), &profiles::tournament_2026_11()})
    for (const CountRule rule : {CountRule::distinct, CountRule::log2}) {
      const Outcome out = run(8 + static_cast<std::uint64_t>(profile->scheme), *profile, rule, zipf_text,
                              rule == CountRule::distinct ? kAudits / 2 : kAudits / 5);
      CHECK(out.p.too_often() == "");
      CHECK(out.e.too_often() == "");
    }
}

TEST_CASE("null: reading with weights of both signs") {
  kit::Rng rng(12);
  kit::Calibration p(kAlphas), e(kAlphas);
  for (int i = 0; i < kAudits / 2; ++i) {
    const Key key(rng);
    std::vector<ReadingText> texts(1);
    for (int t = 0; t < 16; ++t) {
      texts[0].tokens.push_back(static_cast<TokenId>(rng.below(30)));
      ReadingPosition position;
      for (TokenId v = 0; v < 3; ++v) {
        position.top.push_back({v, static_cast<std::uint32_t>(rng.below(1u << 30))});
        position.base.push_back({v, static_cast<std::uint32_t>(rng.below(1u << 30))});
      }
      texts[0].positions.push_back(position);
    }
    const Detection found =
        audits::detect(standard(), key, collect_reading_pairs(standard(), key.coin_secret(), texts).value()).value();
    p.add(found.log_p_prf);
    e.add(-found.log_e);
  }
  CHECK(p.too_often() == "");
  CHECK(e.too_often() == "");
}

TEST_CASE("null: the rank among decoys is super-uniform") {
  kit::Rng rng(13);
  kit::Calibration single({0.3, 0.1, 0.05}), combined({0.1, 1e-2, 1e-3, 1e-4});
  // One text for all: the family is what is random. Three classes of about 20 pairs; then one class alone.
  PairSet three, one;
  for (std::uint32_t k = 0; k < 64; ++k) {
    const Pair pair{
        {core::kPad, core::kPad, k, k * k}, static_cast<std::uint16_t>(31 * k), static_cast<std::uint8_t>(k % 3), 1};
    three.pairs.push_back(pair);
    if (k % 3 == 0) one.pairs.push_back(pair);
  }
  for (int i = 0; i < kAudits; ++i) {
    const scoring::Family family{standard(), 64, 5, [seed = rng.next()](std::uint32_t member) {
                                   kit::Rng own(seed + member * 0x9E3779B97F4A7C15u);
                                   return Key(own).window;
                                 }};
    DetectOptions options;
    options.decoys = 19;
    single.add(*scoring::detect_family(family, one, options, scoring::best_kernel()).value().log_p_rank);
    if (i % 2 == 0)
      combined.add(*scoring::detect_family(family, three, options, scoring::best_kernel()).value().log_p_rank);
  }
  CHECK(single.off_nominal() == "");  // multiples of 1/20: exactly uniform
  CHECK(combined.too_often() == "");
}

TEST_CASE("the kit catches detectors that do not dedup, and detectors that do not taint") {
  // 5,000 audits are enough: real sizes at nominal 1e-2 are beyond 2e-2.
  kit::Rng rng(14);
  kit::Calibration repeats(kAlphas), copies(kAlphas), neither(kAlphas);
  for (int i = 0; i < 5000; ++i) {
    const Key key(rng);
    std::vector<TokenText> zipf(1);
    for (int t = 0; t < 200; ++t) zipf[0].tokens.push_back(audits::zipf(rng, 5));
    const auto copied = copied_text(rng, key);
    repeats.add(audits::detect(standard(), key, collect_badly(standard(), key, zipf, false)).value().log_p_prf);
    copies.add(audits::detect(standard(), key, collect_badly(standard(), key, copied, true)).value().log_p_prf);
    neither.add(audits::detect(standard(), key, collect_badly(standard(), key, copied, false)).value().log_p_prf);
  }
  CHECK(repeats.too_often() != "");
  CHECK(copies.too_often() != "");
  CHECK(neither.too_often() != "");
  WARN("no dedup: " << repeats.too_often());
  WARN("no taint: " << copies.too_often());
}
