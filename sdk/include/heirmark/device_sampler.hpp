// Sampling where the logits are: on a GPU, asynchronously, from memory to memory (specs/device.md).
//
//   auto sampler = heirmark::DeviceSampler::create(heirmark::profiles::standard_2026_11(), std::move(subkeys),
//                                                  {.vocab_size = 128256, .max_rows = 512}).value();
//   engine.allocate(&workspace, sampler.workspace_bytes());
//   sampler.prepare(workspace, bytes, stream);                            // once
//   rows[i] = sampler.row(seq[i], {.temperature = 0.8f});                 // on the host; the engine copies rows to the device
//   sampler.sample(logits, device_rows, device_out, {workspace, bytes}, stream);  // launches; may be captured in a graph
//   sampler.settle(seq[i], rows[i], out[i]);                              // on the host, when out has arrived
//
// No CUDA type appears: a stream is the engine's cudaStream_t as void*, pointers are memory that the device can read and write. A build
// without CUDA, or a machine without a device, has the same calls: all pointers are the host's then, and sample() has finished when it
// returns. Tokens, statuses and top tokens are the same integers everywhere.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <heirmark/sampler.hpp>

namespace heirmark {

/// What one row asks for, in memory of the device. 64 bytes; row() fills it, and a kernel of the engine's may.
struct DeviceRow {
  float temperature = 1.0f;            ///< 0 (greedy), or 1e-3 .. 1e3
  float min_p = 0.0f;                  ///< 0 (off) .. 1
  float top_p = 1.0f;                  ///< (0, 1]; 1: off
  std::uint32_t top_k = 0;             ///< 0: off
  std::uint32_t mode = static_cast<std::uint32_t>(Mode::marked);
  std::uint32_t account_slot = 0;      ///< which issuance subkey
  std::uint32_t position = 0;          ///< of the token in its response, 0 .. 2^32 - 2
  std::uint32_t window_repeated = 0;   ///< not 0: the window was a window position's of this response before
  std::uint32_t window[4] = {kNoToken, kNoToken, kNoToken, kNoToken};  ///< the last h tokens at the end, padding before them
  RequestId request_id;
  std::uint32_t reserved = 0;          ///< 0
};
static_assert(sizeof(DeviceRow) == 64);

/// A token with its probability after temperature and truncation: p = floor(2^32 probability) as specs/marks.md counts it.
struct TopToken {
  TokenId token = kNoToken;
  std::uint32_t p = 0;
};
/// The likeliest tokens of a row: what the ledger logs. In descending order of their logits, equal ones ascending by token (specs/marks.md), so descending by p too; unused places hold kNoToken.
struct TopTokens {
  static constexpr std::size_t kCount = 16;
  TopToken token[kCount];
};

/// Memory that a launch uses between its blocks; one for each launch that may run at a time.
struct DeviceWorkspace {
  void* data = nullptr;  ///< aligned to 256 bytes
  std::size_t bytes = 0;
};

/// Tensor parallelism: the columns of the vocabulary that this rank holds. The ranks' ranges follow each other from 0 to vocab_size.
struct ShardPlan {
  std::uint32_t begin = 0, size = 0;
  std::uint32_t ranks = 1;    ///< 1 .. 1024
  std::uint32_t largest = 0;  ///< the largest size of any rank
};

/// One sampler per loaded model and key and device. Calls may come from several threads; launches that may overlap need workspaces of
/// their own.
class DeviceSampler {
 public:
  enum class Backend : std::uint8_t { cpu, cuda };
  struct Options {
    std::uint32_t vocab_size = 0;      ///< real vocabulary: ids 0 .. vocab_size-1 take part; 1 .. 2^20
    std::uint32_t max_rows = 1024;     ///< largest batch, at most 2^16
    bool truncation = true;            ///< may rows ask for min-p, top-k or top-p? Without it the kernel needs less memory; a row that asks is `bad_parameter`
    bool log_probs = false;            ///< also return the log-probability of each token
    std::optional<Backend> backend{};  ///< not given: cuda where the build and the machine have it, else cpu
    int device = 0;                    ///< CUDA's number of the device
    unsigned threads = 1;              ///< CPU threads for one call of the cpu backend; tokens do not depend on it
  };
  /// Fails with `usage` on an impossible option, with `key` when there is no issuance subkey, with `io` if the device asked for does not
  /// answer or has no room for the keys. Waits for the device.
  [[nodiscard]] static Result<DeviceSampler> create(const Profile& profile, Subkeys subkeys, const Options& options);

  [[nodiscard]] Backend backend() const noexcept;
  [[nodiscard]] const Profile& profile() const noexcept;

