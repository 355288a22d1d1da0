// Files: read with a bound, write so that a reader sees the old bytes or the new ones and never a part.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

namespace heirmark::files {

enum class Access : std::uint8_t { read, write };
/// What the failure of a system call on `path` means to the caller (specs/cli.md, "Exit codes"): a refused permission is `key`; an input
/// that is missing or no file `bad_input`; a wait that a signal ended `stopped`; everything else `io`.
[[nodiscard]] Error failure(const std::filesystem::path& path, int error_number, Access access);

/// Is there surely nothing under this name? False also where permissions hide the answer: what is tried then tells them.
[[nodiscard]] bool is_missing(const std::filesystem::path& path) noexcept;

/// The whole file, at most max_size bytes. One that is too large is `bad_input`.
[[nodiscard]] Result<std::string> read(const std::filesystem::path& path, std::uint64_t max_size = std::uint64_t{1} << 33);
/// The same for a file of secrets; no copy stays behind in memory, and the caller wipes what is returned. A regular file must belong
/// to this user or to root and must be closed to everyone else, except that root may let its group read; otherwise `key`. A pipe
/// is taken as it is.
[[nodiscard]] Result<std::string> read_secret(const std::filesystem::path& path, std::uint64_t max_size);

/// Writes to a temporary name beside `path`, fsyncs, renames, fsyncs the folder. On failure the old file is as it was.
[[nodiscard]] Result<void> write_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);
/// The same, but fails with `usage` when the file exists: two makers cannot both win.
[[nodiscard]] Result<void> write_new(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);
/// Renames and fsyncs the folder of the new name.
[[nodiscard]] Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to);

/// A folder of mode 0700 under a hidden temporary name beside `target`, whose parents are made: it takes its name whole, in place of an
/// empty folder at most, or goes away.
class NewFolder {
 public:
  [[nodiscard]] static Result<NewFolder> beside(const std::filesystem::path& target);
  NewFolder(NewFolder&& other) noexcept;
  ~NewFolder();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return temporary_; }
  [[nodiscard]] Result<void> rename();

 private:
  NewFolder() = default;
  std::filesystem::path target_, temporary_;
};

/// flock on a folder; ends with this object, or with the process, however it ends. Null if another has it and `wait` is false.
class FolderLock {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FolderLock>> take(const std::filesystem::path& folder, bool wait);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) noexcept : fd_(fd) {}
  int fd_;
};

/// Appends in one write and fsyncs.
[[nodiscard]] Result<void> append(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);

}  // namespace heirmark::files
