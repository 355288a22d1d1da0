#include <catch2/catch.hpp>
#include <cstdlib>

#include "bag_world.hpp"

using namespace heirmark;
namespace fs = std::filesystem;

TEST_CASE("PAE is the one of DSSE") {
  // https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md: the form of its example, for our type.
  CHECK(evidence::pae("hello world") == "DSSEv1 28 application/vnd.in-toto+json 11 hello world");
  CHECK(evidence::pae("") == "DSSEv1 28 application/vnd.in-toto+json 0 ");
}

TEST_CASE("a statement says what was signed, by whom and on what it builds") {
  const world::Signers signers;
  const std::string plan(64, 'a');
  const auto envelope = make_statement(Object::transcript, "bytes", {{"plan", plan}}, "2026-12-04T00:00:00Z", signers.auditor);
  if (!envelope.ok()) FAIL(envelope.error().message);
  const auto parsed = evidence::parse_envelope(*envelope);
  REQUIRE(parsed.ok());
  CHECK(parsed->payload == R"({"_type":"https://in-toto.io/Statement/v1","predicate":{"date":"2026-12-04T00:00:00Z","plan":")" + plan +
                               R"(","signer":"auditor"},"predicateType":"https://heirmark.dev/transcript/v1","subject":[{"digest":{"sha256":")" +
                               crypto::sha256_hex("bytes") + R"("},"name":"transcript.json"}]})" + "\n");
  CHECK(parsed->key_id == signers.auditor_key.public_key()->key_id());
  CHECK(parsed->signature.size() == 64);
  const auto statement = evidence::parse_statement(Object::transcript, parsed->payload);
  REQUIRE(statement.ok());
  CHECK(statement->date == "2026-12-04T00:00:00Z");
  CHECK(!evidence::parse_statement(Object::plan, parsed->payload).ok());  // other bindings
}

TEST_CASE("a statement that makes no sense is not signed") {
  const world::Signers signers;
  CHECK(!make_statement(Object::transcript, "x", {}, "2026-12-04T00:00:00Z", signers.auditor).ok());
  CHECK(!make_statement(Object::transcript, "x", {{"verdict", ""}}, "2026-12-04T00:00:00Z", signers.auditor).ok());
  CHECK(!make_statement(Object::commitment, "x", {}, "2026-12-04", signers.provider).ok());
  CHECK(make_statement(Object::commitment, "x", {}, "2026-12-04T00:00:00Z", {signers.auditor.public_pem, signers.provider.sign}).error().code == ErrorCode::key);
  CHECK(!make_statement(Object::commitment, "x", {}, "2026-12-04T00:00:00Z", {"no key", signers.provider.sign}).ok());
}

TEST_CASE("signing needs the object and one key for a role") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  world::Folder folder;
  REQUIRE(make_plan(w.request(folder.path(), world::small_channels()), folder.path() / "case").ok());
  CHECK(!sign_object(folder.path() / "case", Object::verdict, "2026-12-04T00:00:00Z", signers.auditor).ok());
  REQUIRE(sign_object(folder.path() / "case", Object::plan, "2026-12-04T00:00:00Z", signers.auditor).ok());
  CHECK(sign_object(folder.path() / "case", Object::plan, "2026-12-04T00:00:00Z", signers.provider).error().code == ErrorCode::key);
  CHECK(!make_bag(folder.path() / "case").ok());
}

TEST_CASE("public tools check a bag") {
  // The commands of specs/evidence.md, "By hand".
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  const std::string bag = (folder.path() / "case/bag").string();
  REQUIRE(std::system(("cd " + bag + " && sha256sum --quiet -c manifest-sha256.txt && sha256sum --quiet -c tagmanifest-sha256.txt").c_str()) == 0);
  if (std::system("command -v jq >/dev/null && command -v openssl >/dev/null") != 0) return;
  const auto by_hand = [&](const std::string& name, const std::string& check) {
    return std::system(("cd " + bag + "/data && jq -r .payload statements/" + name + ".dsse.json | base64 -d > ../../S && { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "
                        "$(stat -c %s ../../S); cat ../../S; } > ../../pae && jq -r '.signatures[0].sig' statements/" + name + ".dsse.json | base64 -d > ../../sig && " + check +
                        " >/dev/null 2>&1").c_str()) == 0;
  };
  CHECK(by_hand("plan", "openssl pkeyutl -verify -pubin -inkey trust/auditor.pem -rawin -in ../../pae -sigfile ../../sig"));
  CHECK(by_hand("ledger", "openssl dgst -sha256 -verify trust/provider.pem -signature ../../sig ../../pae"));
  CHECK(!by_hand("plan", "openssl dgst -sha256 -verify trust/provider.pem -signature ../../sig ../../pae"));
}
