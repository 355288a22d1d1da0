#include "suspect/fields.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace heirmark::fields {
namespace {
Error bad(std::string message) { return {ErrorCode::bad_input, std::move(message)}; }

std::string kind(const json::Value& value) {
  if (value.if_object() != nullptr) return "an object";
  if (value.if_array() != nullptr) return "a list";
  if (value.if_string() != nullptr) return "a string";
  if (value.if_integer() != nullptr) return "an integer";
  if (value.if_double() != nullptr) return "a fraction";
  return value.if_bool() != nullptr ? "true or false" : "null";
}

bool digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
}  // namespace

bool is_ascii_text(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 4096 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool is_hex(std::string_view text, std::size_t count) noexcept {
  return text.size() == count && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > 64) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

Fields::Fields(const json::Value& value, std::string where) : value_(&value), where_(std::move(where)) {
  if (value.if_object() == nullptr) fail("expected an object, found " + kind(value));
}

void Fields::fail(std::string message) {
  if (!error_) error_ = where_.empty() ? bad(std::move(message)) : bad(where_ + ": " + message);
}

void Fields::merge(Result<void> other) {
  if (!other && !error_) error_ = std::move(other).error();
}

bool Fields::has(std::string_view name) const { return value_->find(name) != nullptr; }

const json::Value* Fields::get(std::string_view name) {
  read_.emplace(name);
  const json::Value* found = value_->find(name);
  if (found == nullptr) fail("field \"" + std::string(name) + "\" is missing");
  return found;
}

std::string Fields::any_text(std::string_view name) {
  const json::Value* found = get(name);
  if (found == nullptr) return {};
  const std::string* text = found->if_string();
  if (text == nullptr) fail("field \"" + std::string(name) + "\": expected a string, found " + kind(*found));
  return text == nullptr ? std::string() : *text;
}

namespace {
// A string that must pass a test.
template <class Test>
std::string tested(Fields& fields, std::string_view name, bool may_be_empty, const char* what, Test test) {
  std::string text = fields.any_text(name);
  if (may_be_empty && text.empty()) return text;
  if (!test(text)) {
    fields.fail("field \"" + std::string(name) + "\" is not " + what);
    return {};
  }
  return text;
}
bool is_decimal(std::string_view text) {
  if (text.size() > 64) return false;
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  return digits(text.substr(0, point)) && (point == std::string_view::npos || digits(text.substr(point + 1)));
}
constexpr const char* kText = "1 to 4096 printable ASCII characters";
}  // namespace

std::string Fields::text(std::string_view name) { return tested(*this, name, false, kText, is_ascii_text); }
std::string Fields::text_or_empty(std::string_view name) { return tested(*this, name, true, kText, is_ascii_text); }
std::string Fields::hex(std::string_view name, std::size_t count) {
  return tested(*this, name, false, (std::to_string(count) + " lower-case hex digits").c_str(), [count](std::string_view text) { return is_hex(text, count); });
}
std::string Fields::digest_or_empty(std::string_view name) {
  return tested(*this, name, true, "64 lower-case hex digits", [](std::string_view text) { return is_hex(text, 64); });
}
std::string Fields::date_or_empty(std::string_view name) { return tested(*this, name, true, "a date such as 2026-11-01", text::is_date); }
std::string Fields::time(std::string_view name) { return tested(*this, name, false, "a time such as 2026-11-01T12:00:00Z", text::is_time); }
std::string Fields::name(std::string_view name) { return tested(*this, name, false, "a name of 1 to 64 characters a-z 0-9 . _ -", is_name); }
std::string Fields::decimal(std::string_view name) { return tested(*this, name, false, "a decimal number", is_decimal); }
std::string Fields::decimal_or_empty(std::string_view name) { return tested(*this, name, true, "a decimal number", is_decimal); }

void Fields::exactly(std::string_view name, std::string_view value) {
  std::string quoted(1, '"');
  quoted.append(value).append(1, '"');
  tested(*this, name, false, quoted.c_str(), [value](std::string_view text) { return text == value; });
}

std::uint64_t Fields::number(std::string_view name, std::uint64_t low, std::uint64_t high) {
  const json::Value* found = get(name);
  if (found == nullptr) return low;
  const auto value = integer(*found, high);
  if (!value || *value < low) {
    fail("field \"" + std::string(name) + "\" is not an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return low;
  }
  return *value;
}

bool Fields::boolean(std::string_view name) {
  const json::Value* found = get(name);
  if (found == nullptr) return false;
  const bool* value = found->if_bool();
  if (value == nullptr) fail("field \"" + std::string(name) + "\" is not true or false");
  return value != nullptr && *value;
}

std::vector<TokenId> Fields::tokens(std::string_view name, std::size_t least, std::size_t most, std::uint32_t vocab) {
  const json::Value* found = get(name);
  if (found == nullptr) return {};
  auto list = integers(*found, least, most, kMaxVocab - 1);
  if (!list) {
    fail("field \"" + std::string(name) + "\": " + list.error().message);
    return {};
  }
  for (const TokenId token : *list)
    if (token >= vocab) {
      fail("field \"" + std::string(name) + "\": token " + std::to_string(token) + " is not below the vocabulary's " + std::to_string(vocab));
      return {};
    }
  return std::move(list).value();
}

std::vector<const json::Value*> Fields::list(std::string_view name, std::size_t least, std::size_t most) {
  const json::Value* found = get(name);
  if (found == nullptr) return {};
  auto out = items(*found, least, most);
  if (!out) fail("field \"" + std::string(name) + "\": " + out.error().message);
  return out ? std::move(out).value() : std::vector<const json::Value*>();
}

Fields Fields::object(std::string_view name) {
  static const json::Value kNothing{json::Object{}};
  const json::Value* found = get(name);
  return Fields(found == nullptr ? kNothing : *found, (where_.empty() ? "" : where_ + ": ") + "field \"" + std::string(name) + "\"");
}

Result<void> Fields::finish() {
  if (!error_)
    for (const auto& member : *value_->if_object())
      if (!read_.contains(member.first)) {
        fail("unknown field \"" + text::printable(member.first, 100) + "\"");
        break;
      }
  return finish_open();
}

Result<void> Fields::finish_open() const {
  if (error_) return *error_;
  return {};
}

Result<std::vector<const json::Value*>> items(const json::Value& value, std::size_t least, std::size_t most) {
  const json::Array* list = value.if_array();
  if (list == nullptr) return bad("expected a list, found " + kind(value));
  if (list->size() < least || list->size() > most)
    return bad(std::to_string(list->size()) + " items, not " + std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)));
  std::vector<const json::Value*> out;
  out.reserve(list->size());
  for (const json::Value& item : *list) out.push_back(&item);
  return out;
}

