// A byte-level BPE tokenizer. Ids 0..255 are bytes, id 256 + i is the pair of merge i. Merges stay inside a word
// (an optional space and letters, or digits) so that training is quick and tokens read well.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quickstart {

using heirmark::Result;
using heirmark::TokenId;

class Tokenizer {
 public:
  /// Merges the most frequent pair (on a tie the smaller one) until there are `vocab` tokens or nothing repeats.
  [[nodiscard]] static Result<Tokenizer> train(std::string_view text, std::uint32_t vocab);
  [[nodiscard]] static Result<Tokenizer> load(const std::filesystem::path& file);
  [[nodiscard]] Result<void> save(const std::filesystem::path& file) const;

  [[nodiscard]] std::uint32_t vocab() const noexcept { return static_cast<std::uint32_t>(piece_.size()); }
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;
  /// The text of the ids; ids outside the vocabulary become "?".
  [[nodiscard]] std::string decode(const std::vector<TokenId>& tokens) const;

 private:
  Tokenizer();
  void add_merge(TokenId left, TokenId right);
  static std::uint64_t pair_of(TokenId left, TokenId right) { return static_cast<std::uint64_t>(left) << 32 | right; }
  std::vector<std::array<TokenId, 2>> merges_;
  std::unordered_map<std::uint64_t, std::uint32_t> rank_;  ///< pair -> merge
  std::vector<std::string> piece_;                         ///< the bytes of each token
};

}  // namespace quickstart
