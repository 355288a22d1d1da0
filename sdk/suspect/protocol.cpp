// ProcessSuspect: the suspect protocol over a child's pipes (specs/formats.md, "Suspect protocol").
#include <heirmark/suspect.hpp>

#include "suspect/fields.hpp"
#include "suspect/process.hpp"

namespace heirmark {
namespace {
using fields::Fields;
using json::Value;

Value numbers(std::span<const TokenId> list) {
  std::vector<Value> out;
  out.reserve(list.size());
  for (const TokenId token : list) out.push_back(fields::number(token));
  return fields::array(std::move(out));
}
}  // namespace

struct ProcessSuspect::Process {
  std::unique_ptr<suspect::Child> child;
  Options options;

  Result<Value> ask(const Value& request, std::chrono::milliseconds timeout) {
    std::string line = fields::line(request);
    line.pop_back();
    const auto reply = child->exchange(line, options.max_line, timeout, options.stop);
    if (!reply) return reply.error();
    auto value = fields::parse_lenient(*reply);
    if (!value) return value.error().at("the suspect's reply");
    Fields in(*value, "the suspect's reply");
    if (in.has("error")) {
      const std::string text = in.any_text("error").substr(0, 1000);
      std::string clean;
      for (const char c : text) clean += (c >= 0x20 && c < 0x7f) ? c : '?';
      return Error{ErrorCode::io, "the suspect says: " + clean};
    }
    if (auto whole = in.finish_open(); !whole) return whole.error();
    return value;
  }
};

ProcessSuspect::ProcessSuspect(std::unique_ptr<Process> process) noexcept : process_(std::move(process)) {}
ProcessSuspect::~ProcessSuspect() = default;

Result<std::unique_ptr<ProcessSuspect>> ProcessSuspect::start(const std::vector<std::string>& command, Options options) {
  auto child = suspect::Child::start(command, options.directory);
  if (!child) return child.error();
  auto process = std::make_unique<Process>();
  process->child = std::move(child).value();
  process->options = std::move(options);
  return std::unique_ptr<ProcessSuspect>(new ProcessSuspect(std::move(process)));
}

Result<SuspectHello> ProcessSuspect::do_hello() {
  const auto reply = process_->ask(fields::object({{"op", fields::text("hello")}}), process_->options.hello_timeout);
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

Result<std::vector<std::vector<TokenId>>> ProcessSuspect::do_generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) {
  std::vector<Value> list;
  for (const GenerateRequest& request : batch)
    list.push_back(fields::object({{"prompt", numbers(request.prompt)}, {"n", fields::number(request.tokens)}, {"seed", fields::number(request.seed)}}));
  const auto reply = process_->ask(
      fields::object({{"op", fields::text("generate")}, {"batch", fields::array(std::move(list))}, {"temperature_milli", fields::number(temperature_milli)}}),
      process_->options.reply_timeout);
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

Result<std::vector<ScoredPosition>> ProcessSuspect::do_score(const ScoreRequest& request) {
  const auto reply = process_->ask(fields::object({{"op", fields::text("score")},
                                                   {"tokens", numbers(request.tokens)},
                                                   {"from", fields::number(request.from)},
                                                   {"top", fields::number(request.top)},
                                                   {"samples", fields::number(request.samples)},
                                                   {"seed", fields::number(request.seed)}}),
                                   process_->options.reply_timeout);
  if (!reply) return reply.error();
  Fields in(*reply, "the suspect's reply");
  const auto list = in.list("positions", 0, kMaxVocab);
  if (auto done = in.finish_open(); !done) return done.error();
  std::vector<ScoredPosition> out;
  for (const Value* item : list) {
    Fields entry(*item, "the suspect's reply: position " + std::to_string(out.size()));
    auto position = fields::scored_position(entry, request.samples, request.top, kMaxVocab, true);
    if (!position) return position.error();
    out.push_back(std::move(position).value());
  }
  return out;
}

}  // namespace heirmark
