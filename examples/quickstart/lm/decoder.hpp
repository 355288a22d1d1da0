// Generation with a key-value cache: B sequences that advance together, one token each per step.
#pragma once
#include <span>
#include <vector>

#include "model.hpp"

namespace quickstart {

class StepShard;

class Decoder {
 public:
  /// `sequences` >= 1. The model must outlive the decoder.
  Decoder(const Model& model, std::size_t sequences, unsigned threads = 1);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Appends tokens[i] to sequence i (ids below the vocabulary). Returns the logits of what follows: sequences x vocab,
  /// row-major, valid until the next step. They agree with Model::logits up to rounding.
  [[nodiscard]] std::span<const float> step(std::span<const TokenId> tokens);
  [[nodiscard]] std::span<const float> row(std::size_t i) const {
    return std::span(logits_).subspan(i * model_.config().vocab, model_.config().vocab);
  }

 private:
  const Model& model_;
  std::vector<StepShard> shards_;
  std::vector<std::size_t> first_row_;
  Floats logits_;
};

/// What to generate with ordinary (unmarked) randomness.
struct GenerateRequest {
  std::vector<TokenId> prompt;  ///< at least one token
  std::uint32_t count = 0;
  std::uint64_t seed = 0;
  double temperature = 1.0;
};
[[nodiscard]] std::vector<std::vector<TokenId>> generate(const Model& model, std::span<const GenerateRequest> requests,
                                                         unsigned threads);

}  // namespace quickstart
