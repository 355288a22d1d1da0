#include "endpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/json/src.hpp>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

constexpr std::size_t kAtOnce = 8, kMostBody = std::size_t{16} << 20, kExcerpt = 160;
constexpr std::uint32_t kMostHeader = 64u << 10;
constexpr auto kConnect = std::chrono::seconds(20);

struct Address {
  bool tls = false;
  std::string host, port, path;  ///< path without a slash at its end
  [[nodiscard]] std::string authority() const { return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port; }
  [[nodiscard]] bool here() const { return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0; }
};

Result<Address> parse(const std::string& url) {
  const auto bad = [](const std::string& what) { return Error{ErrorCode::usage, "--endpoint: " + what}; };
  if (std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c > '~'; })) return bad("a space, or no ASCII");
  Address out;
  std::size_t at = 0;
  if (url.rfind("http://", 0) == 0) at = 7;
  else if (url.rfind("https://", 0) == 0) out.tls = true, at = 8;
  else return bad("expected http:// or https://");
  if (url.find_first_of("?#") != std::string::npos) return bad("a query or fragment has no place here");
  const std::size_t slash = std::min(url.find('/', at), url.size());
  std::string authority = url.substr(at, slash - at);
  if (authority.find('@') != std::string::npos) return bad("a name or password has no place here: use --api-key-fd");
  out.path = url.substr(slash);
  while (!out.path.empty() && out.path.back() == '/') out.path.pop_back();
  std::size_t end = 0;
  if (!authority.empty() && authority[0] == '[') {
    end = authority.find(']');
    if (end == std::string::npos) return bad("a \"[\" that is not closed");
    out.host = authority.substr(1, end - 1);
    ++end;
  } else {
    end = std::min(authority.find(':'), authority.size());
    out.host = authority.substr(0, end);
  }
  if (out.host.empty()) return bad("no host");
  out.port = out.tls ? "443" : "80";
  if (end < authority.size()) {
    out.port = authority.substr(end + 1);
    if (authority[end] != ':' || out.port.empty() || out.port.size() > 5 || out.port.find_first_not_of("0123456789") != std::string::npos || std::stoul(out.port) == 0 || std::stoul(out.port) > 65535)
      return bad("the port is from 1 to 65535");
  }
  return out;
}

/// The server's own words, cut, on one line; never raw on a terminal.
std::string excerpt(const std::string& body) {
  std::string out = body.substr(0, kExcerpt);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return printable(out) + (body.size() > kExcerpt ? " .." : "");
}

/// Thrown inside the coroutines, turned into a Result at the edge.
struct Refused {
  Error error;
};
[[noreturn]] void refuse(ErrorCode code, std::string what) { throw Refused{{code, std::move(what)}}; }

std::string body_of(const Endpoint& endpoint, const Question& question) {
  json::array prompt;
  for (const TokenId token : question.prompt) prompt.push_back(std::uint64_t{token});
  // return_token_ids is vLLM's, return_tokens and verbose are llama-server's; each leaves the others' alone.
  return json::serialize(json::object{{"model", endpoint.model}, {"prompt", prompt}, {"max_tokens", std::uint64_t{question.tokens}}, {"temperature", 1.0}, {"top_p", 1.0}, {"top_k", 0}, {"min_p", 0.0},
                                      {"seed", std::uint64_t{question.seed}}, {"ignore_eos", true}, {"stream", false}, {"return_token_ids", true}, {"return_tokens", true}, {"verbose", true}});
}

std::vector<TokenId> ids_of(const json::value& value, const char* what) {
  const json::array* list = value.if_array();
  if (list == nullptr) refuse(ErrorCode::bad_input, std::string("the answer's ") + what + " is no list");
  std::vector<TokenId> out;
  out.reserve(list->size());
  for (const json::value& entry : *list) {
    boost::system::error_code error;
    const auto id = entry.is_double() ? std::uint64_t{kMaxVocab} : entry.to_number<std::uint64_t>(error);
    if (error || id >= kMaxVocab) refuse(ErrorCode::bad_input, std::string("the answer's ") + what + " has an entry that is no token id");
    out.push_back(static_cast<TokenId>(id));
  }
  return out;
}

