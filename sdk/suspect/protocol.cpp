// ProcessSuspect: the suspect protocol over a child's pipes (specs/formats.md, "Suspect protocol").
#include <heirmark/suspect.hpp>

#include "suspect/fields.hpp"
#include "suspect/process.hpp"
#include "suspect/replies.hpp"

namespace heirmark {
namespace {
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

  Result<std::string> ask(const Value& request, std::chrono::milliseconds timeout) {
    std::string line = fields::line(request);
    line.pop_back();
    return child->exchange(line, options.max_line, timeout, options.stop);
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
  return suspect::parse_hello(*reply);
}

Result<std::vector<std::vector<TokenId>>> ProcessSuspect::do_generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) {
  std::vector<Value> list;
  for (const GenerateRequest& request : batch)
    list.push_back(fields::object({{"prompt", numbers(request.prompt)}, {"n", fields::number(request.tokens)}, {"seed", fields::number(request.seed)}}));
  const auto reply = process_->ask(
      fields::object({{"op", fields::text("generate")}, {"batch", fields::array(std::move(list))}, {"temperature_milli", fields::number(temperature_milli)}}),
      process_->options.reply_timeout);
  if (!reply) return reply.error();
  return suspect::parse_texts(*reply);
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
  return suspect::parse_positions(*reply, request.samples, request.top);
}

}  // namespace heirmark
