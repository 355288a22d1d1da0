// Reading an object of the bag field by field. The first thing that is wrong is kept, with the file and the path of the
// field
// ("plan.json: field channels[1].weight: ..."), so that a reader is one straight list of fields.
#pragma once
#include <cstdint>
#include <functional>
#include <heirmark/result.hpp>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "json/value.hpp"
#include "report/case.hpp"

namespace heirmark::report {

/// Reads the canonical bytes of an object.
[[nodiscard]] Result<json::Value> parse_object(std::string_view bytes);

class Fields {
 public:
  /// `error` outlives this and takes the first thing that is wrong.
  Fields(const json::Value& value, std::string file, std::optional<Error>& error)
      : Fields(&value, std::move(file), "", &error) {}

  std::string text(std::string_view name);  ///< any string but the empty one
  std::string text_or_empty(std::string_view name);
  std::string one_of(std::string_view name, std::initializer_list<std::string_view> values);
  std::string hex(std::string_view name, std::size_t digits);  ///< lower case
  std::string digest(std::string_view name) { return hex(name, 64); }
  std::string digest_or_empty(std::string_view name);
  std::string date(std::string_view name);  ///< YYYY-MM-DD
  std::string date_or_empty(std::string_view name);
  std::string time(std::string_view name);          ///< YYYY-MM-DDThh:mm:ssZ
  std::string integer(std::string_view name);       ///< a string of digits, with a sign or not
  std::string decimal_text(std::string_view name);  ///< -?digits[.digits]
  Decimal decimal(std::string_view name);
  std::optional<Decimal> decimal_or_empty(std::string_view name);
  std::uint64_t number(std::string_view name, std::uint64_t least = 0, std::uint64_t most = (1ull << 53) - 1);
  bool boolean(std::string_view name);
  Fields object(std::string_view name);
  std::vector<std::string> texts(std::string_view name);
  std::vector<std::uint64_t> numbers(std::string_view name, std::size_t most);
  void each(std::string_view name, std::size_t most, const std::function<void(Fields&)>& read);  ///< a list of objects
  void fail(std::string_view name, std::string_view problem);

 private:
  Fields(const json::Value* value, std::string file, std::string path, std::optional<Error>* error)
      : value_(value), file_(std::move(file)), path_(std::move(path)), error_(error) {}
  const json::Value* get(std::string_view name);
  std::string string_at(std::string_view name);

  const json::Value* value_;  ///< nullptr after an error
  std::string file_, path_;
  std::optional<Error>* error_;
};

}  // namespace heirmark::report
