// Null audits at scale: does p <= alpha happen with probability alpha at most? 100,000 audits a case (unless said), alpha
// 1e-2, 1e-3, 1e-4, each case fails with probability at most 1e-9 when the code is right (kit.hpp). Where p is exact the
// rate must be alpha, not only at most alpha: as it is for gumbel, after randomisation for counts.
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
Outcome run(std::uint64_t seed, const Profile& profile, CountRule rule, const Text& text) {
  kit::Rng rng(seed);
  Outcome out{kit::Calibration(kAlphas, 5e-10), kit::Calibration(kAlphas, 5e-10)};
  for (int i = 0; i < kAudits; ++i) {
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

/// Weighted p is a bound: one-sided.
void weighted_is_never_too_small(std::uint64_t seed, const Profile& profile, CountRule rule) {
  const Outcome out = run(seed, profile, rule, zipf_text);
  CHECK(out.p.too_often() == "");
  CHECK(out.e.too_often() == "");
  CHECK(out.p.count(0) > 0);
}

void reading_is_never_too_small(std::uint64_t seed, const Profile& profile) {
  kit::Rng rng(seed);
  kit::Calibration p(kAlphas, 5e-10), e(kAlphas, 5e-10);
  for (int i = 0; i < kAudits; ++i) {
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
    const Detection found = audits::detect(profile, key, collect_reading_pairs(profile, key.coin_secret(), texts).value()).value();
    p.add(found.log_p_prf);
    e.add(-found.log_e);
  }
  CHECK(p.too_often() == "");
  CHECK(e.too_often() == "");
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
    for (int i = 0; i < kAudits; ++i) {
      std::vector<TokenText> texts(1);
      for (int t = 0; t < 40; ++t) texts[0].tokens.push_back(static_cast<TokenId>(rng.below(1u << 20)));
      calibration.add(audits::detect(standard(), key, collect(standard(), key, texts)).value().log_p_prf);
    }
    CHECK(calibration.off_nominal() == "");
  }
}

TEST_CASE("null: gumbel, count rule sqrt2") { weighted_is_never_too_small(6, standard(), CountRule::sqrt2); }
TEST_CASE("null: gumbel, count rule log2") { weighted_is_never_too_small(7, standard(), CountRule::log2); }
TEST_CASE("null: greenlist, count rule sqrt2") { weighted_is_never_too_small(8, profiles::greenlist_2026_11(), CountRule::sqrt2); }
TEST_CASE("null: greenlist, count rule log2") { weighted_is_never_too_small(9, profiles::greenlist_2026_11(), CountRule::log2); }
TEST_CASE("null: tournament, count rule sqrt2") { weighted_is_never_too_small(10, profiles::tournament_2026_11(), CountRule::sqrt2); }
TEST_CASE("null: tournament, count rule log2") { weighted_is_never_too_small(11, profiles::tournament_2026_11(), CountRule::log2); }

TEST_CASE("null: greenlist and tournament counts are exact") {
  for (const Profile* profile : {&profiles::greenlist_2026_11(), &profiles::tournament_2026_11()}) {
    const bool green = profile->scheme == Scheme::greenlist;
    kit::Rng rng(green ? 16 : 17);
    kit::Calibration p(kAlphas, 2.5e-10), e(kAlphas, 2.5e-10), exact(kAlphas, 5e-10);
    for (int i = 0; i < kAudits; ++i) {
      const Key key(rng);
      const Detection found = audits::detect(*profile, key, collect(*profile, key, zipf_text(rng, key))).value();
      p.add(found.log_p_prf);
      e.add(-found.log_e);
      const double above = stats::log_binomial_tail(green ? found.n : found.n * static_cast<std::uint64_t>(profile->layers),
                                                    green ? profile->gamma_q32 * 0x1p-32 : 0.5, static_cast<std::uint64_t>(found.statistic) + 1);
      exact.add(kit::randomised(found.log_p_prf, above, rng));
    }
    CHECK(p.too_often() == "");
    CHECK(e.too_often() == "");
    CHECK(exact.off_nominal() == "");
  }
}

TEST_CASE("null: reading with weights of both signs, gumbel") { reading_is_never_too_small(12, standard()); }
TEST_CASE("null: reading with weights of both signs, greenlist") { reading_is_never_too_small(18, profiles::greenlist_2026_11()); }
TEST_CASE("null: reading with weights of both signs, tournament") { reading_is_never_too_small(19, profiles::tournament_2026_11()); }

TEST_CASE("null: reading by a suspect that goes on as marked prompts did") {
  // Known-bad (5,000 audits): the same text read without naming its prompt, so that nothing is tainted.
  kit::Rng rng(20);
  kit::Calibration p(kAlphas, 5e-10), e(kAlphas, 5e-10), untainted(kAlphas);
  for (int i = 0; i < kAudits; ++i) {
    const Key key(rng);
    ReadingText text;
    for (int t = 0; t < 12; ++t) text.tokens.push_back(marked_token(standard(), key, text.tokens, rng, 2));
    text.prompt_tokens = text.tokens.size();
    for (std::size_t t = 0; t < 12; ++t) {  // the text runs through the prompt's windows again, and the suspect knows them
      const TokenId copied = text.tokens[t];
      text.positions.push_back({{{copied, 3u << 30}, {copied ^ 1u, 1u << 28}}, {}});
      text.tokens.push_back(copied);
    }
    const auto scored = [&](const ReadingText& read) {
      return audits::detect(standard(), key, collect_reading_pairs(standard(), key.coin_secret(), {&read, 1}).value()).value();
    };
    const Detection found = scored(text);
    p.add(found.log_p_prf);
    e.add(-found.log_e);
    if (i >= 5000) continue;
    ReadingText bare;
    bare.tokens.assign(text.tokens.begin() + 12, text.tokens.end());
    bare.positions = text.positions;
    untainted.add(scored(bare).log_p_prf);
  }
  CHECK(p.too_often() == "");
  CHECK(e.too_often() == "");
  CHECK(untainted.too_often() != "");
}

TEST_CASE("null: prompts chosen by an auditor who sees the scores, stopped when it looks best") {
  // n = 20,000 audits. After each answer the auditor, who has the key, asks again for the topic whose answers scored best, and looks
  // at the e-value. Pairs of weight 1 keep their level. Known-bad: the exact p, looked at as
  // often.
  kit::Rng rng(21);
  kit::Calibration e({.1, 1e-2, 1e-3, 1e-4}), peeked(kAlphas);
  for (int i = 0; i < 20'000; ++i) {
    const Key key(rng);
    std::vector<TokenText> texts;
    std::array<double, 10> best_of_topic{};
    double best = 0, least = 0;
    for (std::size_t answer = 0; answer < 20; ++answer) {
      const std::size_t topic =
          answer < best_of_topic.size() ? answer : static_cast<std::size_t>(std::max_element(best_of_topic.begin(), best_of_topic.end()) - best_of_topic.begin());
      TokenText text;
      for (TokenId t = 0; t < 2; ++t) text.tokens.push_back(static_cast<TokenId>(100 * topic) + t);
      text.prompt_tokens = 2;
      for (int t = 0; t < 6; ++t) text.tokens.push_back(static_cast<TokenId>(100 * topic + 10 + (rng.below(4) > 0 ? 0 : 1 + rng.below(2))));
      if (answer < best_of_topic.size()) {
        const Detection alone = audits::detect(standard(), key, collect(standard(), key, {text})).value();
        best_of_topic[topic] = alone.value - static_cast<double>(alone.n);
      }
      texts.push_back(std::move(text));
      const Detection found = audits::detect(standard(), key, collect(standard(), key, texts)).value();
      best = std::max(best, found.log_e);
      least = std::min(least, found.log_p_prf);
    }
    e.add(-best);
    peeked.add(least);
  }
  CHECK(e.too_often() == "");
  CHECK(peeked.too_often() != "");
}

TEST_CASE("null: the rank among decoys is super-uniform") {
  kit::Rng rng(13);
  kit::Calibration single({0.3, 0.1, 0.05}, 5e-10), combined({0.1, 1e-2, 1e-3, 1e-4}, 5e-10);
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
