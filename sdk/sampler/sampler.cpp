#include <heirmark/sampler.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <new>
#include <string>

#include <unistd.h>

#include "core/context.hpp"
#include "core/dispatch.hpp"
#include "sampler/choose.hpp"
#include "sampler/float_environment.hpp"
#include "sampler/pool.hpp"
#include "sampler/row.hpp"
#include "sampler/workspace.hpp"

namespace heirmark {
namespace {
constexpr std::uint64_t kAlways = 1ull << 32;
constexpr unsigned kMaxThreads = 1024;
constexpr std::uint32_t kMaxDeltaMicro = 100'000'000;  // e^100 is far from overflow and beyond any use
constexpr float kMinTemperature = 1e-3f, kMaxTemperature = 1e3f;

Error usage(std::string message) { return {ErrorCode::usage, std::move(message)}; }

core::KeyWords words_of(const Secret32& secret) { return core::key_words(secret.expose_secret().data()); }

std::optional<Error> check_profile(const Profile& profile) {
  if (profile.window < 1 || profile.window > core::kMaxWindow) return usage("profile: window must be 1 .. 4");
  if (profile.share_q32 > kAlways) return usage("profile: share must be at most 2^32");
  switch (profile.scheme) {
    case Scheme::gumbel: return std::nullopt;
    case Scheme::greenlist:
      if (profile.delta_micro > kMaxDeltaMicro) return usage("profile: delta must be at most 100");
      return std::nullopt;
    case Scheme::tournament:
      if (profile.layers < 1 || profile.layers > 30) return usage("profile: layers must be 1 .. 30");
      return std::nullopt;
  }
  return usage("profile: unknown scheme");
}

bool good_parameters(const SamplingParams& p) {
  const bool temperature = p.temperature == 0 || (p.temperature >= kMinTemperature && p.temperature <= kMaxTemperature);
  return temperature && p.min_p >= 0 && p.min_p <= 1 && p.top_p > 0 && p.top_p <= 1 && p.mode <= Mode::issuance;
}
}  // namespace

struct Sampler::Impl {
  Profile profile;
  Subkeys subkeys;
  Options options;
  core::InstructionSet set = core::instruction_set();
  Secret32 nobodys;  ///< the key of mode off: drawn when the sampler is made, kept nowhere else
  std::unique_ptr<sampler::Pool> pool;
  std::mutex mutex;  ///< guards idle
  std::vector<std::unique_ptr<sampler::Workspace>> idle;

  /// One call of sample().
  struct Call {
    Impl* impl;
    const Logits* logits;
    std::span<const Row> rows;
    std::span<Sampled> out;
  };

  std::unique_ptr<sampler::Workspace> take_workspace();
  void give_workspace(std::unique_ptr<sampler::Workspace> workspace);
  [[nodiscard]] core::Context window_of(const Sequence& sequence) const;
  [[nodiscard]] bool is_window_position(const Sequence& sequence, const core::Context& window) const;
  Sampled sample_row(const sampler::RowView& view, const Row& row, sampler::Workspace& workspace) const;
  static void run_row(void* call, std::size_t index) noexcept;
};

std::unique_ptr<sampler::Workspace> Sampler::Impl::take_workspace() {
  {
    const std::lock_guard lock(mutex);
    if (!idle.empty()) {
      auto workspace = std::move(idle.back());
      idle.pop_back();
      return workspace;
    }
  }
  return std::make_unique<sampler::Workspace>(options.vocab_size);
}

void Sampler::Impl::give_workspace(std::unique_ptr<sampler::Workspace> workspace) {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(workspace));
}

core::Context Sampler::Impl::window_of(const Sequence& sequence) const {
  return core::window_context(sequence.last_.data() + sequence.last_.size(), sequence.last_.size(), profile.window);
}

bool Sampler::Impl::is_window_position(const Sequence& sequence, const core::Context& window) const {
  return core::coin_is_window(words_of(subkeys.coin), window, profile.share_q32) &&
         !sequence.seen({window.w[0], window.w[1], window.w[2], window.w[3]});
}

