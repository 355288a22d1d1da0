#include "shell.hpp"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace heirmark::cli {
namespace {
volatile std::sig_atomic_t g_interrupted = 0;
std::string g_output;
int g_output_error = 0;

void on_signal(int signal) {
  if (g_interrupted != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupted = 1;
}

bool is_terminal(int descriptor) {
  const char* term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

bool has_colours() {
  const char* no_colour = std::getenv("NO_COLOR");
  return is_terminal(STDOUT_FILENO) && (no_colour == nullptr || *no_colour == '\0');
}

void write_output() {
  std::size_t done = 0;
  while (done < g_output.size() && g_output_error == 0) {
    const ssize_t n = ::write(STDOUT_FILENO, g_output.data() + done, g_output.size() - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno == EPIPE) {
      std::signal(SIGPIPE, SIG_DFL);
      std::raise(SIGPIPE);
    } else if (errno != EINTR || interrupted()) {
      g_output_error = errno;
    }
  }
  g_output.clear();
}
}  // namespace

Globals& globals() noexcept {
  static Globals instance;
  return instance;
}

void print(std::string_view text) {
  g_output += text;
  if (g_output.size() > (1u << 16)) write_output();
}

Result<void> flush_output() {
  write_output();
  if (g_output_error == EINTR) return stopped_error("the same command starts again");
  if (g_output_error != 0) return Error{ErrorCode::io, std::string("standard output: ") + std::strerror(g_output_error)};
  return {};
}

void inform(const std::string& line) {
  if (!globals().quiet) std::fprintf(stderr, "%s\n", printable(line).c_str());
}

void tell(const std::string& line) {
  if (globals().verbose) std::fprintf(stderr, "%s\n", printable(line).c_str());
}

void complain(const std::string& line) { std::fprintf(stderr, "heirmark: %s\n", printable(line).c_str()); }

void handle_signals() noexcept {
  struct sigaction action {};
  action.sa_handler = on_signal;  // no SA_RESTART: a prompt or a slow read wakes up
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond a limit of size fails with EFBIG, and is told
}

bool interrupted() noexcept { return g_interrupted != 0; }

std::string styled(Style style, std::string_view text) {
  if (!has_colours()) return std::string(text);
  const char* code = "1";
  switch (style) {
    case Style::good: code = "1;32"; break;
    case Style::bad: code = "1;31"; break;
    case Style::unsure: code = "1;33"; break;
    case Style::bold: code = "1"; break;
  }
  return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

std::string now(std::int64_t seconds_ago) {
  const std::time_t seconds = std::time(nullptr) - static_cast<std::time_t>(seconds_ago);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0 ? std::string(text) : std::string();
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

Progress::Progress(std::string label) : label_(std::move(label)), shown_(is_terminal(STDERR_FILENO) && !globals().quiet) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

bool Progress::update(double share) {
  draw(share, "");
  return !interrupted();
}

bool Progress::update(std::uint64_t done, std::uint64_t total) {
  draw(total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total), grouped(done) + " of " + grouped(total));
  return !interrupted();
}

void Progress::draw(double share, const std::string& counts) {
  if (!shown_) return;
  const auto time = std::chrono::steady_clock::now();
  if (first_share_ < 0) {  // work of earlier runs is no measure of this run's speed
    first_share_ = share;
    started_ = time;
  } else if (share < 1 && time - last_ < std::chrono::milliseconds(100)) {
    return;
  }
  last_ = time;
  const double seconds = std::chrono::duration<double>(time - started_).count();
  const double gained = share - first_share_;
  std::string left;
  if (gained > 0 && seconds > 0.5 && share < 1) {
    const auto rest = static_cast<long>(std::ceil(seconds * (1 - share) / gained));
    char text[32];
    if (rest >= 3600) std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", rest / 3600, rest / 60 % 60, rest % 60);
    else std::snprintf(text, sizeof text, "%ld:%02ld", rest / 60, rest % 60);
    left = std::string("  ETA ") + text;
  }
  constexpr int kWidth = 24;
  const int full = static_cast<int>(share * kWidth);
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < full ? '#' : '.';
  std::fprintf(stderr, "\r\033[K%s [%s] %3d%%%s%s%s", label_.c_str(), bar.c_str(), static_cast<int>(share * 100), counts.empty() ? "" : "  ",
               counts.c_str(), left.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

Error stopped_error(const std::string& what) { return {ErrorCode::stopped, "stopped; " + what}; }

}  // namespace heirmark::cli
