#include "store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "files.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
/// The terminal, with echo off until it goes out of scope.
class QuietTerminal {
 public:
  QuietTerminal() : descriptor_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (descriptor_ < 0 || ::tcgetattr(descriptor_, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ready_ = ::tcsetattr(descriptor_, TCSAFLUSH, &quiet) == 0;
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  ~QuietTerminal() {
    if (ready_) ::tcsetattr(descriptor_, TCSAFLUSH, &before_);
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] bool ready() const noexcept { return ready_; }
  [[nodiscard]] Result<Passphrase> ask(const std::string& prompt) const {
    write(prompt);
    auto line = Passphrase::read_fd(descriptor_);
    write("\n");
    if (!line && interrupted()) return stopped_error("nothing was changed");
    return line;
  }

 private:
  void write(const std::string& text) const {
    if (::write(descriptor_, text.data(), text.size()) < 0) return;
  }
  int descriptor_;
  bool ready_ = false;
  termios before_{};
};

Result<Passphrase> ask_passphrase(const std::string& prompt, bool twice) {
  const QuietTerminal terminal;
  if (!terminal.ready()) return Error{ErrorCode::key, "a passphrase is needed: there is no terminal to ask on and no --passphrase-fd"};
  auto first = terminal.ask(prompt + ": ");
  if (!first || !twice) return first;
  const auto second = terminal.ask("the same once more: ");
  if (!second) return second.error();
  if (!first->equals(*second)) return Error{ErrorCode::key, "the two passphrases differ"};
  return first;
}

Result<Passphrase> get_passphrase(const StoreOptions& options, const std::string& prompt, bool twice) {
  if (options.passphrase_fd == StoreOptions{}.passphrase_fd) return ask_passphrase(prompt, twice);
  const auto descriptor = static_cast<int>(options.passphrase_fd);
  auto passphrase = Passphrase::read_fd(descriptor);
  if (!passphrase) return passphrase.error().at("--passphrase-fd " + std::to_string(descriptor));
  if (descriptor > STDERR_FILENO) ::close(descriptor);  // a file could be read again, by whoever inherits it
  return passphrase;
}
}  // namespace

void add_store_options(Command& command, StoreOptions& options) {
  command.text("--keystore", "DIR", options.folder, "the keystore [~/.local/share/heirmark]");
  command.whole("--passphrase-fd", "N", options.passphrase_fd, 0, 1u << 20, "read its passphrase from descriptor N [ask]");
}

std::string default_keystore() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') return std::string(data) + "/heirmark";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr || *home == '\0' ? "." : home) + "/.local/share/heirmark";
}

Result<Keystore> open_store(const StoreOptions& options, Missing missing) {
  const std::string folder = options.folder.empty() ? default_keystore() : options.folder;
  const bool there = Keystore::exists(folder);
  if (!there && missing == Missing::create) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);  // what fails here is told below
    if (auto good = check_writable(folder); !good && !std::filesystem::exists(folder, error)) return good.error();
  }
  if (!there && missing == Missing::fail) {
    return Error{ErrorCode::key, folder + ": there is no keystore; make one with: heirmark key new FAMILY, or key signer NAME"};
  }
  auto passphrase = get_passphrase(options, there ? "passphrase of " + folder : "new passphrase for " + folder, !there);
  if (!passphrase) return passphrase.error();
  tell("keystore " + folder + ": hashing the passphrase with Argon2id");
  if (there) return Keystore::open(folder, *passphrase);
  struct stat before {};
  const bool open_to_others = ::stat(folder.c_str(), &before) == 0 && (before.st_mode & 0077) != 0;
  auto store = Keystore::create(folder, *passphrase);
  if (!store) return store;
  inform("made       keystore " + folder);
  if (open_to_others) inform("note       " + folder + " was open to others (mode " + mode_text(before) + "); as a keystore it has mode 0700");
  return store;
}

Result<SignerInfo> signer_info(Keystore& store, const std::string& name, const std::string& algorithm) {
  auto info = store.signer(name);
  if (info) return info;
  auto made = store.new_signer(name, algorithm);
  if (made) inform("made       signing key " + name + " (" + made->algorithm + ", " + made->key_id + ")");
  else if (is_key_name(name) && made.error().code == ErrorCode::usage) return info;  // it is there: what kept us from reading it counts
  return made;
}

Result<Signer> find_signer(Keystore& store, const std::string& name, Missing missing) {
  const auto info = missing == Missing::create ? signer_info(store, name, "ed25519") : store.signer(name);
  if (!info) return info.error();
  return Signer{info->public_pem, [&store, name](std::span<const std::uint8_t> message) { return store.sign(name, message); }};
}

}  // namespace heirmark::cli
