#include "endpoint.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <utility>

#include "completion_reply.hpp"
#include "http.hpp"
#include "json_writer.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
constexpr std::size_t kAtATime = 8, kPromptTokens = 8, kPairs = 2;
// Ids that are ordinary pieces of words in the vocabularies of today: above the bytes and marks at their beginning, below the end of the smallest.
constexpr TokenId kFirstId = 1000, kLastId = 8999;
constexpr std::array kWords = {"river", "seven", "music", "letter", "window", "market", "silver", "garden", "engine", "winter", "paper",  "ocean",  "bridge", "summer", "number", "island",
                               "forest", "train", "yellow", "doctor", "stone", "family", "corner", "travel", "coffee", "mirror", "voice", "planet", "simple", "circle", "harbor", "cotton"};

struct Prompt {
  std::vector<TokenId> ids;
  std::string words;
};

/// The ways to ask, in the order in which they are tried.
enum class Form : std::uint8_t { ids, words, llama };
Dialect dialect_of(Form form) { return form == Form::llama ? Dialect::llama : Dialect::openai; }

class Asker {
 public:
  Asker(const EndpointOptions& options, HttpUrl url, HttpClient client, std::size_t context) : options_(options), url_(std::move(url)), client_(std::move(client)), context_(context) {
    std::random_device random;  // others than last time: a cache of answers shows nothing of the server
    std::uniform_int_distribution<TokenId> id(kFirstId, kLastId);
    std::uniform_int_distribution<std::size_t> word(0, kWords.size() - 1);
    prompts_.resize(static_cast<std::size_t>(options.requests));
    for (Prompt& prompt : prompts_) {
      for (std::size_t i = 0; i < kPromptTokens; ++i) {
        prompt.ids.push_back(id(random));
        prompt.words += (i == 0 ? "" : " ") + std::string(kWords[word(random)]);
      }
    }
    for (std::size_t pair = 0; pair < kPairs; ++pair) prompts_[2 * pair + 1] = prompts_[2 * pair];
    out_.place = url_.text();
  }

