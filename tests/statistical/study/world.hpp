// The world of one audit of the validation study: a teacher, a key, what was issued under it, and the prompts.
#pragma once
#include <heirmark/audit.hpp>
#include <heirmark/keys.hpp>
#include <heirmark/sampler.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../kit.hpp"

namespace study {

using namespace heirmark;

inline constexpr std::uint32_t kVocab = 256;
inline constexpr std::uint32_t kFamily = 256;
inline constexpr std::size_t kListed = 8;  ///< tokens of the logged distribution; the teacher has up to 12
/// One probability for each token of the vocabulary.
using Distribution = std::array<double, kVocab>;
using Text = std::vector<TokenId>;

/// Ends the study: an audit that cannot be made is a fault of the study or of the SDK, never a result.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message);
  return std::move(result).value();
}
inline void must(Result<void> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message);
}

inline std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDu;
  x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53u;
  return x ^ x >> 33;
}
/// A number in [0, 1) that belongs to a context, a token and a purpose.
inline double whim(std::span<const TokenId> before, std::uint64_t token, std::uint64_t purpose) {
  std::uint64_t h = mixed(purpose + 0x9E3779B97F4A7C15u);
  for (std::size_t k = before.size() - std::min<std::size_t>(2, before.size()); k < before.size(); ++k)
    h = mixed(h ^ (before[k] + 1)) + 0x9E3779B97F4A7C15u;
  return static_cast<double>(mixed(h ^ (token << 20)) >> 11) * 0x1p-53;
}

inline TokenId draw(const Distribution& q, kit::Rng& rng) {
  double u = rng.uniform();
  for (TokenId v = 0; v < kVocab; ++v)
    if ((u -= q[v]) <= 0 && q[v] > 0) return v;
  return static_cast<TokenId>(std::max_element(q.begin(), q.end()) - q.begin());
}
inline void normalise(Distribution& q) {
  double sum = 0;
  for (const double value : q) sum += value;
  for (double& value : q) value /= sum;
}

/// The teacher's next token depends on the last two: up to 12 candidates, themselves of a Zipf law over the vocabulary, so that
/// windows and pairs repeat as they do in text.
class Teacher {
 public:
  explicit Teacher(std::uint64_t seed) : seed_(seed) {}
  [[nodiscard]] Distribution next(std::span<const TokenId> before) const {
    Distribution p{};
    for (std::uint64_t i = 0; i < 12; ++i) {
      const double rank = std::exp(whim(before, i, seed_) * std::log(kVocab + 1.0));
      const auto token = std::min(static_cast<TokenId>(rank) - 1, kVocab - 1);
      p[token] += std::exp(2.5 * whim(before, i, seed_ + 1));
    }
    normalise(p);
    return p;
  }
  /// Text without a mark, after `prompt`.
  [[nodiscard]] Text unmarked(Text prompt, std::size_t tokens, kit::Rng& rng) const {
    while (tokens-- > 0) prompt.push_back(draw(next(prompt), rng));
    return prompt;
  }

 private:
  std::uint64_t seed_;
};

/// A key: an opening like one of a keystore, but of secrets that follow from the study's seed.
inline Opening make_opening(kit::Rng& rng, const Profile& profile, std::string_view family) {
  std::array<std::array<std::uint8_t, 32>, 2> bytes{};  // family secret, nonce
  for (auto& secret : bytes)
    for (auto& byte : secret) byte = static_cast<std::uint8_t>(rng.next() >> 56);
  const auto hex = [](std::span<const std::uint8_t> of) {
    std::string text;
    for (const std::uint8_t byte : of) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    return text;
  };
  const EpochSecret epoch{Secret32(std::span<const std::uint8_t, 32>(bytes[0]))};
  return must(Opening::parse("{\"familySecret\":\"" + hex(bytes[0]) + "\",\"familySize\":" + std::to_string(kFamily) + ",\"keyId\":\"" +
                             epoch.key_id() + "\",\"liveIndex\":" + std::to_string(rng.below(kFamily)) + ",\"nonce\":\"" + hex(bytes[1]) +
                             "\",\"path\":\"" + std::string(family) + "/2026-11\",\"profile\":\"" + std::string(profile.name) +
                             "\",\"type\":\"heirmark/opening/v1\"}\n"),
              "opening");
}
inline Commitment make_commitment(const Opening& opening) {
  Commitment out;
  out.path = opening.path().text();
  out.key_id = opening.key_id();
  out.family_size = opening.family_size();
  out.profile = opening.profile().name;
  out.scheme = scheme_name(opening.profile().scheme);
  out.prf = "xchacha20-bins2048-v1";
  out.not_before = "2026-11-01";
  out.not_after = "2026-11-30";
  out.purpose = "validation study";
  out.digest = opening.digest();
  return out;
}