  /// Bytes of workspace for batches of up to `rows` rows, or of max_rows. 0 on the cpu, which needs none.
  [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_bytes(max_rows()); }
  [[nodiscard]] std::size_t workspace_bytes(std::uint32_t rows) const noexcept;
  /// Makes a workspace ready, on the stream; once for each workspace, not for each launch. `usage` if it is null or misaligned.
  [[nodiscard]] Result<void> prepare(DeviceWorkspace workspace, void* stream) const;

  /// One token per row; on a device one launch on `stream`, without allocation or synchronisation, fit for graph capture. `logits.data`, `rows`,
  /// `out` and `top` are memory of the backend; `rows` has logits.rows entries, and so have `out` and `top` (null: nobody wants them).
  /// Reads rows at any alignment of the type. `usage`, and nothing is launched, if a pointer is null, the dtype unknown, a stride below the
  /// vocabulary, a structure not aligned to 4 bytes, the batch larger than max_rows or than the workspace holds; `io` with CUDA's words if it refuses the launch.
  [[nodiscard]] Result<void> sample(const Logits& logits, const DeviceRow* rows, Sampled* out, TopTokens* top, DeviceWorkspace workspace, void* stream) const;

  /// Starts a response; as Sampler::begin.
  [[nodiscard]] Sequence begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot = 0) const;
  /// What the sequence's next row asks for.
  [[nodiscard]] DeviceRow row(const Sequence& sequence, const SamplingParams& params) const;
  /// Lets the sequence take what came of its row; nothing if the status has no token.
  void settle(Sequence& sequence, const DeviceRow& row, const Sampled& sampled) const;

  /// Speculative decoding by coupling: row i is sampled as if the first i draft tokens had been taken, with the randomness that it would have had
  /// without a draft. What is accepted is therefore what plain sampling gives, token for token. `out` has draft.size() + 1 places.
  void draft_rows(const Sequence& sequence, const SamplingParams& params, std::span<const TokenId> draft, std::span<DeviceRow> out) const;
  /// Takes sampled[0..n): the draft tokens that were confirmed and the one that came in place of the next. Returns n, at least 1 unless the first row
  /// has no token. A draft token outside the vocabulary is never confirmed.
  std::size_t settle_draft(Sequence& sequence, std::span<const DeviceRow> rows, std::span<const TokenId> draft, std::span<const Sampled> sampled) const;
  /// The same n on the device, for `count` drafts at once: draft d has rows first[d] .. first[d + 1] - 1 and the tokens draft[first[d] - d ..]
  /// between them (null only if there are none); taken[d] = n. Memory of the backend; asynchronous.
  [[nodiscard]] Result<void> count_taken(const std::uint32_t* first, const TokenId* draft, const Sampled* sampled, std::uint32_t* taken, std::uint32_t count, void* stream) const;

  /// Sharded logits, where gathering whole rows is too much: three steps, and after the first two the engine gathers what each rank wrote from all
  /// ranks, in their order. 8 KiB, then a few hundred bytes a row and rank. Every rank ends with the same tokens, and they are those of sample(). A row that needs
  /// more than this (truncation, a tournament's mark, logits beyond 1e30; seldom another) has status needs_all_logits and no token: gather its
  /// logits and call sample(). No log-probabilities. Memory of the backend, aligned to 16 bytes; asynchronous. Errors as for sample(); columns that do
  /// not cover the vocabulary make every row `bad_parameter`.
  [[nodiscard]] static std::size_t shard_sums_bytes(std::uint32_t rows) noexcept;
  [[nodiscard]] static std::size_t shard_picks_bytes(std::uint32_t rows, const ShardPlan& plan) noexcept;
  /// `logits` holds the rank's columns: row_stride >= plan.size. Writes shard_sums_bytes.
  [[nodiscard]] Result<void> shard_sum(const Logits& logits, const ShardPlan& plan, const DeviceRow* rows, void* sums, void* stream) const;
  /// `all_sums` is what all ranks wrote. Writes shard_picks_bytes.
  [[nodiscard]] Result<void> shard_pick(const Logits& logits, const ShardPlan& plan, const DeviceRow* rows, const void* all_sums, void* picks, void* stream) const;
  [[nodiscard]] Result<void> shard_draw(std::uint32_t count, const ShardPlan& plan, const DeviceRow* rows, const void* all_sums, const void* all_picks, Sampled* out,
                                        void* stream) const;

  [[nodiscard]] std::uint32_t max_rows() const noexcept;

  DeviceSampler(DeviceSampler&&) noexcept;
  DeviceSampler& operator=(DeviceSampler&&) noexcept;
  ~DeviceSampler();

 private:
  struct Impl;
  explicit DeviceSampler(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace heirmark
