#include "http.hpp"

#include <netdb.h>
#include <string.h>  // explicit_bzero
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <openssl/x509v3.h>

#include "files.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using tcp = asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kTick{100};  ///< how late a signal is noticed

Error failed(std::string what) { return {ErrorCode::io, std::move(what)}; }

std::string seconds(std::chrono::seconds time) { return std::to_string(time.count()) + " s"; }

/// A request's bytes, with the key in them: wiped.
class Bytes {
 public:
  explicit Bytes(std::size_t size) { text_.reserve(size); }  // no reallocation leaves a copy behind
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() { explicit_bzero(text_.data(), text_.size()); }
  Bytes& operator<<(std::string_view part) { return text_.append(part), *this; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// getaddrinfo cannot be interrupted. It runs in a thread that is left behind when nobody waits for it any more, so that a signal works at once.
struct Lookup {
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  int error = 0;
  std::vector<tcp::endpoint> found;
};

Result<std::vector<tcp::endpoint>> look_up(const HttpUrl& url) {
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, host = url.host, port = url.port] {
    addrinfo hints{}, *list = nullptr;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
    const std::lock_guard lock(lookup->mutex);
    for (const addrinfo* entry = list; error == 0 && entry != nullptr; entry = entry->ai_next) {
      tcp::endpoint endpoint;
      if (entry->ai_addrlen > endpoint.capacity()) continue;
      std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
      endpoint.resize(entry->ai_addrlen);
      lookup->found.push_back(endpoint);
    }
    if (error == 0) ::freeaddrinfo(list);
    lookup->error = error;
    lookup->done = true;
    lookup->ready.notify_all();
  }).detach();
  const auto until = std::chrono::steady_clock::now() + HttpClient::kConnect;
  std::unique_lock lock(lookup->mutex);
  while (!lookup->ready.wait_for(lock, kTick, [&] { return lookup->done; })) {
    if (interrupted()) return stopped_error("the same command starts again");
    if (std::chrono::steady_clock::now() > until) return failed("no answer within " + seconds(HttpClient::kConnect) + " about where " + url.host + " is");
  }
  if (lookup->error != 0) return failed(url.host + ": " + ::gai_strerror(lookup->error));
  if (lookup->found.empty()) return failed(url.host + ": no address");
  return std::move(lookup->found);
}

Error connect_error(const error_code& error) {
  if (error == beast::error::timeout) return failed("no connection within " + seconds(HttpClient::kConnect));
  return failed(error.message());
}

Error tls_error(const error_code& error, SSL* connection) {
  if (error == beast::error::timeout) return failed("TLS: no agreement within " + seconds(HttpClient::kConnect));
  if (const long verdict = ::SSL_get_verify_result(connection); verdict != X509_V_OK) return failed(std::string("TLS: the server's certificate is refused: ") + ::X509_verify_cert_error_string(verdict));
  return failed("TLS: " + error.message());
}

Error answer_error(const error_code& error, std::chrono::seconds time) {
  if (error == beast::error::timeout) return failed("no whole answer within " + seconds(time));
  if (error == http::error::body_limit || error == http::error::buffer_overflow) return failed("an answer of more than " + grouped(HttpClient::kMaxBody >> 20) + " MiB");
  if (error == http::error::header_limit) return failed("an answer whose header is longer than " + grouped(HttpClient::kMaxHeader >> 10) + " KiB");
  if (error == http::error::end_of_stream || error == asio::error::eof) return failed("the connection was closed without an answer");
  if (error == http::error::partial_message || error == ssl::error::stream_truncated) return failed("the connection was closed in the middle of an answer");
  if (error.category() == http::make_error_code(http::error::bad_version).category()) return failed("no HTTP answer (" + error.message() + ")");
  return failed(error.message());
}

