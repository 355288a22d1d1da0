// in-toto statements in DSSE envelopes (specs/evidence.md, "Statements").
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/evidence.hpp>

#include "crypto/signature.hpp"

namespace heirmark::evidence {

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";

/// The bytes that are signed.
[[nodiscard]] std::string pae(std::string_view payload);

/// An envelope, taken apart and checked for form, not for truth.
struct Envelope {
  std::string payload;    ///< the statement S
  std::string key_id, signature;
};
[[nodiscard]] Result<Envelope> parse_envelope(std::string_view bytes);

/// Is the envelope signed, over its payload, by that key?
[[nodiscard]] bool signed_by(const Envelope& envelope, const crypto::PublicKey& key);

struct Statement {
  std::string subject, digest;       ///< file name and SHA-256
  std::string predicate_type, date, signer;
  std::vector<Binding> bindings;     ///< ascending by name
};
/// Reads a statement whose predicate has exactly the bindings that `object` has.
[[nodiscard]] Result<Statement> parse_statement(Object object, std::string_view payload);
[[nodiscard]] std::string predicate_type(Object object);
/// Names of the digests that an object's predicate holds, ascending.
[[nodiscard]] std::vector<std::string> binding_names(Object object);
/// File (in a case's folder) behind a binding's name: "plan" -> "plan.json".
[[nodiscard]] std::string binding_file(std::string_view name);
/// "statements/plan.dsse.json".
[[nodiscard]] std::string statement_file(Object object);
/// "trust/auditor.pem".
[[nodiscard]] std::string key_file(std::string_view role);

}  // namespace heirmark::evidence
