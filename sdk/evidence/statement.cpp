#include "evidence/statement.hpp"

#include <algorithm>

#include "audit/fields.hpp"
#include "audit/plan.hpp"
#include "base/files.hpp"
#include "crypto/base64.hpp"
#include "crypto/signature.hpp"

namespace heirmark {
namespace {
namespace fs = std::filesystem;
using fields::Fields;
using json::Value;
}  // namespace

std::string_view object_name(Object object) noexcept {
  switch (object) {
    case Object::commitment: return "commitment";
    case Object::ledger: return "ledger";
    case Object::plan: return "plan";
    case Object::transcript: return "transcript";
    case Object::verdict: return "verdict";
  }
  return "?";
}

std::string_view object_file(Object object) noexcept {
  switch (object) {
    case Object::commitment: return "commitment.json";
    case Object::ledger: return "ledger.jsonl";
    case Object::plan: return "plan.json";
    case Object::transcript: return "transcript.json";
    case Object::verdict: return "verdict.json";
  }
  return "?";
}

std::string_view object_role(Object object) noexcept {
  return object == Object::commitment || object == Object::ledger ? "provider" : "auditor";
}

namespace evidence {
std::string predicate_type(Object object) { return "https://heirmark.dev/" + std::string(object_name(object)) + "/v1"; }
std::string statement_file(Object object) { return "statements/" + std::string(object_name(object)) + ".dsse.json"; }
std::string key_file(std::string_view role) { return "trust/" + std::string(role) + ".pem"; }

std::vector<std::string> binding_names(Object object) {
  switch (object) {
    case Object::commitment: return {};
    case Object::ledger: return {"commitment"};
    case Object::plan: return {"commitment", "ledger", "prompts", "suspect"};
    case Object::transcript: return {"plan"};
    case Object::verdict: return {"opening", "plan", "transcript"};
  }
  return {};
}

std::string binding_file(std::string_view name) { return std::string(name) + (name == "ledger" || name == "prompts" ? ".jsonl" : ".json"); }

std::string pae(std::string_view payload) {
  return "DSSEv1 " + std::to_string(kPayloadType.size()) + " " + std::string(kPayloadType) + " " + std::to_string(payload.size()) + " " + std::string(payload);
}

Result<Envelope> parse_envelope(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "envelope");
  if (!value) return value.error();
  Fields in(*value, "envelope");
  in.exactly("payloadType", kPayloadType);
  const std::string payload = in.any_text("payload");
  const auto signatures = in.list("signatures", 1, 1);
  if (auto done = in.finish(); !done) return done.error();
  Fields one(*signatures[0], "envelope: signatures");
  Envelope out;
  out.key_id = one.digest("keyid");
  const std::string signature = one.any_text("sig");
  if (auto done = one.finish(); !done) return done.error();
  for (const auto& [text, into] : {std::pair<const std::string&, std::string&>{payload, out.payload}, {signature, out.signature}}) {
    const auto decoded = crypto::base64_decode(text);
    if (!decoded) return decoded.error().at("envelope");
    into.assign(decoded->begin(), decoded->end());
  }
  return out;
}

Result<Statement> parse_statement(Object object, std::string_view payload) {
  const auto value = fields::parse_canonical(payload, "statement");
  if (!value) return value.error();
  Fields in(*value, "statement");
  in.exactly("_type", "https://in-toto.io/Statement/v1");
  Statement out;
  out.predicate_type = in.text("predicateType");
  const auto subjects = in.list("subject", 1, 1);
  Fields predicate = in.object("predicate");
  if (auto done = in.finish(); !done) return done.error();
  Fields subject(*subjects[0], "statement: subject");
  out.subject = subject.text("name");
  Fields digest = subject.object("digest");
  out.digest = digest.digest("sha256");
  subject.merge(digest.finish());
  if (auto done = subject.finish(); !done) return done.error();
  out.date = predicate.time("date");
  out.signer = predicate.text("signer");
  for (const std::string& name : binding_names(object)) out.bindings.push_back({name, predicate.digest_or_empty(name)});
  if (auto done = predicate.finish(); !done) return done.error();
  return out;
}

bool signed_by(const Envelope& envelope, const crypto::PublicKey& key) {
  const std::string message = pae(envelope.payload);
  const auto* text = reinterpret_cast<const std::uint8_t*>(message.data());
  const auto* mark = reinterpret_cast<const std::uint8_t*>(envelope.signature.data());
  return static_cast<bool>(key.verify({text, message.size()}, {mark, envelope.signature.size()}));
}
}  // namespace evidence

