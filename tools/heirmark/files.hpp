// Reading and writing whole files. Nothing is ever left half written: temporary name, fsync, rename.
#pragma once
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <sys/stat.h>

#include <heirmark/result.hpp>

namespace heirmark::cli {

/// A failed system call on an input or an output: a refused permission is `key`; an input that is missing or no file `bad_input`; a wait that
/// a signal ended `stopped`; everything else `io` (specs/cli.md).
enum class Access : std::uint8_t { read, write };
[[nodiscard]] Error file_error(const std::string& name, int error, Access access);

/// Of several inputs of one command at most one may be standard input; `usage` names the two that both want it. Pairs of option and path.
[[nodiscard]] Result<void> one_standard_input(std::initializer_list<std::pair<const char*, std::string>> inputs);
/// A path for readers that take no "-".
[[nodiscard]] inline std::string named_input(const std::string& path) { return path == "-" ? "/dev/stdin" : path; }

/// The bytes of a file, or of standard input for "-".
[[nodiscard]] Result<std::string> read_file(const std::string& path);

/// Permissions in octal, "0644".
[[nodiscard]] std::string mode_text(const struct stat& info);

/// Says so if others than this user (of root's file, than root's group) may read or change a file that holds a key.
void warn_if_exposed(const std::string& path);

/// What errors call an input: the path, or "standard input".
[[nodiscard]] std::string input_name(const std::string& path);

/// Replaces a file at once; "-" or "" is standard output. A device or a pipe is written directly. `secret` gives mode 0600.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view bytes, bool secret = false);

/// A file that grows piece by piece and appears under its name only with commit(). "-" or "" is standard output.
class OutputFile {
 public:
  [[nodiscard]] static Result<OutputFile> open(const std::string& path, bool secret = false);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();
  [[nodiscard]] Result<void> write(std::string_view bytes);
  /// Everything written is on the disk after this; only the name is missing. Of two files, sync both before either commits.
  [[nodiscard]] Result<void> sync();
  [[nodiscard]] Result<void> commit();

 private:
  OutputFile() = default;
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] Error failed(int error) const;
  std::string path_, temporary_, buffer_;
  int descriptor_ = -1;
  bool standard_ = false, secret_ = false;
};

/// Fails unless the folder that `path` would stand in exists and can be written: asked before long work.
[[nodiscard]] Result<void> check_writable(const std::string& path);

}  // namespace heirmark::cli
