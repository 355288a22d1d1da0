// What stands between the commands and the person or program that called: standard output, terminal, signals, clock.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

namespace heirmark::cli {

/// Options that every command has; filled by the parser.
struct Globals {
  bool verbose = false;
  bool quiet = false;  ///< no bars, no notes
};
[[nodiscard]] Globals& globals() noexcept;

/// Standard output, kept back until flush() or until much has come together. A reader that went away ends the process as SIGPIPE
/// would; another failure is remembered and told by flush().
void print(std::string_view text);
[[nodiscard]] Result<void> flush_output();

/// One line on standard error: what was made or written, unless --quiet; what is being done, with --verbose; an error, always,
/// with "heirmark: " before it.
void inform(const std::string& line);
void tell(const std::string& line);
void complain(const std::string& line);

/// SIGINT and SIGTERM set a flag, a second one ends the process. SIGPIPE is an error of write().
void handle_signals() noexcept;
[[nodiscard]] bool interrupted() noexcept;

/// Colours for standard output: only a terminal gets them, and NO_COLOR is respected.
enum class Style : std::uint8_t { good, bad, unsure, bold };
[[nodiscard]] std::string styled(Style style, std::string_view text);

/// Words that came from a file or a person, safe for a terminal: control characters are shown as "?".
[[nodiscard]] std::string printable(std::string_view text);

/// "YYYY-MM-DDThh:mm:ssZ" now, or so many seconds ago (below 0: to come).
[[nodiscard]] std::string now(std::int64_t seconds_ago = 0);
/// 1234567 -> "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);
[[nodiscard]] std::string fixed(double value, int decimals);

/// A bar with the time that is left, on standard error and on a terminal only. update() returns false once interrupted.
class Progress {
 public:
  explicit Progress(std::string label);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  bool update(double share);
  bool update(std::uint64_t done, std::uint64_t total);
  void label(std::string label) { label_ = std::move(label); }
  void clear();

 private:
  void draw(double share, const std::string& counts);
  std::string label_;
  bool shown_ = false, drawn_ = false;
  double first_share_ = -1;
  std::chrono::steady_clock::time_point started_, last_;
};

/// Ends in exit code 6. `what` says what the same command will do.
[[nodiscard]] Error stopped_error(const std::string& what);

}  // namespace heirmark::cli
