// A small world for audits: a key, a teacher's ledger, prompts, and suspects of which we know what they did.
#pragma once
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unistd.h>

#include <heirmark/audit.hpp>
#include <heirmark/keys.hpp>

#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "base/files.hpp"
#include "core/context.hpp"
#include "crypto/sha256.hpp"

namespace world {
using namespace heirmark;
namespace fs = std::filesystem;

inline std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xFF51AFD7ED558CCDull;
  x ^= x >> 33;
  x *= 0xC4CEB9FE1A85EC53ull;
  return x ^ x >> 33;
}
inline std::uint64_t mix(std::span<const TokenId> tokens, std::uint64_t seed) {
  for (const TokenId token : tokens) seed = mix(seed ^ token) + 0x9E3779B97F4A7C15ull;
  return mix(seed);
}
inline double unit(std::uint64_t x) { return (static_cast<double>(x >> 11) + 0.5) * 0x1p-53; }

/// A folder that goes away.
class Folder {
 public:
  Folder() {
    static int count = 0;
    const fs::path memory = "/dev/shm";  // runs fsync much; in memory that costs nothing
    path_ = (access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) / ("heirmark-audit-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::error_code code; fs::remove_all(path_, code); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Shape {
  std::uint64_t seed = 1;
  std::string profile = "standard-2026-11";
  std::uint32_t family_size = 1024, live = 700, vocab = 4096;
  std::size_t responses = 30, tokens = 20, prompts = 8, listed = 12;
  std::vector<std::string> accounts{"alice", "bob", "carol"};
  std::string released{};
};

inline Opening make_opening(const Shape& shape) {
  const std::string secret = crypto::sha256_hex("secret" + std::to_string(shape.seed)), nonce = crypto::sha256_hex("nonce" + std::to_string(shape.seed));
  const auto raw = crypto::hex_decode(secret).value();
  const EpochSecret epoch{Secret32(std::span<const std::uint8_t, 32>(raw.data(), 32))};
  return std::move(Opening::parse("{\"familySecret\":\"" + secret + "\",\"familySize\":" + std::to_string(shape.family_size) + ",\"keyId\":\"" + epoch.key_id() +
                                  "\",\"liveIndex\":" + std::to_string(shape.live) + ",\"nonce\":\"" + nonce +
                                  "\",\"path\":\"acme-7b/2026-11\",\"profile\":\"" + shape.profile + "\",\"type\":\"heirmark/opening/v1\"}\n"))
      .value();
}

class World {
 public:
  explicit World(const Shape& shape) : shape_(shape), opening_(make_opening(shape)) {
    commitment.path = opening_.path().text();
    commitment.key_id = opening_.key_id();
    commitment.family_size = opening_.family_size();
    commitment.profile = shape.profile;
    commitment.scheme = scheme_name(opening_.profile().scheme);
    commitment.prf = "xchacha20-bins2048-v1";
    commitment.not_before = "2026-11-01";
    commitment.not_after = "2026-11-30";
    commitment.purpose = "test";
    commitment.digest = opening_.digest();
    suspect = {"student", shape.vocab, {"./student"}, shape.released, ""};
    std::mt19937_64 rng(shape.seed * 7919 + 1);
    for (std::size_t i = 0; i < shape.prompts; ++i) {
      prompts.emplace_back();
      for (int k = 0; k < 3; ++k) prompts.back().push_back(static_cast<TokenId>(rng() % shape.vocab));
    }
    for (std::size_t d = 0; d < shape.responses; ++d) {
      IssuedResponse response;
      for (std::uint8_t& byte : response.request_id.bytes) byte = static_cast<std::uint8_t>(rng());
      response.account = shape.accounts[d % shape.accounts.size()];
      for (int k = 0; k < 4; ++k) response.prompt.push_back(static_cast<TokenId>(rng() % shape.vocab));
      extend(response, shape.tokens, rng);
      ledger.push_back(std::move(response));
    }
  }

  /// The teacher: a distribution over `listed` tokens and the rest, from the last two tokens alone.
  [[nodiscard]] std::vector<IssuedToken> teacher(std::span<const TokenId> before) const {
    const std::uint64_t h = mix(before.last(std::min<std::size_t>(2, before.size())), shape_.seed);
    std::map<TokenId, double> weights;
    double sum = 0.03;  // the rest
    for (std::size_t i = 0; i < shape_.listed; ++i) {
      double& weight = weights[static_cast<TokenId>(mix(h + i) % shape_.vocab)];
      if (weight > 0) continue;
      weight = std::exp(2.0 * unit(mix(h ^ (i << 20))));
      sum += weight;
    }
    std::vector<IssuedToken> out;
    for (const auto& [token, weight] : weights) out.push_back({token, static_cast<std::uint32_t>(weight / sum * 0x1p32)});
    std::sort(out.begin(), out.end(), [](auto a, auto b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
    return out;
  }
  void extend(IssuedResponse& response, std::size_t count, std::mt19937_64& rng) const {
    std::vector<TokenId> all = response.prompt;
    all.insert(all.end(), response.tokens.begin(), response.tokens.end());
    for (std::size_t t = 0; t < count; ++t) {
      response.phat.push_back(teacher(all));
      double u = unit(rng());
      TokenId token = static_cast<TokenId>(rng() % shape_.vocab);
      for (const IssuedToken& entry : response.phat.back()) {
        u -= entry.p * 0x1p-32;
        if (u < 0) { token = entry.token; break; }
      }
      all.push_back(token);
      response.tokens.push_back(token);
    }
  }

  [[nodiscard]] const Opening& opening() const { return opening_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::string ledger_bytes() const {
    std::string out;
    for (std::size_t d = 0; d < ledger.size(); ++d) out += ledger_line(ledger[d], d, d < times.size() ? times[d] : "2026-11-02T00:00:00Z").value();
    return out;
  }
  [[nodiscard]] std::string prompt_bytes() const {
    std::string out;
    for (const auto& prompt : prompts) out += audit::prompt_line(prompt);
    return out;
  }
  /// Writes the inputs of `audit plan` into a folder and returns a request for them.
  [[nodiscard]] PlanRequest request(const fs::path& folder, std::vector<ChannelPlan> channels) const {
    PlanRequest out;
    out.commitment = folder / "commitment-in.json";
    out.suspect = folder / "suspect-in.json";
    (void)files::write_atomic(out.commitment, commitment.bytes());
    (void)files::write_atomic(out.suspect, suspect.bytes());
    (void)files::write_atomic(folder / "opening-in.json", opening_.bytes());
    bool text = false, issued = false;
    for (const ChannelPlan& channel : channels) (channel.channel == Channel::c1 ? text : issued) = true;
    if (text) { out.prompts = folder / "prompts-in.jsonl"; (void)files::write_atomic(out.prompts, prompt_bytes()); }
    if (issued) { out.ledger = folder / "ledger-in.jsonl"; (void)files::write_atomic(out.ledger, ledger_bytes()); }
    out.date = "2026-12-02T00:00:00Z";
    out.channels = std::move(channels);
    out.controls = 3;
    return out;
  }

  Commitment commitment;
  SuspectInfo suspect;
  std::vector<IssuedResponse> ledger;
  std::vector<std::string> times;  ///< of the ledger's first responses; the others have one of their own
  std::vector<std::vector<TokenId>> prompts;

 private:
  Shape shape_;
  Opening opening_;
};

inline ChannelPlan c1(std::uint32_t weight, std::uint32_t texts, std::uint32_t tokens, std::uint32_t decoys, CountRule rule = CountRule::distinct) {
  ChannelPlan out;
  out.weight = weight;
  out.texts = texts;
  out.tokens_per_text = tokens;
  out.decoys = decoys;
  out.count_rule = rule;
  return out;
}
inline ChannelPlan c2(std::uint32_t weight, std::uint32_t samples) {
  ChannelPlan out;
  out.channel = Channel::c2;
  out.weight = weight;
  out.samples = samples;
  return out;
}
inline ChannelPlan c3(std::uint32_t weight, std::uint32_t top) {
  ChannelPlan out;
  out.channel = Channel::c3;
  out.weight = weight;
  out.top = top;
  return out;
}

/// What a suspect did in its training, and how it behaves.
struct Guilt {
  double issued = 0;                        ///< nats by which it prefers the key's choice at contexts it learned
  std::set<std::string> accounts{};         ///< learned the responses of these; empty: of all
  std::vector<std::uint32_t> members{700};  ///< whose choices it learned
  double text = 0;                          ///< share of window positions at which it takes the key's best candidate
  double copy = 0;                          ///< nats by which it prefers what followed the same window earlier in what it is shown
  std::vector<std::vector<TokenId>> remembers{};  ///< texts that it was shown by other queries: it copies from them too
};

class FakeSuspect : public Suspect {
 public:
  FakeSuspect(const World& world, Guilt guilt) : world_(world), guilt_(std::move(guilt)) {
    for (const std::uint32_t member : guilt_.members)
      if (guilt_.issued > 0)
        for (const IssuedChoice& choice : issued_choices(world.opening(), world.ledger, member).value())
          if (choice.choice >= 0) {
            const IssuedResponse& response = world.ledger[choice.response];
            if (!guilt_.accounts.empty() && !guilt_.accounts.contains(response.account)) continue;
            learned_[mix(context(response, choice.position), 5)].push_back(response.phat[choice.position][static_cast<std::size_t>(choice.choice)].token);
          }
    if (guilt_.text > 0)
      for (std::uint32_t c = 0; c < 16; ++c) windows_[c] = core::key_words(world.opening().epoch().window(guilt_.members[0], c).expose_secret().data());
    coin_ = core::key_words(world.opening().coin().expose_secret().data());
  }
  std::uint64_t context_length = 1 << 20;
  int queries = 0, probes = 0;  ///< of the run; of positions asked about twice
  enum class Sees { before, itself, itself_as_it_is } sees = Sees::before;  ///< tokens before a position alone; gives the token in the question a hundredth more; lists it last whatever it is
  int fail_at_probe = -1;  ///< an error at this probe
  int fail_after = -1;  ///< errors from this query on

 private:
  static std::vector<TokenId> context(const IssuedResponse& response, std::size_t position) {
    std::vector<TokenId> out = response.prompt;
    out.insert(out.end(), response.tokens.begin(), response.tokens.begin() + static_cast<std::ptrdiff_t>(position));
    return out;
  }
  Result<SuspectHello> do_hello() override { return SuspectHello{world_.suspect.name, world_.suspect.vocab, context_length, world_.suspect.weights}; }

  /// The suspect's next-token distribution: a tempered, noisy teacher, with whatever it learned.
  std::vector<std::pair<TokenId, double>> next(std::span<const TokenId> before) const {
    std::map<TokenId, double> weights;
    for (const IssuedToken& entry : world_.teacher(before))
      weights[entry.token] = std::pow(entry.p * 0x1p-32, 0.9) * std::exp(0.6 * (unit(mix(mix(before.last(std::min<std::size_t>(2, before.size())), entry.token))) - 0.5));
    for (int i = 0; i < 4; ++i) weights[static_cast<TokenId>(mix(before, 77 + static_cast<std::uint64_t>(i)) % world_.suspect.vocab)] += 0.01;
    if (const auto found = learned_.find(mix(before, 5)); found != learned_.end())
      for (const TokenId token : found->second) weights[token] *= std::exp(guilt_.issued);
    const auto copy_from = [&](std::span<const TokenId> text) {
      for (std::size_t t = 2; t < text.size(); ++t)
        if (text[t - 2] == before[before.size() - 2] && text[t - 1] == before[before.size() - 1]) weights[text[t]] = (weights[text[t]] + 0.01) * std::exp(guilt_.copy);
    };
    if (guilt_.copy > 0 && before.size() >= 2) {
      copy_from(before);
      for (const auto& text : guilt_.remembers) copy_from(text);
    }
    double sum = 0.02;
    for (const auto& entry : weights) sum += entry.second;
    std::vector<std::pair<TokenId, double>> out;
    for (const auto& [token, weight] : weights) out.emplace_back(token, weight / sum);
    std::sort(out.begin(), out.end(), [](auto a, auto b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    return out;
  }
  TokenId draw(const std::vector<std::pair<TokenId, double>>& q, std::mt19937_64& rng) const {
    double u = unit(rng());
    for (const auto& [token, weight] : q)
      if ((u -= weight) < 0) return token;
    return static_cast<TokenId>(rng() % world_.suspect.vocab);
  }

  Result<std::vector<std::vector<TokenId>>> do_generate(std::span<const GenerateRequest> batch, std::uint32_t) override {
    if (queries++ == fail_after) return Error{ErrorCode::io, "the fake is out of order"};
    std::vector<std::vector<TokenId>> out;
    for (const GenerateRequest& request : batch) {
      std::mt19937_64 rng(request.seed);
      std::vector<TokenId> all = request.prompt;
      for (std::uint32_t t = 0; t < request.tokens; ++t) {
        const auto q = next(all);
        TokenId token = draw(q, rng);
        const core::Context window = core::window_context(all.data() + all.size(), all.size(), world_.opening().profile().window);
        if (guilt_.text > 0 && unit(rng()) < guilt_.text && core::coin_is_window(coin_, window, world_.opening().profile().share_q32)) {
          const core::KeyWords row = core::hchacha20(windows_.at(core::window_class(window)), window);
          std::uint32_t best = 0xFFFFFFFFu;  // a small word is a high score
          for (const auto& entry : q)
            if (const std::uint32_t word = core::stream_word(row, core::kBinsCoarse, core::bin_of(entry.first)); word <= best) { best = word; token = entry.first; }
        }
        all.push_back(token);
      }
      out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()), all.end());
    }
    return out;
  }

  Result<std::vector<ScoredPosition>> do_score(const ScoreRequest& request) override {
    const bool probe = std::none_of(world_.ledger.begin(), world_.ledger.end(), [&](const IssuedResponse& response) { return response.prompt.size() == request.from; });
    if (probe && probes++ == fail_at_probe) return Error{ErrorCode::io, "the fake is out of order"};
    if (!probe && queries++ == fail_after) return Error{ErrorCode::io, "the fake is out of order"};
    std::mt19937_64 rng(request.seed);
    std::vector<ScoredPosition> out;
    for (std::size_t t = request.from; t < request.tokens.size(); ++t) {
      auto q = next(std::span(request.tokens).first(t));
      if (sees == Sees::itself) {
        for (auto& entry : q) entry.second *= 0.99;
        const auto found = std::find_if(q.begin(), q.end(), [&](const auto& entry) { return entry.first == request.tokens[t]; });
        if (found != q.end()) found->second += 0.01;
        else q.emplace_back(request.tokens[t], 0.01);
        std::sort(q.begin(), q.end(), [](auto a, auto b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
      } else if (sees == Sees::itself_as_it_is) {
        q.resize(std::min<std::size_t>(q.size(), request.top - 1));
        if (std::none_of(q.begin(), q.end(), [&](const auto& entry) { return entry.first == request.tokens[t]; })) q.emplace_back(request.tokens[t], q.back().second / 50);
      }
      ScoredPosition position;
      for (std::size_t i = 0; i < std::min<std::size_t>(request.top, q.size()); ++i)
        position.top.push_back({q[i].first, static_cast<std::uint32_t>(std::llround(-1e6 * std::log(q[i].second)))});
      for (std::uint32_t i = 0; i < request.samples; ++i) position.samples.push_back(draw(q, rng));
      out.push_back(std::move(position));
    }
    return out;
  }

  const World& world_;
  Guilt guilt_;
  std::map<std::uint64_t, std::vector<TokenId>> learned_;
  std::map<std::uint32_t, core::KeyWords> windows_;
  core::KeyWords coin_{};
};

/// A response to the prompt as the key wrote it: every token at a usable position is the key's choice.
inline IssuedResponse written(const World& w, IssuedResponse response, std::size_t tokens, std::mt19937_64& rng) {
  response.tokens.clear();
  response.phat.clear();
  for (std::size_t t = 0; t < tokens; ++t) {
    w.extend(response, 1, rng);
    const auto choices = issued_choices(w.opening(), {&response, 1}).value();
    if (!choices.empty() && choices.back().position == t && choices.back().choice >= 0)
      response.tokens.back() = response.phat.back()[static_cast<std::size_t>(choices.back().choice)].token;
  }
  return response;
}

/// A ledger as the key wrote it.
inline World written_world(std::uint64_t seed, std::size_t responses, std::size_t tokens) {
  World w({.seed = seed, .responses = responses, .tokens = tokens});
  std::mt19937_64 rng(seed);
  for (IssuedResponse& response : w.ledger) response = written(w, response, tokens, rng);
  return w;
}

// A ledger whose prompts hold text of the same key: each prompt is a stretch of marked text, and the response runs through the same
// windows again. A suspect that copies from its prompt then names the key's choice without having learned anything.
inline World copied_world(std::uint64_t seed, std::size_t responses = 40, std::size_t tokens = 12) {
  World w({.seed = seed, .profile = "window-only-2026-11", .responses = responses, .tokens = tokens});
  std::mt19937_64 rng(seed);
  std::vector<IssuedResponse> ledger;
  for (const IssuedResponse& base : w.ledger) {
    IssuedResponse marked = base;
    marked.prompt.resize(2);
    marked = written(w, std::move(marked), tokens, rng);
    IssuedResponse response = base;
    response.prompt = marked.prompt;
    response.prompt.insert(response.prompt.end(), marked.tokens.begin(), marked.tokens.end());
    response.prompt.insert(response.prompt.end(), marked.prompt.begin(), marked.prompt.end());  // and back to its first window
    response.tokens = marked.tokens;
    response.phat = marked.phat;
    ledger.push_back(response);
  }
  w.ledger = ledger;
  return w;
}

/// A whole audit in a folder: plan, run, verdict. The case is folder/"case".
struct Audit {
  Plan plan;
  Verdict verdict;
};
inline Result<Audit> audit_of(const World& world, Suspect& suspect, const fs::path& folder, std::vector<ChannelPlan> channels, unsigned threads = 1,
                              const std::function<void(PlanRequest&)>& change = {}) {
  PlanRequest request = world.request(folder, std::move(channels));
  if (change) change(request);
  auto plan = make_plan(request, folder / "case");
  if (!plan) return plan.error();
  RunOptions run;
  run.now = [] { return std::string("2026-12-03T00:00:00Z"); };
  if (auto done = run_audit(folder / "case", suspect, run); !done) return done.error();
  VerdictOptions options;
  options.threads = threads;
  auto verdict = write_verdict(folder / "case", folder / "opening-in.json", "2026-12-05T00:00:00Z", options);
  if (!verdict) return verdict.error();
  return Audit{std::move(plan).value(), std::move(verdict).value()};
}
}  // namespace world