/// The provider: the teacher served with the real sampler under a key.
class Provider {
 public:
  Provider(const Teacher& teacher, const Opening& opening)
      : teacher_(teacher),
        sampler_(must(Sampler::create(opening.profile(), opening.live_subkeys(accounts()), {.vocab_size = kVocab, .max_rows = 1}), "sampler")) {}
  static const std::vector<std::string>& accounts() {
    static const std::vector<std::string> names{"acme", "birch"};
    return names;
  }
  [[nodiscard]] IssuedResponse respond(Text prompt, std::size_t tokens, std::uint32_t account, kit::Rng& rng) {
    IssuedResponse out;
    for (auto& byte : out.request_id.bytes) byte = static_cast<std::uint8_t>(rng.next() >> 56);
    out.account = accounts()[account];
    out.prompt = prompt;
    Sequence sequence = sampler_.begin(out.request_id, prompt, account);
    Text all = std::move(prompt);
    std::array<float, kVocab> logits{};
    while (out.tokens.size() < tokens) {
      const Distribution p = teacher_.next(all);
      for (std::size_t v = 0; v < kVocab; ++v)
        logits[v] = p[v] > 0 ? static_cast<float>(std::log(p[v])) : -std::numeric_limits<float>::infinity();
      const Row row{&sequence, {}};
      Sampled sampled;
      must(sampler_.sample({logits.data(), DType::float32, 1, kVocab}, {&row, 1}, {&sampled, 1}), "sample");
      if (sampled.status != RowStatus::marked && sampled.status != RowStatus::issued) throw std::runtime_error("a row was not marked");
      std::vector<IssuedToken> listed;
      for (TokenId v = 0; v < kVocab; ++v)
        if (p[v] > 0) listed.push_back({v, static_cast<std::uint32_t>(std::min(p[v] * 0x1p32, 0x1p32 - 1))});
      std::sort(listed.begin(), listed.end(), [](auto a, auto b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
      if (listed.size() > kListed) listed.resize(kListed);
      out.phat.push_back(std::move(listed));
      out.tokens.push_back(sampled.token);
      all.push_back(sampled.token);
    }
    return out;
  }
  /// Text that the sampler marked, after `prompt`.
  [[nodiscard]] Text marked(Text prompt, std::size_t tokens, kit::Rng& rng) {
    IssuedResponse response = respond(std::move(prompt), tokens, 0, rng);
    response.prompt.insert(response.prompt.end(), response.tokens.begin(), response.tokens.end());
    return response.prompt;
  }

 private:
  const Teacher& teacher_;
  Sampler sampler_;
};

/// What prompts show. Seeds take them in turn.
enum class Prompts {
  plain,   ///< nothing of the provider's
  marked,  ///< C1: text marked under the audited key; the ledger: every second prompt goes on with the conversation before it
  shown,   ///< C1: responses of the audited ledger; the ledger as in `marked`
};
inline constexpr std::array<const char*, 3> kPrompts{"plain", "marked", "shown"};

/// What the auditor and the suspect meet in one audit.
struct World {
  Teacher teacher;
  Opening opening;
  std::vector<Text> prompts;               ///< of C1
  std::vector<IssuedResponse> ledger;

  World(kit::Rng& rng, const Profile& profile, Prompts kind) : teacher(rng.next()), opening(make_opening(rng, profile, "study")) {
    Provider provider(teacher, opening);
    for (std::uint32_t d = 0; d < 9; ++d) {
      Text prompt;
      if (kind != Prompts::plain && d % 2 == 1) {
        prompt = ledger.back().prompt;
        prompt.insert(prompt.end(), ledger.back().tokens.begin(), ledger.back().tokens.end());
      }
      for (int k = 0; k < 3; ++k) prompt.push_back(static_cast<TokenId>(rng.below(kVocab)));
      ledger.push_back(provider.respond(std::move(prompt), 10, d / 2 % 2, rng));
    }
    for (std::size_t i = 0; i < 6; ++i) {
      Text start{static_cast<TokenId>(rng.below(kVocab)), static_cast<TokenId>(rng.below(kVocab))};
      if (kind == Prompts::shown) start.insert(start.end(), ledger[i + 3].tokens.begin(), ledger[i + 3].tokens.end());
      else start = kind == Prompts::marked ? provider.marked(std::move(start), 14, rng) : teacher.unmarked(std::move(start), 6, rng);
      prompts.push_back(std::move(start));
    }
  }
};

}  // namespace study
