// Prompts: the first tokens of lines of the held-out text.
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "corpus.hpp"
#include "tokenizer.hpp"

namespace quickstart {

/// The first `length` tokens of the lines that have so many, after leaving out the first `skip` such lines; fewer than
/// `count` when the text runs out.
inline std::vector<std::vector<TokenId>> cut_prompts(std::string_view text, const Tokenizer& tokenizer,
                                                     std::size_t length, std::size_t skip, std::size_t count) {
  std::vector<std::vector<TokenId>> prompts;
  for (const std::string_view line : lines_of(text, Part::held_out)) {
    if (prompts.size() == skip + count) break;
    std::vector<TokenId> tokens = tokenizer.encode(line);
    if (tokens.size() <= length) continue;
    tokens.resize(length);
    prompts.push_back(std::move(tokens));
  }
  prompts.erase(prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(std::min(skip, prompts.size())));
  return prompts;
}

}  // namespace quickstart
