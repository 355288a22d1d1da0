#include <heirmark/device_sampler.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <string.h>

#include "kernels/device.hpp"
#include "kernels/host_block.hpp"
#include "kernels/taken.hpp"
#include "kernels/truncate.hpp"
#include "marks/greenlist/greenlist.hpp"
#include "sampler/float_environment.hpp"
#include "sampler/pool.hpp"
#include "sampler/row_sampler.hpp"
#include "sampler/sequence_steps.hpp"

namespace heirmark {
namespace {
constexpr std::uint32_t kMaxRows = 1u << 16;
constexpr unsigned kMaxThreads = 1024;
constexpr std::size_t kAlignment = 256;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
bool is_aligned(const void* pointer, std::size_t to = kAlignment) { return reinterpret_cast<std::uintptr_t>(pointer) % to == 0; }
Error usage(std::string message) { return {ErrorCode::usage, std::move(message)}; }
Error cuda(std::string_view what, const char* words) { return {ErrorCode::io, "CUDA, " + std::string(what) + ": " + words}; }

constexpr std::size_t kExchange = 16;  ///< alignment of what ranks exchange
/// What is wrong with a pointer to structures, or to what ranks exchange.
std::optional<Error> check(const char* name, const void* pointer, std::size_t alignment) {
  if (pointer == nullptr) return usage(std::string(name) + " is null");
  if (!is_aligned(pointer, alignment)) return usage(std::string(name) + " is not aligned to " + std::to_string(alignment) + " bytes");
  return std::nullopt;
}
/// What is wrong with logits of `columns` columns.
std::optional<Error> check(const Logits& logits, std::uint32_t columns, std::uint32_t max_rows) {
  if (logits.rows > max_rows) return usage("more rows than max_rows");
  if (logits.dtype > DType::float16) return usage("unknown dtype");
  if (logits.rows == 0) return std::nullopt;
  if (logits.data == nullptr) return usage("logits.data is null");
  if (reinterpret_cast<std::uintptr_t>(logits.data) % sampler::bytes_per_logit(logits.dtype) != 0) return usage("logits.data is not aligned to its type");
  if (logits.row_stride < columns) return usage("row_stride is less than the number of columns");
  return std::nullopt;
}
std::optional<Error> check(const ShardPlan& plan, std::uint32_t vocab) {
  if (plan.ranks < 1 || plan.ranks > 1024) return usage("ranks must be 1 .. 1024");
  if (plan.size < 1 || plan.size > plan.largest || plan.largest > vocab) return usage("a shard has 1 .. largest columns, and no more than the vocabulary");
  if (plan.begin > vocab - plan.size) return usage("the shard's columns are outside the vocabulary");
  return std::nullopt;
}

kernels::ShardBatch batch_of(const Logits& logits, const ShardPlan& plan, const DeviceRow* rows) {
  kernels::ShardBatch batch;
  batch.logits = static_cast<const std::byte*>(logits.data);
  batch.row_bytes = logits.row_stride * sampler::bytes_per_logit(logits.dtype);
  batch.rows = static_cast<std::uint32_t>(logits.rows);
  batch.begin = plan.begin;
  batch.size = plan.size;
  batch.ranks = plan.ranks;
  batch.largest = plan.largest;
  batch.row = rows;
  return batch;
}

/// A sampler's keys as the kernels read them, on the host; wiped when they go.
struct HostKeys {
  explicit HostKeys(const sampler::RowSampler& rows) {
    const auto words_of = [](const Secret32& secret) { return core::key_words(secret.expose_secret().data()); };
    const Subkeys& subkeys = rows.subkeys();
    for (std::size_t i = 0; i < Subkeys::kClasses; ++i) table.window[i] = words_of(subkeys.window[i]);
    table.coin = words_of(subkeys.coin);
    table.nobodys = words_of(rows.nobodys());
    issuance.reserve(subkeys.issuance.size());
    for (const Secret32& secret : subkeys.issuance) issuance.push_back(words_of(secret));
    table.accounts = static_cast<std::uint32_t>(issuance.size());
    table.issuance = issuance.data();
  }
  HostKeys(const HostKeys&) = delete;
  HostKeys& operator=(const HostKeys&) = delete;
  ~HostKeys() {
    explicit_bzero(&table, sizeof table);
    explicit_bzero(issuance.data(), issuance.size() * sizeof issuance[0]);
  }
  kernels::KeyTable table;
  std::vector<core::KeyWords> issuance;
};
}  // namespace

struct DeviceSampler::Impl {
  Options options;
  Backend backend = Backend::cpu;
  std::unique_ptr<sampler::RowSampler> rows;  ///< the CPU's way; of a device too, for profile and keys
  std::unique_ptr<sampler::Pool> pool;
  kernels::DeviceKeys keys;
  kernels::Scheme scheme;
  std::uint32_t processors = 1;

