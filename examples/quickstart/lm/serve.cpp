#include "serve.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <iostream>
#include <optional>

#include "decoder.hpp"
#include "rng.hpp"

namespace quickstart {
namespace {

namespace json = boost::json;

// Bounds of a request: a bad client gets an error, not the machine's memory.
constexpr std::size_t kMaxLine = std::size_t{1} << 24;
constexpr std::size_t kMaxTokens = 4096;
constexpr std::size_t kMaxBatch = 1024;
constexpr std::size_t kMaxSamples = 1024;

/// A request that makes no sense; the message is the reply's.
struct Refusal {
  std::string message;
};

std::uint64_t whole(const json::object& from, std::string_view key, std::uint64_t low, std::uint64_t high,
                    std::optional<std::uint64_t> fallback = {}) {
  const json::value* found = from.if_contains(key);
  if (found == nullptr && fallback) return *fallback;
  std::uint64_t value = 0;
  if (found != nullptr && found->is_uint64()) {
    value = found->get_uint64();
  } else if (found != nullptr && found->is_int64() && found->get_int64() >= 0) {
    value = static_cast<std::uint64_t>(found->get_int64());
  } else {
    throw Refusal{std::string(key) + ": expected a whole number"};
  }
  if (value < low || value > high) throw Refusal{std::string(key) + ": out of range"};
  return value;
}

std::vector<TokenId> token_list(const json::object& from, std::string_view key, std::uint32_t vocab) {
  const json::value* found = from.if_contains(key);
  if (found == nullptr || !found->is_array()) throw Refusal{std::string(key) + ": expected a list of token ids"};
  const json::array& list = found->get_array();
  if (list.empty() || list.size() > kMaxTokens)
    throw Refusal{std::string(key) + ": expected 1 to " + std::to_string(kMaxTokens) + " tokens"};
  std::vector<TokenId> tokens;
  tokens.reserve(list.size());
  for (const json::value& item : list) {
    const std::int64_t id = item.is_int64() ? item.get_int64() : -1;
    if (id < 0 || id >= vocab) throw Refusal{std::string(key) + ": a token id is not in the vocabulary"};
    tokens.push_back(static_cast<TokenId>(id));
  }
  return tokens;
}

json::array to_json(const std::vector<TokenId>& tokens) { return json::array(tokens.begin(), tokens.end()); }

/// `temperature` holds for the whole batch unless the item has its own.
GenerateRequest generate_request(const json::object& from, const ModelConfig& config, std::uint64_t temperature) {
  GenerateRequest request;
  request.prompt = token_list(from, "prompt", config.vocab);
  request.count = static_cast<std::uint32_t>(whole(from, "n", 0, kMaxTokens));
  request.seed = whole(from, "seed", 0, UINT64_MAX, 0);
  request.temperature = static_cast<double>(whole(from, "temperature_milli", 0, 100'000, temperature)) / 1000.0;
  return request;
}

json::object op_generate(const Model& model, const json::object& request, unsigned threads) {
  std::vector<GenerateRequest> wanted;
  const std::uint64_t temperature = whole(request, "temperature_milli", 0, 100'000, 1000);
  const json::value* batch = request.if_contains("batch");
  if (batch == nullptr) {
    wanted.push_back(generate_request(request, model.config(), temperature));
    return {{"tokens", to_json(generate(model, wanted, threads)[0])}};
  }
  if (!batch->is_array() || batch->get_array().size() > kMaxBatch)
    throw Refusal{"batch: expected a list of at most 1024 requests"};
  for (const json::value& item : batch->get_array()) {
    if (!item.is_object()) throw Refusal{"batch: expected objects"};
    wanted.push_back(generate_request(item.get_object(), model.config(), temperature));
  }
  json::array replies;
  for (const auto& tokens : generate(model, wanted, threads))
    replies.push_back(json::object{{"tokens", to_json(tokens)}});
  return {{"batch", std::move(replies)}};
}

/// Most probable tokens as [id, nlp], nlp = -ln q in millionths, by probability descending, then id ascending.
json::array top_tokens(std::span<const float> logits, const Categorical& q, std::size_t count,
                       std::vector<TokenId>& order) {
  const float greatest = *std::max_element(logits.begin(), logits.end());
  const double normalizer = static_cast<double>(greatest) + std::log(q.total());
  order.resize(logits.size());
  for (std::size_t v = 0; v < order.size(); ++v) order[v] = static_cast<TokenId>(v);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  json::array top;
  top.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double surprise = normalizer - static_cast<double>(logits[order[i]]);
    top.push_back(json::array{order[i], std::clamp<std::int64_t>(std::llround(surprise * 1e6), 0, INT32_MAX)});
  }
  return top;
}

json::object op_score(const Model& model, const json::object& request) {
  const std::uint32_t vocab = model.config().vocab;
  std::vector<TokenId> tokens = token_list(request, "tokens", vocab);
  const std::size_t from = whole(request, "from", 1, tokens.size());
  const std::size_t count = whole(request, "top", 0, vocab, 0), samples = whole(request, "samples", 0, kMaxSamples, 0);
  const std::uint64_t seed = whole(request, "seed", 0, UINT64_MAX, 0);
  json::array positions;
  if (from < tokens.size()) {
    const std::size_t rows = tokens.size() - from;
    tokens.pop_back();  // nothing is asked about what follows the last token
    const Floats logits = model.logits(tokens, from);
    std::vector<TokenId> order;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::span<const float> row = std::span(logits).subspan(r * vocab, vocab);
      const Categorical q(row);
      Rng rng(seed, from + r);  // the same draw at a position whatever `from` was
      json::array drawn;
      for (std::size_t i = 0; i < samples; ++i) drawn.push_back(q.draw(rng));
      positions.push_back(json::object{{"top", top_tokens(row, q, count, order)}, {"samples", std::move(drawn)}});
    }
  }
  return {{"positions", std::move(positions)}};
}

json::object op_hello(const Model& model, const std::string& name) {
  // "context" is the longest text that a request may have. Attention reaches config().context tokens back from any
  // position.
  return {{"name", name}, {"vocab", model.config().vocab}, {"context", kMaxTokens}, {"weights_digest", model.digest()}};
}

json::object reply(const Model& model, const std::string& name, const std::string& line, unsigned threads) {
  if (line.size() > kMaxLine) throw Refusal{"the request is too long"};
  json::error_code failed;
  const json::value request = json::parse(line, failed);
  if (failed) throw Refusal{"not JSON: " + failed.message()};
  const json::object* fields = request.if_object();
  const json::value* op = fields == nullptr ? nullptr : fields->if_contains("op");
  if (op == nullptr || !op->is_string()) throw Refusal{"expected an object with \"op\""};
  if (op->get_string() == "hello") return op_hello(model, name);
  if (op->get_string() == "generate") return op_generate(model, *fields, threads);
  if (op->get_string() == "score") return op_score(model, *fields);
  throw Refusal{"op: expected \"hello\", \"generate\" or \"score\""};
}

}  // namespace

std::string answer(const Model& model, const std::string& name, const std::string& line, unsigned threads) {
  try {
    return json::serialize(reply(model, name, line, threads));
  } catch (const Refusal& refusal) {
    return json::serialize(json::object{{"error", refusal.message}});
  } catch (const std::exception& failure) {  // Boost.JSON and memory
    return json::serialize(json::object{{"error", failure.what()}});
  }
}

void serve(const Model& model, const std::string& name, std::istream& in, std::ostream& out, unsigned threads) {
  std::string line;
  while (std::getline(in, line)) out << answer(model, name, line, threads) << '\n' << std::flush;
}

}  // namespace quickstart
