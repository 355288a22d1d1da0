#include "files.hpp"

#include <fcntl.h>
#include <string.h>  // explicit_bzero
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}
}  // namespace

Error file_error(const std::string& name, int error, Access access) {
  if (error == EINTR) return {ErrorCode::stopped, "stopped while waiting for " + name};
  ErrorCode code = ErrorCode::io;
  if (error == EACCES || error == EPERM) code = ErrorCode::key;
  const int wrong_name[] = {ENOENT, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG};
  if (access == Access::read && std::find(std::begin(wrong_name), std::end(wrong_name), error) != std::end(wrong_name)) code = ErrorCode::bad_input;
  return {code, name + ": " + std::strerror(error)};
}

Result<void> one_standard_input(std::initializer_list<std::pair<const char*, std::string>> inputs) {
  const char* first = nullptr;
  for (const auto& [option, path] : inputs) {
    if (path != "-") continue;
    if (first != nullptr) return Error{ErrorCode::usage, std::string("standard input cannot be both ") + first + " and " + option};
    first = option;
  }
  return {};
}

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Result<std::string> read_file(const std::string& path) {
  const std::string name = input_name(path);
  const int descriptor = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return file_error(name, errno, Access::read);
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
  if (error != 0) return file_error(name, error, Access::read);
  return bytes;
}

std::string mode_text(const struct stat& info) {
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info.st_mode & 07777));
  return mode;
}

void warn_if_exposed(const std::string& path) {
  struct stat info {};
  if ((path == "-" ? ::fstat(STDIN_FILENO, &info) : ::stat(path.c_str(), &info)) != 0 || !S_ISREG(info.st_mode)) return;
  const mode_t others = info.st_mode & (info.st_uid == 0 ? 0027 : 0077);
  if (others != 0) inform("note       " + input_name(path) + ": holds the key, and others may " + ((others & 0022) != 0 ? "change" : "read") + " it (mode " + mode_text(info) + "); make it 0600");
}

Result<OutputFile> OutputFile::open(const std::string& path, bool secret) {
  OutputFile file;
  file.path_ = path;
  file.secret_ = secret;
  if (path.empty() || path == "-") {
    file.standard_ = true;
    return file;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::usage, path + ": is a folder"};
    file.descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) return file_error(path, errno, Access::write);
    return file;
  }
  std::string temporary = path + ".XXXXXX";
  file.descriptor_ = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file.descriptor_ < 0) return file_error(path, errno, Access::write);
  file.temporary_ = temporary;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(file.descriptor_, secret ? 0600 : (0666 & ~mask)) != 0) return file_error(path, errno, Access::write);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::move(other.temporary_)), buffer_(std::move(other.buffer_)),
      descriptor_(other.descriptor_), standard_(other.standard_), secret_(other.secret_) {
  other.descriptor_ = -1;
  other.temporary_.clear();
}

OutputFile::~OutputFile() {
  if (secret_) explicit_bzero(buffer_.data(), buffer_.size());
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Error OutputFile::failed(int error) const { return file_error(path_, error, Access::write); }

Result<void> OutputFile::write(std::string_view bytes) {
  if (standard_) return print(bytes), Result<void>{};
  if (secret_) buffer_.reserve(buffer_.size() + bytes.size());  // written in one piece: no shorter copy of the secret is left
  buffer_ += bytes;
  return buffer_.size() > (1u << 16) ? flush() : Result<void>{};
}

Result<void> OutputFile::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (n >= 0) done += static_cast<std::size_t>(n);
    else if (errno != EINTR || interrupted()) return failed(errno);
  }
  if (secret_) explicit_bzero(buffer_.data(), buffer_.size());
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
  if (standard_) return flush_output();
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
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return file_error(folder, errno, Access::write);
  return {};
}

}  // namespace heirmark::cli
