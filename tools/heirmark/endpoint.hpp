// A running inference server, asked over the completions call of OpenAI's HTTP interface. What it answers is treated as hostile.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark::cli {

struct Endpoint {
  std::string url;      ///< http or https, without user, query or fragment; what is asked is URL/completions
  std::string model;
  std::string api_key;  ///< sent as a bearer token; only over https or to this machine
  std::string ca;       ///< PEM file of the authorities to trust; empty: the system's
  std::chrono::seconds timeout{300};  ///< for one answer, from first to last byte
};

struct Question {
  std::vector<TokenId> prompt;
  std::uint32_t tokens;  ///< that it asks for, at temperature 1 and without truncation
  std::uint32_t seed;
};

struct Answer {
  std::vector<TokenId> prompt, tokens;
};

/// Asks all questions, eight at a time, and returns the answers in their order. `progress` is told how many have come, several times a second; false stops (ErrorCode::stopped).
/// The first failure ends it: `usage` for an address that is none, `io` for a server that cannot be reached or refuses, `bad_input` for an answer that cannot be used.
[[nodiscard]] Result<std::vector<Answer>> ask(const Endpoint& endpoint, std::span<const Question> questions, const std::function<bool(std::uint64_t)>& progress);

/// The first line of a descriptor, of visible ASCII characters. `key` if there is none.
[[nodiscard]] Result<std::string> read_api_key(int descriptor);

}  // namespace heirmark::cli