Result<std::uint64_t> integer(const json::Value& value, std::uint64_t high) {
  const std::int64_t* number = value.if_integer();
  if (number == nullptr || *number < 0 || static_cast<std::uint64_t>(*number) > high) return bad("not an integer from 0 to " + std::to_string(high));
  return static_cast<std::uint64_t>(*number);
}

Result<std::vector<std::uint32_t>> integers(const json::Value& value, std::size_t least, std::size_t most, std::uint32_t high) {
  const auto list = items(value, least, most);
  if (!list) return list.error();
  std::vector<std::uint32_t> out;
  out.reserve(list->size());
  for (const json::Value* item : *list) {
    const auto number = integer(*item, high);
    if (!number) return bad("item " + std::to_string(out.size()) + " is " + number.error().message);
    out.push_back(static_cast<std::uint32_t>(*number));
  }
  return out;
}

Result<std::string> string_of(const json::Value& value) {
  const std::string* text = value.if_string();
  if (text == nullptr) return bad("expected a string, found " + kind(value));
  return *text;
}

Result<void> check_position(const ScoredPosition& position, std::uint32_t samples, std::uint32_t top, std::uint32_t vocab) {
  if (position.samples.size() != samples) return bad(std::to_string(position.samples.size()) + " samples, not " + std::to_string(samples));
  if (position.top.size() > top || (top > 0 && position.top.empty()))
    return bad(std::to_string(position.top.size()) + " listed tokens, not " + (top == 0 ? "0" : "1 to " + std::to_string(top)));
  std::vector<TokenId> tokens;
  double sum = 0;
  for (const TokenId token : position.samples)
    if (token >= vocab) return bad("sample " + std::to_string(token) + " is not below the vocabulary's " + std::to_string(vocab));
  for (std::size_t i = 0; i < position.top.size(); ++i) {
    const ScoredToken& entry = position.top[i];
    if (entry.token >= vocab) return bad("token " + std::to_string(entry.token) + " is not below the vocabulary's " + std::to_string(vocab));
    if (entry.nlp > 0x7FFFFFFFu) return bad("nlp " + std::to_string(entry.nlp) + " is not below 2^31");
    if (i > 0 && entry.nlp < position.top[i - 1].nlp) return bad("the listed tokens are not in the order of their probability");
    tokens.push_back(entry.token);
    sum += std::exp(-static_cast<double>(entry.nlp) / 1e6);
  }
  std::sort(tokens.begin(), tokens.end());
  if (std::adjacent_find(tokens.begin(), tokens.end()) != tokens.end()) return bad("a token is listed twice");
  if (sum > 1.001) return bad("the probabilities sum to " + std::to_string(sum));
  return {};
}

Result<ScoredPosition> scored_position(Fields& fields, std::uint32_t samples, std::uint32_t top, std::uint32_t vocab, bool lenient) {
  ScoredPosition out;
  if (!lenient || samples > 0 || fields.has("samples")) out.samples = fields.tokens("samples", 0, kMaxVocab, vocab);
  if (!lenient || top > 0 || fields.has("top"))
    for (const json::Value* item : fields.list("top", 0, kMaxVocab)) {
      const auto pair = integers(*item, 2, 2, 0x7FFFFFFFu);
      if (!pair) fields.fail("field \"top\": entry " + std::to_string(out.top.size()) + " is not [token, nlp]");
      else out.top.push_back({(*pair)[0], (*pair)[1]});
    }
  if (auto checked = check_position(out, samples, top, vocab); !checked) fields.fail(checked.error().message);
  if (auto done = fields.finish_open(); !done) return done.error();
  return out;
}

json::Value text(std::string_view value) { return json::Value(value); }
json::Value number(std::uint64_t value) { return json::Value(value); }
json::Value boolean(bool value) { return json::Value(value); }
json::Value array(std::vector<json::Value> values) { return json::Value(json::Array(std::move(values))); }
json::Value object(std::vector<std::pair<std::string, json::Value>> members) {
  json::Object out;
  for (auto& [name, value] : members) out.emplace(std::move(name), std::move(value));
  return json::Value(std::move(out));
}

std::string line(const json::Value& value) { return json::canonical(value) + "\n"; }

Result<json::Value> parse_canonical(std::string_view bytes, std::string_view where) {
  auto value = json::parse_canonical(bytes);
  if (!value) return value.error().at(where);
  return value;
}
Result<json::Value> parse_canonical_line(std::string_view line) { return json::parse_canonical(line, false); }
Result<json::Value> parse_lenient(std::string_view line) {
  json::ParseOptions options;
  options.floats = true;  // in members that are ignored
  return json::parse(line, options);
}

}  // namespace heirmark::fields
