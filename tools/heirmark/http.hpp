// POST to one server, several requests at a time, over HTTP/1.1 with or without TLS. What answers may be hostile: sizes and times are bounded, and of its
// words only a short piece in plain ASCII is ever shown. Only http.cpp sees Boost.Beast and OpenSSL (specs/decisions/0012).
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <heirmark/keys.hpp>
#include <heirmark/result.hpp>

namespace heirmark::cli {

/// http://HOST[:PORT][/PATH] or https://.
struct HttpUrl {
  bool tls = false;
  std::string host;  ///< a name or an address; an IPv6 address without its brackets
  std::string port;
  std::string path;  ///< "" or "/a/b", without a slash at its end
  /// `usage` for anything else: other schemes, a user or password, a query, a fragment.
  [[nodiscard]] static Result<HttpUrl> parse(std::string_view text);
  [[nodiscard]] std::string authority() const;  ///< "host:port", without the scheme's own port
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_here() const;           ///< names this machine, whatever a name server says
};

struct HttpRequest {
  std::string path;  ///< from the server's root, with its slash
  std::string body;
  std::string type = "application/json", accept = "application/json";
};
struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

class HttpClient {
 public:
  static constexpr std::size_t kMaxHeader = std::size_t{16} << 10, kMaxBody = std::size_t{4} << 20;
  static constexpr int kMaxInterim = 8;  ///< answers of status 1xx, with a header each, that may come before the one
  static constexpr std::chrono::seconds kConnect{10};  ///< for the name, for the connection, and for TLS

  struct Options {
    std::string ca;                        ///< certificates (PEM) that are trusted in place of the system's; empty: the system's
    std::optional<Passphrase> key;         ///< sent as "Authorization: Bearer"
    std::chrono::seconds answer{300};      ///< for a whole answer, however slowly it drips
  };
  /// `bad_input`, `key`: the file of certificates.
  [[nodiscard]] static Result<HttpClient> create(HttpUrl url, Options options);
  HttpClient(HttpClient&&) noexcept;
  ~HttpClient();

  /// Hands each answer over as it comes, with its request's number, or why there is none (`io`); once `take` has said false, no request is begun any more. Each has a
  /// connection of its own, and no redirect is followed. `tick` is told 10 times a second how many are done. The only error is `stopped`.
  using Take = std::function<bool(std::size_t, Result<HttpAnswer>&&)>;
  [[nodiscard]] Result<void> post(std::span<const HttpRequest> requests, std::size_t at_a_time, const Take& take, const std::function<void(std::size_t)>& tick) const;

  /// Words of the server for a person: plain ASCII, at most 120 bytes, without the key if it is repeated there.
  [[nodiscard]] std::string excerpt(std::string_view words) const;

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace heirmark::cli
