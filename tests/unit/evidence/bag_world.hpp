// Small signed cases and their bags, in memory.
#pragma once
#include "../audit/world.hpp"
#include "crypto/base64.hpp"
#include "crypto/signature.hpp"
#include "evidence/bag.hpp"
#include "evidence/statement.hpp"

namespace world {
using evidence::Files;

/// Provider with P-256, auditor with Ed25519: both algorithms are in every bag.
struct Signers {
  crypto::PrivateKey provider_key, auditor_key;
  Signer provider, auditor;
  Signers()
      : provider_key(crypto::PrivateKey::generate(crypto::Algorithm::p256).value()), auditor_key(crypto::PrivateKey::generate(crypto::Algorithm::ed25519).value()) {
    provider = {provider_key.public_key()->pem(), [this](auto message) { return provider_key.sign(message); }};
    auditor = {auditor_key.public_key()->pem(), [this](auto message) { return auditor_key.sign(message); }};
  }
  Signers(const Signers&) = delete;
  Signers& operator=(const Signers&) = delete;
  const Signer& of(Object object) const { return object_role(object) == "provider" ? provider : auditor; }
};

inline std::string statement_date(Object object) {
  switch (object) {
    case Object::commitment: return "2026-10-30T00:00:00Z";
    case Object::ledger: return "2026-12-01T00:00:00Z";
    case Object::plan: return "2026-12-02T01:00:00Z";
    case Object::transcript: return "2026-12-04T00:00:00Z";
    case Object::verdict: return "2026-12-06T00:00:00Z";
  }
  return {};
}

inline std::vector<ChannelPlan> small_channels() { return {c1(400'000, 2, 4, 7), c2(100'000, 1), c3(500'000, 2)}; }

/// A complete case in folder/"case", signed and bagged.
inline void make_case(const World& w, const Signers& signers, const fs::path& folder, std::vector<ChannelPlan> channels = small_channels()) {
  FakeSuspect suspect(w, {});
  auto audit = audit_of(w, suspect, folder, std::move(channels));
  if (!audit) throw std::runtime_error(audit.error().message);
  for (const Object object : {Object::commitment, Object::ledger, Object::plan, Object::transcript, Object::verdict}) {
    if (object == Object::ledger && audit->plan.ledger.empty()) continue;
    auto done = sign_object(folder / "case", object, statement_date(object), signers.of(object));
    if (!done) throw std::runtime_error(done.error().message);
  }
  auto bagged = make_bag(folder / "case");
  if (!bagged) throw std::runtime_error(bagged.error().message);
}
inline Files read(const fs::path& bag) {
  std::vector<Check> checks;
  return evidence::read_bag(bag, {}, checks).value();
}
inline Files small_bag(const World& w, const Signers& signers) {
  Folder folder;
  make_case(w, signers, folder.path());
  return read(folder.path() / "case/bag");
}

inline VerifyReport verify(const Files& files, const VerifyOptions& options = {}) {
  VerifyReport report;
  auto done = evidence::verify_files(files, options, report);
  if (!done) throw std::runtime_error(done.error().message);
  return report;
}
inline std::set<std::string> failures(const VerifyReport& report) {
  std::set<std::string> out;
  for (const Check& check : report.checks)
    if (check.level == Level::fail) out.insert(check.code);
  return out;
}
inline std::string text(const VerifyReport& report) {
  std::string out;
  for (const Check& check : report.checks)
    if (check.level != Level::ok) out += std::string(level_name(check.level)) + " " + check.code + ": " + check.detail + "\n";
  return out;
}

/// What an attacker without keys can do after changing payload files: make the tag files again.
inline Files remade(Files files) {
  std::string day = "2026-12-05", id = "0000000000000000";
  const auto bytes = [&files](const char* name) { return files.contains(name) ? std::string_view(files.at(name)) : std::string_view(); };
  if (const auto verdict = Verdict::parse(bytes("data/verdict.json")); verdict.ok()) day = verdict->date.substr(0, 10);
  if (const auto plan = Plan::parse(bytes("data/plan.json")); plan.ok()) id = plan->plan_id;
  for (const char* name : {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}) files.erase(name);
  files.merge(evidence::tag_files(files, day, id));
  return files;
}
}  // namespace world
