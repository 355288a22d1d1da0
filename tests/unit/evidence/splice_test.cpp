// Parts of two valid bags of one provider and one auditor, mixed. Every part is genuine; the whole is not.
#include <catch2/catch.hpp>

#include "bag_world.hpp"

using namespace heirmark;
using world::failures;
using world::Files;
using world::text;
namespace {
struct Pair {
  world::Signers signers;
  world::World wa{{.seed = 21, .responses = 3, .tokens = 3}}, wb{{.seed = 22, .responses = 3, .tokens = 3}};
  Files a = world::small_bag(wa, signers), b = world::small_bag(wb, signers);
};
const Pair& pair() {
  static const Pair both;
  return both;
}
}  // namespace

TEST_CASE("a part of another bag in its place is told by its own code") {
  // For each file: codes that must be among the failures. Together they name the part that was exchanged.
  const std::map<std::string, std::set<std::string>> expected{
      {"commitment.json", {"commitment.opening-digest", "plan.commitment", "verdict.commitment", "statement.commitment.subject"}},
      {"opening.json", {"commitment.opening-digest", "verdict.opening"}},
      {"suspect.json", {}},  // the two bags are about one suspect
      {"plan.json", {"transcript.plan", "verdict.plan", "statement.plan.subject", "plan.commitment"}},
      {"prompts.jsonl", {"plan.prompts", "statement.plan.predicate"}},
      {"ledger.jsonl", {"plan.ledger", "verdict.ledger", "statement.ledger.subject", "statement.plan.predicate"}},
      {"transcript.json", {"transcript.plan", "transcript.file", "verdict.transcript", "statement.transcript.subject"}},
      {"transcript/c1.jsonl", {"transcript.file", "transcript.c1"}},
      {"transcript/issued.jsonl", {"transcript.file"}},
      {"verdict.json", {"verdict.plan", "verdict.recomputed", "statement.verdict.subject"}},
      {"statements/commitment.dsse.json", {"statement.commitment.subject"}},
      {"statements/ledger.dsse.json", {"statement.ledger.subject", "statement.ledger.predicate"}},
      {"statements/plan.dsse.json", {"statement.plan.subject", "statement.plan.predicate"}},
      {"statements/transcript.dsse.json", {"statement.transcript.subject", "statement.transcript.predicate"}},
      {"statements/verdict.dsse.json", {"statement.verdict.subject", "statement.verdict.predicate"}},
  };
  REQUIRE(world::verify(pair().a).state == BagState::valid);
  REQUIRE(world::verify(pair().b).state == BagState::valid);
  std::map<std::set<std::string>, std::string> seen;
  for (const auto& [name, codes] : expected)
    for (const bool forward : {true, false}) {
      const Files& into = forward ? pair().a : pair().b;
      const Files& from = forward ? pair().b : pair().a;
      Files mixed = into;
      mixed["data/" + name] = from.at("data/" + name);
      if (mixed == into) { CHECK(codes.empty()); continue; }
      // Without new manifests: the manifest names the file.
      const VerifyReport plain = world::verify(mixed);
      CHECK(failures(plain) == std::set<std::string>{"bag.manifest"});
      CHECK(plain.checks.back().detail.find(name) != std::string::npos);
      // With new manifests.
      const VerifyReport report = world::verify(world::remade(mixed));
      INFO(name << "\n" << text(report));
      CHECK(report.state == BagState::invalid);
      for (const std::string& code : codes) {
        INFO(code);
        CHECK(failures(report).contains(code));
      }
      if (forward) {
        const auto [before, fresh] = seen.emplace(failures(report), name);
        INFO(name << " and " << before->second << " fail alike");
        CHECK(fresh);
      }
    }
}

TEST_CASE("a part in the place of another part is told") {
  std::vector<std::string> names;
  for (const auto& [path, bytes] : pair().a)
    if (path.starts_with("data/")) names.push_back(path);
  for (const std::string& from : names)
    for (const std::string& to : names) {
      if (from == to) continue;
      Files mixed = pair().a;
      mixed[to] = pair().a.at(from);
      const VerifyReport report = world::verify(world::remade(mixed));
      INFO(from << " in the place of " << to);
      REQUIRE(report.state == BagState::invalid);
      REQUIRE(!failures(report).empty());
      mixed[to] = pair().b.at(from);
      REQUIRE(world::verify(world::remade(mixed)).state == BagState::invalid);
      mixed = pair().a;
      std::swap(mixed[from], mixed[to]);
      REQUIRE(world::verify(world::remade(mixed)).state == BagState::invalid);
    }
}

