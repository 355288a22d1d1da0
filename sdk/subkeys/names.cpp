// Names of families, accounts and epochs (specs/keys.md, "Derivation").
#include <algorithm>

#include <heirmark/subkeys.hpp>

#include "base/text.hpp"

namespace heirmark {

bool is_key_name(std::string_view name) noexcept {
  const auto alnum = [](char ch) { return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'); };
  if (name.empty() || name.size() > 64 || !alnum(name.front())) return false;
  for (const char ch : name) if (!alnum(ch) && ch != '.' && ch != '_' && ch != '-') return false;
  return true;
}

Result<KeyPath> KeyPath::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto digit = [](char ch) { return ch >= '0' && ch <= '9'; };
  KeyPath path;
  if (slash != std::string_view::npos) {
    path.family = text.substr(0, slash);
    path.epoch = text.substr(slash + 1);
  }
  const std::string& e = path.epoch;
  const bool good_epoch = e.size() == 7 && e[4] == '-' && digit(e[0]) && digit(e[1]) && digit(e[2]) && digit(e[3]) && digit(e[5]) && digit(e[6]) &&
                          e.substr(5) >= "01" && e.substr(5) <= "12";
  if (!is_key_name(path.family) || !good_epoch)
    return Error{ErrorCode::bad_input, "\"" + text::printable(text, 80) + "\" is no key path: expected family/YYYY-MM, the family of a-z 0-9 . _ -"};
  return path;
}

KeyPath KeyPath::next_epoch() const {
  int year = std::stoi(epoch.substr(0, 4)), month = std::stoi(epoch.substr(5)) + 1;
  if (month == 13) { month = 1; ++year; }
  const std::string m = std::to_string(month), y = std::to_string(year);
  return {family, std::string(4 - std::min<std::size_t>(4, y.size()), '0') + y + "-" + (month < 10 ? "0" : "") + m};
}

}  // namespace heirmark
