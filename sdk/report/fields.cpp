#include "report/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace heirmark::report {
namespace {

bool digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<double> parse_decimal(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('-')) rest.remove_prefix(1);
  const std::size_t point = rest.find('.');
  if (text.size() > 64 || !digits(rest.substr(0, point)) ||
      (point != std::string_view::npos && !digits(rest.substr(point + 1))))
    return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

Result<json::Value> parse_object(std::string_view bytes) { return json::parse_canonical(bytes); }

void Fields::fail(std::string_view name, std::string_view problem) {
  if (*error_) return;
  std::string field = path_;
  if (!name.empty()) field += (field.empty() ? "" : ".") + std::string(name);
  *error_ =
      Error{ErrorCode::bad_input, file_ + ": " + (field.empty() ? "" : "field " + field + ": ") + std::string(problem)};
}

const json::Value* Fields::get(std::string_view name) {
  if (value_ == nullptr) return nullptr;
  if (value_->if_object() == nullptr) {
    fail("", "is not an object");
    return nullptr;
  }
  const json::Value* found = value_->find(name);
  if (found == nullptr) fail(name, "is missing");
  return found;
}

std::string Fields::string_at(std::string_view name) {
  const json::Value* value = get(name);
  if (value == nullptr) return {};
  if (const std::string* text = value->if_string()) return *text;
  fail(name, "is not a string");
  return {};
}

std::string Fields::text_or_empty(std::string_view name) { return string_at(name); }

std::string Fields::text(std::string_view name) {
  std::string text = string_at(name);
  if (text.empty()) fail(name, "is empty");
  return text;
}

std::string Fields::one_of(std::string_view name, std::initializer_list<std::string_view> values) {
  std::string text = string_at(name), known;
  for (const std::string_view value : values) {
    if (text == value) return text;
    known += (known.empty() ? "\"" : ", \"") + std::string(value) + "\"";
  }
  fail(name, "is not " + std::string(values.size() > 1 ? "one of " : "") + known);
  return {};
}

std::string Fields::hex(std::string_view name, std::size_t count) {
  std::string text = string_at(name);
  const bool good = text.size() == count && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (!good) fail(name, "is not " + std::to_string(count) + " lower-case hex digits");
  return good ? text : std::string();
}

std::string Fields::digest_or_empty(std::string_view name) {
  const std::string text = string_at(name);
  return text.empty() ? text : digest(name);
}

std::string Fields::date(std::string_view name) {
  std::string text = string_at(name);
  if (!text::is_date(text)) fail(name, "is not a date YYYY-MM-DD");
  return text;
}
std::string Fields::date_or_empty(std::string_view name) {
  const std::string text = string_at(name);
  return text.empty() ? text : date(name);
}
std::string Fields::time(std::string_view name) {
  std::string text = string_at(name);
  if (!text::is_time(text)) fail(name, "is not a time YYYY-MM-DDThh:mm:ssZ");
  return text;
}

std::string Fields::integer(std::string_view name) {
  std::string text = string_at(name);
  const std::string_view rest = std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
  if (!digits(rest) || rest.size() > 60) fail(name, "is not an integer in a string");
  return text;
}

std::string Fields::decimal_text(std::string_view name) {
  std::string text = string_at(name);
  if (!parse_decimal(text)) fail(name, "is not a decimal number in a string");
  return text;
}
Decimal Fields::decimal(std::string_view name) {
  std::string text = decimal_text(name);
  const double value = parse_decimal(text).value_or(0);
  return {std::move(text), value};
}
std::optional<Decimal> Fields::decimal_or_empty(std::string_view name) {
  if (string_at(name).empty()) return std::nullopt;
  return decimal(name);
}

std::uint64_t Fields::number(std::string_view name, std::uint64_t least, std::uint64_t most) {
  const json::Value* value = get(name);
  if (value == nullptr) return 0;
  const std::int64_t* number = value->if_integer();
  if (number == nullptr || *number < 0 || static_cast<std::uint64_t>(*number) < least ||
      static_cast<std::uint64_t>(*number) > most) {
    fail(name, "is not an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return 0;
  }
  return static_cast<std::uint64_t>(*number);
}

bool Fields::boolean(std::string_view name) {
  const json::Value* value = get(name);
  if (value == nullptr) return false;
  if (const bool* truth = value->if_bool()) return *truth;
  fail(name, "is not true or false");
  return false;
}

Fields Fields::object(std::string_view name) {
  return {get(name), file_, path_.empty() ? std::string(name) : path_ + "." + std::string(name), error_};
}

std::vector<std::string> Fields::texts(std::string_view name) {
  std::vector<std::string> out;
  const json::Value* value = get(name);
  if (value == nullptr) return out;
  const auto* list = value->if_array();
  if (list == nullptr) {
    fail(name, "is not a list");
    return out;
  }
  for (const json::Value& item : *list) {
    if (const std::string* text = item.if_string()) out.push_back(*text);
    else fail(name, "holds something that is not a string");
  }
  return out;
}

std::vector<std::uint64_t> Fields::numbers(std::string_view name, std::size_t most) {
  std::vector<std::uint64_t> out;
  const json::Value* value = get(name);
  if (value == nullptr) return out;
  const auto* list = value->if_array();
  if (list == nullptr || list->size() > most) {
    fail(name, "is not a list of at most " + std::to_string(most) + " integers");
    return out;
  }
  for (const json::Value& item : *list) {
    const std::int64_t* number = item.if_integer();
    if (number == nullptr || *number < 0) fail(name, "holds something that is not a count");
    else out.push_back(static_cast<std::uint64_t>(*number));
  }
  return out;
}

void Fields::each(std::string_view name, std::size_t most, const std::function<void(Fields&)>& read) {
  const json::Value* value = get(name);
  if (value == nullptr) return;
  const auto* list = value->if_array();
  if (list == nullptr || list->size() > most) {
    fail(name, "is not a list of at most " + std::to_string(most) + " objects");
    return;
  }
  std::size_t index = 0;
  for (const json::Value& item : *list) {
    Fields fields(&item, file_,
                  (path_.empty() ? "" : path_ + ".") + std::string(name) + "[" + std::to_string(index++) + "]", error_);
    read(fields);
  }
}

}  // namespace heirmark::report
