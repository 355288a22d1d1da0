// Token files for callers of the public API; the lines themselves are parsed by the json room.
#include <heirmark/io.hpp>

#include <algorithm>
#include <utility>

#include "json/lines.hpp"
#include "json/value.hpp"

namespace heirmark {
namespace {

/// Calls take(line) for each line and puts the line's number before its errors.
template <class Take>
Result<void> each_line(const std::filesystem::path& path, std::uint32_t vocab, const std::function<bool()>& stop, const Take& take) {
  if (vocab > kMaxVocab) return Error{ErrorCode::usage, "vocabulary over 2^20"};
  const std::uint32_t max_token = (vocab == 0 ? kMaxVocab : vocab) - 1;
  auto reader = json::LineReader::open(path, json::kMaxLine, stop);
  if (!reader) return reader.error();
  for (;;) {
    const auto line = reader->next();
    if (!line) return line.error();
    if (!line->has_value()) return {};
    if (const Result<void> done = take(**line, max_token); !done) return done.error().at(reader->where());
  }
}

Error bad(const std::string& where, const std::string& what) { return {ErrorCode::bad_input, where + ": " + what}; }

/// [[token, q], ..] of one position.
Result<std::vector<IssuedToken>> distribution(const json::Value& value, std::uint32_t max_token, const std::string& where) {
  const json::Array* entries = value.if_array();
  if (entries == nullptr) return bad(where, "expected a list of [token, q]");
  std::vector<IssuedToken> out;
  out.reserve(entries->size());
  std::uint64_t sum = 0;
  for (const json::Value& entry : *entries) {
    const json::Array* both = entry.if_array();
    const std::int64_t* token = both != nullptr && both->size() == 2 ? both->front().if_integer() : nullptr;
    const std::int64_t* q = token != nullptr ? both->back().if_integer() : nullptr;
    if (q == nullptr) return bad(where, "expected [token, q], two integers");
    if (*token < 0 || *token > static_cast<std::int64_t>(max_token)) return bad(where, "a token id that is out of range");
    if (*q < 0 || *q > 0xFFFFFFFF) return bad(where, "q is a probability times 2^32, from 0 to 4294967295");
    out.push_back({static_cast<TokenId>(*token), static_cast<std::uint32_t>(*q)});
    sum += static_cast<std::uint64_t>(*q);
  }
  if (sum > std::uint64_t{1} << 32) return bad(where, "probabilities sum to more than 1");
  std::vector<TokenId> tokens;
  tokens.reserve(out.size());
  for (const IssuedToken& entry : out) tokens.push_back(entry.token);
  std::sort(tokens.begin(), tokens.end());
  if (std::adjacent_find(tokens.begin(), tokens.end()) != tokens.end()) return bad(where, "a token twice");
  return out;
}

/// Fills `list` of each position from the member `name`, which is a list with one entry for each of them.
Result<void> distributions(const json::Value& line, const char* name, std::uint32_t max_token, ReadingText& text, std::vector<IssuedToken> ReadingPosition::*list) {
  const std::string field = std::string("field \"") + name + "\"";
  const json::Array* lists = line.find(name)->if_array();
  if (lists == nullptr) return bad(field, "expected a list");
  if (lists->size() != text.positions.size())
    return bad(field, std::to_string(lists->size()) + " lists of probabilities for " + std::to_string(text.positions.size()) + " positions");
  for (std::size_t i = 0; i < lists->size(); ++i) {
    auto found = distribution((*lists)[i], max_token, field + ", position " + std::to_string(text.prompt_tokens + i));
    if (!found) return found.error();
    text.positions[i].*list = *std::move(found);
  }
  return {};
}
}  // namespace

Result<std::vector<TokenText>> read_token_file(const std::filesystem::path& path, std::uint32_t vocab, const std::function<bool()>& stop) {
  std::vector<TokenText> texts;
  json::TokenLine parsed;
  const auto done = each_line(path, vocab, stop, [&](std::string_view line, std::uint32_t max_token) -> Result<void> {
    if (auto good = json::parse_token_line(line, max_token, parsed); !good) return good;
    texts.push_back({parsed.tokens, static_cast<std::size_t>(parsed.prompt_tokens)});
    return {};
  });
  if (!done) return done.error();
  return texts;
}

Result<std::vector<ReadingText>> read_reading_file(const std::filesystem::path& path, std::uint32_t vocab, const std::function<bool()>& stop) {
  std::vector<ReadingText> texts;
  json::TokenLine parsed;
  const auto done = each_line(path, vocab, stop, [&](std::string_view line, std::uint32_t max_token) -> Result<void> {
    if (auto good = json::parse_token_line(line, max_token, parsed); !good) return good;
    json::ParseOptions options;
    options.floats = true;  // in members that are ignored
    const auto value = json::parse(line, options);
    if (!value) return value.error();
    if (value->find("top") == nullptr) return Error{ErrorCode::bad_input, "field \"top\" is missing"};
    ReadingText text{parsed.tokens, static_cast<std::size_t>(parsed.prompt_tokens), {}};
    text.positions.resize(text.tokens.size() - text.prompt_tokens);
    if (auto good = distributions(*value, "top", max_token, text, &ReadingPosition::top); !good) return good;
    if (value->find("base") != nullptr)
      if (auto good = distributions(*value, "base", max_token, text, &ReadingPosition::base); !good) return good;
    texts.push_back(std::move(text));
    return {};
  });
  if (!done) return done.error();
  return texts;
}

}  // namespace heirmark
