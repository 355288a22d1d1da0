// DSSE envelopes and the statements in them, by the verifier's reader and by the report's.
#include "crypto/base64.hpp"
#include "evidence/statement.hpp"
#include "fuzz.hpp"
#include "json/value.hpp"
#include "report/statement.hpp"

using namespace heirmark;

FUZZ_TARGET(statement) {
  const std::uint8_t kind = input.byte();
  const auto object = static_cast<Object>(kind % 5);
  std::string file(input.rest());
  // Either the file, or the payload in an envelope that is in order.
  if ((kind & 0x80) != 0)
    file = json::canonical(json::Object{{"payload", crypto::base64_encode(crypto::bytes_of(file))},
                                        {"payloadType", evidence::kPayloadType},
                                        {"signatures", json::Array{json::Object{{"keyid", std::string(64, 'a')}, {"sig", "AAAA"}}}}}) + "\n";
  const auto shown = report::parse_statement(object_name(object), file);
  if (!shown) fuzz::check_error(shown.error());
  const auto envelope = evidence::parse_envelope(file);
  if (!envelope) return fuzz::check_error(envelope.error(), "envelope");
  fuzz::require(!evidence::pae(envelope->payload).empty(), "what is signed can be said");
  const auto statement = evidence::parse_statement(object, envelope->payload);
  if (!statement) return fuzz::check_error(statement.error(), "statement");
  fuzz::require(statement->bindings.size() == evidence::binding_names(object).size(), "every binding is there");
  if (statement->predicate_type == evidence::predicate_type(object) && statement->subject == object_file(object) && statement->signer == object_role(object))
    fuzz::require(shown.ok() && shown->sha256 == statement->digest && shown->date == statement->date, "verifier and report read the same statement");
}
