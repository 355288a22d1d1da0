// What a server of completions answers: JSON from a stranger. Only the token ids are wanted, and only as integers in range.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark::cli {

/// Two dialects: OpenAI's with vLLM's and SGLang's `token_ids`, and llama-server's own /completion.
enum class Dialect : std::uint8_t { openai, llama };

struct CompletionReply {
  bool has_tokens = false;     ///< false: a proper answer that gives no token ids
  std::vector<TokenId> tokens;
  bool has_prompt = false;
  std::vector<TokenId> prompt;  ///< as the server says that it read it
};

/// `bad_input` says what is wrong with it in our own words, none of the server's. At most `most` tokens.
[[nodiscard]] Result<CompletionReply> parse_completion(std::string_view body, Dialect dialect, std::size_t most);

/// The words of an answer that is an error: its "message", or the whole. Raw, for HttpClient::excerpt.
[[nodiscard]] std::string complaint_of(std::string_view body);

}  // namespace heirmark::cli