/// Writes a request to a stream that is connected, and reads the whole answer.
template <class Stream>
asio::awaitable<Result<HttpAnswer>> talk(Stream& stream, const Bytes& request, std::chrono::seconds time) {
  beast::get_lowest_layer(stream).expires_after(time);
  const auto [write_error, written] = co_await asio::async_write(stream, asio::buffer(request.text()), kAwait);
  static_cast<void>(written);
  if (write_error) co_return answer_error(write_error, time);
  beast::flat_buffer buffer(std::size_t{128} << 10);
  for (int interim = 0; interim <= HttpClient::kMaxInterim; ++interim) {
    http::response_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(HttpClient::kMaxHeader));
    parser.body_limit(HttpClient::kMaxBody);
    const auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kAwait);
    static_cast<void>(read);
    if (read_error) co_return answer_error(read_error, time);
    const unsigned status = parser.get().result_int();
    if (status == 101) co_return failed("the server goes over to another protocol (status 101), which nobody asked for");
    if (status / 100 != 1) co_return HttpAnswer{status, std::move(parser.get().body())};
    // 100, 102, 103: nothing but a header, and the answer is still to come (RFC 9110, 15.2).
  }
  co_return failed("more than " + std::to_string(HttpClient::kMaxInterim) + " interim answers (status 1xx) and no other");
}

/// SSL_set_tlsext_host_name, which is a macro with a cast of its own.
bool name_sent(SSL* connection, const std::string& host) {
  return ::SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str())) == 1;
}

bool is_address(const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  return !error;
}
}  // namespace

Result<HttpUrl> HttpUrl::parse(std::string_view text) {
  const auto bad = [](const char* what) { return Error{ErrorCode::usage, std::string("not a URL that can be asked: ") + what}; };
  HttpUrl url;
  if (text.starts_with("https://")) url.tls = true;
  else if (!text.starts_with("http://")) return bad("expected http:// or https://");
  text.remove_prefix(url.tls ? 8 : 7);
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f) return bad("a character that needs to be escaped");
  }
  if (text.find_first_of("?#") != std::string_view::npos) return bad("a query or fragment");
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view place = text.substr(0, slash);
  url.path = text.substr(slash);
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  if (place.find('@') != std::string_view::npos) return bad("a user or password, which everybody would see");
  const bool bracket = place.starts_with('[');
  const std::size_t end = bracket ? place.find(']') : std::min(place.find(':'), place.size());
  if (end == std::string_view::npos) return bad("no end of the address");
  url.host = place.substr(bracket ? 1 : 0, end - (bracket ? 1 : 0));
  place.remove_prefix(end + (bracket ? 1 : 0));
  if (url.host.empty() || url.host.size() > 253 || (bracket && !is_address(url.host))) return bad("no host");
  if (!bracket && url.host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != std::string::npos) return bad("no host");
  url.port = url.tls ? "443" : "80";
  if (place.empty()) return url;
  if (place.front() != ':') return bad("no port after the address");
  place.remove_prefix(1);
  unsigned number = 0;
  for (const char c : place) number = c < '0' || c > '9' || number > 65535 ? 65536 : number * 10 + static_cast<unsigned>(c - '0');
  if (number == 0 || number > 65535) return bad("a port is 1 to 65535");
  url.port = std::to_string(number);
  return url;
}

std::string HttpUrl::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? "443" : "80") ? name : name + ":" + port;
}

bool HttpUrl::is_here() const {
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return error ? host == "localhost" : address.is_loopback();
}

std::string HttpUrl::text() const { return (tls ? "https://" : "http://") + authority() + path; }

struct HttpClient::Impl {
  Impl(HttpUrl to, Options how) : url(std::move(to)), options(std::move(how)), tls(ssl::context::tls_client) {}

