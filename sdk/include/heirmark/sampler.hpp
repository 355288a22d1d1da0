// The engine-facing API: logits in, marked tokens out (specs/marks.md).
//
//   auto sampler = heirmark::Sampler::create(heirmark::profiles::standard_2026_11(), std::move(subkeys),
//                                            {.vocab_size = 128256, .max_rows = 512}).value();
//   heirmark::Sequence seq = sampler.begin(request_id, prompt_tokens);
//   sampler.sample(logits, rows, out);           // rows[i].sequence = &seq: window, history and position are its own
//
// The engine never touches a key, a window or a PRF. A row that could not be marked says why in its status.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <heirmark/profile.hpp>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

namespace sampler {
struct SequenceSteps;
}

enum class DType : std::uint8_t { float32 = 0, bfloat16 = 1, float16 = 2 };

/// What a row asks for. `marked` lets the coin and the history choose between window and issuance.
enum class Mode : std::uint8_t { off = 0, greedy = 1, marked = 2, issuance = 3 };

/// What happened to a row (specs/marks.md, "Status of a row").
enum class RowStatus : std::uint8_t { marked = 0, issued = 1, unmarked = 2, no_finite_logit = 3, infinite_logit = 4, bad_parameter = 5, needs_all_logits = 6 };
/// Does a row of this status have a token?
[[nodiscard]] constexpr bool has_token(RowStatus status) noexcept { return status <= RowStatus::unmarked || status == RowStatus::infinite_logit; }

/// A batch of logits, row-major. `data` is not owned.
struct Logits {
  const void* data = nullptr;    ///< rows x row_stride elements of dtype
  DType dtype = DType::float32;
  std::size_t rows = 0;
  std::size_t row_stride = 0;    ///< elements from one row to the next, >= vocab_size; the rest of a row is padding
};

/// Per-row sampling parameters. Temperature 0 means greedy.
struct SamplingParams {
  float temperature = 1.0f;  ///< 0, or 1e-3 .. 1e3
  float min_p = 0.0f;        ///< 0 (off) .. 1
  std::uint32_t top_k = 0;   ///< 0: off
  float top_p = 1.0f;        ///< (0, 1]; 1: off
  Mode mode = Mode::marked;
};

/// One response being generated. Keeps what the mark needs between steps: the last h tokens, the history of windows, the
/// position. Not thread-safe; one sequence is sampled in one row at a time. Copy it to fork a beam.
class Sequence {
 public:
  [[nodiscard]] const RequestId& request_id() const noexcept { return request_id_; }
  [[nodiscard]] std::uint32_t account_slot() const noexcept { return account_slot_; }
  /// Number of tokens accepted since the prompt: the position of the next token.
  [[nodiscard]] std::uint32_t position() const noexcept { return position_; }
  /// Takes a token that the engine chose itself (forced, from a grammar, from a draft). sample() calls it for its own tokens.
  void accept(TokenId token);

 private:
  friend struct sampler::SequenceSteps;
  using Window = std::array<TokenId, 4>;  ///< the last h tokens at the end, padding before them
  Sequence() = default;
  [[nodiscard]] bool seen(const Window& window) const;
  void record(const Window& window);

  RequestId request_id_{};
  std::uint32_t account_slot_ = 0;
  std::uint32_t position_ = 0;
  Window last_ = {kNoToken, kNoToken, kNoToken, kNoToken};  ///< last_[3] is the newest
  std::vector<Window> history_;  ///< windows of earlier window positions; the first sorted_ are in order
  std::size_t sorted_ = 0;
  bool in_call_ = false;         ///< a row of the call that runs now: it may not be in two
};

/// One row of a batch.
struct Row {
  Sequence* sequence = nullptr;  ///< not null, and not in two rows of one call
  SamplingParams params{};
};

/// What came out of a row.
struct Sampled {
  TokenId token = kNoToken;
  RowStatus status = RowStatus::bad_parameter;
  float log_prob = 0.0f;  ///< natural log; NaN unless asked for
};

/// One sampler per loaded model and key. sample() may be called from several threads at once on different sequences.
class Sampler {
 public:
  struct Options {
    std::uint32_t vocab_size = 0;   ///< real vocabulary: ids 0 .. vocab_size-1 take part; 1 .. 2^20
    std::size_t max_rows = 1024;    ///< largest batch
    unsigned threads = 1;           ///< CPU threads for one call; tokens do not depend on it
    bool log_probs = false;         ///< also return the log-probability of each token
  };
  /// Fails with `usage` on an impossible option and with `key` when there is no issuance subkey.
  [[nodiscard]] static Result<Sampler> create(const Profile& profile, Subkeys subkeys, const Options& options);

  /// Starts a response. `prompt` is all tokens before the first generated one (their last h make the first window).
  [[nodiscard]] Sequence begin(const RequestId& request_id, std::span<const TokenId> prompt, std::uint32_t account_slot = 0) const;

  /// Samples one token per row and lets each row's sequence accept it (not when the status has no token).
  /// out.size() == rows.size() == logits.rows <= max_rows, else `usage` and nothing is changed.
  [[nodiscard]] Result<void> sample(const Logits& logits, std::span<const Row> rows, std::span<Sampled> out);

  [[nodiscard]] const Profile& profile() const noexcept;
  /// "avx512", "avx2" or "portable": which code runs. Tokens do not depend on it.
  [[nodiscard]] const char* instruction_set() const noexcept;

  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  ~Sampler();

 private:
  struct Impl;
  explicit Sampler(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace heirmark
