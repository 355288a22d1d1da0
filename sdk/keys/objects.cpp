#include "keys/objects.hpp"

#include "base/text.hpp"

namespace heirmark::keys {

Members::Members(const json::Value& value, std::string_view type) : value_(value) {
  if (value.if_object() == nullptr) fail("expected a JSON object");
  else if (text("type") != type) fail("expected an object of type \"" + std::string(type) + "\"");
}

const json::Value* Members::get(std::string_view name) {
  ++asked_;
  const json::Value* found = value_.find(name);
  if (found == nullptr) fail("member \"" + std::string(name) + "\" is missing");
  return found;
}

std::string Members::text(std::string_view name, std::size_t longest) {
  const json::Value* found = get(name);
  const std::string* text = found == nullptr ? nullptr : found->if_string();
  if (text == nullptr) return fail("member \"" + std::string(name) + "\": expected a string"), "";
  if (text->size() > longest) return fail("member \"" + std::string(name) + "\": longer than " + std::to_string(longest) + " characters"), "";
  for (const char ch : *text)
    if (ch < 0x20 || ch > 0x7e) return fail("member \"" + std::string(name) + "\": expected printable ASCII"), "";
  return *text;
}

std::string Members::hex(std::string_view name, std::size_t digits) {
  std::string text = this->text(name);
  if (text.size() != digits || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    fail("member \"" + std::string(name) + "\": expected " + std::to_string(digits) + " lower-case hex digits");
  return text;
}

std::string Members::date(std::string_view name) {
  std::string text = this->text(name);
  if (!text::is_date(text)) fail("member \"" + std::string(name) + "\": expected a date YYYY-MM-DD");
  return text;
}

std::int64_t Members::integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const json::Value* found = get(name);
  const std::int64_t* integer = found == nullptr ? nullptr : found->if_integer();
  if (integer == nullptr || *integer < low || *integer > high) {
    fail("member \"" + std::string(name) + "\": expected an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return low;
  }
  return *integer;
}

Result<void> Members::finish() {
  if (!error_ && value_.if_object()->size() != asked_) fail("an unknown member");
  if (error_) return *error_;
  return {};
}

}  // namespace heirmark::keys
