#include "suspect/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/text.hpp"

namespace heirmark::suspect {
namespace {
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using text::printable;
constexpr std::size_t kErrorLine = 512;  // bytes of a stderr line worth telling

void close_end(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

struct Pipe {
  int read = -1, write = -1;
  bool make() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  ~Pipe() { close_end(read); close_end(write); }
  int take(int& end) const { return std::exchange(end, -1); }
};

// Blocks SIGPIPE in this thread for its life, and swallows the one that a write raised: a library must not change the
// program's signal handlers, nor die because a suspect did.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    if (!was_pending_) {
      const timespec none{};
      while (sigtimedwait(&pipe_, nullptr, &none) == -1 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false;
};

// What we were given, or have open, is not the suspect's: exec closes all but its three streams. A descriptor is only marked, since
// the pipe that reports a failing exec must live until then. Kernels before 5.11 cannot mark a range: there each number is marked, up to
// the limit, or a million where the limit says nothing.
void close_others_at_exec() {
#ifdef SYS_close_range
  constexpr unsigned kCloexec = 1u << 2;  // CLOSE_RANGE_CLOEXEC
  if (syscall(SYS_close_range, 3u, std::numeric_limits<unsigned>::max(), kCloexec) == 0) return;
#endif
  rlimit limit{};
  const rlim_t most = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min<rlim_t>(limit.rlim_cur, 1 << 20) : 1 << 20;
  for (int fd = 3; static_cast<rlim_t>(fd) < most; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// Only calls that are safe between fork and exec. The errno of a failure goes up the pipe, which exec closes.
[[noreturn]] void run_child(char* const* argv, const char* directory, int in, int out, int err, int report) {
  const auto fail = [report] {
    const int code = errno;
    [[maybe_unused]] const auto written = write(report, &code, sizeof code);
    _exit(127);
  };
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) fail();
  close_others_at_exec();
  if (directory[0] != '\0' && chdir(directory) != 0) fail();
  execvp(argv[0], argv);
  fail();
  _exit(127);
}
}  // namespace

Result<std::unique_ptr<Child>> Child::start(const std::vector<std::string>& command, const std::filesystem::path& directory) {
  if (command.empty() || command[0].empty()) return Error{ErrorCode::bad_input, "the suspect's command is empty"};
  std::vector<char*> argv;
  for (const std::string& word : command) {
    if (word.find('\0') != std::string::npos) return Error{ErrorCode::bad_input, "the suspect's command holds a zero byte"};
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  Pipe in, out, err, report;
  if (!in.make() || !out.make() || !err.make() || !report.make())
    return Error{ErrorCode::io, std::string("cannot make a pipe: ") + std::strerror(errno)};
  std::unique_ptr<Child> child(new Child);
  child->name_ = command[0];
  const std::string folder = directory.string();
  child->pid_ = fork();
  if (child->pid_ < 0) return Error{ErrorCode::io, std::string("cannot start a process: ") + std::strerror(errno)};
  if (child->pid_ == 0) run_child(argv.data(), folder.c_str(), in.read, out.write, err.write, report.write);
  setpgid(child->pid_, child->pid_);  // here too: whoever comes first
  close_end(report.write);
  int code = 0;
  ssize_t got;
  while ((got = read(report.read, &code, sizeof code)) < 0 && errno == EINTR) {}
  if (got == sizeof code)
    return Error{code == EACCES || code == EPERM ? ErrorCode::key : ErrorCode::io, "cannot run the suspect's program " + command[0] + ": " + std::strerror(code)};
  child->in_ = in.take(in.write);
  child->out_ = out.take(out.read);
  child->err_ = err.take(err.read);
  for (const int fd : {child->in_, child->out_, child->err_}) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return child;
}

Child::~Child() {
  close_end(in_);  // a program that reads to the end of its input ends by itself
  if (pid_ > 0) {
    if (!broken_) wait_for(milliseconds(2000));
    if (!ended_) { kill(-pid_, SIGTERM); wait_for(milliseconds(2000)); }
    kill(-pid_, SIGKILL);  // grandchildren too; the id is still ours, since nobody has reaped the leader yet
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
  }
  close_end(out_);
  close_end(err_);
}

// Sees the end of the child without reaping it: the destructor does that, after it has ended the group.
bool Child::wait_for(milliseconds time) {
  const auto end = Clock::now() + time;
  while (!ended_) {
    siginfo_t info{};
    const int got = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (got == 0 && info.si_pid == pid_) {
      ended_ = true;
      signalled_ = info.si_code != CLD_EXITED;
      status_ = info.si_status;
    } else if (got != 0 && errno != EINTR) {
      break;
    } else if (Clock::now() >= end) {
      break;
    } else {
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  return ended_;
}

void Child::note_error_bytes(std::string_view bytes) {
  for (const char c : bytes) {
    if (c != '\n') {
      if (error_line_.size() < kErrorLine) error_line_ += c;
    } else if (!error_line_.empty()) {
      last_error_line_ = std::exchange(error_line_, {});
    }
  }
}

void Child::drain_errors() {
  std::array<char, 4096> block;
  while (err_ >= 0) {
    const ssize_t got = read(err_, block.data(), block.size());
    if (got > 0) note_error_bytes({block.data(), static_cast<std::size_t>(got)});
    else if (got == 0) close_end(err_);
    else if (errno != EINTR) return;
  }
}

Error Child::died() {
  broken_ = true;
  std::string how = "closed its output";
  if (wait_for(milliseconds(2000))) how = (signalled_ ? "was ended by signal " : "ended with exit status ") + std::to_string(status_);
  drain_errors();
  const std::string& last = error_line_.empty() ? last_error_line_ : error_line_;
  return {ErrorCode::io, "the suspect " + name_ + " " + how + (last.empty() ? "; it wrote nothing on standard error" : ": " + printable(last, kErrorLine))};
}

Result<std::string> Child::exchange(std::string_view line, std::size_t max_line, milliseconds timeout, const std::function<bool()>& stop) {
  if (broken_) return died();
  const NoSigpipe guard;
  std::string request(line);
  request += '\n';
  std::size_t written = 0;
  std::size_t searched = 0;
  const auto end = Clock::now() + timeout;
  std::array<char, 65536> block;
  for (;;) {
    const std::size_t feed = buffer_.find('\n', searched);
    if (feed != std::string::npos && feed <= max_line) {
      if (written < request.size()) {
        broken_ = true;
        return Error{ErrorCode::bad_input, "the suspect " + name_ + " answered before the request was sent"};
      }
      std::string reply = buffer_.substr(0, feed);
      buffer_.erase(0, feed + 1);
      return reply;
    }
    searched = buffer_.size();
    if (buffer_.size() > max_line) {
      broken_ = true;
      return Error{ErrorCode::bad_input, "the suspect " + name_ + " sent a line of more than " + std::to_string(max_line) + " bytes"};
    }
    if (stop && stop()) { broken_ = true; return Error{ErrorCode::stopped, "stopped while waiting for the suspect"}; }
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      broken_ = true;
      drain_errors();
      return Error{ErrorCode::io, "the suspect " + name_ + " gave no answer within " + std::to_string(timeout.count()) + " ms" +
                                      (last_error_line_.empty() ? "" : "; its last words: " + printable(last_error_line_, kErrorLine))};
    }
    std::array<pollfd, 3> fds{{{out_, POLLIN, 0}, {err_, POLLIN, 0}, {written < request.size() ? in_ : -1, POLLOUT, 0}}};
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(std::min<long long>(left.count(), 100)));
    if (ready < 0 && errno != EINTR) return Error{ErrorCode::io, std::string("poll failed: ") + std::strerror(errno)};
    if (ready <= 0) continue;
    if (fds[1].revents != 0) drain_errors();
    if (fds[2].revents != 0) {
      const ssize_t put = write(in_, request.data() + written, request.size() - written);
      if (put > 0) written += static_cast<std::size_t>(put);
      else if (put < 0 && errno == EPIPE) return died();
    }
    if (fds[0].revents != 0) {
      const ssize_t got = read(out_, block.data(), block.size());
      if (got > 0) buffer_.append(block.data(), static_cast<std::size_t>(got));
      else if (got == 0) return died();
    }
  }
}

}  // namespace heirmark::suspect
