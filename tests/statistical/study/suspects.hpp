// The suspects of the validation study. All but the last kind never met text of the audited key before the audit.
#pragma once
#include <heirmark/suspect.hpp>

#include <functional>
#include <memory>
#include <unordered_map>

#include "world.hpp"

namespace study {

struct Kind {
  std::string_view name, what;
  bool innocent;
};
inline constexpr std::array<Kind, 14> kKinds{{
    {"teacher", "the teacher's own distribution, drawn with other randomness", true},
    {"noisy-teacher", "the teacher tempered and disturbed context by context", true},
    {"sharp", "the teacher with squared probabilities", true},
    {"flat", "the root of the teacher's probabilities, a tenth of them spread evenly", true},
    {"greedy", "the teacher's likeliest token with probability 0.999, whatever temperature is asked", true},
    {"tastes", "the teacher, with one token of each context preferred by 4 nats", true},
    {"unigram", "counts of single tokens in 3,000 tokens that the teacher wrote without a mark", true},
    {"bigram", "counts of pairs in the same text", true},
    {"trigram", "counts of triples in the same text: it remembers that text", true},
    {"echo", "goes on as the same two tokens went on before in what it is shown", true},
    {"recall", "the same, over everything that it was shown in the audit so far", true},
    {"loop", "repeats its last three tokens for ever", true},
    {"other-key", "trigram counts of 3,000 tokens that the teacher wrote under another key", true},
    {"guilty", "trigram counts of 3,000 tokens under the audited key, and the ledger by heart: the positive control", false},
}};
inline constexpr std::size_t kInnocentKinds = kKinds.size() - 1, kGuilty = kKinds.size() - 1;

/// A language model of counts with back-off, like any that is trained on text: it knows nothing of keys.
class Counts {
 public:
  Counts(std::span<const TokenId> text, int order) : order_(order) {
    for (std::size_t t = 2; t < text.size(); ++t)
      for (int n = 0; n < order; ++n) ++table_[key(text.first(t), n)][text[t]];
  }
  [[nodiscard]] Distribution next(std::span<const TokenId> before) const {
    Distribution q;
    q.fill(1.0 / kVocab);
    for (int n = 0; n < order_ && static_cast<std::size_t>(n) <= before.size(); ++n) {
      const auto found = table_.find(key(before, n));
      if (found == table_.end()) break;
      double total = 0.5;
      for (const auto& entry : found->second) total += entry.second;
      for (double& value : q) value *= 0.5 / total;
      for (const auto& [token, count] : found->second) q[token] += count / total;
    }
    return q;
  }

 private:
  static std::uint64_t key(std::span<const TokenId> before, int n) {
    std::uint64_t out = static_cast<std::uint64_t>(n);
    for (const TokenId token : before.last(static_cast<std::size_t>(n))) out = out * (kVocab + 1) + token + 1;
    return out;
  }
  int order_;
  std::unordered_map<std::uint64_t, std::unordered_map<TokenId, double>> table_;
};

/// A suspect in this process: a next-token distribution, and perhaps a memory of what it was shown.
class Model final : public Suspect {
 public:
  std::function<Distribution(std::span<const TokenId>)> next;
  std::function<void(std::span<const TokenId>)> shown;  ///< called with every whole sequence, once it has been answered
  bool obeys_temperature = true;

 private:
  Result<SuspectHello> do_hello() override { return SuspectHello{"simulated", kVocab, 4096, ""}; }
  Result<std::vector<Text>> do_generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) override {
    std::vector<Text> out;
    for (const GenerateRequest& request : batch) {
      kit::Rng rng(request.seed);
      Text all = request.prompt;
      if (shown) shown(all);
      for (std::uint32_t t = 0; t < request.tokens; ++t) {
        Distribution q = next(all);
        if (obeys_temperature && temperature_milli != 1000) {
          if (temperature_milli == 0) {
            const auto best = std::max_element(q.begin(), q.end());
            const std::ptrdiff_t at = best - q.begin();
            q.fill(0);
            q[static_cast<std::size_t>(at)] = 1;
          } else {
            for (double& value : q) value = value > 0 ? std::pow(value, 1000.0 / temperature_milli) : 0;
            normalise(q);
          }
        }
        all.push_back(draw(q, rng));
      }
      out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()), all.end());
    }
    return out;
  }
  Result<std::vector<ScoredPosition>> do_score(const ScoreRequest& request) override {
    kit::Rng rng(request.seed);
    std::vector<ScoredPosition> out;
    for (std::size_t t = request.from; t < request.tokens.size(); ++t) {
      const Distribution q = next(std::span(request.tokens).first(t));
      ScoredPosition position;
      std::array<TokenId, kVocab> order{};
      for (TokenId v = 0; v < kVocab; ++v) order[v] = v;
      const auto top = static_cast<std::ptrdiff_t>(std::min(request.top, kVocab));
      std::partial_sort(order.begin(), order.begin() + top, order.end(), [&](TokenId a, TokenId b) { return q[a] != q[b] ? q[a] > q[b] : a < b; });
      for (std::ptrdiff_t i = 0; i < top; ++i)
        if (const TokenId v = order[static_cast<std::size_t>(i)]; q[v] > 1e-12)
          position.top.push_back({v, static_cast<std::uint32_t>(std::llround(std::max(0.0, -1e6 * std::log(q[v]))))});
      for (std::uint32_t i = 0; i < request.samples; ++i) position.samples.push_back(draw(q, rng));
      out.push_back(std::move(position));
    }
    if (shown) shown(request.tokens);
    return out;
  }
};

