// One line of a token file: the parser of events against the parser of values.
#include "fuzz.hpp"
#include "json/lines.hpp"
#include "json/value.hpp"

using namespace heirmark;

namespace {
constexpr std::uint32_t kLast = 999;

/// The same rule, said with a value. Nothing when the line is refused.
bool plain(std::string_view line, json::TokenLine& out) {
  out = {};
  const auto value = json::parse(line, {.floats = true});
  if (!value || value->find("tokens") == nullptr || value->find("tokens")->if_array() == nullptr) return false;
  for (const json::Value& item : *value->find("tokens")->if_array()) {
    const std::int64_t* id = item.if_integer();
    if (id == nullptr || *id < 0 || *id > kLast) return false;
    out.tokens.push_back(static_cast<std::uint32_t>(*id));
  }
  if (const json::Value* prompt = value->find("prompt_tokens")) {
    const std::int64_t* count = prompt->if_integer();
    if (count == nullptr || *count < 0 || static_cast<std::uint64_t>(*count) > out.tokens.size()) return false;
    out.prompt_tokens = static_cast<std::uint64_t>(*count);
  }
  return true;
}
}  // namespace

FUZZ_TARGET(token_line) {
  const std::string_view line = input.rest();
  json::TokenLine fast, slow;
  const auto parsed = json::parse_token_line(line, kLast, fast);
  const bool accepted = plain(line, slow);
  if (!parsed) fuzz::check_error(parsed.error());
  // A member that is dropped may occur twice, or hold a number that is no 64-bit integer: then only the fast one accepts.
  fuzz::require(!accepted || parsed.ok(), "what a value says is a token line is one", parsed ? "" : parsed.error().message);
  if (accepted) fuzz::require(fast.tokens == slow.tokens && fast.prompt_tokens == slow.prompt_tokens, "both read the same tokens");
  if (parsed) {
    fuzz::require(fast.prompt_tokens <= fast.tokens.size(), "prompt_tokens fits");
    for (const std::uint32_t token : fast.tokens) fuzz::require(token <= kLast, "tokens are in range");
  }
}