Result<std::string> make_statement(Object object, std::string_view bytes, const std::vector<Binding>& bindings, std::string_view date, const Signer& signer) {
  if (!text::is_time(date)) return Error{ErrorCode::usage, "the date of a statement is a time such as 2026-11-01T12:00:00Z, not \"" + std::string(date) + "\""};
  const auto key = crypto::PublicKey::from_pem(signer.public_pem);
  if (!key) return key.error().at("the signer's public key");
  std::vector<std::pair<std::string, Value>> predicate{{"date", fields::text(date)}, {"signer", fields::text(object_role(object))}};
  const auto names = evidence::binding_names(object);
  if (names.size() != bindings.size()) return Error{ErrorCode::usage, "a statement about a " + std::string(object_name(object)) + " has other bindings"};
  for (const std::string& name : names) {
    const auto found = std::find_if(bindings.begin(), bindings.end(), [&](const Binding& binding) { return binding.name == name; });
    if (found == bindings.end()) return Error{ErrorCode::usage, "a statement about a " + std::string(object_name(object)) + " needs the digest of " + name};
    predicate.emplace_back(name, fields::text(found->digest));
  }
  const Value subject = fields::object({{"name", fields::text(object_file(object))},
                                        {"digest", fields::object({{"sha256", fields::text(audit::digest(bytes))}})}});
  const std::string payload = fields::line(fields::object({{"_type", fields::text("https://in-toto.io/Statement/v1")},
                                                           {"subject", fields::array({subject})},
                                                           {"predicateType", fields::text(evidence::predicate_type(object))},
                                                           {"predicate", fields::object(std::move(predicate))}}));
  const std::string message = evidence::pae(payload);
  const auto* data = reinterpret_cast<const std::uint8_t*>(message.data());
  const auto signature = signer.sign({data, message.size()});
  if (!signature) return signature.error();
  if (auto good = key->verify({data, message.size()}, *signature); !good)
    return Error{ErrorCode::key, "the signature does not fit the signer's public key"};
  return fields::line(fields::object(
      {{"payload", fields::text(crypto::base64_encode({reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()}))},
       {"payloadType", fields::text(evidence::kPayloadType)},
       {"signatures", fields::array({fields::object({{"keyid", fields::text(key->key_id())}, {"sig", fields::text(crypto::base64_encode(*signature))}})})}}));
}

namespace {
// Digests of the files in a folder that an object's statement builds on.
Result<std::vector<Binding>> bindings_of(const fs::path& folder, Object object) {
  std::vector<Binding> bindings;
  for (const std::string& name : evidence::binding_names(object)) {
    const fs::path path = folder / evidence::binding_file(name);
    if ((name == "ledger" || name == "prompts") && files::is_missing(path)) { bindings.push_back({name, ""}); continue; }
    const auto file = files::read(path, audit::kMaxFile);
    if (!file) return file.error();
    bindings.push_back({name, audit::digest(*file)});
  }
  return bindings;
}

// The date of a statement in an envelope, if it is about these bytes and bindings and the signature is that key's.
Result<std::string> date_of(Object object, std::string_view envelope_bytes, std::string_view bytes, const std::vector<Binding>& bindings, std::string_view pem) {
  const auto bad = [](const char* what) { return Error{ErrorCode::usage, what}; };
  const auto envelope = evidence::parse_envelope(envelope_bytes);
  if (!envelope) return envelope.error();
  const auto statement = evidence::parse_statement(object, envelope->payload);
  if (!statement) return statement.error();
  const auto key = crypto::PublicKey::from_pem(pem);
  if (!key) return key.error();
  if (envelope->key_id != key->key_id() || !evidence::signed_by(*envelope, *key)) return bad("it is signed with another key");
  if (statement->digest != audit::digest(bytes)) return bad("it is about other bytes");
  for (std::size_t i = 0; i < bindings.size(); ++i)
    if (statement->bindings[i].digest != bindings[i].digest) return bad("it builds on other bytes");
  return statement->date;
}
}  // namespace

Result<std::string> signed_before(const std::filesystem::path& folder, Object object, std::string_view bytes, const Signer& signer) {
  const fs::path path = folder / evidence::statement_file(object);
  if (files::is_missing(path)) return std::string();
  const auto envelope = files::read(path, audit::kMaxObject);
  if (!envelope) return envelope.error();
  const auto bindings = bindings_of(folder, object);
  if (!bindings) return bindings.error();
  auto date = date_of(object, *envelope, bytes, *bindings, signer.public_pem);
  if (!date) return Error{ErrorCode::usage, path.string() + " is there already, and " + date.error().message + "; a statement is not replaced: take another folder, or move it away"};
  return date;
}

Result<void> check_signer(const std::filesystem::path& folder, Object object, const Signer& signer) {
  const fs::path key = folder / evidence::key_file(object_role(object));
  if (files::is_missing(key)) return {};
  const auto known = files::read(key, audit::kMaxObject);
  if (!known) return known.error();
  if (*known != signer.public_pem) return Error{ErrorCode::key, key.string() + " holds another key: one " + std::string(object_role(object)) + " signs a case"};
  return {};
}

Result<void> sign_object(const std::filesystem::path& folder, Object object, std::string_view date, const Signer& signer) {
  const auto bytes = files::read(folder / object_file(object), audit::kMaxFile);
  if (!bytes) return bytes.error();
  const auto bindings = bindings_of(folder, object);
  if (!bindings) return bindings.error();
  if (auto fits = check_signer(folder, object, signer); !fits) return fits;
  const auto envelope = make_statement(object, *bytes, *bindings, date, signer);
  if (!envelope) return envelope.error();
  std::error_code code;
  for (const char* name : {"trust", "statements"}) {
    fs::create_directories(folder / name, code);
    if (code) return files::failure(folder / name, code.value(), files::Access::write);
  }
  if (auto done = files::write_atomic(folder / evidence::key_file(object_role(object)), signer.public_pem); !done) return done;
  const fs::path file = folder / evidence::statement_file(object);
  if (!files::is_missing(file)) {
    const auto before = files::read(file, audit::kMaxObject);
    if (before && *before == *envelope) return {};  // its stamps stay
  }
  fs::path fresh = file;
  fresh += ".new";
  if (auto done = files::write_atomic(fresh, *envelope); !done) return done;
  for (unsigned slot = 1; slot <= kStampSlots; ++slot) {  // one that stayed would be about another statement, and the bag invalid
    const fs::path stamp = folder / stamp_file(object, slot);
    fs::remove(stamp, code);
    if (code) return files::failure(stamp, code.value(), files::Access::write);
  }
  return files::rename(fresh, file);
}

}  // namespace heirmark