Answer answer_of(const std::string& body, const Question& question) {
  boost::system::error_code error;
  json::parse_options strict;
  strict.max_depth = 32;
  const json::value root = json::parse(body, error, {}, strict);
  if (error) refuse(ErrorCode::bad_input, "the answer is no JSON (" + error.message() + "): " + excerpt(body));
  const json::object* members = root.if_object();
  const json::value* choices = members != nullptr ? members->if_contains("choices") : nullptr;
  const json::array* list = choices != nullptr ? choices->if_array() : nullptr;
  const json::object* choice = list != nullptr && !list->empty() ? list->front().if_object() : nullptr;
  if (choice == nullptr) refuse(ErrorCode::bad_input, "the answer has no choices: " + excerpt(body));
  Answer out;
  out.prompt = question.prompt;
  if (const json::value* ids = choice->if_contains("token_ids"); ids != nullptr && !ids->is_null()) {
    out.tokens = ids_of(*ids, "token_ids");
    if (const json::value* prompt = choice->if_contains("prompt_token_ids"); prompt != nullptr && !prompt->is_null()) out.prompt = ids_of(*prompt, "prompt_token_ids");
  } else {
    const json::value* verbose = members->if_contains("__verbose");
    const json::value* tokens = verbose != nullptr && verbose->is_object() ? verbose->get_object().if_contains("tokens") : nullptr;
    if (tokens == nullptr) refuse(ErrorCode::bad_input, "the server does not say which tokens it made: vLLM does where it knows return_token_ids, llama-server return_tokens; else keep token ids yourself and use --text");
    out.tokens = ids_of(*tokens, "tokens");
  }
  if (out.tokens.size() > question.tokens) refuse(ErrorCode::bad_input, "the answer has " + grouped(out.tokens.size()) + " tokens, and " + grouped(question.tokens) + " were asked for");
  if (out.prompt.size() > kMaxVocab) refuse(ErrorCode::bad_input, "the answer's prompt is too long");
  return out;
}

class Client {
 public:
  Client(const Endpoint& endpoint, Address address, std::span<const Question> questions) : endpoint_(endpoint), address_(std::move(address)), questions_(questions), answers_(questions.size()) {
    if (!address_.tls) return;
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    tls_.set_verify_mode(asio::ssl::verify_peer);
    boost::system::error_code error;
    if (endpoint_.ca.empty()) tls_.set_default_verify_paths(error);
    else tls_.load_verify_file(endpoint_.ca, error);
    if (error) refuse(ErrorCode::bad_input, "--ca " + endpoint_.ca + ": " + error.message());
  }

  std::vector<Answer> run(const std::function<bool(std::uint64_t)>& progress) {
    for (std::size_t i = 0; i < std::min(kAtOnce, questions_.size()); ++i) asio::co_spawn(io_, work(), [this](const std::exception_ptr& failed) {
      if (failed && !failed_) failed_ = failed;
      if (failed) io_.stop();
    });
    while (!io_.stopped()) {
      io_.run_for(std::chrono::milliseconds(100));
      if (failed_) std::rethrow_exception(failed_);
      if (!progress(done_)) refuse(ErrorCode::stopped, "stopped");
    }
    return std::move(answers_);
  }

 private:
  asio::awaitable<void> work() {
    while (next_ < questions_.size()) {
      const std::size_t mine = next_++;
      const http::response<http::string_body> answer = co_await exchange(body_of(endpoint_, questions_[mine]));
      if (answer.result_int() >= 300 && answer.result_int() < 400) refuse(ErrorCode::io, address_.authority() + ": redirects (" + std::to_string(answer.result_int()) + "), and none is followed");
      if (answer.result() != http::status::ok)
        refuse(ErrorCode::io, address_.authority() + ": " + std::to_string(answer.result_int()) + " " + printable(std::string(http::obsolete_reason(answer.result()))) + ": " + excerpt(answer.body()));
      answers_[mine] = answer_of(answer.body(), questions_[mine]);
      ++done_;
    }
  }