Sampled Sampler::Impl::sample_row(const sampler::RowView& view, const Row& row, sampler::Workspace& workspace) const {
  Sequence& sequence = *row.sequence;
  const SamplingParams& params = row.params;
  Sampled out;
  out.log_prob = std::numeric_limits<float>::quiet_NaN();
  if (!good_parameters(params) || sequence.account_slot_ >= subkeys.issuance.size() || sequence.position_ == kNoToken) return out;

  sampler::RowTask task;
  task.logits = view;
  task.filter = {params.temperature, params.min_p, params.top_k, params.top_p};
  task.greedy = params.mode == Mode::greedy || params.temperature == 0;
  task.log_prob = options.log_probs;
  const core::Context window = window_of(sequence);
  const bool may_mark = params.mode == Mode::marked || params.mode == Mode::greedy;
  const bool usable = !task.greedy || profile.scheme == Scheme::greenlist;
  const bool marked = may_mark && usable && is_window_position(sequence, window);
  const auto window_key = [&] { return core::hchacha20(words_of(subkeys.window[core::window_class(window)]), window); };
  if (marked && profile.scheme == Scheme::gumbel) {
    task.keys.noise = window_key();
  } else if (!task.greedy) {
    const Secret32& secret = params.mode == Mode::off ? nobodys : subkeys.issuance[sequence.account_slot_];
    task.keys.noise = core::hchacha20(words_of(secret), core::issuance_context(sequence.request_id_.bytes.data(), sequence.position_));
  }
  if (marked && profile.scheme != Scheme::gumbel) {
    task.keys.mark = window_key();
    task.rule.kind = profile.scheme == Scheme::greenlist ? marks::RuleKind::greenlist : marks::RuleKind::tournament;
    task.rule.gamma = profile.gamma_q32;
    task.rule.delta = profile.delta_micro * 1e-6;
    task.rule.layers = profile.layers;
  }

  const sampler::RowResult result = sampler::choose(task, set, workspace);
  if (result.kind == sampler::RowResult::Kind::no_finite_logit) {
    out.status = RowStatus::no_finite_logit;
    return out;
  }
  out.token = result.token;
  out.log_prob = result.log_prob;
  if (result.kind == sampler::RowResult::Kind::infinite_logit) {
    out.status = RowStatus::infinite_logit;
  } else if (marked) {
    out.status = RowStatus::marked;
    sequence.record({window.w[0], window.w[1], window.w[2], window.w[3]});
  } else {
    out.status = task.greedy || params.mode == Mode::off ? RowStatus::unmarked : RowStatus::issued;
  }
  sequence.accept(out.token);
  return out;
}

void Sampler::Impl::run_row(void* context, std::size_t index) noexcept {
  const Call& call = *static_cast<const Call*>(context);
  const std::size_t offset = index * call.logits->row_stride * sampler::bytes_per_logit(call.logits->dtype);
  const sampler::RowView view{static_cast<const std::byte*>(call.logits->data) + offset, call.logits->dtype, call.impl->options.vocab_size};
  const sampler::FloatEnvironment environment;
  auto workspace = call.impl->take_workspace();
  call.out[index] = call.impl->sample_row(view, call.rows[index], *workspace);
  call.impl->give_workspace(std::move(workspace));
}

Sampler::Sampler(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

Result<Sampler> Sampler::create(const Profile& profile, Subkeys subkeys, const Options& options) {
  if (options.vocab_size < 1 || options.vocab_size > kMaxVocab) return usage("vocab_size must be 1 .. 2^20");
  if (options.max_rows < 1) return usage("max_rows must be at least 1");
  if (options.threads < 1 || options.threads > kMaxThreads) return usage("threads must be 1 .. 1024");
  if (auto error = check_profile(profile)) return std::move(*error);
  if (subkeys.issuance.empty()) return Error{ErrorCode::key, "no issuance subkey: a sampler needs at least one account"};
  auto impl = std::make_unique<Impl>();
  impl->profile = profile;
  impl->subkeys = std::move(subkeys);
  impl->options = options;
  std::array<std::uint8_t, 32> random{};
  if (getentropy(random.data(), random.size()) != 0) return Error{ErrorCode::io, "the operating system gives no random bytes"};
  impl->nobodys = Secret32(random);
  if (options.threads > 1) impl->pool = std::make_unique<sampler::Pool>(options.threads - 1);
  return Sampler(std::move(impl));
}

Sequence Sampler::begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot) const {
  Sequence sequence;
  sequence.request_id_ = request_id;
  sequence.account_slot_ = account_slot;
  const std::size_t count = std::min(prompt.size(), sequence.last_.size());
  std::copy(prompt.end() - static_cast<std::ptrdiff_t>(count), prompt.end(), sequence.last_.end() - static_cast<std::ptrdiff_t>(count));
  return sequence;
}

Result<void> Sampler::sample(const Logits& logits, std::span<const Row> rows, std::span<Sampled> out) {
  if (rows.size() != out.size() || rows.size() != logits.rows) return usage("rows, out and logits.rows differ in length");
  if (rows.size() > impl_->options.max_rows) return usage("more rows than max_rows");
  if (rows.empty()) return {};
  if (logits.data == nullptr) return usage("logits.data is null");
  if (logits.dtype > DType::float16) return usage("unknown dtype");
  if (logits.row_stride < impl_->options.vocab_size) return usage("row_stride is less than vocab_size");
  std::size_t checked = 0;
  for (; checked < rows.size(); ++checked) {
    Sequence* sequence = rows[checked].sequence;
    if (sequence == nullptr || sequence->in_call_) break;
    sequence->in_call_ = true;
  }
  for (std::size_t i = 0; i < checked; ++i) rows[i].sequence->in_call_ = false;
  if (checked < rows.size())
    return usage("row " + std::to_string(checked) + (rows[checked].sequence == nullptr ? ": no sequence" : ": its sequence is in another row too"));

  Impl::Call call{impl_.get(), &logits, rows, out};
  if (impl_->pool) {
    impl_->pool->run(rows.size(), Impl::run_row, &call);
  } else {
    for (std::size_t i = 0; i < rows.size(); ++i) Impl::run_row(&call, i);
  }
  return {};
}

const Profile& Sampler::profile() const noexcept { return impl_->profile; }
const char* Sampler::instruction_set() const noexcept { return core::name(impl_->set); }

}  // namespace heirmark
