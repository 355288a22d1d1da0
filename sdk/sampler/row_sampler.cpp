#include "sampler/row_sampler.hpp"

#include <limits>
#include <utility>

#include <unistd.h>

#include "core/context.hpp"
#include "kernels/keys.hpp"
#include "sampler/choose.hpp"
#include "sampler/float_environment.hpp"

namespace heirmark::sampler {
namespace {
constexpr std::uint64_t kAlways = 1ull << 32;
constexpr std::uint32_t kMaxDeltaMicro = 100'000'000;  // e^100 is far from overflow and beyond any use

Error usage(std::string message) { return {ErrorCode::usage, std::move(message)}; }
core::KeyWords words_of(const Secret32& secret) { return core::key_words(secret.expose_secret().data()); }
core::Context window_of(const DeviceRow& row) { return {{row.window[0], row.window[1], row.window[2], row.window[3]}}; }
bool is_greedy(const DeviceRow& row) { return row.mode == static_cast<std::uint32_t>(Mode::greedy) || row.temperature == 0; }
}  // namespace

std::optional<Error> check(const Profile& profile, const Subkeys& subkeys, std::uint32_t vocab_size) {
  if (vocab_size < 1 || vocab_size > kMaxVocab) return usage("vocab_size must be 1 .. 2^20");
  if (profile.window < 1 || profile.window > core::kMaxWindow) return usage("profile: window must be 1 .. 4");
  if (profile.share_q32 > kAlways) return usage("profile: share must be at most 2^32");
  switch (profile.scheme) {
    case Scheme::gumbel: break;
    case Scheme::greenlist:
      if (profile.delta_micro > kMaxDeltaMicro) return usage("profile: delta must be at most 100");
      break;
    case Scheme::tournament:
      if (profile.layers < 1 || profile.layers > 30) return usage("profile: layers must be 1 .. 30");
      break;
    default: return usage("profile: unknown scheme");
  }
  if (subkeys.issuance.empty()) return Error{ErrorCode::key, "no issuance subkey: a sampler needs at least one account"};
  return std::nullopt;
}

Result<std::unique_ptr<RowSampler>> RowSampler::create(const Profile& profile, Subkeys subkeys, std::uint32_t vocab_size) {
  if (auto error = check(profile, subkeys, vocab_size)) return std::move(*error);
  std::array<std::uint8_t, 32> random{};
  if (getentropy(random.data(), random.size()) != 0) return Error{ErrorCode::io, "the operating system gives no random bytes"};
  return std::unique_ptr<RowSampler>(new RowSampler(profile, std::move(subkeys), Secret32(random), vocab_size));
}

std::unique_ptr<Workspace> RowSampler::take_workspace() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<Workspace>(vocab_);
}

void RowSampler::give_workspace(std::unique_ptr<Workspace> workspace) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(workspace));
}

bool RowSampler::marks(const DeviceRow& row) const {
  const bool may_mark = row.mode == static_cast<std::uint32_t>(Mode::marked) || row.mode == static_cast<std::uint32_t>(Mode::greedy);
  const bool usable = !is_greedy(row) || profile_.scheme == Scheme::greenlist;
  return may_mark && usable && row.window_repeated == 0 && core::coin_is_window(words_of(subkeys_.coin), window_of(row), profile_.share_q32);
}

Sampled RowSampler::sample(const std::byte* logits, DType dtype, const DeviceRow& row, bool log_prob, TopTokens* top) const {
  Sampled out;
  out.log_prob = std::numeric_limits<float>::quiet_NaN();
  if (top != nullptr) *top = {};
  if (!kernels::good_parameters(row) || row.account_slot >= subkeys_.issuance.size() || row.position == kNoToken) return out;

  RowTask task;
  task.logits = {logits, dtype, vocab_};
  task.filter = {row.temperature, row.min_p, row.top_k, row.top_p};
  task.greedy = is_greedy(row);
  task.log_prob = log_prob;
  task.top = top;
  const core::Context window = window_of(row);
  const bool marked = marks(row);
  const auto window_key = [&] { return core::hchacha20(words_of(subkeys_.window[core::window_class(window)]), window); };
  if (marked && profile_.scheme == Scheme::gumbel) {
    task.keys.noise = window_key();
  } else if (!task.greedy) {
    const Secret32& secret = row.mode == static_cast<std::uint32_t>(Mode::off) ? nobodys_ : subkeys_.issuance[row.account_slot];
    task.keys.noise = core::hchacha20(words_of(secret), core::issuance_context(row.request_id.bytes.data(), row.position));
  }
  if (marked && profile_.scheme != Scheme::gumbel) {
    task.keys.mark = window_key();
    task.rule.kind = profile_.scheme == Scheme::greenlist ? marks::RuleKind::greenlist : marks::RuleKind::tournament;
    task.rule.gamma = profile_.gamma_q32;
    task.rule.delta = profile_.delta_micro * 1e-6;
    task.rule.layers = profile_.layers;
  }

  const FloatEnvironment environment;
  auto workspace = take_workspace();
  const RowResult result = choose(task, set_, *workspace);
  give_workspace(std::move(workspace));
  if (result.kind == RowResult::Kind::no_finite_logit) {
    out.status = RowStatus::no_finite_logit;
    return out;
  }
  out.token = result.token;
  out.log_prob = result.log_prob;
  if (result.kind == RowResult::Kind::infinite_logit) {
    out.status = RowStatus::infinite_logit;
  } else if (marked) {
    out.status = RowStatus::marked;
  } else {
    out.status = task.greedy || row.mode == static_cast<std::uint32_t>(Mode::off) ? RowStatus::unmarked : RowStatus::issued;
  }
  return out;
}

}  // namespace heirmark::sampler