  [[nodiscard]] const char* load_keys();
  [[nodiscard]] Result<void> shard(kernels::ShardBatch batch, kernels::ShardStep step, DType dtype, void* stream) const;

  // Workspace: tickets of max_rows rows, which keep their place; then, for the rows of the batch, slices, what tournaments need, and delegates.
  [[nodiscard]] std::size_t tickets_bytes() const { return aligned(std::size_t{options.max_rows} * sizeof(std::uint32_t)); }
  [[nodiscard]] static std::size_t slices_bytes(std::size_t count) { return aligned(count * kernels::kMaxSlices * sizeof(kernels::SliceResult)); }
  [[nodiscard]] std::size_t plays_bytes(std::size_t count) const { return scheme.kind == Scheme::tournament ? aligned(count * sizeof(kernels::PlayMemory)) : 0; }
  [[nodiscard]] std::size_t delegates_bytes(std::size_t count) const {
    return aligned(count * kernels::shape_for(1, options.vocab_size, processors).delegates() * sizeof(float));
  }

  struct Call {
    const Impl* impl;
    const Logits* logits;
    const DeviceRow* rows;
    Sampled* out;
    TopTokens* top;
  };
  static void run_row(void* call, std::size_t index) noexcept;
};

const char* DeviceSampler::Impl::load_keys() {
  const HostKeys host(*rows);
  return keys.load(options.device, host.table, host.issuance);
}

/// The batch of a step: launched, or run here.
Result<void> DeviceSampler::Impl::shard(kernels::ShardBatch batch, kernels::ShardStep step, DType dtype, void* stream) const {
  batch.vocab = options.vocab_size;
  batch.scheme = scheme;
  if (backend == Backend::cuda) {
    batch.keys = keys.get();
    if (const char* error = kernels::launch_shard(batch, step, dtype, options.device, stream)) return cuda("launch", error);
    return {};
  }
  const HostKeys host(*rows);
  batch.keys = &host.table;
  const sampler::FloatEnvironment environment;
  const auto shared = std::make_unique<kernels::ShardShared>();
  const auto run = [&]<DType D>() {
    kernels::HostBlock x;
    for (std::uint32_t i = 0; i < batch.rows; ++i) {
      switch (step) {
        case kernels::ShardStep::sum: kernels::shard_sum<D>(x, batch, i, *shared); break;
        case kernels::ShardStep::pick: kernels::shard_pick<D>(x, batch, i, *shared); break;
        case kernels::ShardStep::draw: kernels::shard_draw(x, batch, i, *shared); break;
      }
    }
  };
  switch (dtype) {
    case DType::float32: run.template operator()<DType::float32>(); break;
    case DType::bfloat16: run.template operator()<DType::bfloat16>(); break;
    case DType::float16: run.template operator()<DType::float16>(); break;
  }
  explicit_bzero(&shared->keys, sizeof shared->keys);
  return {};
}

void DeviceSampler::Impl::run_row(void* context, std::size_t index) noexcept {
  const Call& call = *static_cast<const Call*>(context);
  const Impl& impl = *call.impl;
  TopTokens* top = call.top == nullptr ? nullptr : call.top + index;
  DeviceRow row = call.rows[index];
  const bool greedy = row.temperature == 0 || row.mode == static_cast<std::uint32_t>(Mode::greedy);
  // As the kernels do of a launch that was promised that nobody asks.
  if (!impl.options.truncation && !greedy && kernels::truncates(kernels::limits_of(row, impl.options.vocab_size))) row.mode = ~std::uint32_t{0};
  const std::size_t offset = index * call.logits->row_stride * sampler::bytes_per_logit(call.logits->dtype);
  const Sampled sampled = impl.rows->sample(static_cast<const std::byte*>(call.logits->data) + offset, call.logits->dtype, row, impl.options.log_probs, top);
  Sampled& out = call.out[index];  // member by member, as on a device: what is between them stays the caller's
  out.token = sampled.token;
  out.status = sampled.status;
  out.log_prob = sampled.log_prob;
}

DeviceSampler::DeviceSampler(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
DeviceSampler::DeviceSampler(DeviceSampler&&) noexcept = default;
DeviceSampler& DeviceSampler::operator=(DeviceSampler&&) noexcept = default;
DeviceSampler::~DeviceSampler() = default;

Result<DeviceSampler> DeviceSampler::create(const Profile& profile, Subkeys subkeys, const Options& options) {
  if (auto error = sampler::check(profile, subkeys, options.vocab_size)) return std::move(*error);
  if (options.max_rows < 1 || options.max_rows > kMaxRows) return usage("max_rows must be 1 .. 65536");
  if (options.threads < 1 || options.threads > kMaxThreads) return usage("threads must be 1 .. 1024");
  if (options.device < 0) return usage("device must be at least 0");
  if (options.backend && *options.backend > Backend::cuda) return usage("unknown backend");
  auto rows = sampler::RowSampler::create(profile, std::move(subkeys), options.vocab_size);
  if (!rows) return rows.error();
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->rows = std::move(rows).value();
  const char* const refused = options.backend == Backend::cpu ? nullptr : kernels::device_refuses(options.device);
  impl->backend = options.backend.value_or(refused == nullptr ? Backend::cuda : Backend::cpu);
  impl->scheme.kind = profile.scheme;
  impl->scheme.share_q32 = profile.share_q32;
  impl->scheme.gamma = profile.gamma_q32;
  impl->scheme.delta = profile.delta_micro * 1e-6;
  impl->scheme.boost = profile.scheme == Scheme::greenlist ? marks::greenlist::boost(impl->scheme.delta) : 1;
  impl->scheme.layers = profile.layers;
  if (impl->backend == Backend::cpu) {
    if (options.threads > 1) impl->pool = std::make_unique<sampler::Pool>(options.threads - 1);
    return DeviceSampler(std::move(impl));
  }
  if (refused != nullptr) return cuda("device " + std::to_string(options.device), refused);
  if (const char* error = kernels::device_processors(options.device, impl->processors)) return cuda("device " + std::to_string(options.device), error);
  if (const char* error = impl->load_keys()) return cuda("copying the keys", error);
  return DeviceSampler(std::move(impl));
}

DeviceSampler::Backend DeviceSampler::backend() const noexcept { return impl_->backend; }
const Profile& DeviceSampler::profile() const noexcept { return impl_->rows->profile(); }
std::uint32_t DeviceSampler::max_rows() const noexcept { return impl_->options.max_rows; }

std::size_t DeviceSampler::workspace_bytes(std::uint32_t rows) const noexcept {
  if (impl_->backend == Backend::cpu) return 0;
  return impl_->tickets_bytes() + Impl::slices_bytes(rows) + impl_->plays_bytes(rows) + impl_->delegates_bytes(rows);
}

Result<void> DeviceSampler::prepare(DeviceWorkspace workspace, void* stream) const {
  if (impl_->backend == Backend::cpu) return {};
  if (workspace.data == nullptr) return usage("the workspace is null");
  if (!is_aligned(workspace.data)) return usage("the workspace is not aligned to 256 bytes");
  if (workspace.bytes < impl_->tickets_bytes()) return usage("the workspace is too small");
  if (const char* error = kernels::launch_zeros(workspace.data, impl_->tickets_bytes(), impl_->options.device, stream)) return cuda("preparing the workspace", error);
  return {};
}

Result<void> DeviceSampler::sample(const Logits& logits, const DeviceRow* rows, Sampled* out, TopTokens* top, DeviceWorkspace workspace, void* stream) const {
  const Impl& impl = *impl_;
  if (auto error = check(logits, impl.options.vocab_size, impl.options.max_rows)) return std::move(*error);
  if (logits.rows == 0) return {};
  const std::size_t size = sampler::bytes_per_logit(logits.dtype);
  if (auto error = check("rows", rows, alignof(DeviceRow))) return std::move(*error);
  if (auto error = check("out", out, alignof(Sampled))) return std::move(*error);
  if (top != nullptr)
    if (auto error = check("top", top, alignof(TopTokens))) return std::move(*error);
  if (impl.backend == Backend::cpu) {
    Impl::Call call{&impl, &logits, rows, out, top};
    if (impl.pool) {
      impl.pool->run(logits.rows, Impl::run_row, &call);
    } else {
      for (std::size_t i = 0; i < logits.rows; ++i) Impl::run_row(&call, i);
    }
    return {};
  }
  const auto count = static_cast<std::uint32_t>(logits.rows);
  if (workspace.data == nullptr) return usage("the workspace is null");
  if (!is_aligned(workspace.data)) return usage("the workspace is not aligned to 256 bytes");
  if (workspace.bytes < workspace_bytes(count)) return usage("the workspace is too small: " + std::to_string(workspace_bytes(count)) + " bytes are needed");
  auto* const memory = static_cast<std::byte*>(workspace.data);
  kernels::Batch batch;
  batch.logits = static_cast<const std::byte*>(logits.data);
  batch.row_bytes = logits.row_stride * size;
  batch.rows = count;
  batch.vocab = impl.options.vocab_size;
  batch.row = rows;
  batch.keys = impl.keys.get();
  batch.scheme = impl.scheme;
  batch.shape = kernels::shape_for(count, impl.options.vocab_size, impl.processors);
  batch.log_probs = impl.options.log_probs;
  batch.truncation = impl.options.truncation;
  batch.workspace.tickets = reinterpret_cast<std::uint32_t*>(memory);
  batch.workspace.slices = reinterpret_cast<kernels::SliceResult*>(memory + impl.tickets_bytes());
  std::byte* const behind = memory + impl.tickets_bytes() + Impl::slices_bytes(count);
  if (impl.scheme.kind == Scheme::tournament) batch.workspace.plays = reinterpret_cast<kernels::PlayMemory*>(behind);
  batch.workspace.delegates = reinterpret_cast<float*>(behind + impl.plays_bytes(count));
  batch.out = out;
  batch.top = top;
  if (const char* error = kernels::launch_sample(batch, logits.dtype, impl.options.device, stream)) return cuda("launch", error);
  return {};
}

Sequence DeviceSampler::begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot) const {
  return sampler::SequenceSteps::begin(request_id, prompt, account_slot);
}

DeviceRow DeviceSampler::row(const Sequence& sequence, const SamplingParams& params) const {
  return sampler::SequenceSteps::row(sequence, params, impl_->rows->profile().window);
}

void DeviceSampler::settle(Sequence& sequence, const DeviceRow& row, const Sampled& sampled) const { sampler::SequenceSteps::settle(sequence, row, sampled); }

void DeviceSampler::draft_rows(const Sequence& sequence, const SamplingParams& params, std::span<const TokenId> draft, std::span<DeviceRow> out) const {
  Sequence ahead = sequence;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = row(ahead, params);
    if (i >= draft.size()) break;
    settle(ahead, out[i], {draft[i], impl_->rows->marks(out[i]) ? RowStatus::marked : RowStatus::issued, 0});
  }
}

