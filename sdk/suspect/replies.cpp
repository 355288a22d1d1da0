#include "suspect/replies.hpp"

#include "base/text.hpp"
#include "suspect/fields.hpp"

namespace heirmark::suspect {
namespace {
using fields::Fields;
using json::Value;

Result<Value> parse_reply(std::string_view line) {
  auto value = fields::parse_lenient(line);
  if (!value) return value.error().at("the suspect's reply");
  Fields in(*value, "the suspect's reply");
  if (in.has("error")) {
    const std::string words = text::printable(in.any_text("error"), 1000);
    if (auto whole = in.finish_open(); !whole) return whole.error();
    return Error{ErrorCode::io, words.empty() ? "the suspect says that there was an error, and not which" : "the suspect says: " + words};
  }
  if (auto whole = in.finish_open(); !whole) return whole.error();
  return value;
}
}  // namespace

Result<SuspectHello> parse_hello(std::string_view line) {
  const auto reply = parse_reply(line);
  if (!reply) return reply.error();
  Fields in(*reply, "the suspect's hello");
  SuspectHello out;
  out.name = in.text("name");
  out.vocab = static_cast<std::uint32_t>(in.number("vocab", 1, kMaxVocab));
  out.context = in.number("context", 1, (1ull << 53) - 1);
  if (in.has("weights_digest")) out.weights_digest = in.digest_or_empty("weights_digest");
  if (auto done = in.finish_open(); !done) return done.error();
  return out;
}

Result<std::vector<std::vector<TokenId>>> parse_texts(std::string_view line) {
  const auto reply = parse_reply(line);
  if (!reply) return reply.error();
  Fields in(*reply, "the suspect's reply");
  const auto texts = in.list("batch", 0, kMaxVocab);
  if (auto done = in.finish_open(); !done) return done.error();
  std::vector<std::vector<TokenId>> out;
  for (const Value* text : texts) {
    Fields entry(*text, "the suspect's reply: text " + std::to_string(out.size()));
    out.push_back(entry.tokens("tokens", 0, kMaxVocab, kMaxVocab));
    if (auto done = entry.finish_open(); !done) return done.error();
  }
  return out;
}

Result<std::vector<ScoredPosition>> parse_positions(std::string_view line, std::uint32_t samples, std::uint32_t top) {
  const auto reply = parse_reply(line);
  if (!reply) return reply.error();
  Fields in(*reply, "the suspect's reply");
  const auto list = in.list("positions", 0, kMaxVocab);
  if (auto done = in.finish_open(); !done) return done.error();
  std::vector<ScoredPosition> out;
  for (const Value* item : list) {
    Fields entry(*item, "the suspect's reply: position " + std::to_string(out.size()));
    auto position = fields::scored_position(entry, samples, top, kMaxVocab, true);
    if (!position) return position.error();
    out.push_back(std::move(position).value());
  }
  return out;
}

}  // namespace heirmark::suspect
