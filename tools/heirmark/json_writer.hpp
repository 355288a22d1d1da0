// Writes one JSON object on one line. Reading is the SDK's.
#pragma once
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace heirmark::cli {

/// A writer for objects and lists, members in the order of the calls. Commas are its business.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_list() { return open('['); }
  JsonWriter& end_list() { return close(']'); }
  JsonWriter& key(std::string_view name) {
    comma();
    quote(name);
    text_ += ':';
    fresh_ = true;
    return *this;
  }
  JsonWriter& text(std::string_view value) { return comma(), quote(value), *this; }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& whole(std::uint64_t value) { return raw(std::to_string(value)); }
  JsonWriter& null() { return raw("null"); }
  /// A finite number with at most 10 significant digits, infinities and NaN as null.
  JsonWriter& number(double value) {
    if (!std::isfinite(value)) return null();
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.10g", value == 0 ? 0.0 : value);
    return raw(digits);
  }
  JsonWriter& raw(std::string_view value) {
    comma();
    text_ += value;
    return *this;
  }
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& member(std::string_view name, const char* value) { return key(name).text(value); }
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  JsonWriter& member(std::string_view name, T value) { return key(name).whole(value); }
  template <std::same_as<double> T>
  JsonWriter& member(std::string_view name, T value) { return key(name).number(value); }
  template <std::same_as<bool> T>
  JsonWriter& member(std::string_view name, T value) { return key(name).boolean(value); }
  [[nodiscard]] std::string line() const { return text_ + "\n"; }

 private:
  JsonWriter& open(char bracket) {
    comma();
    text_ += bracket;
    fresh_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return *this;
  }
  void comma() {
    if (!fresh_) text_ += ',';
    fresh_ = false;
  }
  void quote(std::string_view value) {
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  std::string text_;
  bool fresh_ = true;
};

}  // namespace heirmark::cli
