// Verification from raw bytes (specs/evidence.md "Verification", specs/evidence-codes.md).
#include <algorithm>
#include <optional>

#include <heirmark/keys.hpp>

#include "audit/case.hpp"
#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "crypto/signature.hpp"
#include "crypto/timestamp.hpp"
#include "evidence/bag.hpp"
#include "evidence/stamp.hpp"
#include "evidence/statement.hpp"

namespace heirmark {

std::string_view level_name(Level level) noexcept {
  switch (level) {
    case Level::ok: return "ok";
    case Level::note: return "note";
    case Level::fail: return "fail";
  }
  return "?";
}

std::string_view bag_state_name(BagState state) noexcept {
  switch (state) {
    case BagState::valid: return "valid";
    case BagState::invalid: return "invalid";
    case BagState::valid_but_untrusted: return "valid-but-untrusted";
  }
  return "?";
}

bool VerifyReport::has(std::string_view code, Level level) const noexcept {
  return std::any_of(checks.begin(), checks.end(), [&](const Check& check) { return check.code == code && check.level == level; });
}

namespace evidence {
namespace {
class Verifier {
 public:
  /// `stage`: of a case that is not finished; nothing: of a bag.
  Verifier(const Files& files, const VerifyOptions& options, VerifyReport& report, std::optional<Stage> stage = std::nullopt)
      : files_(files), options_(options), report_(report), stage_(stage) {}

  Result<void> all() {
    if (stage_) {
      if (auto done = contents(); !done) return done;
    } else {
      if (auto done = roots(); !done) return done;
      if (manifests()) {
        if (auto done = contents(); !done) return done;
        trust();
      }
      if (options_.recompute)
        if (auto done = recompute(); !done) return done;
    }
    bool failed = false, untrusted = false;
    for (const Check& check : report_.checks) {
      failed = failed || check.level == Level::fail;
      untrusted = untrusted || check.code == "trust.untrusted" || check.code == "trust.unstamped";
    }
    report_.state = failed ? BagState::invalid : untrusted ? BagState::valid_but_untrusted : BagState::valid;
    return {};
  }

 private:
  Result<void> contents() {
    objects();
    bindings();
    if (!stage_ && options_.recompute) records();
    statements();
    if (auto done = stamps(); !done) return done;
    dates();
    if (!stage_) stamped_dates();
    return {};
  }

  void add(std::string code, Level level, std::string detail) { report_.checks.push_back({std::move(code), level, std::move(detail)}); }
  void ok(std::string code, std::string detail = {}) { add(std::move(code), Level::ok, std::move(detail)); }
  void note(std::string code, std::string detail) { add(std::move(code), Level::note, std::move(detail)); }
  void fail(std::string code, std::string detail) { add(std::move(code), Level::fail, std::move(detail)); }
  void expect(bool good, const std::string& code, const std::string& detail) { good ? ok(code) : fail(code, detail); }
  void expect(const Result<void>& result, const std::string& code) { result ? ok(code) : fail(code, result.error().message); }

