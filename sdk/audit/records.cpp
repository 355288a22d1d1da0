#include "audit/records.hpp"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "audit/plan.hpp"
#include "suspect/fields.hpp"

namespace heirmark {
namespace {
using fields::Fields;
using json::Value;

std::string hex(const RequestId& id) {
  std::string out;
  for (const std::uint8_t byte : id.bytes) { out += "0123456789abcdef"[byte >> 4]; out += "0123456789abcdef"[byte & 15]; }
  return out;
}

RequestId request_id(std::string_view text) {
  RequestId id;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  return id;
}

Result<std::vector<IssuedToken>> parse_distribution(const Value& value) {
  std::vector<IssuedToken> out;
  const auto entries = fields::items(value, 1, 1024);
  if (!entries) return Error{ErrorCode::bad_input, "phat: " + entries.error().message};
  std::uint64_t sum = 0;
  for (const Value* entry : *entries) {
    const auto pair = fields::integers(*entry, 2, 2, 0xFFFFFFFFu);
    if (!pair) return Error{ErrorCode::bad_input, "phat: entry " + std::to_string(out.size()) + " is not [token, p]"};
    const IssuedToken next{(*pair)[0], (*pair)[1]};
    if (next.p == 0) return Error{ErrorCode::bad_input, "phat: token " + std::to_string(next.token) + " has p = 0"};
    if (!out.empty() && (next.p > out.back().p || (next.p == out.back().p && next.token <= out.back().token)))
      return Error{ErrorCode::bad_input, "phat: not sorted by p descending, then token ascending"};
    sum += next.p;
    out.push_back(next);
  }
  if (sum > 1ull << 32) return Error{ErrorCode::bad_input, "phat: probabilities sum to more than 2^32"};
  std::vector<TokenId> tokens;
  for (const IssuedToken& entry : out) tokens.push_back(entry.token);
  std::sort(tokens.begin(), tokens.end());
  if (std::adjacent_find(tokens.begin(), tokens.end()) != tokens.end()) return Error{ErrorCode::bad_input, "phat: a token twice"};
  return out;
}

Result<IssuedResponse> parse_ledger_line(std::string_view line, std::uint64_t seq, std::uint32_t vocab, std::string& time) {
  const auto value = fields::parse_canonical_line(line);
  if (!value) return value.error();
  Fields in(*value, "");
  IssuedResponse out;
  out.account = in.name("account");
  const std::string id = in.hex("request_id", 24);
  const std::uint64_t found = in.number("seq", 0, (1ull << 53) - 1);
  time = in.time("time");
  out.prompt = in.tokens("prompt", 0, kMaxVocab, vocab);
  out.tokens = in.tokens("tokens", 0, kMaxVocab, vocab);
  const auto lists = in.list("phat", 0, kMaxVocab);
  if (auto done = in.finish(); !done) return done.error();
  out.request_id = request_id(id);
  if (found != seq) return Error{ErrorCode::bad_input, "seq is " + std::to_string(found) + ", not " + std::to_string(seq)};
  if (out.prompt.size() + out.tokens.size() > kMaxVocab) return Error{ErrorCode::bad_input, "more than 1048576 tokens"};
  if (lists.size() != out.tokens.size())
    return Error{ErrorCode::bad_input, "phat has " + std::to_string(lists.size()) + " lists for " + std::to_string(out.tokens.size()) + " tokens"};
  for (std::size_t t = 0; t < lists.size(); ++t) {
    auto list = parse_distribution(*lists[t]);
    if (!list) return list.error().at("position " + std::to_string(t));
    for (const IssuedToken& entry : *list)
      if (entry.token >= vocab) return Error{ErrorCode::bad_input, "position " + std::to_string(t) + ": phat: token " + std::to_string(entry.token) + " is not below the vocabulary's " + std::to_string(vocab)};
    out.phat.push_back(std::move(list).value());
  }
  return out;
}

Value numbers(std::span<const std::uint32_t> list) {
  std::vector<Value> out;
  out.reserve(list.size());
  for (const std::uint32_t number : list) out.push_back(fields::number(number));
  return fields::array(std::move(out));
}

Value hello_value(const SuspectHello& hello) {
  return fields::object({{"name", fields::text(hello.name)}, {"vocab", fields::number(hello.vocab)}, {"context", fields::number(hello.context)},
                         {"weights_digest", fields::text(hello.weights_digest)}});
}

SuspectHello parse_hello(Fields& outer) {
  Fields in = outer.object("hello");
  SuspectHello out;
  out.name = in.text("name");
  out.vocab = static_cast<std::uint32_t>(in.number("vocab", 1, kMaxVocab));
  out.context = in.number("context", 1, (1ull << 53) - 1);
  out.weights_digest = in.digest_or_empty("weights_digest");
  outer.merge(in.finish());
  return out;
}
}  // namespace

Result<std::string> ledger_line(const IssuedResponse& response, std::uint64_t seq, std::string_view time) {
  std::vector<Value> phat;
  for (const auto& list : response.phat) {
    std::vector<Value> entries;
    for (const IssuedToken& entry : list) entries.push_back(fields::array({fields::number(entry.token), fields::number(entry.p)}));
    phat.push_back(fields::array(std::move(entries)));
  }
  std::string line = fields::line(fields::object({{"account", fields::text(response.account)},
                                                  {"phat", fields::array(std::move(phat))},
                                                  {"prompt", numbers(response.prompt)},
                                                  {"request_id", fields::text(hex(response.request_id))},
                                                  {"seq", fields::number(seq)},
                                                  {"time", fields::text(time)},
                                                  {"tokens", numbers(response.tokens)}}));
  std::string kept;
  if (auto checked = parse_ledger_line(std::string_view(line).substr(0, line.empty() ? 0 : line.size() - 1), seq, kMaxVocab, kept); !checked) return checked.error();
  return line;
}

Result<std::vector<IssuedResponse>> parse_ledger(std::string_view bytes, std::uint32_t vocab, const std::string& name) {
  audit::LedgerTimes times;
  return audit::parse_ledger(bytes, vocab, name, times);
}

Result<std::vector<IssuedResponse>> audit::parse_ledger(std::string_view bytes, std::uint32_t vocab, const std::string& name, LedgerTimes& times) {
  if (vocab == 0) vocab = kMaxVocab;
  std::vector<IssuedResponse> out;
  std::set<std::array<std::uint8_t, 12>> ids;
  std::string before, time;
  times = {};
  auto read = audit::each_line(bytes, name, [&](std::uint64_t number, std::string_view line) -> Result<void> {
    if (number > audit::kMaxRecords) return Error{ErrorCode::bad_input, "too many responses"};
    auto response = parse_ledger_line(line, number - 1, vocab, time);
    if (!response) return response.error();
    if (!ids.insert(response->request_id.bytes).second) return Error{ErrorCode::bad_input, "request_id " + hex(response->request_id) + " occurs twice"};
    if (times.back == 0 && time < before) times.back = number;
    if (times.first.empty() || time < times.first) times.first = time;
    if (time > times.last) times.last = time;
    before = time;
    out.push_back(std::move(response).value());
    return {};
  });
  if (!read) return read.error();
  return out;
}

Result<Transcript> Transcript::parse(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "transcript");
  if (!value) return value.error();
  Fields in(*value, "transcript");
  Transcript out;
  in.exactly("type", "heirmark/transcript/v1");
  out.plan = in.digest("plan");
  out.hello = parse_hello(in);
  out.started = in.time("started");
  out.ended = in.time("ended");
  out.queries = in.number("queries", 0, (1ull << 53) - 1);
  for (const Value* item : in.list("files", 1, 2)) {
    Fields entry(*item, "transcript: files");
    TranscriptFile file;
    file.path = entry.text("path");
    file.sha256 = entry.digest("sha256");
    file.lines = entry.number("lines", 0, (1ull << 53) - 1);
    in.merge(entry.finish());
    out.files.push_back(std::move(file));
  }
  if (auto done = in.finish(); !done) return done.error();
  return out;
}

