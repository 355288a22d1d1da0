// The arithmetic of the transformer on flat arrays. No Eigen type appears here: kernels.cpp is compiled for the
// machine at hand, and its vector types must not meet code that is compiled for another.
#pragma once
#include <cstddef>
#include <memory>
#include <span>

#include "model.hpp"

namespace quickstart {

/// The target of a position that has no loss (padding).
inline constexpr TokenId kNoTarget = heirmark::kNoToken;

/// Activations of one shard: `rows` sequences of `length` positions, forward and backward. One thread at a time.
class Shard {
 public:
  Shard(const ModelConfig& config, std::size_t rows, std::size_t length);
  ~Shard();
  Shard(Shard&&) noexcept;

  /// Sum of -ln q(target) over the positions that have a target. `inputs` and `targets` are rows x length. With
  /// `gradient` not null, adds `scale` times the gradient of that sum to it.
  double loss(const float* weights, std::span<const TokenId> inputs, std::span<const TokenId> targets, float scale,
              float* gradient);
  /// Logits of the positions first .. length-1 of the only row (rows == 1), row-major.
  void logits(const float* weights, std::span<const TokenId> inputs, std::size_t first, float* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Keys and values of some sequences, the newest `context` positions of each, and the buffers of a step.
class StepShard {
 public:
  StepShard(const ModelConfig& config, std::size_t rows);
  ~StepShard();
  StepShard(StepShard&&) noexcept;
  /// Appends tokens[i] to sequence i and writes the logits of what follows, rows x vocab.
  void step(const float* weights, std::span<const TokenId> tokens, float* logits);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One AdamW update of weights[i], i in the span. `rate` is already warmed up, `correction*` are 1 - beta^t.
struct AdamStep {
  float rate, beta1, beta2, correction1, correction2, decay, gradient_scale;
};
void adam_update(const AdamStep& step, std::span<float> weights, std::span<const float> gradient,
                 std::span<float> first, std::span<float> second);
/// sum[i] += part[i].
void add_to(std::span<float> sum, std::span<const float> part);
/// Sum of squares.
double square_sum(std::span<const float> values);

}  // namespace quickstart
