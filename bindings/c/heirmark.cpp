// The C ABI over the C++ one: null pointers, codes, ownership. Nothing is decided here.
#include "heirmark.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <heirmark/device_sampler.hpp>
#include <heirmark/subkeys.hpp>

#include "guard.hpp"

using heirmark::c::done;
using heirmark::c::fail;
using heirmark::c::guarded;
using heirmark::c::usage;

struct heirmark_keys {
  heirmark::SubkeysFile file;
  std::string path, profile;
};
struct heirmark_sampler {
  heirmark::DeviceSampler sampler;
  std::uint32_t accounts, vocab;
};
struct heirmark_sequence {
  heirmark::Sequence sequence;
  bool in_call = false;
};

// The structures of both sides are the same bytes.
static_assert(sizeof(heirmark_row) == sizeof(heirmark::DeviceRow) && offsetof(heirmark_row, request_id) == offsetof(heirmark::DeviceRow, request_id));
static_assert(sizeof(heirmark_sampled) == sizeof(heirmark::Sampled) && offsetof(heirmark_sampled, log_prob) == offsetof(heirmark::Sampled, log_prob) &&
              offsetof(heirmark_sampled, status) == offsetof(heirmark::Sampled, status));
static_assert(sizeof(heirmark_top_tokens) == sizeof(heirmark::TopTokens) && HEIRMARK_TOP_TOKENS == heirmark::TopTokens::kCount);
static_assert(HEIRMARK_REQUEST_ID_BYTES == sizeof(heirmark::RequestId) && HEIRMARK_NO_TOKEN == heirmark::kNoToken);
static_assert(HEIRMARK_FLOAT16 == static_cast<int>(heirmark::DType::float16) && HEIRMARK_ISSUANCE == static_cast<int>(heirmark::Mode::issuance) &&
              HEIRMARK_ROW_NEEDS_ALL_LOGITS == static_cast<int>(heirmark::RowStatus::needs_all_logits) && HEIRMARK_IO == static_cast<int>(heirmark::ErrorCode::io));

