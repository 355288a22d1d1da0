// Lines of a file or of standard input, in constant memory for lines of ordinary length.
#include "json/lines.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/files.hpp"

namespace heirmark::json {
namespace {
constexpr std::size_t kPiece = std::size_t{1} << 18;
}  // namespace

struct LineReader::State {
  std::string name;
  int fd = -1;
  std::size_t max_line = kMaxLine;
  std::string buffer;
  std::size_t begin = 0;     ///< of what next() has not returned
  std::size_t searched = 0;  ///< up to here there is no line feed
  std::size_t end = 0;       ///< of what was read
  bool at_end = false;
  std::uint64_t number = 0;
  std::function<bool()> stop;
  std::uint64_t empty = 0;   ///< number of the first empty line, to complain about if another one follows

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { if (fd > STDIN_FILENO) ::close(fd); }

  Result<void> fill() {
    if (begin > 0) {
      std::memmove(buffer.data(), buffer.data() + begin, end - begin);
      end -= begin;
      searched -= begin;
      begin = 0;
    }
    if (buffer.size() - end < kPiece) buffer.resize(std::max(buffer.size() * 2, 2 * kPiece));
    for (;;) {
      if (stop && stop()) return Error{ErrorCode::stopped, "stopped while reading " + name};
      const ssize_t n = ::read(fd, buffer.data() + end, buffer.size() - end);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return files::failure(name, errno, files::Access::read);
      if (n == 0) at_end = true;
      end += static_cast<std::size_t>(n);
      return {};
    }
  }

  Result<std::optional<std::string_view>> line() {
    for (;;) {
      const auto* feed = static_cast<const char*>(end > searched ? std::memchr(buffer.data() + searched, '\n', end - searched) : nullptr);
      const std::size_t line_end = feed != nullptr ? static_cast<std::size_t>(feed - buffer.data()) : end;
      if (line_end - begin > max_line) {
        ++number;
        return Error{ErrorCode::bad_input, name + ":" + std::to_string(number) + ": longer than " + std::to_string(max_line) + " bytes"};
      }
      if (feed == nullptr && !at_end) {
        searched = end;
        if (auto done = fill(); !done) return done.error();
        continue;
      }
      if (feed == nullptr && begin == end) return std::optional<std::string_view>();
      std::string_view found(buffer.data() + begin, line_end - begin);
      begin = searched = feed != nullptr ? line_end + 1 : end;
      ++number;
      if (found.ends_with('\r')) found.remove_suffix(1);
      return std::optional(found);
    }
  }
};

LineReader::LineReader(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Result<LineReader> LineReader::open(const std::filesystem::path& path, std::size_t max_line, std::function<bool()> stop) {
  auto state = std::make_unique<State>();
  const bool standard = path == "-";
  state->name = standard ? "standard input" : path.string();
  state->max_line = max_line;
  state->stop = std::move(stop);
  state->fd = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0) return files::failure(state->name, errno, files::Access::read);
  return LineReader(std::move(state));
}

Result<std::optional<std::string_view>> LineReader::next() {
  for (;;) {
    auto line = state_->line();
    if (!line || !*line) return line;
    if ((*line)->empty()) {
      if (state_->empty == 0) state_->empty = state_->number;
      continue;
    }
    if (state_->empty != 0) return Error{ErrorCode::bad_input, state_->name + ":" + std::to_string(state_->empty) + ": empty line"};
    return line;
  }
}

std::uint64_t LineReader::number() const noexcept { return state_->number; }
std::string LineReader::where() const { return state_->name + ":" + std::to_string(state_->number); }

}  // namespace heirmark::json
