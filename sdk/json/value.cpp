#include "json/value.hpp"

#include <cmath>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>

#include "base/wipe.hpp"
#include "json/place.hpp"

namespace heirmark::json {
namespace bj = boost::json;

const Value* Value::find(std::string_view name) const {
  const Object* object = if_object();
  if (object == nullptr) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &found->second;
}

namespace {

void write_string(std::string& out, std::string_view text);

/// A member's name for an error: escaped, and no longer than a line has room for.
std::string quoted(std::string_view name) {
  constexpr std::size_t kShown = 60;
  std::string out;
  write_string(out, name.substr(0, kShown));
  return name.size() > kShown ? out + "..." : out;
}

/// Builds a Value from Boost.JSON's events. Floats and duplicate names end the parse with a message of ours.
struct Handler {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = 1 << 16;
  static constexpr std::size_t max_string_size = std::size_t(-1);

  explicit Handler(bool accept_floats) : floats(accept_floats) {}
  bool floats;
  std::string problem;
  bool number = false;  ///< the problem is the number that was just read
  Value root;
  struct Frame { Value value; std::string key; };
  std::vector<Frame> stack;
  std::string text, key;

  bool fail(std::string what, bj::error_code& ec) {
    problem = std::move(what);
    ec = bj::error::syntax;
    return false;
  }
  bool refuse_number(std::string what, bj::error_code& ec) { return number = true, fail(std::move(what), ec); }
  bool put(Value value, bj::error_code& ec) {
    if (stack.empty()) return root = std::move(value), true;
    Frame& top = stack.back();
    if (Array* array = top.value.if_array()) return array->push_back(std::move(value)), true;
    const auto [member, fresh] = top.value.if_object()->emplace(std::move(top.key), std::move(value));
    if (!fresh) return fail("the name " + quoted(member->first) + " occurs twice", ec);
    top.key.clear();
    return true;
  }
  bool pop(bj::error_code& ec) {
    Value value = std::move(stack.back().value);
    stack.pop_back();
    return put(std::move(value), ec);
  }

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) { return stack.push_back({Object{}, {}}), true; }
  bool on_object_end(std::size_t, bj::error_code& ec) { return pop(ec); }
  bool on_array_begin(bj::error_code&) { return stack.push_back({Array{}, {}}), true; }
  bool on_array_end(std::size_t, bj::error_code& ec) { return pop(ec); }
  bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) { return key.append(part.data(), part.size()), true; }
  bool on_key(bj::string_view part, std::size_t, bj::error_code&) {
    key.append(part.data(), part.size());
    stack.back().key = std::move(key);
    key.clear();
    return true;
  }
  bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) { return text.append(part.data(), part.size()), true; }
  bool on_string(bj::string_view part, std::size_t, bj::error_code& ec) {
    text.append(part.data(), part.size());
    Value value(std::move(text));
    text.clear();
    return put(std::move(value), ec);
  }
  bool on_number_part(bj::string_view, bj::error_code&) { return true; }
  bool on_int64(std::int64_t value, bj::string_view, bj::error_code& ec) { return put(value, ec); }
  bool on_uint64(std::uint64_t, bj::string_view, bj::error_code& ec) { return refuse_number("integer out of range", ec); }
  bool on_double(double value, bj::string_view, bj::error_code& ec) {
    if (!std::isfinite(value)) return refuse_number("a number out of range", ec);
    return floats ? put(value, ec) : refuse_number("a fraction or exponent where only integers are allowed", ec);
  }
  bool on_bool(bool value, bj::error_code& ec) { return put(value, ec); }
  bool on_null(bj::error_code& ec) { return put(nullptr, ec); }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

void write_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char ch : text) {
    switch (ch) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(ch) < 0x20) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(ch) >> 4];
          out += kHex[static_cast<unsigned char>(ch) & 15];
        } else {
          out += ch;
        }
    }
  }
  out += '"';
}

void write(std::string& out, const Value& value) {
  if (value.is_null()) out += "null";
  else if (const bool* flag = value.if_bool()) out += *flag ? "true" : "false";
  else if (const std::int64_t* integer = value.if_integer()) out += std::to_string(*integer);
  else if (const std::string* text = value.if_string()) write_string(out, *text);
  else if (const Array* array = value.if_array()) {
    char separator = '[';
    for (const Value& item : *array) { out += separator; separator = ','; write(out, item); }
    if (array->empty()) out += '[';
    out += ']';
  } else if (const Object* object = value.if_object()) {
    char separator = '{';
    for (const auto& [name, member] : *object) {
      out += separator; separator = ',';
      write_string(out, name);
      out += ':';
      write(out, member);
    }
    if (object->empty()) out += '{';
    out += '}';
  }
}

/// Integers within 2^53-1 and ASCII names, all the way down.
bool representable(const Value& value) {
  constexpr std::int64_t kMax = (std::int64_t{1} << 53) - 1;
  if (const std::int64_t* integer = value.if_integer()) return *integer >= -kMax && *integer <= kMax;
  if (const Array* array = value.if_array()) {
    for (const Value& item : *array) if (!representable(item)) return false;
  }
  if (const Object* object = value.if_object()) {
    for (const auto& [name, member] : *object) {
      for (const char ch : name) if (static_cast<unsigned char>(ch) > 0x7e) return false;
      if (!representable(member)) return false;
    }
  }
  return true;
}

}  // namespace

Result<Value> parse(std::string_view text, const ParseOptions& options) {
  if (text.empty()) return Error{ErrorCode::bad_input, "it is empty"};
  bj::parse_options boost_options;
  boost_options.max_depth = options.max_depth;
  bj::basic_parser<Handler> parser(boost_options, options.floats);
  bj::error_code ec;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
  const auto malformed = [](std::size_t at, std::string_view what) { return Error{ErrorCode::bad_input, "malformed JSON at byte " + std::to_string(at) + ": " + std::string(what)}; };
  if (!ec && text.find_first_not_of(" \t\r\n", read) != std::string_view::npos) return malformed(read, "extra data after the value");
  if (ec) {
    const Handler& handler = parser.handler();
    if (!handler.problem.empty()) return malformed(handler.number ? begin_before(text, read) : read, handler.problem);
    const std::string_view fault = encoding_fault(text, read);
    return malformed(read, fault.empty() ? ec.message() : fault);
  }
  return std::move(parser.handler().root);
}

std::string canonical(const Value& value, std::size_t room) {
  std::string out;
  out.reserve(room);
  write(out, value);
  return out;
}

void wipe(Value& value) noexcept {
  if (std::string* text = value.if_string()) return heirmark::wipe(*text);
  if (Array* array = value.if_array())
    for (Value& item : *array) wipe(item);
  if (Object* object = value.if_object())
    for (auto& [name, member] : *object) wipe(member);
}

Result<Value> parse_canonical(std::string_view bytes, bool line_feed) {
  auto value = parse(bytes);
  if (!value) return value;
  if (!representable(*value)) return Error{ErrorCode::bad_input, "not canonical JSON: an integer beyond 2^53-1 or a member name that is not ASCII"};
  std::string again = canonical(*value, bytes.size() + 1);
  if (line_feed) again += '\n';
  const bool same = again == bytes;
  std::size_t at = 0;
  while (!same && at < again.size() && at < bytes.size() && again[at] == bytes[at]) ++at;
  heirmark::wipe(again);
  if (!same) {
    wipe(*value);
    return Error{ErrorCode::bad_input, "not canonical JSON: byte " + std::to_string(at) + " differs from the canonical form"};
  }
  return value;
}

}  // namespace heirmark::json