namespace {

heirmark::SamplingParams cpp(const heirmark_params& params) {
  // A mode beyond the last one is a bad parameter of the row, not of the call.
  const auto mode = static_cast<heirmark::Mode>(params.mode <= HEIRMARK_ISSUANCE ? params.mode : 0xFFu);
  return {params.temperature, params.min_p, params.top_k, params.top_p, mode};
}
heirmark::Logits cpp(const heirmark_logits& logits) {
  const auto dtype = static_cast<heirmark::DType>(logits.dtype <= HEIRMARK_FLOAT16 ? logits.dtype : 0xFFu);
  return {logits.data, dtype, logits.rows, static_cast<std::size_t>(logits.row_stride)};
}
heirmark::DeviceWorkspace cpp(heirmark_workspace workspace) { return {workspace.data, static_cast<std::size_t>(workspace.bytes)}; }
heirmark::ShardPlan cpp(heirmark_shard_plan plan) { return {plan.begin, plan.size, plan.ranks, plan.largest}; }
const heirmark::DeviceRow* cpp(const heirmark_row* rows) { return reinterpret_cast<const heirmark::DeviceRow*>(rows); }
heirmark::DeviceRow* cpp(heirmark_row* rows) { return reinterpret_cast<heirmark::DeviceRow*>(rows); }
const heirmark::Sampled* cpp(const heirmark_sampled* sampled) { return reinterpret_cast<const heirmark::Sampled*>(sampled); }
heirmark::Sampled* cpp(heirmark_sampled* sampled) { return reinterpret_cast<heirmark::Sampled*>(sampled); }

heirmark_status keep(heirmark::Result<heirmark::SubkeysFile> file, heirmark_keys** keys) {
  if (!file) return fail(static_cast<heirmark_status>(file.error().code), file.error().message);
  std::string path = file->path.text(), profile(file->profile.name);
  *keys = new heirmark_keys{std::move(file).value(), std::move(path), std::move(profile)};
  return HEIRMARK_OK;
}

/// Marks sequences as in a call while it lives.
class Entered {
 public:
  explicit Entered(std::span<heirmark_sequence* const> sequences) : sequences_(sequences) {
    while (count_ < sequences_.size() && sequences_[count_] != nullptr && !std::exchange(sequences_[count_]->in_call, true)) ++count_;
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() {
    for (std::size_t i = 0; i < count_; ++i) sequences_[i]->in_call = false;
  }
  [[nodiscard]] bool all() const { return count_ == sequences_.size(); }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::span<heirmark_sequence* const> sequences_;
  std::size_t count_ = 0;
};
}  // namespace

// ---- The library

uint32_t heirmark_abi_version(void) { return HEIRMARK_ABI_MAJOR << 16 | HEIRMARK_ABI_MINOR; }
const char* heirmark_version(void) { return HEIRMARK_VERSION; }
const char* heirmark_last_error(void) { return heirmark::c::last_error.c_str(); }
const char* heirmark_row_status_name(uint32_t status) {
  static constexpr const char* kNames[] = {"marked", "issued", "unmarked", "no-finite-logit", "infinite-logit", "bad-parameter", "needs-all-logits"};
  static_assert(std::size(kNames) == HEIRMARK_ROW_NEEDS_ALL_LOGITS + 1);
  return status < std::size(kNames) ? kNames[status] : "unknown";
}

// ---- Keys

heirmark_status heirmark_keys_read(const char* path, heirmark_keys** keys) {
  if (path == nullptr || keys == nullptr) return usage("path or keys is null");
  return guarded([&] { return keep(heirmark::SubkeysFile::read(path), keys); });
}
heirmark_status heirmark_keys_parse(const void* bytes, size_t size, heirmark_keys** keys) {
  if (bytes == nullptr || keys == nullptr) return usage("bytes or keys is null");
  if (size > heirmark::SubkeysFile::kMaxBytes) return fail(HEIRMARK_BAD_INPUT, "longer than any subkeys file");
  return guarded([&] { return keep(heirmark::SubkeysFile::parse({static_cast<const char*>(bytes), size}), keys); });
}
void heirmark_keys_free(heirmark_keys* keys) { delete keys; }
const char* heirmark_keys_path(const heirmark_keys* keys) { return keys == nullptr ? nullptr : keys->path.c_str(); }
const char* heirmark_keys_id(const heirmark_keys* keys) { return keys == nullptr ? nullptr : keys->file.key_id.c_str(); }
const char* heirmark_keys_profile(const heirmark_keys* keys) { return keys == nullptr ? nullptr : keys->profile.c_str(); }
uint32_t heirmark_keys_account_count(const heirmark_keys* keys) { return keys == nullptr ? 0 : static_cast<std::uint32_t>(keys->file.accounts.size()); }
const char* heirmark_keys_account(const heirmark_keys* keys, uint32_t account_slot) {
  return account_slot < heirmark_keys_account_count(keys) ? keys->file.accounts[account_slot].c_str() : nullptr;
}
heirmark_status heirmark_keys_find_account(const heirmark_keys* keys, const char* name, uint32_t* account_slot) {
  if (keys == nullptr || name == nullptr || account_slot == nullptr) return usage("keys, name or account_slot is null");
  for (std::uint32_t slot = 0; slot < heirmark_keys_account_count(keys); ++slot)
    if (keys->file.accounts[slot] == name) return *account_slot = slot, HEIRMARK_OK;
  return guarded([&] { return fail(HEIRMARK_KEY, std::string("the key has no account \"") + name + "\""); });
}

// ---- Samplers

void heirmark_sampler_options_init(heirmark_sampler_options* options) {
  if (options == nullptr) return;
  *options = {sizeof *options, 0, 1024, 1, 0, HEIRMARK_BACKEND_AUTO, 0, 1};
}
heirmark_status heirmark_sampler_create(const heirmark_keys* keys, const heirmark_sampler_options* options, heirmark_sampler** sampler) {
  if (keys == nullptr || options == nullptr || sampler == nullptr) return usage("keys, options or sampler is null");
  if (options->size != sizeof *options) return usage("options.size is not what heirmark_sampler_options_init writes");
  if (options->truncation > 1 || options->log_probs > 1) return usage("options.truncation and options.log_probs are 0 or 1");
  if (options->backend > HEIRMARK_BACKEND_CUDA) return usage("options.backend is none of heirmark_backend");
  return guarded([&] {
    heirmark::DeviceSampler::Options out{.vocab_size = options->vocab_size, .max_rows = options->max_rows, .truncation = options->truncation != 0,
                                         .log_probs = options->log_probs != 0, .device = options->device, .threads = options->threads};
    if (options->backend != HEIRMARK_BACKEND_AUTO)
      out.backend = options->backend == HEIRMARK_BACKEND_CPU ? heirmark::DeviceSampler::Backend::cpu : heirmark::DeviceSampler::Backend::cuda;
    auto made = heirmark::DeviceSampler::create(keys->file.profile, keys->file.subkeys.clone(), out);
    if (!made) return fail(static_cast<heirmark_status>(made.error().code), made.error().message);
    *sampler = new heirmark_sampler{std::move(made).value(), heirmark_keys_account_count(keys), options->vocab_size};
    return HEIRMARK_OK;
  });
}
void heirmark_sampler_free(heirmark_sampler* sampler) { delete sampler; }
uint32_t heirmark_sampler_backend(const heirmark_sampler* sampler) {
  if (sampler == nullptr) return HEIRMARK_BACKEND_AUTO;
  return sampler->sampler.backend() == heirmark::DeviceSampler::Backend::cpu ? HEIRMARK_BACKEND_CPU : HEIRMARK_BACKEND_CUDA;
}
uint32_t heirmark_sampler_max_rows(const heirmark_sampler* sampler) { return sampler == nullptr ? 0 : sampler->sampler.max_rows(); }
uint64_t heirmark_sampler_workspace_bytes(const heirmark_sampler* sampler, uint32_t rows) { return sampler == nullptr ? 0 : sampler->sampler.workspace_bytes(rows); }
heirmark_status heirmark_sampler_prepare(const heirmark_sampler* sampler, heirmark_workspace workspace, void* stream) {
  if (sampler == nullptr) return usage("sampler is null");
  return guarded([&] { return done(sampler->sampler.prepare(cpp(workspace), stream)); });
}
heirmark_status heirmark_sample(const heirmark_sampler* sampler, const heirmark_logits* logits, const heirmark_row* rows, heirmark_sampled* sampled, heirmark_top_tokens* top,
                                heirmark_workspace workspace, void* stream) {
  if (sampler == nullptr || logits == nullptr) return usage("sampler or logits is null");
  return guarded([&] {
    return done(sampler->sampler.sample(cpp(*logits), cpp(rows), cpp(sampled), reinterpret_cast<heirmark::TopTokens*>(top), cpp(workspace), stream));
  });
}
heirmark_status heirmark_sample_sequences(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_sequence* const* sequences, const heirmark_params* params,
                                          heirmark_sampled* sampled) {
  if (sampler == nullptr || logits == nullptr) return usage("sampler or logits is null");
  if (logits->rows == 0) return HEIRMARK_OK;
  if (sequences == nullptr || params == nullptr || sampled == nullptr) return usage("sequences, params or sampled is null");
  if (heirmark_sampler_backend(sampler) != HEIRMARK_BACKEND_CPU) return usage("the sampler is a device's: fill rows with heirmark_sequence_row and call heirmark_sample");
  if (logits->rows > sampler->sampler.max_rows()) return usage("more rows than max_rows");
  return guarded([&] {
    const Entered entered({sequences, logits->rows});
    if (!entered.all())
      return usage("row " + std::to_string(entered.count()) + (sequences[entered.count()] == nullptr ? ": no sequence" : ": its sequence is in another row or call too"));
    thread_local std::vector<heirmark::DeviceRow> rows;
    rows.resize(logits->rows);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = sampler->sampler.row(sequences[i]->sequence, cpp(params[i]));
    if (const auto result = sampler->sampler.sample(cpp(*logits), rows.data(), cpp(sampled), nullptr, {}, nullptr); !result) return done(result);
    for (std::size_t i = 0; i < rows.size(); ++i) sampler->sampler.settle(sequences[i]->sequence, rows[i], cpp(sampled)[i]);
    return HEIRMARK_OK;
  });
}

// ---- Sequences

void heirmark_params_init(heirmark_params* params) {
  if (params != nullptr) *params = {1, 0, 1, 0, HEIRMARK_MARKED};
}
heirmark_status heirmark_sequence_begin(const heirmark_sampler* sampler, const uint8_t* request_id, const uint32_t* prompt, size_t prompt_count, uint32_t account_slot,
                                        heirmark_sequence** sequence) {
  if (sampler == nullptr || request_id == nullptr || sequence == nullptr) return usage("sampler, request_id or sequence is null");
  if (prompt == nullptr && prompt_count != 0) return usage("prompt is null");
  for (size_t i = 0; i < prompt_count; ++i)
    if (prompt[i] == HEIRMARK_NO_TOKEN) return usage("HEIRMARK_NO_TOKEN is no token, and stands in the prompt");
  if (account_slot >= sampler->accounts) return fail(HEIRMARK_KEY, "the key has no such account slot");
  return guarded([&] {
    heirmark::RequestId id;
    std::memcpy(id.bytes.data(), request_id, id.bytes.size());
    *sequence = new heirmark_sequence{sampler->sampler.begin(id, {prompt, prompt_count}, account_slot)};
    return HEIRMARK_OK;
  });
}
heirmark_status heirmark_sequence_clone(const heirmark_sequence* sequence, heirmark_sequence** copy) {
  if (sequence == nullptr || copy == nullptr) return usage("sequence or copy is null");
  return guarded([&] {
    *copy = new heirmark_sequence{sequence->sequence};
    return HEIRMARK_OK;
  });
}
void heirmark_sequence_free(heirmark_sequence* sequence) { delete sequence; }
uint32_t heirmark_sequence_position(const heirmark_sequence* sequence) { return sequence == nullptr ? 0 : sequence->sequence.position(); }
heirmark_status heirmark_sequence_accept(heirmark_sequence* sequence, uint32_t token) {
  if (sequence == nullptr) return usage("sequence is null");
  if (token == HEIRMARK_NO_TOKEN) return usage("HEIRMARK_NO_TOKEN is no token");
  return guarded([&] {
    sequence->sequence.accept(token);
    return HEIRMARK_OK;
  });
}
heirmark_status heirmark_sequence_row(const heirmark_sampler* sampler, const heirmark_sequence* sequence, const heirmark_params* params, heirmark_row* row) {
  if (sampler == nullptr || sequence == nullptr || params == nullptr || row == nullptr) return usage("sampler, sequence, params or row is null");
  return guarded([&] {
    *cpp(row) = sampler->sampler.row(sequence->sequence, cpp(*params));
    return HEIRMARK_OK;
  });
}
namespace {
/// What no sampler can have given: a token that would stand in a window that nobody else has, or a status without a meaning.
const char* impossible(const heirmark_sampler& sampler, const heirmark_sampled* sampled, size_t count) {
  for (const heirmark_sampled& one : std::span(sampled, count)) {
    if (one.token != HEIRMARK_NO_TOKEN && one.token >= sampler.vocab) return "a token is outside the vocabulary";
    if (one.status > HEIRMARK_ROW_NEEDS_ALL_LOGITS) return "a status that there is not";
  }
  return nullptr;
}
}  // namespace

heirmark_status heirmark_sequence_settle(const heirmark_sampler* sampler, heirmark_sequence* sequence, const heirmark_row* row, const heirmark_sampled* sampled) {
  if (sampler == nullptr || sequence == nullptr || row == nullptr || sampled == nullptr) return usage("sampler, sequence, row or sampled is null");
  // Not its request id: who draws a position again gives the second row another one.
  if (row->position != sequence->sequence.position()) return usage("the row was made for another position of the sequence");
  if (const char* what = impossible(*sampler, sampled, 1)) return usage(what);
  return guarded([&] {
    sampler->sampler.settle(sequence->sequence, *cpp(row), *cpp(sampled));
    return HEIRMARK_OK;
  });
}

// ---- Speculative decoding

heirmark_status heirmark_draft_rows(const heirmark_sampler* sampler, const heirmark_sequence* sequence, const heirmark_params* params, const uint32_t* draft, size_t draft_count,
                                    heirmark_row* rows) {
  if (sampler == nullptr || sequence == nullptr || params == nullptr || rows == nullptr) return usage("sampler, sequence, params or rows is null");
  if (draft == nullptr && draft_count != 0) return usage("draft is null");
  if (std::find(draft, draft + draft_count, HEIRMARK_NO_TOKEN) != draft + draft_count) return usage("HEIRMARK_NO_TOKEN is no token, and stands in the draft");
  return guarded([&] {
    sampler->sampler.draft_rows(sequence->sequence, cpp(*params), {draft, draft_count}, {cpp(rows), draft_count + 1});
    return HEIRMARK_OK;
  });
}
heirmark_status heirmark_draft_settle(const heirmark_sampler* sampler, heirmark_sequence* sequence, const heirmark_row* rows, const uint32_t* draft, size_t draft_count,
                                      const heirmark_sampled* sampled, size_t* taken) {
  if (sampler == nullptr || sequence == nullptr || rows == nullptr || sampled == nullptr || taken == nullptr)
    return usage("sampler, sequence, rows, sampled or taken is null");
  if (draft == nullptr && draft_count != 0) return usage("draft is null");
  for (size_t i = 0; i <= draft_count; ++i)
    if (rows[i].position != sequence->sequence.position() + i) return usage("the rows were made for other positions of the sequence");
  if (const char* what = impossible(*sampler, sampled, draft_count + 1)) return usage(what);
  return guarded([&] {
    *taken = sampler->sampler.settle_draft(sequence->sequence, {cpp(rows), draft_count + 1}, {draft, draft_count}, {cpp(sampled), draft_count + 1});
    return HEIRMARK_OK;
  });
}
heirmark_status heirmark_draft_count_taken(const heirmark_sampler* sampler, const uint32_t* first, const uint32_t* draft, const heirmark_sampled* sampled, uint32_t* taken,
                                           uint32_t count, void* stream) {
  if (sampler == nullptr) return usage("sampler is null");
  return guarded([&] { return done(sampler->sampler.count_taken(first, draft, cpp(sampled), taken, count, stream)); });
}

// ---- Sharded logits

uint64_t heirmark_shard_sums_bytes(uint32_t rows) { return heirmark::DeviceSampler::shard_sums_bytes(rows); }
uint64_t heirmark_shard_picks_bytes(uint32_t rows, heirmark_shard_plan plan) { return heirmark::DeviceSampler::shard_picks_bytes(rows, cpp(plan)); }
heirmark_status heirmark_shard_sum(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_shard_plan plan, const heirmark_row* rows, void* sums, void* stream) {
  if (sampler == nullptr || logits == nullptr) return usage("sampler or logits is null");
  return guarded([&] { return done(sampler->sampler.shard_sum(cpp(*logits), cpp(plan), cpp(rows), sums, stream)); });
}
heirmark_status heirmark_shard_pick(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_shard_plan plan, const heirmark_row* rows, const void* all_sums,
                                    void* picks, void* stream) {
  if (sampler == nullptr || logits == nullptr) return usage("sampler or logits is null");
  return guarded([&] { return done(sampler->sampler.shard_pick(cpp(*logits), cpp(plan), cpp(rows), all_sums, picks, stream)); });
}
heirmark_status heirmark_shard_draw(const heirmark_sampler* sampler, uint32_t count, heirmark_shard_plan plan, const heirmark_row* rows, const void* all_sums,
                                    const void* all_picks, heirmark_sampled* sampled, void* stream) {
  if (sampler == nullptr) return usage("sampler is null");
  return guarded([&] { return done(sampler->sampler.shard_draw(count, cpp(plan), cpp(rows), all_sums, all_picks, cpp(sampled), stream)); });
}
