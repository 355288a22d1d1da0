// Files of lines (JSON Lines), read piece by piece, and the token files of specs/scoring.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>

namespace heirmark::json {

inline constexpr std::size_t kMaxLine = std::size_t{64} << 20;

/// Lines of a file or of standard input ("-"). The last line may lack its line feed; empty lines are allowed at the end only. A
/// carriage return before the line feed is dropped. Where a signal or the next piece of the file interrupts the work `stop` is asked, if
/// there is one; true ends it with `stopped`.
class LineReader {
 public:
  [[nodiscard]] static Result<LineReader> open(const std::filesystem::path& path, std::size_t max_line = kMaxLine, std::function<bool()> stop = {});
  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  /// The next line without its end, valid until the next call; nothing at the end of the file.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  /// Number of the line that next() returned, from 1.
  [[nodiscard]] std::uint64_t number() const noexcept;
  /// "FILE:NUMBER", to put before an error about this line.
  [[nodiscard]] std::string where() const;

 private:
  struct State;
  explicit LineReader(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// A line of a token file. Other members are checked as JSON and then dropped.
struct TokenLine {
  std::vector<std::uint32_t> tokens;
  std::uint64_t prompt_tokens = 0;  ///< at most tokens.size()
};

/// Parses one line: an object with `tokens` (integers from 0 to `max_token`) and, if it likes, `prompt_tokens`. The members that
/// are dropped may hold fractions. `into` keeps its memory from line to line.
[[nodiscard]] Result<void> parse_token_line(std::string_view line, std::uint32_t max_token, TokenLine& into);

}  // namespace heirmark::json