  asio::awaitable<http::response<http::string_body>> exchange(std::string body) {
    http::request<http::string_body> request{http::verb::post, address_.path + "/completions", 11};
    request.set(http::field::host, address_.authority());
    request.set(http::field::user_agent, "heirmark-doctor");
    request.set(http::field::content_type, "application/json");
    if (!endpoint_.api_key.empty()) request.set(http::field::authorization, "Bearer " + endpoint_.api_key);
    request.body() = std::move(body);
    request.prepare_payload();
    request.keep_alive(false);
    const char* doing = "cannot be found";
    try {
      asio::ip::tcp::resolver resolver(io_);
      const auto places = co_await resolver.async_resolve(address_.host, address_.port, asio::use_awaitable);
      doing = "cannot connect";
      beast::tcp_stream plain(io_);
      plain.expires_after(kConnect);
      co_await plain.async_connect(places, asio::use_awaitable);
      if (!address_.tls) {
        doing = "no HTTP answer";
        co_return co_await over(plain, plain, request);
      }
      doing = "no TLS";
      beast::ssl_stream<beast::tcp_stream> stream(std::move(plain), tls_);
      boost::system::error_code no_address;
      asio::ip::make_address(address_.host, no_address);
      // SSL_set_tlsext_host_name without its old-style cast; an address is not sent.
      if (no_address && SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(address_.host.c_str())) != 1) refuse(ErrorCode::io, address_.authority() + ": no TLS: the host's name cannot be sent");
      stream.set_verify_callback(asio::ssl::host_name_verification(address_.host));
      co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
      doing = "no HTTP answer";
      co_return co_await over(stream, beast::get_lowest_layer(stream), request);
    } catch (const boost::system::system_error& error) {
      if (error.code() == beast::error::timeout)
        refuse(ErrorCode::io, address_.authority() + ": no answer in time (" + std::to_string(std::string_view(doing) == "no HTTP answer" ? endpoint_.timeout.count() : kConnect.count()) + " s)");
      if (error.code() == http::error::body_limit || error.code() == http::error::header_limit) refuse(ErrorCode::bad_input, address_.authority() + ": the answer is too long");
      refuse(ErrorCode::io, address_.authority() + ": " + doing + ": " + printable(error.code().message()));
    }
  }

  template <class Stream>
  asio::awaitable<http::response<http::string_body>> over(Stream& stream, beast::tcp_stream& lowest, http::request<http::string_body>& request) {
    lowest.expires_after(endpoint_.timeout);
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer(kMostHeader + kMostBody);
    http::response_parser<http::string_body> parser;
    parser.header_limit(kMostHeader);
    parser.body_limit(kMostBody);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    co_return parser.release();
  }

  const Endpoint& endpoint_;
  const Address address_;
  const std::span<const Question> questions_;
  std::vector<Answer> answers_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
  std::exception_ptr failed_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  asio::io_context io_{1};  // last: what waits in it, and refers to the rest, goes first
};
}  // namespace

Result<std::vector<Answer>> ask(const Endpoint& endpoint, std::span<const Question> questions, const std::function<bool(std::uint64_t)>& progress) {
  const auto address = parse(endpoint.url);
  if (!address) return address.error();
  if (!endpoint.api_key.empty() && !address->tls && !address->here()) return Error{ErrorCode::usage, "--api-key-fd: over http the key would be everybody's: use https"};
  try {
    return Client(endpoint, *address, questions).run(progress);
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const boost::system::system_error& error) {
    return Error{ErrorCode::io, address->authority() + ": " + printable(error.code().message())};
  }
}

Result<std::string> read_api_key(int descriptor) {
  constexpr std::size_t kLongest = 4096;
  const auto bad = [descriptor](const std::string& what) { return Error{ErrorCode::key, "--api-key-fd " + std::to_string(descriptor) + ": " + what}; };
  std::string key;
  key.reserve(kLongest + 1);
  for (;;) {
    char c = 0;
    const ssize_t got = ::read(descriptor, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return bad("cannot be read");
    if (got == 0 || c == '\n') break;
    if (key.size() == kLongest) return bad("longer than 4096 bytes");
    key += c;
  }
  if (!key.empty() && key.back() == '\r') key.pop_back();
  if (key.empty()) return bad("empty");
  if (std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; })) return bad("a space, or no ASCII");
  return key;
}

}  // namespace heirmark::cli
