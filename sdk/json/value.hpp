// A JSON value as evidence needs it: exact integers, sorted unique members, no surprises.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <heirmark/result.hpp>

namespace heirmark::json {

class Value;
using Array = std::vector<Value>;
using Object = std::map<std::string, Value, std::less<>>;

/// null, boolean, 64-bit integer, double, string, array or object. Doubles never occur in canonical JSON.
class Value {
 public:
  using Storage = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object>;
  Value() : data_(nullptr) {}
  Value(std::nullptr_t) : data_(nullptr) {}                        // NOLINT(google-explicit-constructor)
  Value(bool value) : data_(value) {}                              // NOLINT(google-explicit-constructor)
  Value(double value) : data_(value) {}                            // NOLINT(google-explicit-constructor)
  Value(const char* text) : data_(std::string(text)) {}            // NOLINT(google-explicit-constructor)
  Value(std::string_view text) : data_(std::string(text)) {}       // NOLINT(google-explicit-constructor)
  Value(std::string text) : data_(std::move(text)) {}              // NOLINT(google-explicit-constructor)
  Value(Array array) : data_(std::move(array)) {}                  // NOLINT(google-explicit-constructor)
  Value(Object object) : data_(std::move(object)) {}               // NOLINT(google-explicit-constructor)
  template <class T, class = std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>>
  Value(T value)                                                   // NOLINT(google-explicit-constructor)
      : data_(std::in_range<std::int64_t>(value) ? static_cast<std::int64_t>(value) : INT64_MAX) {}  // no reader takes 2^63 - 1

  [[nodiscard]] bool is_null() const { return data_.index() == 0; }
  [[nodiscard]] const bool* if_bool() const { return std::get_if<bool>(&data_); }
  [[nodiscard]] const std::int64_t* if_integer() const { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const double* if_double() const { return std::get_if<double>(&data_); }
  [[nodiscard]] const std::string* if_string() const { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const Array* if_array() const { return std::get_if<Array>(&data_); }
  [[nodiscard]] const Object* if_object() const { return std::get_if<Object>(&data_); }
  [[nodiscard]] std::string* if_string() { return std::get_if<std::string>(&data_); }
  [[nodiscard]] Array* if_array() { return std::get_if<Array>(&data_); }
  [[nodiscard]] Object* if_object() { return std::get_if<Object>(&data_); }
  /// The member of that name, or nullptr (also when this is no object).
  [[nodiscard]] const Value* find(std::string_view name) const;
  friend bool operator==(const Value&, const Value&) = default;
  [[nodiscard]] const Storage& storage() const { return data_; }

 private:
  Storage data_;
};

struct ParseOptions {
  bool floats = false;        ///< accept fractions and exponents (as doubles)
  std::size_t max_depth = 32;
};
/// Strict RFC 8259 with duplicate names rejected. The error names the byte offset.
[[nodiscard]] Result<Value> parse(std::string_view text, const ParseOptions& options = {});

/// Canonical bytes (specs/formats.md), without the final line feed. Requires no doubles, ASCII names, integers within 2^53-1. Where they are no more than `room`, no other copy of them was made.
[[nodiscard]] std::string canonical(const Value& value, std::size_t room = 0);
/// Accepts exactly canonical(value), and a line feed when `line_feed`. Leaves no copy of the bytes but in the value.
[[nodiscard]] Result<Value> parse_canonical(std::string_view bytes, bool line_feed = true);
/// Overwrites every string of a value that held a secret.
void wipe(Value& value) noexcept;

}  // namespace heirmark::json
