// What an inference server answers to `heirmark doctor --endpoint`: any bytes.
#include "completion_reply.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace heirmark;

namespace {
std::string list(const std::vector<TokenId>& ids) {
  std::string out = "[";
  for (const TokenId id : ids) out += (out.size() > 1 ? "," : "") + std::to_string(id);
  return out + "]";
}
}  // namespace

FUZZ_TARGET(completion_reply) {
  const auto dialect = input.byte() % 2 == 0 ? cli::Dialect::openai : cli::Dialect::llama;
  const std::size_t most = input.byte();
  const std::string_view body = input.rest();
  fuzz::require(cli::complaint_of(body).size() <= body.size(), "a complaint is no longer than the answer");
  const auto reply = cli::parse_completion(body, dialect, most);
  if (!reply) {
    fuzz::check_error(reply.error());
    return fuzz::require(reply.error().message.size() < 100, "an error has none of the server's words", reply.error().message);
  }
  const auto in_range = [](TokenId id) { return id < kMaxVocab; };
  fuzz::require(reply->tokens.size() <= most, "no more tokens than were asked for");
  fuzz::require(std::all_of(reply->tokens.begin(), reply->tokens.end(), in_range) && std::all_of(reply->prompt.begin(), reply->prompt.end(), in_range), "ids are in range");
  fuzz::require((reply->has_tokens || reply->tokens.empty()) && (reply->has_prompt || reply->prompt.empty()), "what is not there is empty");
  // Said again in the fewest words, it is the same.
  std::string again = R"({"tokens":)" + list(reply->tokens) + "}";
  if (dialect == cli::Dialect::openai) {
    again = R"({"choices":[{"token_ids":)" + (reply->has_tokens ? list(reply->tokens) : "null") + R"(,"prompt_token_ids":)" + (reply->has_prompt ? list(reply->prompt) : "null") + "}]}";
  }
  const auto same = cli::parse_completion(again, dialect, most);
  fuzz::require(same.ok() && same->tokens == reply->tokens && same->prompt == reply->prompt && same->has_tokens == reply->has_tokens && same->has_prompt == reply->has_prompt, "the same answer in fewer words is the same", again);
}
