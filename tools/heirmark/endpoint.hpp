// Asks a running inference server for completions, as its customers do, and keeps the tokens.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>

namespace heirmark::cli {

struct EndpointOptions {
  std::string url, model, ca;
  std::uint64_t key_fd = std::numeric_limits<std::uint64_t>::max();  ///< the default sends no key
  std::uint64_t requests = 32, tokens = 128, timeout = 300;
};

/// What came of it. An answer that could be read is a text, its prompt first.
struct EndpointAnswers {
  std::vector<TokenText> texts;
  std::uint64_t tokens = 0;     ///< of the answers alone
  std::uint64_t completions = 0;  ///< that the server gave out, also those without token ids and those that could not be read
  std::string failure;          ///< the first request that failed; empty when none did
  std::string place;            ///< the URL that was asked
  /// The first four requests are two pairs with the same prompt and the same seed: how many pairs were long enough to compare, and how many of them were equal.
  std::uint64_t twins = 0, equal_twins = 0;
  static constexpr std::size_t kTwinTokens = 30;
};

/// An error is about the command: a URL, key or file of certificates that makes no sense, or `stopped`. `context`: how many tokens before a token the mark looks at.
[[nodiscard]] Result<EndpointAnswers> ask_endpoint(const EndpointOptions& options, std::size_t context);

}  // namespace heirmark::cli