/// What followed `before`'s last two tokens the last time in `text`; kNoToken if they did not occur.
inline TokenId continued(std::span<const TokenId> text, std::span<const TokenId> before) {
  if (before.size() < 2) return kNoToken;
  for (std::size_t t = text.size(); t-- > 2;)
    if (text[t - 2] == before[before.size() - 2] && text[t - 1] == before[before.size() - 1]) return text[t];
  return kNoToken;
}
inline Distribution prefer(Distribution q, TokenId token, double share) {
  if (token == kNoToken) return q;
  for (double& value : q) value *= 1 - share;
  q[token] += share;
  return q;
}

inline std::unique_ptr<Model> make_suspect(std::size_t kind, const World& world, kit::Rng& rng) {
  auto model = std::make_unique<Model>();
  const Teacher& teacher = world.teacher;
  const std::string_view name = kKinds.at(kind).name;
  const auto counts = [&](const Text& text, int order) {
    return [table = std::make_shared<Counts>(text, order)](std::span<const TokenId> before) { return table->next(before); };
  };
  constexpr std::size_t kTraining = 3000;
  if (name == "teacher") {
    model->next = [&teacher](auto before) { return teacher.next(before); };
  } else if (name == "noisy-teacher") {
    model->next = [&teacher, taste = rng.next()](auto before) {
      Distribution q = teacher.next(before);
      for (TokenId v = 0; v < kVocab; ++v) q[v] = (std::pow(q[v], 0.9) + 1e-4) * std::exp(2 * whim(before, v, taste) - 1);
      normalise(q);
      return q;
    };
  } else if (name == "sharp" || name == "flat") {
    model->next = [&teacher, sharp = name == "sharp"](auto before) {
      Distribution q = teacher.next(before);
      for (double& value : q) value = sharp ? value * value : std::sqrt(value);
      normalise(q);
      if (!sharp)
        for (double& value : q) value = 0.9 * value + 0.1 / kVocab;
      return q;
    };
  } else if (name == "greedy") {
    model->obeys_temperature = false;
    model->next = [&teacher](auto before) {
      const Distribution p = teacher.next(before);
      Distribution even;
      even.fill(1.0 / kVocab);
      return prefer(even, static_cast<TokenId>(std::max_element(p.begin(), p.end()) - p.begin()), 0.999);
    };
  } else if (name == "tastes") {
    model->next = [&teacher, taste = rng.next()](auto before) {
      Distribution q = teacher.next(before);
      std::size_t best = 0;
      double most = -1;
      for (TokenId v = 0; v < kVocab; ++v)
        if (const double w = whim(before, v, taste); q[v] > 0 && w > most) most = w, best = v;
      q[best] *= std::exp(4.0);
      normalise(q);
      return q;
    };
  } else if (name == "unigram" || name == "bigram" || name == "trigram") {
    model->next = counts(teacher.unmarked({1, 2}, kTraining, rng), name == "unigram" ? 1 : name == "bigram" ? 2 : 3);
  } else if (name == "echo") {
    model->next = [&teacher](auto before) { return prefer(teacher.next(before), continued(before, before), 0.8); };
  } else if (name == "recall") {
    const auto memory = std::make_shared<Text>();
    model->shown = [memory](auto tokens) { memory->insert(memory->end(), tokens.begin(), tokens.end()); };
    model->next = [&teacher, memory](auto before) {
      const TokenId here = continued(before, before);
      return prefer(teacher.next(before), here != kNoToken ? here : continued(*memory, before), 0.8);
    };
  } else if (name == "loop") {
    model->next = [&teacher](auto before) {
      return prefer(teacher.next(before), before.size() >= 3 ? before[before.size() - 3] : kNoToken, 0.98);
    };
  } else if (name == "other-key") {
    const Opening other = make_opening(rng, world.opening.profile(), "other");
    Provider provider(teacher, other);
    model->next = counts(provider.marked({1, 2}, kTraining, rng), 3);
  } else {
    Provider provider(teacher, world.opening);
    const auto learned = counts(provider.marked({1, 2}, kTraining, rng), 3);
    model->next = [learned, &world](auto before) {
      for (const IssuedResponse& response : world.ledger) {
        if (before.size() < response.prompt.size() || before.size() >= response.prompt.size() + response.tokens.size()) continue;
        const std::size_t written = before.size() - response.prompt.size();
        if (std::equal(response.prompt.begin(), response.prompt.end(), before.begin()) &&
            std::equal(response.tokens.begin(), response.tokens.begin() + static_cast<std::ptrdiff_t>(written), before.end() - static_cast<std::ptrdiff_t>(written)))
          return prefer(learned(before), response.tokens[written], 0.9);
      }
      return learned(before);
    };
  }
  return model;
}

}  // namespace study
