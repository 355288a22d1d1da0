// "--name value" options of one subcommand. Every option must be known and may be given once.
#pragma once
#include <algorithm>
#include <charconv>
#include <heirmark/result.hpp>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quickstart {

class Options {
 public:
  /// `known` are the names without dashes. What is not an option is kept in order as an argument.
  static heirmark::Result<Options> parse(std::span<const std::string_view> words,
                                         std::initializer_list<std::string_view> known) {
    Options options;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!words[i].starts_with("--")) {
        options.arguments_.emplace_back(words[i]);
        continue;
      }
      const std::string_view name = words[i].substr(2);
      if (std::find(known.begin(), known.end(), name) == known.end())
        return usage("unknown option --" + std::string(name));
      if (i + 1 == words.size()) return usage("--" + std::string(name) + " needs a value");
      if (!options.values_.emplace(name, words[++i]).second) return usage("--" + std::string(name) + " is given twice");
    }
    return options;
  }

  [[nodiscard]] const std::vector<std::string>& arguments() const { return arguments_; }
  [[nodiscard]] bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  [[nodiscard]] heirmark::Result<std::string> required(std::string_view name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return usage("--" + std::string(name) + " is missing");
    return found->second;
  }
  [[nodiscard]] std::string text(std::string_view name, std::string_view fallback) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string(fallback) : found->second;
  }
  /// A number in low .. high, or the fallback when the option is not given.
  template <class T>
  [[nodiscard]] heirmark::Result<T> number(std::string_view name, T fallback, T low, T high) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return fallback;
    T value{};
    const char* end = found->second.data() + found->second.size();
    const auto [stop, code] = std::from_chars(found->second.data(), end, value);
    if (code != std::errc() || stop != end || !(value >= low && value <= high)) {
      return usage("--" + std::string(name) + " " + found->second + ": not a number in range");
    }
    return value;
  }

 private:
  static heirmark::Error usage(std::string message) { return {heirmark::ErrorCode::usage, std::move(message)}; }
  std::vector<std::string> arguments_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace quickstart
