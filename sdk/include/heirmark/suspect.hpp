// Access to a suspect: generate texts, score contexts (specs/formats.md, "Suspect protocol").
//
//   auto suspect = heirmark::ProcessSuspect::start({"./student", "model.bin"}).value();
//   auto hello = suspect->hello().value();                           // name, vocabulary, context length
//   auto texts = suspect->generate({{{1, 2, 3}, 100, 7}}, 1000);     // one text of up to 100 tokens at temperature 1
//
// A suspect is not trusted: every reply is checked before a caller sees it.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

/// The contents of suspect.json.
struct SuspectInfo {
  std::string name;
  std::uint32_t vocab = 0;
  std::vector<std::string> command;  ///< program and arguments; no shell sees them
  std::string released;              ///< date, or ""
  std::string weights;               ///< SHA-256 of the weights in hex, or ""
  [[nodiscard]] static Result<SuspectInfo> parse(std::string_view bytes);
  [[nodiscard]] std::string bytes() const;  ///< canonical
};

/// What a suspect says about itself.
struct SuspectHello {
  std::string name;
  std::uint32_t vocab = 0;
  std::uint64_t context = 0;   ///< longest sequence of tokens it can read
  std::string weights_digest;  ///< hex, or ""
};

struct GenerateRequest {
  std::vector<TokenId> prompt;
  std::uint32_t tokens = 0;   ///< at most so many are wanted
  std::uint64_t seed = 0;     ///< below 2^48
};

/// Asks for the distribution at each position from..tokens.size()-1, given the tokens before it.
struct ScoreRequest {
  std::vector<TokenId> tokens;
  std::uint32_t from = 0;
  std::uint32_t top = 0;      ///< how many of the most likely tokens, 0 for none
  std::uint32_t samples = 0;  ///< how many tokens to draw at temperature 1, 0 for none
  std::uint64_t seed = 0;
};
/// nlp = round(-10^6 ln q), q the suspect's probability.
struct ScoredToken {
  TokenId token = 0;
  std::uint32_t nlp = 0;
  friend bool operator==(const ScoredToken&, const ScoredToken&) = default;
};
struct ScoredPosition {
  std::vector<ScoredToken> top;  ///< most likely first, no token twice
  std::vector<TokenId> samples;
  friend bool operator==(const ScoredPosition&, const ScoredPosition&) = default;
};

/// A suspect. The public calls check what was asked and what came back; an implementation fills in the three do_ calls.
/// Not thread-safe.
class Suspect {
 public:
  virtual ~Suspect() = default;
  Suspect(const Suspect&) = delete;
  Suspect& operator=(const Suspect&) = delete;

  /// Asked once; the answer is kept, later calls return it.
  [[nodiscard]] Result<SuspectHello> hello();
  /// One token list for each request, each no longer than asked for.
  [[nodiscard]] Result<std::vector<std::vector<TokenId>>> generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli);
  /// One entry for each position: exactly `samples` samples and 1..top listed tokens (none when top is 0).
  [[nodiscard]] Result<std::vector<ScoredPosition>> score(const ScoreRequest& request);

 protected:
  Suspect() = default;
  virtual Result<SuspectHello> do_hello() = 0;
  virtual Result<std::vector<std::vector<TokenId>>> do_generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) = 0;
  virtual Result<std::vector<ScoredPosition>> do_score(const ScoreRequest& request) = 0;

 private:
  std::unique_ptr<SuspectHello> hello_;
};

/// A program that speaks the suspect protocol on its standard input and output. Its standard error is read and its last
/// line told when it dies. It inherits no other descriptor. The destructor ends the program (and its process group) and waits for it.
class ProcessSuspect final : public Suspect {
 public:
  struct Options {
    std::chrono::milliseconds hello_timeout{600'000};  ///< loading a model takes time
    std::chrono::milliseconds reply_timeout{600'000};  ///< for each request
    std::size_t max_line = std::size_t{1} << 28;       ///< longest accepted reply in bytes
    std::filesystem::path directory;                   ///< where the program runs; empty: where we run
    std::function<bool()> stop;                        ///< asked ten times a second; true ends with ErrorCode::stopped
  };
  [[nodiscard]] static Result<std::unique_ptr<ProcessSuspect>> start(const std::vector<std::string>& command, Options options);
  [[nodiscard]] static Result<std::unique_ptr<ProcessSuspect>> start(const std::vector<std::string>& command) { return start(command, Options{}); }
  ~ProcessSuspect() override;

 private:
  struct Process;
  explicit ProcessSuspect(std::unique_ptr<Process> process) noexcept;
  Result<SuspectHello> do_hello() override;
  Result<std::vector<std::vector<TokenId>>> do_generate(std::span<const GenerateRequest> batch, std::uint32_t temperature_milli) override;
  Result<std::vector<ScoredPosition>> do_score(const ScoreRequest& request) override;
  std::unique_ptr<Process> process_;
};

}  // namespace heirmark
