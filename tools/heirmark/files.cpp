#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
Error io_error(const std::string& name, int error) {
  // A missing or wrong input is the caller's data; a forbidden one is a permission; the rest is the disk.
  ErrorCode code = ErrorCode::io;
  if (error == ENOENT || error == EISDIR || error == ENOTDIR) code = ErrorCode::bad_input;
  if (error == EACCES || error == EPERM) code = ErrorCode::key;
  return {code, name + ": " + std::strerror(error)};
}

Error write_error(const std::string& name, int error) {
  const bool denied = error == EACCES || error == EPERM;
  return {denied ? ErrorCode::key : ErrorCode::io, name + ": " + std::strerror(error)};
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}
}  // namespace

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Result<std::string> read_file(const std::string& path) {
  const std::string name = input_name(path);
  const int descriptor = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return io_error(name, errno);
  std::string bytes;
  int error = 0;
  std::size_t size = 0;
  for (;;) {
    bytes.resize(size + (size < (1u << 16) ? (1u << 16) : size));
    const ssize_t n = ::read(descriptor, bytes.data() + size, bytes.size() - size);
    if (n > 0) {
      size += static_cast<std::size_t>(n);
    } else if (n == 0) {
      break;
    } else if (errno != EINTR || interrupted()) {
      error = errno;
      break;
    }
  }
  bytes.resize(size);
  if (path != "-") ::close(descriptor);
  if (error == EINTR) return stopped_error("nothing was read to its end");
  if (error != 0) return io_error(name, error);
  return bytes;
}

Result<OutputFile> OutputFile::open(const std::string& path, bool secret) {
  OutputFile file;
  file.path_ = path;
  if (path.empty() || path == "-") {
    file.standard_ = true;
    return file;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::usage, path + ": is a folder"};
    file.descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) return write_error(path, errno);
    return file;
  }
  std::string temporary = path + ".XXXXXX";
  file.descriptor_ = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file.descriptor_ < 0) return write_error(path, errno);
  file.temporary_ = temporary;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(file.descriptor_, secret ? 0600 : (0666 & ~mask)) != 0) return write_error(path, errno);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), buffer_(std::move(other.buffer_)),
      descriptor_(other.descriptor_), standard_(other.standard_) {
  other.descriptor_ = -1;
  other.temporary_.clear();
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Error OutputFile::failed(int error) const { return write_error(path_, error); }

Result<void> OutputFile::write(std::string_view bytes) {
  if (standard_) return print(bytes), Result<void>{};
  buffer_ += bytes;
  return buffer_.size() > (1u << 16) ? flush() : Result<void>{};
}

Result<void> OutputFile::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (n >= 0) done += static_cast<std::size_t>(n);
    else if (errno != EINTR) return failed(errno);
  }
  buffer_.clear();
  return {};
}

Result<void> OutputFile::sync() {
  if (standard_) return {};
  if (auto done = flush(); !done) return done;
  if (!temporary_.empty() && ::fsync(descriptor_) != 0) return failed(errno);
  return {};
}

Result<void> OutputFile::commit() {
  if (standard_) return {};
  if (auto done = sync(); !done) return done;
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) return failed(errno);
  if (temporary_.empty()) return {};
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed(errno);
  temporary_.clear();
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);  // the rename stands either way; not every file system can sync a folder
    ::close(folder);
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view bytes, bool secret) {
  auto file = OutputFile::open(path, secret);
  if (!file) return file.error();
  if (auto done = file->write(bytes); !done) return done;
  return file->commit();
}

Result<void> check_writable(const std::string& path) {
  if (path.empty() || path == "-") return {};
  const std::string folder = folder_of(path);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return write_error(folder, errno);
  return {};
}

}  // namespace heirmark::cli