  [[nodiscard]] const std::string* data(std::string_view path) const {
    const auto found = files_.find("data/" + std::string(path));
    return found == files_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::string_view bytes(std::string_view path) const {
    const std::string* found = data(path);
    return found == nullptr ? std::string_view() : std::string_view(*found);
  }
  // Digests of payload files, computed once.
  const std::string& digest_of(std::string_view path) {
    auto [entry, fresh] = digests_.try_emplace(std::string(path));
    if (fresh && data(path) != nullptr) entry->second = audit::digest(bytes(path));
    return entry->second;
  }

  template <class T>
  void parse(std::optional<T>& into, const char* file, const char* name) {
    const std::string* found = data(file);
    if (found == nullptr) return;  // told by bag.missing-file
    auto value = T::parse(*found);
    if (!value) return fail(std::string(name) + ".parse", std::string(file) + ": " + value.error().message);
    into = std::move(value).value();
    ok(std::string(name) + ".parse");
  }

  // Step 2. False when the bytes are not those of the manifest: then nothing else means anything.
  bool manifests() {
    bool all_there = true;
    const auto found = [&](const char* name) -> std::string_view {
      const auto file = files_.find(name);
      if (file != files_.end()) return file->second;
      fail("bag.missing-file", std::string(name) + " is missing");
      all_there = false;
      return {};
    };
    const std::string_view manifest_file = found("manifest-sha256.txt"), tags = found("tagmanifest-sha256.txt"), bagit = found("bagit.txt"), info = found("bag-info.txt");
    if (!all_there) return false;
    const std::string expected = manifest(files_);
    if (manifest_file != expected) {
      fail("bag.manifest", first_difference(expected, manifest_file));
      return false;
    }
    ok("bag.manifest");
    std::string expected_tags;
    for (const auto& [name, content] : {std::pair<const char*, std::string_view>{"bag-info.txt", info}, {"bagit.txt", bagit}, {"manifest-sha256.txt", manifest_file}})
      expected_tags += audit::digest(content) + "  " + name + "\n";
    if (tags != expected_tags) {
      fail("bag.tags", "tagmanifest-sha256.txt: " + first_difference(expected_tags, tags));
      return false;
    }
    return true;
  }

  // Names the first file whose line is not in the manifest that was found.
  static std::string first_difference(std::string_view expected, std::string_view found) {
    for (std::size_t at = 0; at < expected.size();) {
      const std::size_t end = expected.find('\n', at) + 1;
      const std::string_view line = expected.substr(at, end - at);
      if (found.find(line) == std::string_view::npos) return std::string(line.substr(66, line.size() - 67)) + " does not have the digest of the manifest";
      at = end;
    }
    return "the manifest names a file that is not there, or is not in its one form";
  }

  void objects() {
    parse(plan_, "plan.json", "plan");
    parse(commitment_, "commitment.json", "commitment");
    parse(opening_, "opening.json", "opening");
    parse(suspect_, "suspect.json", "suspect");
    parse(transcript_, "transcript.json", "transcript");
    parse(verdict_, "verdict.json", "verdict");
    for (const auto& file : payload_files()) {
      if (stage_ && !exists_at(*stage_, file.path)) continue;
      const bool here = data(file.path) != nullptr;
      const bool belongs_here = plan_ ? belongs(file.path, *plan_) : file.presence == Presence::always;
      if (belongs_here && !here && file.presence != Presence::optional) {
        const bool statement = file.path.starts_with("statements/");
        const bool may_come = stage_ == Stage::planned && (file.path == statement_file(Object::commitment) || file.path == statement_file(Object::ledger) || file.path == key_file("provider"));
        add(statement ? "statement." + file.path.substr(11, file.path.size() - 21) + ".missing" : "bag.missing-file", may_come ? Level::note : Level::fail,
            (stage_ ? "" : "data/") + file.path + " is missing");
      }
      if (plan_ && !belongs_here && here) fail("bag.extra-file", "data/" + file.path + " does not belong to this plan");
    }
    if (plan_ && verdict_) {
      report_.plan_id = plan_->plan_id;
      report_.outcome = outcome_name(verdict_->outcome);
      report_.log10_p = verdict_->log10_p;
      report_.log10_e = verdict_->log10_e;
      const Files tags = tag_files(files_, std::string_view(verdict_->date).substr(0, 10), plan_->plan_id);
      expect(files_.at("bagit.txt") == tags.at("bagit.txt") && files_.at("bag-info.txt") == tags.at("bag-info.txt"), "bag.tags",
             "bagit.txt or bag-info.txt does not fit the payload");
    }
  }

  void bindings() {
    if (commitment_ && !stage_) {
      expect(digest_of("opening.json") == commitment_->digest, "commitment.opening-digest", "opening.json does not have the digest that the commitment holds");
      if (opening_) expect(audit::check_opening(*opening_, *commitment_), "commitment.opening-fields");
    }
    if (plan_) {
      expect(digest_of("commitment.json") == plan_->commitment, "plan.commitment", "commitment.json is not the one that the plan names");
      if (commitment_) {
        expect(commitment_->digest == plan_->opening, "plan.opening", "the plan names another opening than the commitment");
        expect(audit::check_commitment(*plan_, *commitment_), "plan.key");
      }
      expect(digest_of("suspect.json") == plan_->suspect, "plan.suspect", "suspect.json is not the one that the plan names");
      if (!plan_->prompts.empty()) expect(digest_of("prompts.jsonl") == plan_->prompts, "plan.prompts", "prompts.jsonl is not the one that the plan names");
      if (!plan_->ledger.empty()) expect(digest_of("ledger.jsonl") == plan_->ledger, "plan.ledger", "ledger.jsonl is not the one that the plan names");
    }
    if (transcript_) {
      expect(digest_of("plan.json") == transcript_->plan, "transcript.plan", "transcript.json belongs to another plan");
      if (plan_) expect(audit::check_files(*transcript_, *plan_, bytes("transcript/c1.jsonl"), bytes("transcript/issued.jsonl")), "transcript.file");
      if (suspect_) expect(audit::check_hello(transcript_->hello, *suspect_), "transcript.hello");
      if (suspect_ && transcript_->hello.name != suspect_->name)
        note("transcript.name", "the suspect that answered calls itself \"" + transcript_->hello.name + "\", suspect.json \"" + suspect_->name + "\"");
    }
    if (verdict_) {
      const auto bound = [this](const std::string& name, const char* file, const std::string& digest) {
        expect(digest_of(file) == digest, "verdict." + name, std::string(file) + " is not the one that the verdict names");
      };
      bound("plan", "plan.json", verdict_->plan);
      bound("transcript", "transcript.json", verdict_->transcript);
      bound("opening", "opening.json", verdict_->opening);
      bound("commitment", "commitment.json", verdict_->commitment);
      bound("suspect", "suspect.json", verdict_->suspect);
      bound("ledger", "ledger.jsonl", verdict_->ledger);
    }
  }

  // Do the transcript's lines answer the plan's queries?
  void records() {
    if (!plan_ || !suspect_) return;
    if (!plan_->prompts.empty() && data("prompts.jsonl") != nullptr) {
      const auto prompts = audit::parse_prompts(bytes("prompts.jsonl"), suspect_->vocab);
      if (!prompts) fail("prompts.parse", prompts.error().message);
      else {
        ok("prompts.parse");
        if (data("transcript/c1.jsonl") != nullptr) {
          const auto texts = audit::parse_texts(bytes("transcript/c1.jsonl"), *plan_, *prompts, suspect_->vocab);
          texts ? ok("transcript.c1") : fail("transcript.c1", texts.error().message);
        }
      }
    }
    if (!plan_->ledger.empty() && data("ledger.jsonl") != nullptr) {
      audit::LedgerTimes times;
      const auto ledger = audit::parse_ledger(bytes("ledger.jsonl"), suspect_->vocab, "ledger.jsonl", times);
      if (!ledger) return fail("ledger.parse", ledger.error().message);
      if (!ledger->empty()) times_ = std::move(times);
      ok("ledger.parse");
      expect(ledger->size() == plan_->ledger_responses, "plan.ledger-responses", "ledger.jsonl has " + std::to_string(ledger->size()) + " responses, not the plan's number");
      if (transcript_ && data("transcript/issued.jsonl") != nullptr) {
        const auto answers = audit::parse_answers(bytes("transcript/issued.jsonl"), *plan_, *ledger, transcript_->hello.context, suspect_->vocab);
        answers ? ok("transcript.issued") : fail("transcript.issued", answers.error().message);
      }
    }
  }

  void statements() {
    for (const char* role : {"provider", "auditor"}) {
      const std::string* pem = data(key_file(role));
      if (pem == nullptr) continue;
      auto key = crypto::PublicKey::from_pem(*pem);
      if (!key) fail("trust." + std::string(role) + ".parse", key_file(role) + ": " + key.error().message);
      else keys_.emplace(role, std::move(key).value());
    }
    for (const Object object : kObjects) {
      const std::string* file = data(statement_file(object));
      if (file == nullptr) continue;
      const std::string prefix = "statement." + std::string(object_name(object)) + ".";
      const auto envelope = parse_envelope(*file);
      if (!envelope) { fail(prefix + "parse", envelope.error().message); continue; }
      const auto statement = parse_statement(object, envelope->payload);
      if (!statement) { fail(prefix + "parse", statement.error().message); continue; }
      ok(prefix + "parse");
      signature(object, prefix, *envelope);
      expect(statement->subject == object_file(object) && statement->digest == digest_of(object_file(object)), prefix + "subject",
             "the statement is about other bytes than " + std::string(object_file(object)));
      std::string wrong;
      if (statement->predicate_type != predicate_type(object)) wrong = "predicateType is " + statement->predicate_type;
      if (statement->signer != object_role(object)) wrong = "signer is " + statement->signer;
      for (const Binding& binding : statement->bindings)
        if (binding.digest != digest_of(binding_file(binding.name))) wrong = "it builds on another " + binding.name;
      expect(wrong.empty(), prefix + "predicate", wrong);
      dates_[object] = statement->date;
    }
  }

  void signature(Object object, const std::string& prefix, const Envelope& envelope) {
    const auto key = keys_.find(object_role(object));
    if (key == keys_.end()) return fail(prefix + "signature", "there is no key of the " + std::string(object_role(object)) + " to check it with");
    if (envelope.key_id != key->second.key_id()) return fail(prefix + "signature", "it is signed with another key than " + key_file(object_role(object)));
    expect(signed_by(envelope, key->second), prefix + "signature", "the signature does not check");
  }

  Result<void> stamps() {
    for (const Object object : kObjects) {
      const std::string prefix = "stamp." + std::string(object_name(object)) + ".";
      for (unsigned slot = 1; slot <= kStampSlots; ++slot) {
        const std::string path = stamp_file(object, slot);
        const std::string* file = data(path);
        if (file == nullptr) continue;
        const auto reply = crypto::StampReply::parse(crypto::bytes_of(*file));
        if (!reply) { fail(prefix + "parse", path + ": " + reply.error().message); continue; }
        const crypto::Stamp& stamp = reply->stamp();
        const bool right = is_about(stamp, bytes(statement_file(object)));
        right ? ok(prefix + "imprint") : fail(prefix + "imprint", path + " is about other bytes than " + statement_file(object));
        const auto signature = reply->verify();
        if (!signature && signature.error().code == ErrorCode::io) return signature.error();
        if (!signature) { fail(prefix + "signature", path + ": " + signature.error().message); continue; }
        const bool vouched = std::any_of(stamp_roots_.begin(), stamp_roots_.end(), [&](const auto& root) { return reply->verify(root).ok(); });
        ok(prefix + "signature", std::string(vouched ? "vouched for, " : "") + "not later than " + stamp.time + ", by " + stamp.authority);
        if (!right || (!vouched && !stamp_roots_.empty())) continue;
        // Of those that somebody vouches for one is enough; of others the one that says least.
        std::string& counts = stamped_[object];
        if (counts.empty() || (stamp_roots_.empty() ? stamp.time > counts : stamp.time < counts)) counts = stamp.time;
      }
    }
    return {};
  }

  // A stamp says that a statement is not younger. So it can show that one came before an event whose time others know, and never that it did not.
  void stamped_dates() {
    if (stamped_.empty()) return note("dates.stamped", stamp_roots_.empty() ? "no statement has a time stamp: dates are the word of those who signed"
                                                                            : "no statement has a time stamp of an authority that you trust: dates are the word of those who signed");
    std::string odd;
    const auto say = [&odd](std::string what) { if (odd.empty()) odd = std::move(what); };
    for (const auto& [object, time] : stamped_)
      if (const auto found = dates_.find(object); found != dates_.end() && found->second > time)
        say("the statement about " + std::string(object_file(object)) + " is dated " + found->second + ", after its time stamp of " + time);
    const auto shown = [&](Object object, const std::string& event, const std::string& until) {
      if (!dates_.contains(object) || until.empty()) return;
      const auto found = stamped_.find(object);
      const std::string name(object_file(object));
      if (found == stamped_.end()) say("no time stamp shows that " + name + " was signed before " + event);
      else if (found->second.substr(0, until.size()) > until) say("the time stamp of " + name + ", " + found->second + ", is after " + event + " (" + until + "): that it was signed before is the signer's word");
    };
    for (const Object object : {Object::commitment, Object::ledger}) shown(object, "the suspect's release", suspect_ ? suspect_->released : std::string());
    shown(Object::plan, "the first query", transcript_ ? transcript_->started : std::string());
    shown(Object::transcript, "the verdict", verdict_ ? verdict_->date : std::string());
    if (odd.empty() && stamp_roots_.empty()) odd = "time stamps show the order, if their authorities are to be believed, for whom nobody vouches";
    odd.empty() ? ok("dates.stamped") : note("dates.stamped", odd);
  }

  void dates() {
    std::vector<std::pair<std::string, std::string>> order;
    const auto add = [&order](const std::string& what, const std::string& time) { order.emplace_back(what, time); };
    const auto add_statement = [&](Object object) {
      if (const auto found = dates_.find(object); found != dates_.end()) add("the statement about " + std::string(object_file(object)), found->second);
    };
    add_statement(Object::commitment);
    add_statement(Object::ledger);
    if (plan_) add("plan.json", plan_->date);
    add_statement(Object::plan);
    if (transcript_) { add("the start of the transcript", transcript_->started); add("the end of the transcript", transcript_->ended); }
    add_statement(Object::transcript);
    if (verdict_) add("verdict.json", verdict_->date);
    add_statement(Object::verdict);
    std::string wrong;
    for (std::size_t i = 1; i < order.size() && wrong.empty(); ++i)
      if (order[i].second < order[i - 1].second) wrong = order[i].first + " (" + order[i].second + ") is earlier than " + order[i - 1].first + " (" + order[i - 1].second + ")";
    expect(wrong.empty(), "dates.order", wrong);
    if (const auto found = dates_.find(Object::commitment); found != dates_.end() && commitment_) {
      const bool before = std::string_view(found->second).substr(0, 10) <= commitment_->not_before;
      before ? ok("dates.commitment") : note("dates.commitment", "commitment.json was signed on " + found->second + ", after the key's first day of use, " + commitment_->not_before);
    }
    ledger_times();
    if (suspect_ && !suspect_->released.empty()) {
      std::string late;
      for (const Object object : {Object::commitment, Object::ledger})
        if (const auto found = dates_.find(object); found != dates_.end() && std::string_view(found->second).substr(0, 10) > suspect_->released)
          late = std::string(object_file(object)) + " was signed on " + found->second + ", after the suspect's release on " + suspect_->released;
      expect(late.empty(), "dates.release", late);
    } else if (suspect_) {
      note("dates.no-release", "suspect.json does not say when the suspect was released");
    }
  }

  // A server's clock may be wrong, and that is no failure. But whoever relies on the ledger's times has to know.
  void ledger_times() {
    if (!times_) return;
    const auto signed_at = dates_.find(Object::ledger);
    const auto day = [](const std::string& time) { return std::string_view(time).substr(0, 10); };
    std::string odd;
    if (times_->back != 0) odd = "line " + std::to_string(times_->back) + " of ledger.jsonl is earlier than the line before it";
    else if (signed_at != dates_.end() && times_->last > signed_at->second) odd = "ledger.jsonl has a response of " + times_->last + ", after its statement of " + signed_at->second;
    else if (commitment_ && day(times_->first) < commitment_->not_before)
      odd = "ledger.jsonl has a response of " + times_->first + ", before the key was in force on " + commitment_->not_before;
    else if (commitment_ && day(times_->last) > commitment_->not_after)
      odd = "ledger.jsonl has a response of " + times_->last + ", after the key's last day " + commitment_->not_after;
    odd.empty() ? ok("dates.ledger") : note("dates.ledger", odd);
  }

  // What the caller gave is read before anything is said of the evidence.
  Result<void> roots() {
    for (const TrustRoot& root : options_.trust_roots) {
      const auto key = crypto::PublicKey::from_pem(root.public_pem);
      if (!key) return Error{ErrorCode::bad_input, (root.name.empty() ? "a trust root" : root.name) + ": " + key.error().message};
      if (!root.role.empty() && root.role != "provider" && root.role != "auditor") return Error{ErrorCode::usage, "a trust root: \"" + root.role + "\" is not provider or auditor"};
      roots_.emplace_back(key->key_id(), root.role);
    }
    for (const StampRoot& root : options_.stamp_roots) {
      auto certificates = crypto::Certificates::from_pem(root.pem);
      if (!certificates) return Error{ErrorCode::bad_input, (root.name.empty() ? "certificates of an authority" : root.name) + ": " + certificates.error().message};
      stamp_roots_.push_back(std::move(certificates).value());
    }
    return {};
  }

  void trust() {
    if (keys_.size() == 2 && keys_.begin()->second.key_id() == keys_.rbegin()->second.key_id()) note("trust.one-key", "provider and auditor sign with one key");
    if (roots_.empty()) note("trust.unpinned", "no trust roots were given: nobody vouches for the keys in the bag");
    else
      for (const auto& [role, key] : keys_) {
        const auto vouches = [&role = role, &key = key](const auto& root) { return root.first == key.key_id() && (root.second.empty() || root.second == role); };
        if (std::any_of(roots_.begin(), roots_.end(), vouches)) ok("trust." + role);
        else note("trust.untrusted", "the " + role + "'s key " + key.key_id() + " is not among the trust roots of that role");
      }
    if (stamp_roots_.empty()) {
      if (!stamped_.empty()) note("trust.stamps-unpinned", "no certificates of authorities were given: nobody vouches for the time stamps in the bag");
      return;
    }
    std::string without;
    for (const Object object : kObjects)
      if (object != Object::verdict && dates_.contains(object) && !stamped_.contains(object)) without += (without.empty() ? "" : ", ") + std::string(object_name(object));
    without.empty() ? ok("trust.stamps") : note("trust.unstamped", "no time stamp of an authority that you trust: " + without);
  }

  Result<void> recompute() {
    if (!verdict_) return {};
    VerdictInputs inputs;
    inputs.plan = bytes("plan.json");
    inputs.transcript = bytes("transcript.json");
    inputs.opening = bytes("opening.json");
    inputs.commitment = bytes("commitment.json");
    inputs.suspect = bytes("suspect.json");
    inputs.prompts = bytes("prompts.jsonl");
    inputs.ledger = bytes("ledger.jsonl");
    inputs.c1 = bytes("transcript/c1.jsonl");
    inputs.issued = bytes("transcript/issued.jsonl");
    VerdictOptions options;
    options.device = options_.device;
    options.threads = options_.threads;
    options.progress = options_.progress;
    const auto again = compute_verdict(inputs, verdict_->date, options);
    // Neither says anything about the evidence: `io` is the device's, or the machine's.
    if (!again && (again.error().code == ErrorCode::stopped || again.error().code == ErrorCode::io)) return again.error();
    if (!again) fail("verdict.recomputed", "the verdict cannot be recomputed: " + again.error().message);
    else if (again->bytes() != bytes("verdict.json")) fail("verdict.recomputed", "the recomputed verdict has other bytes (outcome " + std::string(outcome_name(again->outcome)) + ", log10 p " + again->log10_p + ")");
    else ok("verdict.recomputed", "log10 p " + again->log10_p + ", log10 e " + again->log10_e);
    return {};
  }

  const Files& files_;
  const VerifyOptions& options_;
  VerifyReport& report_;
  std::optional<Stage> stage_;
  std::optional<Plan> plan_;
  std::optional<Commitment> commitment_;
  std::optional<Opening> opening_;
  std::optional<SuspectInfo> suspect_;
  std::optional<Transcript> transcript_;
  std::optional<Verdict> verdict_;
  std::map<std::string, crypto::PublicKey, std::less<>> keys_;
  std::map<std::string, std::string, std::less<>> digests_;
  std::map<Object, std::string> dates_;    // of statements: the signer's word
  std::map<Object, std::string> stamped_;  // time of the stamp that counts
  std::vector<std::pair<std::string, std::string>> roots_;  // key, role
  std::vector<crypto::Certificates> stamp_roots_;
  std::optional<audit::LedgerTimes> times_;  // of a ledger with a response
};
}  // namespace

Result<void> verify_files(const Files& files, const VerifyOptions& options, VerifyReport& report) { return Verifier(files, options, report).all(); }
Result<void> check_files_at(Stage stage, const Files& files, VerifyReport& report) {
  const VerifyOptions none;
  return Verifier(files, none, report, stage).all();
}

}  // namespace evidence
}  // namespace heirmark