TEST_CASE("every proper mixture of objects of two bags is rejected") {
  // Objects with what hangs on them: an attacker would take whole groups.
  const std::vector<std::vector<std::string>> groups{
      {"commitment.json", "opening.json", "statements/commitment.dsse.json"},
      {"ledger.jsonl", "statements/ledger.dsse.json"},
      {"prompts.jsonl"},
      {"plan.json", "statements/plan.dsse.json"},
      {"transcript.json", "transcript/c1.jsonl", "transcript/issued.jsonl", "statements/transcript.dsse.json"},
      {"verdict.json", "statements/verdict.dsse.json"},
  };
  for (unsigned choice = 1; choice + 1 < 1u << groups.size(); ++choice) {
    Files mixed = pair().a;
    for (std::size_t g = 0; g < groups.size(); ++g)
      if ((choice >> g & 1) != 0)
        for (const std::string& name : groups[g]) mixed["data/" + name] = pair().b.at("data/" + name);
    const VerifyReport report = world::verify(world::remade(mixed));
    INFO(choice);
    REQUIRE(report.state == BagState::invalid);
  }
}

TEST_CASE("a key of somebody else does not fit the signatures") {
  const world::Signers strangers;
  for (const auto& [role, pem] : {std::pair<std::string, std::string>{"provider", strangers.provider.public_pem}, {"auditor", strangers.auditor.public_pem}}) {
    Files changed = pair().a;
    changed["data/trust/" + role + ".pem"] = pem;
    const auto failed = failures(world::verify(world::remade(changed)));
    for (const Object object : {Object::commitment, Object::ledger, Object::plan, Object::transcript, Object::verdict})
      CHECK(failed.contains("statement." + std::string(object_name(object)) + ".signature") == (object_role(object) == role));
  }
}

TEST_CASE("a statement is not accepted under another role or from another payload") {
  // The auditor signs the ledger's statement; the provider the plan's.
  Files changed = pair().a;
  const auto envelope = [&](Object object, const Signer& signer, std::string payload) {
    const std::string message = evidence::pae(payload);
    const auto signature = signer.sign(crypto::bytes_of(message)).value();
    return "{\"payload\":\"" + crypto::base64_encode(crypto::bytes_of(payload)) + "\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[{\"keyid\":\"" +
           crypto::PublicKey::from_pem(signer.public_pem)->key_id() + "\",\"sig\":\"" + crypto::base64_encode(signature) + "\"}]}\n" + std::string(object == Object::plan ? "" : "");
  };
  const std::string ledger = evidence::parse_envelope(pair().a.at("data/statements/ledger.dsse.json"))->payload;
  changed["data/statements/ledger.dsse.json"] = envelope(Object::ledger, pair().signers.auditor, ledger);
  CHECK(failures(world::verify(world::remade(changed))) == std::set<std::string>{"statement.ledger.signature"});
  // A plan statement whose role, type or time was changed and signed by the right key: the form is checked too.
  const std::string plan = evidence::parse_envelope(pair().a.at("data/statements/plan.dsse.json"))->payload;
  const auto resigned = [&](const std::string& from, const std::string& to) {
    Files out = pair().a;
    std::string payload = plan;
    REQUIRE(payload.find(from) != std::string::npos);
    payload.replace(payload.find(from), from.size(), to);
    out["data/statements/plan.dsse.json"] = envelope(Object::plan, pair().signers.auditor, payload);
    return failures(world::verify(world::remade(out)));
  };
  CHECK(resigned("auditor", "auditor").empty());
  CHECK(resigned("\"signer\":\"auditor\"", "\"signer\":\"provider\"") == std::set<std::string>{"statement.plan.predicate"});
  CHECK(resigned("dev/plan/v1", "dev/verdict/v1") == std::set<std::string>{"statement.plan.predicate"});
  CHECK(resigned("plan.json", "verdict.json") == std::set<std::string>{"statement.plan.subject"});
  CHECK(resigned("Statement/v1", "Statement/v0.1") == std::set<std::string>{"statement.plan.parse"});
  CHECK(resigned("{\"_type\"", "{ \"_type\"") == std::set<std::string>{"statement.plan.parse"});
  CHECK(resigned("2026-12-02T01:00:00Z", "2026-12-02T25:00:00Z") == std::set<std::string>{"statement.plan.parse"});
}
