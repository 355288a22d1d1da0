#include <heirmark/suspect.hpp>

#include <algorithm>

#include "suspect/fields.hpp"

namespace heirmark {
namespace {
using fields::Fields;
using json::Value;

Error bad_reply(const std::string& what) { return {ErrorCode::bad_input, "the suspect's reply: " + what}; }
Error bad_call(const std::string& what) { return {ErrorCode::usage, "suspect: " + what}; }
constexpr std::uint64_t kSeeds = 1ull << 48;
}  // namespace

Result<SuspectInfo> SuspectInfo::parse(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "suspect");
  if (!value) return value.error();
  Fields in(*value, "suspect");
  SuspectInfo out;
  in.exactly("type", "heirmark/suspect/v1");
  out.name = in.text("name");
  out.vocab = static_cast<std::uint32_t>(in.number("vocab", 1, kMaxVocab));
  in.exactly("kind", "process");
  for (const Value* word : in.list("command", 1, 256)) {
    auto one = fields::string_of(*word);
    if (!one) return one.error().at("suspect: command");
    out.command.push_back(std::move(one).value());
  }
  out.released = in.date_or_empty("released");
  out.weights = in.digest_or_empty("weights");
  if (auto done = in.finish(); !done) return done.error();
  return out;
}

std::string SuspectInfo::bytes() const {
  std::vector<Value> words;
  for (const std::string& word : command) words.push_back(fields::text(word));
  return fields::line(fields::object({{"type", fields::text("heirmark/suspect/v1")},
                                      {"name", fields::text(name)},
                                      {"vocab", fields::number(vocab)},
                                      {"kind", fields::text("process")},
                                      {"command", fields::array(std::move(words))},
                                      {"released", fields::text(released)},
                                      {"weights", fields::text(weights)}}));
}

Result<SuspectHello> Suspect::hello() {
  if (hello_) return *hello_;
  auto reply = do_hello();
  if (!reply) return reply.error();
  if (!fields::is_ascii_text(reply->name)) return bad_reply("name is not 1 to 4096 printable ASCII characters");
  if (reply->vocab < 1 || reply->vocab > kMaxVocab) return bad_reply("vocab " + std::to_string(reply->vocab) + " is not between 1 and 1048576");
  if (reply->context < 1 || reply->context >= 1ull << 53) return bad_reply("context " + std::to_string(reply->context) + " is out of range");
  if (!reply->weights_digest.empty() && !fields::is_hex(reply->weights_digest, 64)) return bad_reply("weights_digest is not 64 hex digits");
  hello_ = std::make_unique<SuspectHello>(*reply);
  return reply;
}

Result<std::vector<std::vector<TokenId>>> Suspect::generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) {
  const auto about = hello();
  if (!about) return about.error();
  for (const GenerateRequest& request : batch) {
    if (request.seed >= kSeeds) return bad_call("a seed is not below 2^48");
    if (request.prompt.size() + request.tokens > about->context)
      return Error{ErrorCode::bad_input, "a prompt of " + std::to_string(request.prompt.size()) + " tokens and a text of " + std::to_string(request.tokens) +
                                             " do not fit the suspect's context of " + std::to_string(about->context)};
    for (const TokenId token : request.prompt)
      if (token >= about->vocab) return Error{ErrorCode::bad_input, "prompt token " + std::to_string(token) + " is not below the suspect's vocabulary of " + std::to_string(about->vocab)};
  }
  auto reply = do_generate(batch, temperature_milli);
  if (!reply) return reply.error();
  if (reply->size() != batch.size()) return bad_reply(std::to_string(reply->size()) + " texts for " + std::to_string(batch.size()) + " prompts");
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto& text = (*reply)[i];
    if (text.size() > batch[i].tokens) return bad_reply("text " + std::to_string(i) + " has " + std::to_string(text.size()) + " tokens, not at most " + std::to_string(batch[i].tokens));
    for (const TokenId token : text)
      if (token >= about->vocab) return bad_reply("text " + std::to_string(i) + ": token " + std::to_string(token) + " is not below the vocabulary's " + std::to_string(about->vocab));
  }
  return reply;
}

Result<std::vector<ScoredPosition>> Suspect::score(const ScoreRequest& request) {
  const auto about = hello();
  if (!about) return about.error();
  if (request.seed >= kSeeds) return bad_call("a seed is not below 2^48");
  if (request.from > request.tokens.size()) return bad_call("from is past the last token");
  if (request.tokens.size() > about->context) return bad_call("more tokens than the suspect's context");
  for (const TokenId token : request.tokens)
    if (token >= about->vocab) return Error{ErrorCode::bad_input, "token " + std::to_string(token) + " is not below the suspect's vocabulary of " + std::to_string(about->vocab)};
  auto reply = do_score(request);
  if (!reply) return reply.error();
  const std::size_t positions = request.tokens.size() - request.from;
  if (reply->size() != positions) return bad_reply(std::to_string(reply->size()) + " positions, not " + std::to_string(positions));
  for (std::size_t t = 0; t < positions; ++t) {
    const std::string where = "position " + std::to_string(t) + ": ";
    if (auto checked = fields::check_position((*reply)[t], request.samples, request.top, about->vocab); !checked) return bad_reply(where + checked.error().message);
  }
  return reply;
}

}  // namespace heirmark