  asio::awaitable<Result<HttpAnswer>> exchange(asio::io_context& io, const HttpRequest& request) {
    const std::string length = std::to_string(request.body.size());
    const std::string_view key = options.key ? options.key->expose_secret() : std::string_view();
    Bytes bytes(512 + request.path.size() + url.host.size() + key.size() + request.body.size());
    bytes << "POST " << request.path << " HTTP/1.1\r\nHost: " << url.authority() << "\r\nUser-Agent: heirmark/" HEIRMARK_VERSION "\r\nAccept: " << request.accept << "\r\n"
          << "Connection: close\r\nContent-Type: " << request.type << "\r\nContent-Length: " << length << "\r\n";
    if (!key.empty()) bytes << "Authorization: Bearer " << key << "\r\n";
    bytes << "\r\n" << request.body;
    if (!url.tls) {
      beast::tcp_stream stream(io);
      stream.expires_after(kConnect);
      const auto [error, place] = co_await stream.async_connect(*places, kAwait);
      static_cast<void>(place);
      if (error) co_return connect_error(error);
      co_return co_await talk(stream, bytes, options.answer);
    }
    beast::ssl_stream<beast::tcp_stream> stream(io, tls);
    SSL* const connection = stream.native_handle();
    X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(connection);
    ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool address = is_address(url.host);
    const int set = address ? ::X509_VERIFY_PARAM_set1_ip_asc(wanted, url.host.c_str()) : ::SSL_set1_host(connection, url.host.c_str());
    if (set != 1 || (!address && !name_sent(connection, url.host))) co_return failed("TLS: cannot ask for the name " + url.host);
    beast::get_lowest_layer(stream).expires_after(kConnect);
    const auto [error, place] = co_await beast::get_lowest_layer(stream).async_connect(*places, kAwait);
    static_cast<void>(place);
    if (error) co_return connect_error(error);
    beast::get_lowest_layer(stream).expires_after(kConnect);
    const auto [refused] = co_await stream.async_handshake(ssl::stream_base::client, kAwait);
    if (refused) co_return tls_error(refused, connection);
    co_return co_await talk(stream, bytes, options.answer);
  }

  HttpUrl url;
  Options options;
  ssl::context tls;
  std::optional<std::vector<tcp::endpoint>> places;
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::create(HttpUrl url, Options options) {
  auto impl = std::make_unique<Impl>(std::move(url), std::move(options));
  if (!impl->url.tls) return HttpClient(std::move(impl));
  error_code error;
  impl->tls.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  impl->tls.set_verify_mode(ssl::verify_peer);
  if (impl->options.ca.empty()) {
    impl->tls.set_default_verify_paths(error);
    if (error) return Error{ErrorCode::io, "the system's certificates: " + error.message()};
  } else {
    const auto pem = read_file(impl->options.ca);
    if (!pem) return pem.error();
    impl->tls.add_certificate_authority(asio::buffer(*pem), error);
    if (error) return Error{ErrorCode::bad_input, input_name(impl->options.ca) + ": no certificate (PEM) in it"};
  }
  return HttpClient(std::move(impl));
}

Result<void> HttpClient::post(std::span<const HttpRequest> requests, std::size_t at_a_time, const Take& take, const std::function<void(std::size_t)>& tick) const {
  if (requests.empty()) return {};
  if (!impl_->places) {
    auto places = look_up(impl_->url);
    if (!places && places.error().code == ErrorCode::stopped) return places.error();
    if (!places) return take(0, places.error()), Result<void>();
    impl_->places.emplace(*std::move(places));
  }
  std::size_t next = 0, done = 0;
  bool bad = false;
  asio::io_context io(1);  // goes first, with every request that is still under way
  const auto worker = [&]() -> asio::awaitable<void> {
    while (next < requests.size() && !bad) {
      const std::size_t mine = next++;
      auto answer = co_await impl_->exchange(io, requests[mine]);
      ++done;
      if (!take(mine, std::move(answer))) bad = true;
    }
  };
  for (std::size_t i = 0; i < std::min(at_a_time, requests.size()); ++i) {
    asio::co_spawn(io, worker, [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
  }
  while (!io.stopped()) {
    io.run_for(kTick);
    if (interrupted()) return stopped_error("the same command starts again");
    tick(done);
  }
  return {};
}

std::string HttpClient::excerpt(std::string_view words) const {
  constexpr std::size_t kLongest = 120;
  std::string text(words);
  if (impl_->options.key) {
    const std::string_view key = impl_->options.key->expose_secret();
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 5)) text.replace(at, key.size(), "[key]");
  }
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    else if (c < 0x20 || c > 0x7e) c = '?';
  }
  if (text.size() > kLongest) text.resize(kLongest - 3), text += "...";
  return text;
}

}  // namespace heirmark::cli
