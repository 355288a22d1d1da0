#include <heirmark/sampler.hpp>

#include <string>

#include "core/dispatch.hpp"
#include "sampler/pool.hpp"
#include "sampler/row_sampler.hpp"
#include "sampler/sequence_steps.hpp"

namespace heirmark {
namespace {
constexpr unsigned kMaxThreads = 1024;

Error usage(std::string message) { return {ErrorCode::usage, std::move(message)}; }
}  // namespace

struct Sampler::Impl {
  Options options;
  std::unique_ptr<sampler::RowSampler> row_sampler;
  std::unique_ptr<sampler::Pool> pool;

  /// One call of sample().
  struct Call {
    const Impl* impl;
    const Logits* logits;
    std::span<const Row> rows;
    std::span<Sampled> out;
  };
  static void run_row(void* call, std::size_t index) noexcept;
};

void Sampler::Impl::run_row(void* context, std::size_t index) noexcept {
  const Call& call = *static_cast<const Call*>(context);
  const sampler::RowSampler& rows = *call.impl->row_sampler;
  const std::size_t offset = index * call.logits->row_stride * sampler::bytes_per_logit(call.logits->dtype);
  Sequence& sequence = *call.rows[index].sequence;
  const DeviceRow row = sampler::SequenceSteps::row(sequence, call.rows[index].params, rows.profile().window);
  call.out[index] = rows.sample(static_cast<const std::byte*>(call.logits->data) + offset, call.logits->dtype, row, call.impl->options.log_probs, nullptr);
  sampler::SequenceSteps::settle(sequence, row, call.out[index]);
}

Sampler::Sampler(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

Result<Sampler> Sampler::create(const Profile& profile, Subkeys subkeys, const Options& options) {
  if (auto error = sampler::check(profile, subkeys, options.vocab_size)) return std::move(*error);
  if (options.max_rows < 1) return usage("max_rows must be at least 1");
  if (options.threads < 1 || options.threads > kMaxThreads) return usage("threads must be 1 .. 1024");
  auto row_sampler = sampler::RowSampler::create(profile, std::move(subkeys), options.vocab_size);
  if (!row_sampler) return row_sampler.error();
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->row_sampler = std::move(row_sampler).value();
  if (options.threads > 1) impl->pool = std::make_unique<sampler::Pool>(options.threads - 1);
  return Sampler(std::move(impl));
}

Sequence Sampler::begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot) const {
  return sampler::SequenceSteps::begin(request_id, prompt, account_slot);
}

Result<void> Sampler::sample(const Logits& logits, std::span<const Row> rows, std::span<Sampled> out) {
  if (rows.size() != out.size() || rows.size() != logits.rows) return usage("rows, out and logits.rows differ in length");
  if (rows.size() > impl_->options.max_rows) return usage("more rows than max_rows");
  if (rows.empty()) return {};
  if (logits.data == nullptr) return usage("logits.data is null");
  if (logits.dtype > DType::float16) return usage("unknown dtype");
  if (logits.row_stride < impl_->options.vocab_size) return usage("row_stride is less than vocab_size");
  std::size_t checked = 0;
  while (checked < rows.size() && rows[checked].sequence != nullptr && sampler::SequenceSteps::enter(*rows[checked].sequence)) ++checked;
  for (std::size_t i = 0; i < checked; ++i) sampler::SequenceSteps::leave(*rows[i].sequence);
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

const Profile& Sampler::profile() const noexcept { return impl_->row_sampler->profile(); }
const char* Sampler::instruction_set() const noexcept { return core::name(impl_->row_sampler->instruction_set()); }

}  // namespace heirmark
