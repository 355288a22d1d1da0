#include "report/statement.hpp"

#include <optional>
#include <string>

#include "report/fields.hpp"

namespace heirmark::report {
namespace {

/// Standard alphabet with padding; an empty optional for anything else.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) return std::nullopt;
    bits = ((bits << 6) | static_cast<std::uint32_t>(value)) & 0xFFFFFF;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>((bits >> held) & 0xFF);
    }
  }
  return out;
}

}  // namespace

Result<Statement> parse_statement(std::string_view object, std::string_view bytes) {
  Statement statement;
  statement.object = object;
  auto envelope = parse_object(bytes);
  if (!envelope) return envelope.error();
  std::optional<Error> error;
  Fields outer(*envelope, "envelope", error);
  outer.one_of("payloadType", {"application/vnd.in-toto+json"});
  const std::optional<std::string> payload = decode_base64(outer.text("payload"));
  if (!payload) outer.fail("payload", "is not base64");
  int signatures = 0;
  outer.each("signatures", 1, [&](Fields& item) {
    ++signatures;
    statement.key_id = item.digest("keyid");
    item.text("sig");
  });
  if (signatures != 1) outer.fail("signatures", "does not hold one signature");
  if (error) return *error;

  auto inner = parse_object(*payload);
  if (!inner) return inner.error().at("payload");
  Fields fields(*inner, "payload", error);
  const bool provider = object == "commitment" || object == "ledger";
  const std::string type = "https://heirmark.dev/" + std::string(object) + "/v1",
                    file = std::string(object) + (object == "ledger" ? ".jsonl" : ".json");
  fields.one_of("_type", {"https://in-toto.io/Statement/v1"});
  fields.one_of("predicateType", {type});
  int subjects = 0;
  fields.each("subject", 1, [&](Fields& item) {
    ++subjects;
    statement.file = item.one_of("name", {file});
    statement.sha256 = item.object("digest").digest("sha256");
  });
  if (subjects != 1) fields.fail("subject", "does not hold one subject");
  Fields predicate = fields.object("predicate");
  statement.date = predicate.time("date");
  statement.signer = predicate.one_of("signer", {provider ? "provider" : "auditor"});
  if (error) return *error;
  return statement;
}

}  // namespace heirmark::report
