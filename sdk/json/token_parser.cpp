// parse_token_line: the parser's events go straight into the list of tokens.
#include <boost/json/basic_parser_impl.hpp>

#include <utility>

#include "json/lines.hpp"
#include "json/place.hpp"

namespace heirmark::json {
namespace {
namespace bj = boost::json;
constexpr std::size_t kMaxDepth = 32;
using Text = bj::string_view;

class TokenHandler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  TokenHandler(TokenLine& into, std::uint32_t max_token) : into_(into), max_token_(max_token) {}
  const char* problem = nullptr;
  bool behind = true;  ///< the parser stopped in or behind what `problem` is about, not where that begins
  bool has_tokens = false, has_prompt = false;

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code& ec) {
    if (depth_++ == 0) return true;
    return at_begin(not_a_container(ec));
  }
  bool on_object_end(std::size_t, bj::error_code&) { return --depth_, true; }
  bool on_array_begin(bj::error_code& ec) {
    if (depth_++ == 1 && member_ == Member::tokens) return in_tokens_ = true;
    return at_begin(not_a_container(ec));
  }
  bool on_array_end(std::size_t, bj::error_code&) {
    if (--depth_ == 1) in_tokens_ = false;
    return true;
  }
  bool on_key_part(Text part, std::size_t, bj::error_code&) { return depth_ == 1 ? append(part) : true; }
  bool on_key(Text part, std::size_t, bj::error_code& ec) {
    if (depth_ != 1) return true;
    append(part);
    member_ = name_ == "tokens" ? Member::tokens : name_ == "prompt_tokens" ? Member::prompt : Member::other;
    name_.clear();
    if (member_ == Member::tokens && std::exchange(has_tokens, true)) return refuse(ec, "the name \"tokens\" occurs twice");
    if (member_ == Member::prompt && std::exchange(has_prompt, true)) return refuse(ec, "the name \"prompt_tokens\" occurs twice");
    return true;
  }
  bool on_string_part(Text, std::size_t, bj::error_code& ec) { return not_an_integer(ec); }
  bool on_string(Text, std::size_t, bj::error_code& ec) { return not_an_integer(ec); }
  bool on_number_part(Text, bj::error_code&) { return true; }
  bool on_int64(std::int64_t number, Text, bj::error_code& ec) {
    if (in_tokens_) {
      if (number < 0 || number > max_token_) return refuse(ec, "a token id that is out of range");
      into_.tokens.push_back(static_cast<std::uint32_t>(number));
      return true;
    }
    if (depth_ == 1 && member_ == Member::prompt) {
      if (number < 0) return refuse(ec, "\"prompt_tokens\" is negative");
      into_.prompt_tokens = static_cast<std::uint64_t>(number);
      return true;
    }
    return not_an_integer_list(ec);
  }
  bool on_uint64(std::uint64_t, Text, bj::error_code& ec) { return not_an_integer(ec); }
  bool on_double(double, Text, bj::error_code& ec) { return not_an_integer(ec); }
  bool on_bool(bool, bj::error_code& ec) { return at_begin(not_an_integer(ec)); }
  bool on_null(bj::error_code& ec) { return at_begin(not_an_integer(ec)); }
  bool on_comment_part(Text, bj::error_code&) { return true; }
  bool on_comment(Text, bj::error_code&) { return true; }

 private:
  enum class Member : std::uint8_t { tokens, prompt, other };
  bool append(Text part) {
    if (name_.size() < 64) name_.append(part.data(), part.size());  // longer than any name that matters
    return true;
  }
  /// Of words and brackets the parser stands where they begin.
  bool at_begin(bool good) { return behind = good; }
  bool refuse(bj::error_code& ec, const char* why) {
    problem = why;
    ec = bj::make_error_code(bj::error::syntax);
    return false;
  }
  bool not_an_integer(bj::error_code& ec) {
    if (in_tokens_) return refuse(ec, "a token that is not an integer");
    if (depth_ == 1 && member_ == Member::prompt) return refuse(ec, "\"prompt_tokens\" is not an integer");
    return not_an_integer_list(ec);
  }
  bool not_an_integer_list(bj::error_code& ec) {
    if (depth_ == 0) return refuse(ec, "expected an object");
    if (depth_ == 1 && member_ == Member::tokens) return refuse(ec, "\"tokens\" is not a list");
    return true;
  }
  bool not_a_container(bj::error_code& ec) {
    if (in_tokens_) return refuse(ec, "a token that is not an integer");
    if (depth_ == 1) return refuse(ec, "expected an object");
    if (depth_ == 2 && member_ == Member::tokens) return refuse(ec, "\"tokens\" is not a list");
    if (depth_ == 2 && member_ == Member::prompt) return refuse(ec, "\"prompt_tokens\" is not an integer");
    return true;
  }

  TokenLine& into_;
  std::int64_t max_token_;
  std::size_t depth_ = 0;
  Member member_ = Member::other;
  bool in_tokens_ = false;
  std::string name_;
};

Error at_column(std::size_t offset, std::string_view what) {
  return {ErrorCode::bad_input, "column " + std::to_string(offset + 1) + ": " + std::string(what)};
}

std::string_view message(const bj::error_code& ec) {
  switch (static_cast<bj::error>(ec.value())) {
    case bj::error::incomplete: return "cut off";
    case bj::error::extra_data: return "something follows the value";
    case bj::error::too_deep: return "nested too deep";
    case bj::error::exponent_overflow: return "a number out of range";
    default: return "not JSON";
  }
}

}  // namespace

Result<void> parse_token_line(std::string_view line, std::uint32_t max_token, TokenLine& into) {
  into.tokens.clear();
  into.prompt_tokens = 0;
  bj::parse_options strict;
  strict.max_depth = kMaxDepth;
  bj::basic_parser<TokenHandler> parser(strict, into, max_token);
  bj::error_code ec;
  const std::size_t taken = parser.write_some(false, line.data(), line.size(), ec);
  const TokenHandler& handler = parser.handler();
  if (ec && handler.problem != nullptr) return at_column(handler.behind ? begin_before(line, taken) : taken, handler.problem);
  if (ec) {
    const std::string_view fault = encoding_fault(line, taken);
    return at_column(taken, fault.empty() ? message(ec) : fault);
  }
  if (!parser.done()) return at_column(taken, "cut off");
  if (taken < line.size()) return at_column(taken, "something follows the value");
  if (!handler.has_tokens) return Error{ErrorCode::bad_input, "field \"tokens\" is missing"};
  if (into.prompt_tokens > into.tokens.size())
    return Error{ErrorCode::bad_input, "field \"prompt_tokens\": " + std::to_string(into.prompt_tokens) + " is more than the " + std::to_string(into.tokens.size()) + " tokens"};
  return {};
}

}  // namespace heirmark::json
