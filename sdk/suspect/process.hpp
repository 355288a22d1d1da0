// A child process that we talk to line by line. POSIX only.
#pragma once
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <heirmark/result.hpp>

namespace heirmark::suspect {

/// A running program with pipes on its three standard streams, in its own process group: a Ctrl-C at the terminal is ours
/// to handle. Ended and waited for on destruction.
class Child {
 public:
  static Result<std::unique_ptr<Child>> start(const std::vector<std::string>& command, const std::filesystem::path& directory);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  /// Writes `line` and a line feed and reads one line of at most max_line bytes. Standard error is drained meanwhile.
  /// After an error the child is of no more use.
  Result<std::string> exchange(std::string_view line, std::size_t max_line, std::chrono::milliseconds timeout, const std::function<bool()>& stop);

 private:
  Child() = default;
  Error died();
  void drain_errors();
  void note_error_bytes(std::string_view bytes);
  bool wait_for(std::chrono::milliseconds time);

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;  ///< our ends: the child's stdin, stdout, stderr
  int status_ = 0;                     ///< exit status, or the signal's number
  bool ended_ = false, signalled_ = false, broken_ = false;
  std::string name_;                   ///< the program, for messages
  std::string buffer_;                 ///< what was read after the last line
  std::string error_line_, last_error_line_;
};

}  // namespace heirmark::suspect
