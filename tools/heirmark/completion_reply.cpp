#include "completion_reply.hpp"

#include <boost/json/src.hpp>

#include <utility>

namespace heirmark::cli {
namespace {
namespace bj = boost::json;

constexpr std::size_t kMostPrompt = 4096;  // of a prompt of some words, with whatever a server puts before it

Error bad(std::string what) { return {ErrorCode::bad_input, std::move(what)}; }

Result<bj::value> parse(std::string_view body) {
  bj::parse_options strict;
  strict.max_depth = 32;
  bj::error_code error;
  bj::value value = bj::parse(bj::string_view(body.data(), body.size()), error, bj::storage_ptr(), strict);
  if (error == bj::error::too_deep) return bad("JSON that is nested too deep");
  if (error == bj::error::incomplete) return bad("JSON that is cut off");
  if (error) return bad("an answer that is not JSON");
  return value;
}

/// nullptr where there is none, or null.
const bj::value* member(const bj::object& object, std::string_view name) {
  const bj::value* value = object.if_contains(bj::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::vector<TokenId>> token_list(const bj::value& value, const std::string& name, std::size_t most) {
  const bj::array* list = value.if_array();
  if (list == nullptr) return bad("\"" + name + "\" is no list");
  if (list->size() > most) return bad("\"" + name + "\" has " + std::to_string(list->size()) + " tokens, more than " + std::to_string(most));
  std::vector<TokenId> tokens;
  tokens.reserve(list->size());
  for (const bj::value& item : *list) {
    const std::int64_t* id = item.if_int64();
    if (id == nullptr || *id < 0 || *id >= kMaxVocab) return bad("\"" + name + "\" has an entry that is no token id");
    tokens.push_back(static_cast<TokenId>(*id));
  }
  return tokens;
}
}  // namespace

Result<CompletionReply> parse_completion(std::string_view body, Dialect dialect, std::size_t most) {
  const auto value = parse(body);
  if (!value) return value.error();
  const bj::object* from = value->if_object();
  if (from == nullptr) return bad("JSON that is no object");
  if (dialect == Dialect::openai) {
    const bj::value* choices = member(*from, "choices");
    const bj::array* list = choices == nullptr ? nullptr : choices->if_array();
    if (list == nullptr || list->size() != 1) return bad("\"choices\" is no list of one choice");
    from = list->front().if_object();
    if (from == nullptr) return bad("a choice that is no object");
  }
  CompletionReply reply;
  const char* const name = dialect == Dialect::openai ? "token_ids" : "tokens";
  if (const bj::value* given = member(*from, name)) {
    auto tokens = token_list(*given, name, most);
    if (!tokens) return tokens.error();
    reply.tokens = *std::move(tokens);
    reply.has_tokens = dialect == Dialect::openai || !reply.tokens.empty();  // llama-server has an empty list where it was not asked
  }
  if (const bj::value* given = dialect == Dialect::openai ? member(*from, "prompt_token_ids") : nullptr) {
    auto prompt = token_list(*given, "prompt_token_ids", kMostPrompt);
    if (!prompt) return prompt.error();
    reply.prompt = *std::move(prompt);
    reply.has_prompt = true;
  }
  return reply;
}

std::string complaint_of(std::string_view body) {
  if (const auto value = parse(body)) {
    const bj::object* object = value->if_object();
    const bj::value* inner = object == nullptr ? nullptr : member(*object, "error");
    if (inner != nullptr && inner->is_object()) object = &inner->get_object();
    if (inner != nullptr && inner->is_string()) return std::string(inner->get_string());
    for (const char* name : {"message", "detail"}) {
      const bj::value* words = object == nullptr ? nullptr : member(*object, name);
      if (words != nullptr && words->is_string()) return std::string(words->get_string());
    }
  }
  return std::string(body);
}

}  // namespace heirmark::cli