std::string Transcript::bytes() const {
  std::vector<Value> list;
  for (const TranscriptFile& file : files)
    list.push_back(fields::object({{"path", fields::text(file.path)}, {"sha256", fields::text(file.sha256)}, {"lines", fields::number(file.lines)}}));
  return fields::line(fields::object({{"type", fields::text("heirmark/transcript/v1")},
                                      {"plan", fields::text(plan)},
                                      {"hello", hello_value(hello)},
                                      {"started", fields::text(started)},
                                      {"ended", fields::text(ended)},
                                      {"queries", fields::number(queries)},
                                      {"files", fields::array(std::move(list))}}));
}

namespace audit {
Result<void> each_line(std::string_view bytes, std::string_view file, const std::function<Result<void>(std::uint64_t, std::string_view)>& line) {
  std::uint64_t number = 0;
  while (!bytes.empty()) {
    ++number;
    const std::string where = std::string(file) + ":" + std::to_string(number);
    const std::size_t feed = bytes.find('\n');
    if (feed == std::string_view::npos) return Error{ErrorCode::bad_input, where + ": the line has no end; the file is cut off"};
    if (feed == 0) return Error{ErrorCode::bad_input, where + ": empty line"};
    if (auto done = line(number, bytes.substr(0, feed)); !done) return done.error().at(where);
    bytes.remove_prefix(feed + 1);
  }
  return {};
}

std::uint64_t count_lines(std::string_view bytes) { return static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n')); }

Result<std::vector<std::vector<TokenId>>> parse_prompts(std::string_view bytes, std::uint32_t vocab) {
  std::vector<std::vector<TokenId>> out;
  auto read = each_line(bytes, "prompts.jsonl", [&](std::uint64_t number, std::string_view line) -> Result<void> {
    if (number > kMaxRecords) return Error{ErrorCode::bad_input, "too many prompts"};
    const auto value = fields::parse_canonical_line(line);
    if (!value) return value.error();
    Fields in(*value, "");
    out.push_back(in.tokens("tokens", 1, kMaxVocab, vocab));
    return in.finish();
  });
  if (!read) return read.error();
  if (out.empty()) return Error{ErrorCode::bad_input, "prompts.jsonl: no prompt"};
  return out;
}

std::string prompt_line(std::span<const TokenId> prompt) { return fields::line(fields::object({{"tokens", numbers(prompt)}})); }

std::string text_line(std::uint64_t i, std::span<const TokenId> prompt, std::span<const TokenId> generated) {
  std::vector<TokenId> tokens(prompt.begin(), prompt.end());
  tokens.insert(tokens.end(), generated.begin(), generated.end());
  return fields::line(fields::object({{"i", fields::number(i)}, {"prompt_tokens", fields::number(prompt.size())}, {"tokens", numbers(tokens)}}));
}

Result<TokenText> parse_text_line(std::string_view line, std::uint64_t i, std::span<const TokenId> prompt, const ChannelPlan& plan, std::uint32_t vocab) {
  const auto value = fields::parse_canonical_line(line);
  if (!value) return value.error();
  Fields in(*value, "");
  TokenText out;
  const std::uint64_t index = in.number("i", 0, (1ull << 53) - 1);
  out.prompt_tokens = in.number("prompt_tokens", 0, (1ull << 53) - 1);
  out.tokens = in.tokens("tokens", 0, 2 * std::size_t{kMaxVocab}, vocab);
  if (auto done = in.finish(); !done) return done.error();
  if (index != i) return Error{ErrorCode::bad_input, "i is " + std::to_string(index) + ", not " + std::to_string(i)};
  if (out.prompt_tokens != prompt.size() || out.tokens.size() < prompt.size() || !std::equal(prompt.begin(), prompt.end(), out.tokens.begin()))
    return Error{ErrorCode::bad_input, "the prompt is not the one that the plan's seed selects"};
  if (out.tokens.size() - prompt.size() > plan.tokens_per_text)
    return Error{ErrorCode::bad_input, "the text has more than " + std::to_string(plan.tokens_per_text) + " tokens"};
  return out;
}

std::string issued_line(std::uint64_t response, std::span<const ScoredPosition> positions) {
  std::vector<Value> list;
  for (const ScoredPosition& position : positions) {
    std::vector<Value> top;
    for (const ScoredToken& entry : position.top) top.push_back(fields::array({fields::number(entry.token), fields::number(entry.nlp)}));
    list.push_back(fields::object({{"samples", numbers(position.samples)}, {"top", fields::array(std::move(top))}}));
  }
  return fields::line(fields::object({{"positions", fields::array(std::move(list))}, {"response", fields::number(response)}}));
}

Result<std::vector<ScoredPosition>> parse_issued_line(std::string_view line, std::uint64_t response, std::size_t positions, std::uint32_t samples,
                                                      std::uint32_t top, std::uint32_t vocab) {
  const auto value = fields::parse_canonical_line(line);
  if (!value) return value.error();
  Fields in(*value, "");
  const std::uint64_t index = in.number("response", 0, (1ull << 53) - 1);
  const auto list = in.list("positions", 0, kMaxVocab);
  if (auto done = in.finish(); !done) return done.error();
  if (index != response) return Error{ErrorCode::bad_input, "response is " + std::to_string(index) + ", not " + std::to_string(response)};
  if (list.size() != positions)
    return Error{ErrorCode::bad_input, std::to_string(list.size()) + " positions, not the " + std::to_string(positions) + " that were asked about"};
  std::vector<ScoredPosition> out;
  for (const Value* item : list) {
    const std::string where = "position " + std::to_string(out.size());
    Fields entry(*item, where);
    auto position = fields::scored_position(entry, samples, top, vocab);
    if (!position) return position.error();
    if (auto done = entry.finish(); !done) return done.error();
    out.push_back(std::move(position).value());
  }
  return out;
}

std::size_t asked_positions(const IssuedResponse& response, std::uint64_t context) {
  const std::uint64_t prompt = response.prompt.size();
  const std::uint64_t end = std::min<std::uint64_t>(prompt + response.tokens.size(), context);
  return end > prompt ? static_cast<std::size_t>(end - prompt) : 0;
}

Result<Progress> parse_progress(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "transcript/progress.json");
  if (!value) return value.error();
  Fields in(*value, "transcript/progress.json");
  Progress out;
  out.plan = in.digest("plan");
  out.started = in.time("started");
  out.hello = parse_hello(in);
  if (auto done = in.finish(); !done) return done.error();
  return out;
}

std::string progress_bytes(const Progress& progress) {
  return fields::line(fields::object({{"plan", fields::text(progress.plan)}, {"started", fields::text(progress.started)}, {"hello", hello_value(progress.hello)}}));
}
}  // namespace audit
}  // namespace heirmark
