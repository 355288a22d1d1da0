// The subkeys file (specs/keys.md). Its canonical form leaves no choice in a single byte, so the reader walks along that form: the
// secrets go from the text into Secret32 and nowhere else, where a general parser would leave copies of them in freed memory.
#include <heirmark/subkeys.hpp>

#include <algorithm>
#include <array>

#include "base/files.hpp"
#include "base/text.hpp"
#include "base/wipe.hpp"

namespace heirmark {
namespace {
constexpr std::string_view kType = "heirmark/subkeys/v1";
constexpr std::size_t kLongestText = 256;  ///< of path, profile and names

int hex_value(char ch) { return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1; }

/// Walks along canonical JSON. After the first problem every call does nothing.
class Walk {
 public:
  explicit Walk(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool good() const { return problem_.empty(); }
  [[nodiscard]] Error error() const { return {ErrorCode::bad_input, problem_}; }

  /// `text` must stand here.
  void expect(std::string_view text, std::string_view what) {
    if (!good()) return;
    if (bytes_.substr(at_, text.size()) == text) at_ += text.size();
    else fail("expected " + std::string(what));
  }
  void member(std::string_view name) {
    member_ = name;
    expect((first_ ? "{\"" : ",\"") + std::string(name) + "\":", "the member \"" + std::string(name) + "\"");
    first_ = false;
  }
  /// A string without escapes: nothing in this file needs one.
  std::string text() {
    expect("\"", "a string");
    if (!good()) return {};
    const std::size_t end = bytes_.find('"', at_);
    const std::string_view found = bytes_.substr(at_, std::min(end, at_ + kLongestText) - at_);
    if (end - at_ > kLongestText || !std::all_of(found.begin(), found.end(), [](char ch) { return ch >= 0x20 && ch <= 0x7e && ch != '\\'; })) {
      fail("expected a string of at most 256 plain ASCII characters");
      return {};
    }
    at_ = end + 1;
    return std::string(found);
  }
  Secret32 secret() {
    expect("\"", "64 hex digits");
    std::array<std::uint8_t, 32> bytes{};
    for (std::uint8_t& byte : bytes) {
      const int high = at_ + 1 < bytes_.size() ? hex_value(bytes_[at_]) : -1, low = high < 0 ? -1 : hex_value(bytes_[at_ + 1]);
      if (good() && low < 0) fail("expected 64 lower-case hex digits");
      if (!good()) break;
      byte = static_cast<std::uint8_t>(high << 4 | low);
      at_ += 2;
    }
    Secret32 out{std::span<const std::uint8_t, 32>(bytes)};
    explicit_bzero(bytes.data(), bytes.size());
    expect("\"", "the end of 64 hex digits");
    return out;
  }
  /// "[item,item,..]"; an empty list is left to the caller.
  template <class Item>
  void list(const Item& item) {
    expect("[", "a list");
    if (skip(']')) return;
    while (good()) {
      item();
      if (skip(']')) return;
      expect(",", "\",\" or \"]\"");
    }
  }
  void end() {
    expect("}\n", "the end of the object and a line feed; another member or form is not allowed");
    if (good() && at_ != bytes_.size()) fail("something follows the object");
  }
  void fail(const std::string& what) {
    if (good()) problem_ = "byte " + std::to_string(at_) + (member_.empty() ? "" : ", member \"" + std::string(member_) + "\"") + ": " + what;
  }

 private:
  bool skip(char ch) {
    if (!good() || at_ >= bytes_.size() || bytes_[at_] != ch) return false;
    ++at_;
    return true;
  }
  std::string_view bytes_, member_;
  std::size_t at_ = 0;
  bool first_ = true;
  std::string problem_;
};

void put_hex(std::string& out, const Secret32& secret) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (const std::uint8_t byte : secret.expose_secret()) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  out += '"';
}

template <class List, class Put>
void put_list(std::string& out, const List& list, const Put& put) {
  char separator = '[';
  for (const auto& item : list) {
    out += separator;
    separator = ',';
    put(item);
  }
  out += ']';
}
}  // namespace

Result<void> SubkeysFile::check_accounts(std::span<const std::string> accounts) {
  if (accounts.empty()) return Error{ErrorCode::bad_input, "at least one account is needed"};
  for (const std::string& account : accounts)
    if (!is_key_name(account)) return Error{ErrorCode::bad_input, "\"" + text::printable(account, 80) + "\" is no account name: expected 1 to 64 of a-z 0-9 . _ -"};
  std::vector<std::string_view> sorted(accounts.begin(), accounts.end());
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    return Error{ErrorCode::bad_input, "the account \"" + std::string(*twice) + "\" is there twice"};
  return {};
}

Result<SubkeysFile> SubkeysFile::parse(std::string_view bytes) {
  if (!bytes.starts_with("{\"accounts\":")) return Error{ErrorCode::bad_input, "no subkeys file: one begins with {\"accounts\":"};
  Walk walk(bytes);
  SubkeysFile out;
  walk.member("accounts");
  walk.list([&] { out.accounts.push_back(walk.text()); });
  if (walk.good())
    if (auto good = check_accounts(out.accounts); !good) walk.fail(good.error().message);
  walk.member("coin");
  out.subkeys.coin = walk.secret();
  walk.member("issuance");
  out.subkeys.issuance.reserve(out.accounts.size());
  walk.list([&] {
    Secret32 key = walk.secret();
    if (out.subkeys.issuance.size() == out.accounts.size()) walk.fail("more subkeys than accounts");
    else out.subkeys.issuance.push_back(std::move(key));
  });
  if (out.subkeys.issuance.size() != out.accounts.size()) walk.fail("fewer subkeys than accounts");
  walk.member("keyId");
  out.key_id = walk.text();
  if (out.key_id.size() != 16 || !std::all_of(out.key_id.begin(), out.key_id.end(), [](char ch) { return hex_value(ch) >= 0; }))
    walk.fail("expected 16 lower-case hex digits");
  walk.member("path");
  const std::string path_text = walk.text();
  walk.member("profile");
  const std::string profile_name = walk.text();
  walk.member("type");
  if (walk.text() != kType) walk.fail("expected \"" + std::string(kType) + "\"");
  walk.member("window");
  std::size_t windows = 0;
  walk.list([&] {
    Secret32 key = walk.secret();
    if (windows == Subkeys::kClasses) walk.fail("more than 16 subkeys");
    else out.subkeys.window[windows++] = std::move(key);
  });
  if (windows != Subkeys::kClasses) walk.fail("fewer than 16 subkeys");
  walk.end();
  if (!walk.good()) return walk.error();
  auto path = KeyPath::parse(path_text);
  if (!path) return path.error().at("member \"path\"");
  const auto profile = profiles::find(profile_name);
  if (!profile) return profile.error().at("member \"profile\"");
  out.path = *std::move(path);
  out.profile = *profile;
  return out;
}

Result<SubkeysFile> SubkeysFile::read(const std::filesystem::path& file) {
  auto bytes = files::read_secret(file, kMaxBytes);
  if (!bytes) return bytes.error();
  auto parsed = parse(*bytes);
  wipe(*bytes);
  if (!parsed) return parsed.error().at(file.string());
  return parsed;
}

std::string SubkeysFile::bytes() const {
  std::string out;
  // Room for everything at once: a string that grows leaves copies of its secrets behind.
  out.reserve(1024 + accounts.size() * (64 + 64 + 8) + Subkeys::kClasses * 68 + path.family.size());
  const auto hex = [&out](const Secret32& secret) { put_hex(out, secret); };
  out += "{\"accounts\":";
  put_list(out, accounts, [&out](const std::string& account) { out.append(1, '"').append(account).append(1, '"'); });
  out += ",\"coin\":";
  hex(subkeys.coin);
  out += ",\"issuance\":";
  put_list(out, subkeys.issuance, hex);
  out.append(",\"keyId\":\"").append(key_id).append("\",\"path\":\"").append(path.text()).append("\",\"profile\":\"").append(profile.name);
  out.append("\",\"type\":\"").append(kType).append("\",\"window\":");
  put_list(out, subkeys.window, hex);
  out += "}\n";
  return out;
}

}  // namespace heirmark