std::size_t DeviceSampler::settle_draft(Sequence& sequence, std::span<const DeviceRow> rows, std::span<const TokenId> draft, std::span<const Sampled> sampled) const {
  const std::size_t count = std::min({rows.size(), sampled.size(), draft.size() + 1});
  const std::uint32_t taken = kernels::taken_of(draft.data(), sampled.data(), static_cast<std::uint32_t>(count));
  for (std::uint32_t i = 0; i < taken; ++i) settle(sequence, rows[i], sampled[i]);
  return taken;
}

Result<void> DeviceSampler::count_taken(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t* taken, std::uint32_t count, void* stream) const {
  if (count == 0) return {};
  for (const auto& [name, pointer] : {std::pair<const char*, const void*>{"first", first}, {"sampled", sampled}, {"taken", taken}})
    if (auto error = check(name, pointer, alignof(std::uint32_t))) return std::move(*error);
  if (!is_aligned(draft, alignof(TokenId))) return usage("draft is not aligned to 4 bytes");
  if (impl_->backend == Backend::cpu) {
    for (std::uint32_t d = 0; d < count && draft == nullptr; ++d)
      if (first[d + 1] > first[d] && first[d + 1] - first[d] > 1) return usage("draft is null");
    for (std::uint32_t d = 0; d < count; ++d) taken[d] = kernels::taken_of(first, draft, sampled, d);
    return {};
  }
  if (const char* error = kernels::launch_taken(first, draft, sampled, taken, count, impl_->options.device, stream)) return cuda("launch", error);
  return {};
}