  Result<EndpointAnswers> run() {
    Progress progress("endpoint");
    progress.update(0, prompts_.size());
    const auto form = first(progress);
    if (!form) return form.error();
    if (*form) {
      if (auto done = rest(**form, progress); !done) return done.error();
    }
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      const auto& one = answers_[2 * pair];
      const auto& other = answers_[2 * pair + 1];
      if (!one || !other || std::min(one->tokens.size(), other->tokens.size()) < EndpointAnswers::kTwinTokens) continue;
      ++out_.twins;
      if (one->tokens == other->tokens) ++out_.equal_twins;
    }
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (answers_[i]) keep(i, **form, *answers_[i]);
    }
    return std::move(out_);
  }

 private:
  HttpRequest request(std::size_t number, Form form) const {
    const Prompt& prompt = prompts_[number];
    JsonWriter json;
    json.begin_object().member("model", options_.model).key("prompt");
    if (form == Form::words) {
      json.text(prompt.words);
    } else {
      json.begin_list();
      for (const TokenId id : prompt.ids) json.whole(id);
      json.end_list();
    }
    json.member(form == Form::llama ? "n_predict" : "max_tokens", options_.tokens);
    // "Off" is 0 at llama-server, which takes no -1, and -1 at SGLang, which takes no 0.
    json.member("temperature", std::uint64_t{1}).member("top_p", std::uint64_t{1}).member("min_p", std::uint64_t{0}).key("top_k").raw(form == Form::llama ? "0" : "-1");
    json.member("stream", false).member("ignore_eos", true).member(form == Form::llama ? "return_tokens" : "return_token_ids", true);
    if (number < 2 * kPairs) json.member("seed", std::uint64_t{1});
    const std::string body = json.end_object().line();
    std::string root = url_.path;
    if (root.ends_with("/v1")) root.resize(root.size() - 3);
    return {root + (form == Form::llama ? "/completion" : "/v1/completions"), body};
  }

  std::string words_of(const HttpAnswer& answer) const {
    std::string words = "status " + std::to_string(answer.status);
    if (answer.status >= 300 && answer.status < 400) return words + ": a redirect, which is not followed";
    if (answer.status == 401 || answer.status == 403) words += ", the key (--api-key-fd) is missing or refused";
    if (answer.status == 404) words += ", no such model or path";
    if (answer.status == 429) words += ", asked too often";
    const std::string excerpt = client_.excerpt(complaint_of(answer.body));
    return excerpt.empty() ? words : words + "; the server says: " + excerpt;
  }

  /// What is wrong with an answer, or the tokens. An answer without token ids is a reply without tokens.
  Result<CompletionReply> reply_to(const Result<HttpAnswer>& answer, Form form) {
    if (!answer) return answer.error();
    if (answer->status != 200) return Error{ErrorCode::io, words_of(*answer)};
    ++out_.completions;
    return parse_completion(answer->body, dialect_of(form), static_cast<std::size_t>(options_.tokens));
  }

  /// Asks once, in each form until one gives token ids. Nothing: none does, and `failure` says why.
  Result<std::optional<Form>> first(Progress& progress) {
    bool answered = false;
    for (const Form form : {Form::ids, Form::words, Form::llama}) {
      if (form == Form::words && answered) continue;  // it did take the ids
      const HttpRequest asked[] = {request(0, form)};
      tell("POST " + asked[0].path + " to " + url_.authority());
      Result<CompletionReply> reply = CompletionReply();
      unsigned status = 0;
      const auto take = [&](std::size_t, Result<HttpAnswer>&& answer) {
        if (answer) status = answer->status;
        reply = reply_to(answer, form);
        return true;
      };
      if (auto done = client_.post(asked, 1, take, [&](std::size_t) { progress.update(0, prompts_.size()); }); !done) return done.error();
      if (reply && reply->has_tokens) {
        answers_.resize(prompts_.size());
        answers_[0] = *std::move(reply);
        out_.failure.clear();
        return std::optional(form);
      }
      if (reply) {
        answered = true;
        out_.failure = "it gives no token ids: vLLM and SGLang do for \"return_token_ids\", llama-server does at /completion for \"return_tokens\"; a gateway in between may drop them";
        continue;
      }
      if (out_.failure.empty()) out_.failure = reply.error().message;
      const bool other_form = status == 400 || status == 404 || status == 405 || status == 422;
      if (!other_form) break;
    }
    answers_.resize(prompts_.size());
    return std::optional<Form>();
  }

  Result<void> rest(Form form, Progress& progress) {
    std::vector<HttpRequest> requests;
    for (std::size_t i = 1; i < prompts_.size(); ++i) requests.push_back(request(i, form));
    const auto take = [&](std::size_t number, Result<HttpAnswer>&& answer) {
      auto reply = reply_to(answer, form);
      const bool good = reply && reply->has_tokens;
      if (good) answers_[number + 1] = *std::move(reply);
      else if (out_.failure.empty()) out_.failure = reply ? "an answer without token ids" : reply.error().message;
      return good;
    };
    return client_.post(requests, kAtATime, take, [&](std::size_t done) { progress.update(done + 1, prompts_.size()); });
  }

  /// The prompt's tokens are context: those that the server says, else those that it was given, else as many of the answer's own.
  void keep(std::size_t number, Form form, CompletionReply& reply) {
    TokenText text;
    out_.tokens += reply.tokens.size();
    if (reply.has_prompt) text.tokens = std::move(reply.prompt);
    else if (form != Form::words) text.tokens = prompts_[number].ids;
    text.prompt_tokens = text.tokens.empty() ? std::min(context_, reply.tokens.size()) : text.tokens.size();
    text.tokens.insert(text.tokens.end(), reply.tokens.begin(), reply.tokens.end());
    out_.texts.push_back(std::move(text));
  }

  const EndpointOptions& options_;
  HttpUrl url_;
  HttpClient client_;
  std::size_t context_;
  std::vector<Prompt> prompts_;
  std::vector<std::optional<CompletionReply>> answers_;
  EndpointAnswers out_;
};

/// Nothing of the key is in an error.
Result<std::optional<Passphrase>> read_key(std::uint64_t descriptor) {
  if (descriptor == EndpointOptions{}.key_fd) return std::optional<Passphrase>();
  auto key = Passphrase::read_fd(static_cast<int>(descriptor));
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!key || !std::all_of(key->expose_secret().begin(), key->expose_secret().end(), plain))
    return Error{ErrorCode::key, "--api-key-fd " + std::to_string(descriptor) + ": no line of 1 to 1024 ASCII characters without spaces can be read there"};
  return std::optional<Passphrase>(*std::move(key));
}
}  // namespace

Result<EndpointAnswers> ask_endpoint(const EndpointOptions& options, std::size_t context) {
  auto url = HttpUrl::parse(options.url);
  if (!url) return url.error().at("--endpoint");
  auto key = read_key(options.key_fd);
  if (!key) return key.error();
  if (*key && !url->tls && !url->is_here()) return Error{ErrorCode::usage, "--api-key-fd: http would show the key to everybody on the way; use https"};
  HttpClient::Options how;
  how.ca = options.ca;
  how.key = *std::move(key);
  how.answer = std::chrono::seconds(options.timeout);
  auto client = HttpClient::create(*url, std::move(how));
  if (!client) return client.error().at("--ca");
  return Asker(options, *std::move(url), *std::move(client), context).run();
}

}  // namespace heirmark::cli
