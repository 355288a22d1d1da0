#include "base/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace heirmark::files {
namespace {

Error io_error(const std::filesystem::path& path, std::string_view what) {
  const ErrorCode code = errno == EACCES || errno == EPERM ? ErrorCode::key : errno == ENOENT ? ErrorCode::bad_input : ErrorCode::io;
  return {code, path.string() + ": " + std::string(what) + ": " + std::strerror(errno)};
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() { if (fd >= 0) ::close(fd); }
  [[nodiscard]] bool close_now() { const int result = ::close(fd); fd = -1; return result == 0; }
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void sync_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
  Descriptor folder_fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder_fd.fd >= 0) ::fsync(folder_fd.fd);  // some file systems refuse: the rename itself was atomic
}

Result<void> write_temporary(const std::filesystem::path& temporary, std::string_view bytes, unsigned mode, const std::filesystem::path& path) {
  Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode))};
  if (file.fd < 0) return io_error(path, "cannot write");
  const bool good = write_all(file.fd, bytes) && ::fsync(file.fd) == 0;
  const int problem = errno;
  if (!good || !file.close_now()) {
    if (!good) errno = problem;
    Error error = io_error(path, "cannot write");
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::uint64_t counter = 0;
  return path.string() + ".part." + std::to_string(::getpid()) + "." + std::to_string(__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
}

}  // namespace

Result<std::string> read(const std::filesystem::path& path, std::uint64_t max_size) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(path, "cannot read");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return io_error(path, "cannot read");
  if (S_ISDIR(info.st_mode)) return Error{ErrorCode::bad_input, path.string() + ": is a folder"};
  std::string bytes;
  if (S_ISREG(info.st_mode)) {
    if (static_cast<std::uint64_t>(info.st_size) > max_size)
      return Error{ErrorCode::bad_input, path.string() + ": " + std::to_string(info.st_size) + " bytes, more than the " + std::to_string(max_size) + " allowed"};
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  }
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "cannot read");
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > max_size) return Error{ErrorCode::bad_input, path.string() + ": more than the " + std::to_string(max_size) + " bytes allowed"};
  }
}

Result<void> write_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  // A pipe, a terminal or /dev/full cannot be renamed over.
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::io, path.string() + ": is a folder"};
    Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (file.fd < 0 || !write_all(file.fd, bytes)) return io_error(path, "cannot write");
    return {};
  }
  const std::filesystem::path temporary = temporary_name(path);
  if (auto written = write_temporary(temporary, bytes, mode, path); !written) return written;
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = io_error(path, "cannot write");
    ::unlink(temporary.c_str());
    return error;
  }
  sync_folder(path);
  return {};
}

Result<void> write_new(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  const std::filesystem::path temporary = temporary_name(path);
  if (auto written = write_temporary(temporary, bytes, mode, path); !written) return written;
  const int linked = ::link(temporary.c_str(), path.c_str());
  const int problem = errno;
  ::unlink(temporary.c_str());
  if (linked != 0) {
    errno = problem;
    if (problem == EEXIST) return Error{ErrorCode::usage, path.string() + ": exists already"};
    return io_error(path, "cannot write");
  }
  sync_folder(path);
  return {};
}

Result<void> append(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, static_cast<mode_t>(mode))};
  if (file.fd < 0) return io_error(path, "cannot write");
  while (::flock(file.fd, LOCK_EX) != 0)
    if (errno != EINTR) return io_error(path, "cannot lock");
  const off_t before = ::lseek(file.fd, 0, SEEK_END);
  if (before >= 0 && write_all(file.fd, bytes) && ::fsync(file.fd) == 0) return {};
  const int problem = errno;
  // Half a line would be taken for the next one's beginning.
  if (before >= 0 && ::ftruncate(file.fd, before) != 0) return io_error(path, "cannot write, and cannot take back what was written");
  errno = problem;
  return io_error(path, "cannot write");
}

}  // namespace heirmark::files
