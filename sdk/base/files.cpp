#include "base/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/wipe.hpp"

namespace heirmark::files {
namespace {

Error read_failure(const std::filesystem::path& path) { return failure(path, errno, Access::read); }
Error write_failure(const std::filesystem::path& path) { return failure(path, errno, Access::write); }

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
  if (file.fd < 0) return write_failure(path);
  const bool good = write_all(file.fd, bytes) && ::fsync(file.fd) == 0;
  const int problem = errno;
  if (!good || !file.close_now()) {
    if (!good) errno = problem;
    Error error = write_failure(path);
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::uint64_t counter = 0;
  return path.string() + ".part." + std::to_string(::getpid()) + "." + std::to_string(__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
}

/// Empty if nobody but this user and root can read or change the file, else what is wrong.
std::string exposed(const struct stat& info) {
  if (info.st_uid != ::geteuid() && info.st_uid != 0) return "belongs to another user";
  const mode_t forbidden = info.st_uid == 0 ? 0027 : 0077;
  if ((info.st_mode & forbidden) == 0) return "";
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info.st_mode & 07777));
  return std::string("holds secrets and is open to others (mode ") + mode + "); make it 0600";
}
}  // namespace

Error failure(const std::filesystem::path& path, int error_number, Access access) {
  if (error_number == EINTR) return {ErrorCode::stopped, "stopped while waiting for " + path.string()};
  ErrorCode code = ErrorCode::io;
  if (error_number == EACCES || error_number == EPERM) code = ErrorCode::key;
  const int wrong_name[] = {ENOENT, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG};
  if (access == Access::read && std::find(std::begin(wrong_name), std::end(wrong_name), error_number) != std::end(wrong_name)) code = ErrorCode::bad_input;
  return {code, path.string() + ": " + std::strerror(error_number)};
}

bool is_missing(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  return std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found;
}

Result<std::string> read(const std::filesystem::path& path, std::uint64_t max_size) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return read_failure(path);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return read_failure(path);
  if (S_ISDIR(info.st_mode)) return Error{ErrorCode::bad_input, path.string() + ": is a folder"};
  std::string bytes;
  if (S_ISREG(info.st_mode)) {
    if (static_cast<std::uint64_t>(info.st_size) > max_size)
      return Error{ErrorCode::bad_input, path.string() + ": " + std::to_string(info.st_size) + " bytes, more than the " + std::to_string(max_size) + " allowed"};
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  }
  struct Buffer {  // some files are openings
    char bytes[1 << 16];
    std::size_t used = 0;
    ~Buffer() { wipe(bytes, used); }
  } buffer;
  for (;;) {
    const ssize_t got = ::read(file.fd, buffer.bytes, sizeof buffer.bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return read_failure(path);
    if (got == 0) return bytes;
    buffer.used = std::max(buffer.used, static_cast<std::size_t>(got));
    bytes.append(buffer.bytes, static_cast<std::size_t>(got));
    if (bytes.size() > max_size) return Error{ErrorCode::bad_input, path.string() + ": more than the " + std::to_string(max_size) + " bytes allowed"};
  }
}

Result<std::string> read_secret(const std::filesystem::path& path, std::uint64_t max_size) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return read_failure(path);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return read_failure(path);
  if (S_ISDIR(info.st_mode)) return Error{ErrorCode::bad_input, path.string() + ": is a folder"};
  if (S_ISREG(info.st_mode)) {
    if (const std::string problem = exposed(info); !problem.empty()) return Error{ErrorCode::key, path.string() + ": " + problem};
  }
  std::string bytes(S_ISREG(info.st_mode) ? static_cast<std::size_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(info.st_size), max_size)) + 1 : 1 << 12, '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == bytes.size()) {
      std::string larger(2 * size, '\0');
      bytes.copy(larger.data(), size);
      wipe(bytes);
      bytes = std::move(larger);
    }
    const ssize_t got = ::read(file.fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = read_failure(path);
      wipe(bytes);
      return error;
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > max_size) {
      wipe(bytes);
      return Error{ErrorCode::bad_input, path.string() + ": more than the " + std::to_string(max_size) + " bytes allowed"};
    }
  }
  bytes.resize(size);
  return bytes;
}

Result<void> write_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  // A pipe, a terminal or /dev/full cannot be renamed over.
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::usage, path.string() + ": is a folder"};
    Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (file.fd < 0 || !write_all(file.fd, bytes)) return write_failure(path);
    return {};
  }
  const std::filesystem::path temporary = temporary_name(path);
  if (auto written = write_temporary(temporary, bytes, mode, path); !written) return written;
  auto renamed = files::rename(temporary, path);
  if (!renamed) ::unlink(temporary.c_str());
  return renamed;
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
    return write_failure(path);
  }
  sync_folder(path);
  return {};
}

Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return write_failure(to);
  sync_folder(to);
  return {};
}

Result<NewFolder> NewFolder::beside(const std::filesystem::path& target) {
  NewFolder out;
  std::error_code code;
  const std::filesystem::path whole = std::filesystem::absolute(target, code);
  if (code) return failure(target, code.value(), Access::write);
  out.target_ = std::filesystem::weakly_canonical(whole, code);  // a link to an empty folder stays one
  if (code) out.target_ = whole.lexically_normal();
  if (!out.target_.has_filename()) out.target_ = out.target_.parent_path();
  const std::filesystem::path parent = out.target_.parent_path();
  std::filesystem::create_directories(parent, code);
  if (code) return failure(parent, code.value(), Access::write);
  std::string name = (parent / ".").string();
  name.append(out.target_.filename().string()).append(".XXXXXX");
  if (::mkdtemp(name.data()) == nullptr) return write_failure(parent);
  out.temporary_ = std::move(name);
  return out;
}

NewFolder::NewFolder(NewFolder&& other) noexcept : target_(std::move(other.target_)), temporary_(std::move(other.temporary_)) { other.temporary_.clear(); }

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
}

Result<void> NewFolder::rename() {
  if (auto done = files::rename(temporary_, target_); !done) return done;
  temporary_.clear();
  return {};
}

Result<std::unique_ptr<FolderLock>> FolderLock::take(const std::filesystem::path& folder, bool wait) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return write_failure(folder);
  std::unique_ptr<FolderLock> lock(new FolderLock(fd));
  while (::flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno == EWOULDBLOCK) return std::unique_ptr<FolderLock>();
    if (errno != EINTR) return write_failure(folder);
  }
  return lock;
}

FolderLock::~FolderLock() { ::close(fd_); }

Result<void> append(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, static_cast<mode_t>(mode))};
  if (file.fd < 0) return write_failure(path);
  while (::flock(file.fd, LOCK_EX) != 0)
    if (errno != EINTR) return write_failure(path);
  const off_t before = ::lseek(file.fd, 0, SEEK_END);
  if (before >= 0 && write_all(file.fd, bytes) && ::fsync(file.fd) == 0) return {};
  const int problem = errno;
  // Half a line would be taken for the next one's beginning.
  if (before >= 0 && ::ftruncate(file.fd, before) != 0) return Error{ErrorCode::io, path.string() + ": cannot take back half a line: " + std::strerror(errno)};
  errno = problem;
  return write_failure(path);
}

}  // namespace heirmark::files
