// Token files for callers of the public API; the lines themselves are parsed by the json room.
#include <heirmark/io.hpp>

#include <utility>

#include "json/lines.hpp"

namespace heirmark {

Result<std::vector<TokenText>> read_token_file(const std::filesystem::path& path, std::uint32_t vocab) {
  if (vocab > kMaxVocab) return Error{ErrorCode::usage, "vocabulary over 2^20"};
  const std::uint32_t max_token = (vocab == 0 ? kMaxVocab : vocab) - 1;
  auto reader = json::LineReader::open(path);
  if (!reader) return reader.error();
  std::vector<TokenText> texts;
  json::TokenLine parsed;
  for (;;) {
    const auto line = reader->next();
    if (!line) return line.error();
    if (!line->has_value()) return texts;
    if (const auto done = json::parse_token_line(**line, max_token, parsed); !done) return done.error().at(reader->where());
    texts.push_back({parsed.tokens, static_cast<std::size_t>(parsed.prompt_tokens)});
  }
}

}  // namespace heirmark