std::size_t DeviceSampler::shard_sums_bytes(std::uint32_t rows) noexcept { return std::size_t{rows} * sizeof(kernels::ShardSums); }
std::size_t DeviceSampler::shard_picks_bytes(std::uint32_t rows, const ShardPlan& plan) noexcept { return rows * kernels::shard_pick_bytes(plan.largest); }

Result<void> DeviceSampler::shard_sum(const Logits& logits, const ShardPlan& plan, const DeviceRow* rows, void* sums, void* stream) const {
  if (auto error = check(plan, impl_->options.vocab_size)) return std::move(*error);
  if (auto error = check(logits, plan.size, impl_->options.max_rows)) return std::move(*error);
  if (logits.rows == 0) return {};
  if (auto error = check("rows", rows, alignof(DeviceRow))) return std::move(*error);
  if (auto error = check("sums", sums, kExchange)) return std::move(*error);
  kernels::ShardBatch batch = batch_of(logits, plan, rows);
  batch.own_sums = static_cast<kernels::ShardSums*>(sums);
  return impl_->shard(batch, kernels::ShardStep::sum, logits.dtype, stream);
}

Result<void> DeviceSampler::shard_pick(const Logits& logits, const ShardPlan& plan, const DeviceRow* rows, const void* all_sums, void* picks, void* stream) const {
  if (auto error = check(plan, impl_->options.vocab_size)) return std::move(*error);
  if (auto error = check(logits, plan.size, impl_->options.max_rows)) return std::move(*error);
  if (logits.rows == 0) return {};
  if (auto error = check("rows", rows, alignof(DeviceRow))) return std::move(*error);
  for (const auto& [name, pointer] : {std::pair<const char*, const void*>{"all_sums", all_sums}, {"picks", picks}})
    if (auto error = check(name, pointer, kExchange)) return std::move(*error);
  kernels::ShardBatch batch = batch_of(logits, plan, rows);
  batch.sums = static_cast<const kernels::ShardSums*>(all_sums);
  batch.own_pick = static_cast<std::byte*>(picks);
  return impl_->shard(batch, kernels::ShardStep::pick, logits.dtype, stream);
}

Result<void> DeviceSampler::shard_draw(std::uint32_t count, const ShardPlan& plan, const DeviceRow* rows, const void* all_sums, const void* all_picks, Sampled* out,
                                       void* stream) const {
  if (auto error = check(plan, impl_->options.vocab_size)) return std::move(*error);
  if (count > impl_->options.max_rows) return usage("more rows than max_rows");
  if (count == 0) return {};
  if (auto error = check("rows", rows, alignof(DeviceRow))) return std::move(*error);
  if (auto error = check("out", out, alignof(Sampled))) return std::move(*error);
  for (const auto& [name, pointer] : {std::pair<const char*, const void*>{"all_sums", all_sums}, {"all_picks", all_picks}})
    if (auto error = check(name, pointer, kExchange)) return std::move(*error);
  kernels::ShardBatch batch = batch_of({nullptr, DType::float32, count, 0}, plan, rows);
  batch.sums = static_cast<const kernels::ShardSums*>(all_sums);
  batch.picks = static_cast<const std::byte*>(all_picks);
  batch.out = out;
  return impl_->shard(batch, kernels::ShardStep::draw, DType::float32, stream);
}

}  // namespace heirmark
