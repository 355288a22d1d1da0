// A small causal transformer: pre-norm (RMS), rotary positions, GELU, tied output, no biases.
//
// Attention reaches `context` tokens back, from any position, so that a text may be longer than the context: the window
// slides. Weights are one flat float32 vector; Layout says where each matrix starts. Everything here is deterministic
// for a given machine and program: gradients of a fixed number of shards are added in a fixed order, whatever the
// thread count.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>
#include <span>
#include <string>
#include <vector>

#include "aligned.hpp"

namespace quickstart {

using heirmark::ErrorCode;
using heirmark::Result;
using heirmark::TokenId;

struct ModelConfig {
  std::uint32_t vocab = 3072;
  std::uint32_t width = 64;  ///< size of a position's state; a multiple of heads
  std::uint32_t layers = 2;
  std::uint32_t heads = 2;      ///< width / heads must be even (rotary pairs)
  std::uint32_t hidden = 256;   ///< inner size of the MLP
  std::uint32_t context = 128;  ///< tokens that attention sees, the current one included
  /// Says what is wrong, or nothing. Bounds are generous for a CPU example and keep every size in range.
  [[nodiscard]] Result<void> check() const;
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// Offsets into the flat weights. Matrices are row-major, inputs x outputs; `embedding` is vocab x width.
struct Layout {
  struct Layer {
    std::size_t norm1, qkv, out, norm2, up, down;
  };
  std::size_t embedding = 0;
  std::vector<Layer> layers;
  std::size_t final_norm = 0;
  std::size_t total = 0;
  explicit Layout(const ModelConfig& config);
};

/// One kind of training text. A batch row is a window of `stream` at a random offset, or one whole document.
struct Source {
  std::vector<TokenId> stream;
  std::vector<std::vector<TokenId>>
      documents;       ///< cut to context + 1 tokens; used in shuffled rounds; excludes `stream`
  double share = 1.0;  ///< of the batch rows, relative to the other sources
};

struct Progress {
  int step = 0;
  int steps = 0;
  double loss = 0.0;  ///< nats per token, mean since the last report
  double tokens_per_second = 0.0;
};

struct TrainingPlan {
  std::vector<Source> sources;
  int steps = 2000;
  int batch = 8;            ///< rows of `context` tokens
  double peak_rate = 4e-3;  ///< learning rate after warm-up; falls as a cosine to a tenth
  int warmup = 50;
  double weight_decay = 0.1;  ///< on matrices
  std::uint64_t seed = 1;     ///< order of the data
  unsigned threads = 2;
  int report_every = 50;
  std::function<void(const Progress&)> on_progress;
};

class Model {
 public:
  /// Random weights from `seed`.
  [[nodiscard]] static Result<Model> init(const ModelConfig& config, std::uint64_t seed);
  /// Reads a file of save(). The file is not trusted: sizes, finiteness and the digest at its end are checked.
  [[nodiscard]] static Result<Model> load(const std::filesystem::path& file);
  /// Writes to a temporary name, then renames.
  [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  [[nodiscard]] const Layout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::span<const float> weights() const noexcept { return weights_; }
  /// SHA-256 of config and weights, in hex.
  [[nodiscard]] std::string digest() const;

  /// AdamW on the plan's text. On an error the weights are unchanged.
  [[nodiscard]] Result<void> train(const TrainingPlan& plan);
  /// Mean loss in nats per predicted token over `stream`, cut into windows of `context` tokens.
  [[nodiscard]] double loss(std::span<const TokenId> stream, unsigned threads) const;
  /// Teacher forcing: row i holds the logits of the token at position from + i given tokens[0 .. from + i), for
  /// positions from .. tokens.size(); the last row is what would come next. 1 <= from <= tokens.size(), ids below the
  /// vocabulary.
  [[nodiscard]] Floats logits(std::span<const TokenId> tokens, std::size_t from) const;

 private:
  Model(const ModelConfig& config, Floats weights) : config_(config), layout_(config), weights_(std::move(weights)) {}
  ModelConfig config_;
  Layout layout_;
  Floats weights_;
};

}  // namespace quickstart
