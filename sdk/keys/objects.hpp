// Reading objects of specs/keys.md from canonical JSON: every member known, none missing, none more.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

#include "json/value.hpp"

namespace heirmark::keys {

class Members {
 public:
  Members(const json::Value& value, std::string_view type);
  std::string text(std::string_view name, std::size_t longest = 256);
  std::string hex(std::string_view name, std::size_t digits);
  std::string date(std::string_view name);
  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high);
  /// The first problem, or success when every member was asked for.
  [[nodiscard]] Result<void> finish();
  void fail(std::string message) { if (!error_) error_ = Error{ErrorCode::bad_input, std::move(message)}; }

 private:
  const json::Value* get(std::string_view name);
  const json::Value& value_;
  std::size_t asked_ = 0;
  std::optional<Error> error_;
};

}  // namespace heirmark::keys
