// The built-in demonstration model and rows of raw logits. The model is no language model: a Zipf law over the vocabulary whose
// order is a public hash of the last two tokens. It lets anyone try the whole path from key to verdict without a model.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <heirmark/audit.hpp>
#include <heirmark/result.hpp>
#include <heirmark/sampler.hpp>

namespace heirmark::cli {

/// logit of token v after tokens (a, b): -1.5 ln(1 + rank), rank = (v * 1048583 + hash(a, b)) mod vocab.
class DemoModel {
 public:
  explicit DemoModel(std::uint32_t vocab);
  void logits(std::span<const TokenId> tokens, std::span<float> row) const;

 private:
  std::uint32_t vocab_;
  std::vector<float> by_rank_;
};

/// Rows of raw little-endian numbers from a file or standard input.
class LogitsReader {
 public:
  static Result<LogitsReader> open(const std::string& path, std::uint32_t vocab, DType dtype);
  LogitsReader(LogitsReader&& other) noexcept;
  LogitsReader& operator=(LogitsReader&&) = delete;
  ~LogitsReader();
  /// True and a row, or false at the end. A row that is cut short is bad_input.
  [[nodiscard]] Result<bool> next();
  [[nodiscard]] const std::vector<unsigned char>& row() const noexcept { return row_; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }

 private:
  LogitsReader() = default;
  std::string name_;
  int descriptor_ = -1;
  std::uint64_t rows_ = 0;
  std::vector<unsigned char> row_;
};

/// The row as float32.
[[nodiscard]] std::vector<float> decoded(const void* row, DType dtype, std::uint32_t vocab);

/// The distribution that a ledger keeps of a row: the `top` most likely tokens after temperature and truncation, p in 2^-32
/// (specs/scoring.md). Temperature is not 0.
[[nodiscard]] std::vector<IssuedToken> logged_distribution(std::span<const float> row, const SamplingParams& params, std::size_t top);

}  // namespace heirmark::cli
