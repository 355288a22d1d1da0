// Reading and writing whole files. Nothing is ever left half written: temporary name, fsync, rename.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

namespace heirmark::cli {

/// The bytes of a file, or of standard input for "-".
[[nodiscard]] Result<std::string> read_file(const std::string& path);

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
  bool standard_ = false;
};

/// Fails unless the folder that `path` would stand in exists and can be written: asked before long work.
[[nodiscard]] Result<void> check_writable(const std::string& path);

}  // namespace heirmark::cli
