// Files that are written whole or not at all (base/files.hpp).
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/files.hpp"

using namespace heirmark;

namespace {
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { char name[] = "/tmp/heirmark-files-XXXXXX"; path = ::mkdtemp(name); }
  ~Folder() { std::error_code ignored; fs::remove_all(path, ignored); }
  [[nodiscard]] std::size_t entries() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator())); }
  fs::path path;
};

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

/// Runs in a child where no file may grow beyond 4096 bytes: what a full disk does to a writer. True if `work` says so.
template <class Work>
bool with_full_disk(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(work() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
}  // namespace

TEST_CASE("a file is replaced at once and gets its mode", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "a";
  REQUIRE(files::write_atomic(path, "old", 0644).ok());
  CHECK(mode_of(path) == 0644);
  REQUIRE(files::write_atomic(path, "new", 0600).ok());
  CHECK(mode_of(path) == 0600);
  CHECK(files::read(path).value() == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a write that fails leaves the old file and nothing else", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "a";
  REQUIRE(files::write_atomic(path, "old").ok());
  const std::string large(100'000, 'x');
  CHECK(with_full_disk([&] {
    const auto done = files::write_atomic(path, large);
    return !done && done.error().code == ErrorCode::io && done.error().message.find(path.string()) != std::string::npos;
  }));
  CHECK(files::read(path).value() == "old");
  CHECK(folder.entries() == 1);
  CHECK(with_full_disk([&] { return !files::write_new(folder.path / "b", large); }));
  CHECK(folder.entries() == 1);
}

TEST_CASE("a full device is an error", "[files]") {
  if (!fs::exists("/dev/full")) return;
  const auto done = files::write_atomic("/dev/full", std::string(100'000, 'x'));
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().code == ErrorCode::io);
  CHECK(done.error().message.find("/dev/full") != std::string::npos);
}

TEST_CASE("a file that must be new is never overwritten", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "a";
  REQUIRE(files::write_new(path, "first", 0600).ok());
  CHECK(mode_of(path) == 0600);
  const auto second = files::write_new(path, "second", 0600);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == ErrorCode::usage);
  CHECK(files::read(path).value() == "first");
  CHECK(folder.entries() == 1);
}

TEST_CASE("of many processes that make one file exactly one wins", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "a";
  constexpr int kWriters = 8;
  pid_t children[kWriters];
  for (int i = 0; i < kWriters; ++i) {
    children[i] = ::fork();
    if (children[i] == 0) ::_exit(files::write_new(path, std::to_string(i) + std::string(50'000, 'x')).ok() ? 0 : 1);
  }
  int winners = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    winners += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  CHECK(winners == 1);
  CHECK(files::read(path).value().size() == 50'001);
  CHECK(folder.entries() == 1);
}

TEST_CASE("reading has a limit and clear errors", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "a";
  REQUIRE(files::write_atomic(path, std::string(1000, 'x')).ok());
  CHECK(files::read(path, 1000).value().size() == 1000);
  const auto large = files::read(path, 999);
  REQUIRE_FALSE(large.ok());
  CHECK(large.error().code == ErrorCode::bad_input);
  const auto missing = files::read(folder.path / "none");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::bad_input);
  CHECK(missing.error().message.find("none") != std::string::npos);
  const auto directory = files::read(folder.path);
  REQUIRE_FALSE(directory.ok());
  CHECK(directory.error().code == ErrorCode::bad_input);
  // A device has no size to look at before reading.
  CHECK_FALSE(files::read("/dev/zero", 100'000).ok());
  if (::geteuid() != 0) {
    fs::permissions(path, fs::perms::none);
    CHECK(files::read(path).error().code == ErrorCode::key);
  }
  CHECK(files::write_atomic(folder.path, "x").error().code == ErrorCode::usage);
  CHECK(files::write_atomic(folder.path / "none" / "a", "x").error().code == ErrorCode::io);
}

TEST_CASE("what a failed system call means depends on who was to do what", "[files]") {
  using files::Access;
  for (const Access access : {Access::read, Access::write}) {
    for (const int denied : {EACCES, EPERM}) CHECK(files::failure("f", denied, access).code == ErrorCode::key);
    for (const int disk : {EIO, ENOSPC, EROFS, EDQUOT}) CHECK(files::failure("f", disk, access).code == ErrorCode::io);
    CHECK(files::failure("f", EINTR, access).code == ErrorCode::stopped);
  }
  for (const int wrong : {ENOENT, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG}) {
    CHECK(files::failure("f", wrong, Access::read).code == ErrorCode::bad_input);
    CHECK(files::failure("f", wrong, Access::write).code == ErrorCode::io);
  }
  CHECK(files::failure("a/b", ENOENT, Access::read).message == "a/b: No such file or directory");
}

TEST_CASE("nothing is missing only where that is certain", "[files]") {
  const Folder folder;
  CHECK(files::is_missing(folder.path / "a"));
  CHECK(files::is_missing(folder.path / "a" / "b"));
  CHECK_FALSE(files::is_missing(folder.path));
  if (::geteuid() != 0) {
    fs::create_directory(folder.path / "shut");
    fs::permissions(folder.path / "shut", fs::perms::none);
    CHECK_FALSE(files::is_missing(folder.path / "shut" / "a"));
  }
}

TEST_CASE("appending adds a line to what is there", "[files]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  REQUIRE(files::append(path, "one\n", 0600).ok());
  REQUIRE(files::append(path, "two\n", 0600).ok());
  CHECK(with_full_disk([&] { return !files::append(path, std::string(100'000, 'x') + "\n"); }));
  CHECK(files::read(path).value() == "one\ntwo\n");
  CHECK(mode_of(path) == 0600);
}
