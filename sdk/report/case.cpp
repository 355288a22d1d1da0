#include "report/case.hpp"

#include <algorithm>
#include <array>

#include <heirmark/evidence.hpp>

#include "base/files.hpp"
#include "report/fields.hpp"
#include "report/statement.hpp"

namespace heirmark::report {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMaxObject = 1ull << 26;  ///< bytes of one object; a verdict with 100,000 accounts has a tenth
constexpr std::size_t kMaxFiles = 1000;
constexpr std::size_t kMany = 1u << 20;

Result<std::string> read_bytes(const fs::path& data, const std::string& name) {
  const fs::path path = data / name;
  std::error_code code;
  const fs::file_status status = fs::symlink_status(path, code);
  if (status.type() == fs::file_type::none) return files::failure(name, code.value(), files::Access::read);
  if (!fs::exists(status)) return Error{ErrorCode::bad_input, name + ": is not in the bag's data folder"};
  if (!fs::is_regular_file(status)) return Error{ErrorCode::bad_input, name + ": is not a regular file"};
  return files::read(path, kMaxObject);
}

/// Reads the object in `name` with `read`.
template <class T, class Read>
Result<void> read_object(const fs::path& data, const std::string& name, T& into, Read read) {
  auto bytes = read_bytes(data, name);
  if (!bytes) return bytes.error();
  auto value = parse_object(*bytes);
  if (!value) return value.error().at(name);
  std::optional<Error> error;
  Fields fields(*value, name, error);
  read(fields, into);
  if (error) return *error;
  return {};
}

void read_plan(Fields& fields, Plan& plan) {
  fields.one_of("type", {"heirmark/plan/v1"});
  plan.plan_id = fields.hex("planId", 16);
  plan.attempt = fields.number("attempt", 1);
  plan.date = fields.time("date");
  plan.commitment = fields.digest("commitment");
  plan.opening = fields.digest("opening");
  plan.key_id = fields.hex("keyId", 16);
  plan.path = fields.text("path");
  plan.profile = fields.text("profile");
  plan.family_size = fields.number("familySize", 2);
  plan.ledger = fields.digest_or_empty("ledger");
  plan.ledger_responses = fields.number("ledgerResponses");
  plan.suspect = fields.digest("suspect");
  plan.prompts = fields.digest_or_empty("prompts");
  plan.alpha = fields.decimal("alpha");
  if (!(plan.alpha.value > 0 && plan.alpha.value < 1)) fields.fail("alpha", "is not between 0 and 1");
  plan.multiplicity = fields.number("multiplicity", 1);
  plan.h1 = fields.text("h1");
  plan.h2 = fields.text("h2");
  plan.fit_responses = fields.number("fitResponses", 0, plan.ledger_responses);
  plan.controls = fields.number("controls");
  plan.stop = fields.text("stop");
  fields.each("channels", 3, [&](Fields& item) {
    PlanChannel channel;
    channel.channel = item.one_of("channel", {"c1", "c2", "c3"});
    channel.weight = item.number("weight", 1, 1'000'000);
    if (channel.channel == "c1") {
      channel.texts = item.number("texts", 1, 10'000'000);
      channel.tokens_per_text = item.number("tokensPerText", 1, 1u << 20);
      channel.count_rule = item.text("countRule");
      channel.decoys = item.number("decoys");
      channel.temperature_milli = item.number("temperatureMilli");
    }
    if (channel.channel == "c2") channel.samples = item.number("samples", 1);
    if (channel.channel == "c3") channel.top = item.number("top", 1);
    plan.channels.push_back(std::move(channel));
  });
  if (plan.channels.empty()) fields.fail("channels", "is empty");
}

void read_commitment(Fields& fields, Commitment& commitment) {
  fields.one_of("type", {"heirmark/commitment/v1"});
  commitment.path = fields.text("path");
  commitment.key_id = fields.hex("keyId", 16);
  commitment.family_size = fields.number("familySize", 2);
  commitment.profile = fields.text("profile");
  commitment.scheme = fields.text("scheme");
  commitment.prf = fields.text("prf");
  commitment.not_before = fields.date("notBefore");
  commitment.not_after = fields.date("notAfter");
  commitment.purpose = fields.text_or_empty("purpose");
  commitment.digest = fields.digest("digest");
}

void read_suspect(Fields& fields, Suspect& suspect) {
  fields.one_of("type", {"heirmark/suspect/v1"});
  suspect.name = fields.text("name");
  suspect.vocab = fields.number("vocab", 1);
  fields.one_of("kind", {"process"});
  suspect.command = fields.texts("command");
  suspect.released = fields.date_or_empty("released");
  suspect.weights = fields.digest_or_empty("weights");
}

void read_transcript(Fields& fields, Transcript& transcript) {
  fields.one_of("type", {"heirmark/transcript/v1"});
  transcript.plan = fields.digest("plan");
  Fields hello = fields.object("hello");
  transcript.hello_name = hello.text("name");
  transcript.hello_vocab = hello.number("vocab", 1);
  transcript.context = hello.number("context");
  transcript.weights_digest = hello.digest_or_empty("weights_digest");
  transcript.started = fields.time("started");
  transcript.ended = fields.time("ended");
  transcript.queries = fields.number("queries");
  fields.each("files", 16, [&](Fields& item) {
    transcript.files.push_back({item.text("path"), item.digest("sha256"), item.number("lines")});
  });
}

void read_text_channel(Fields& item, Channel& channel) {
  channel.statistic = item.integer("statistic");
  channel.positions = item.number("positions");
  channel.repeats = item.number("repeats");
  channel.off_coin = item.number("off_coin");
  channel.scheme = item.text("scheme");
  channel.count_rule = item.text("countRule");
  channel.decoys = item.number("decoys");
  channel.log10_p_prf = item.decimal("log10_p_prf");
  channel.log10_p_saddlepoint = item.decimal_or_empty("log10_p_saddlepoint");
  channel.log10_p_rank = item.decimal_or_empty("log10_p_rank");
  item.each("classes", 16, [&](Fields& entry) {
    channel.classes.push_back(
        {entry.number("class", 0, 15), entry.number("pairs"), entry.number("ge"), entry.integer("statistic")});
  });
  Fields histogram = item.object("histogram");
  channel.histogram = {histogram.integer("low"), histogram.integer("width"), histogram.integer("live"),
                       histogram.numbers("counts", 64)};
  if (channel.histogram.width.find_first_of("-123456789") == std::string::npos || channel.histogram.width.starts_with('-'))
    histogram.fail("width", "is not above 0");
}

void read_verdict(Fields& fields, Verdict& verdict) {
  fields.one_of("type", {"heirmark/verdict/v1"});
  verdict.date = fields.time("date");
  verdict.plan = fields.digest("plan");
  verdict.transcript = fields.digest("transcript");
  verdict.opening = fields.digest("opening");
  verdict.commitment = fields.digest("commitment");
  verdict.ledger = fields.digest_or_empty("ledger");
  verdict.suspect = fields.digest("suspect");
  verdict.outcome_name = fields.one_of("outcome", {"supports", "inconclusive", "does-not-support"});
  verdict.outcome = verdict.outcome_name == "supports"       ? Outcome::supports
                    : verdict.outcome_name == "inconclusive" ? Outcome::inconclusive
                                                             : Outcome::does_not_support;
  verdict.log10_p = fields.decimal("log10_p");
  verdict.log10_e = fields.decimal("log10_e");
  if (verdict.log10_p.value > 0) fields.fail("log10_p", "is above 0");
  verdict.alpha = fields.decimal("alpha");
  if (!(verdict.alpha.value > 0 && verdict.alpha.value < 1)) fields.fail("alpha", "is not between 0 and 1");
  verdict.multiplicity = fields.number("multiplicity", 1);
  verdict.method = fields.text("method");
  fields.each("channels", 3, [&](Fields& item) {
    Channel channel;
    channel.channel = item.one_of("channel", {"c1", "c2", "c3"});
    channel.weight = item.number("weight", 1, 1'000'000);
    channel.n = item.number("n");
    channel.log10_p = item.decimal("log10_p");
    channel.log10_e = item.decimal("log10_e");
    channel.tainted = item.number("tainted");
    item.each("growth", 64, [&](Fields& step) {
      channel.growth.push_back({step.number("n"), step.decimal("log10_p"), step.decimal("log10_e")});
    });
    if (channel.text()) {
      read_text_channel(item, channel);
    } else {
      channel.responses = item.number("responses");
      channel.issuance = item.number("issuance");
      channel.window = item.number("window");
      item.each("accounts", kMany, [&](Fields& entry) {
        channel.accounts.push_back(
            {entry.text("account"), entry.number("responses"), entry.decimal("log10_e"), entry.boolean("named")});
      });
    }
    if (channel.channel == "c3") {
      channel.alpha = item.decimal_text("alpha");
      channel.beta = item.decimal_text("beta");
    }
    verdict.channels.push_back(std::move(channel));
  });
  if (verdict.channels.empty()) fields.fail("channels", "is empty");
  fields.each("controls", 64, [&](Fields& item) {
    verdict.controls.push_back({item.text("name"), item.decimal("log10_p"), item.decimal("log10_e")});
  });
}


Result<void> read_stamps(const fs::path& data, Object object, std::string_view statement, Case& into) {
  for (unsigned slot = 1; slot <= kStampSlots; ++slot) {
    const std::string name = stamp_file(object, slot);
    std::error_code code;
    if (!fs::exists(fs::symlink_status(data / name, code))) continue;
    auto bytes = read_bytes(data, name);
    if (!bytes) return bytes.error();
    auto stamp = read_stamp(statement, *bytes);
    if (!stamp) return stamp.error().at(name);
    into.stamps.push_back({std::string(object_name(object)), name, std::move(stamp->time), std::move(stamp->authority)});
  }
  return {};
}

Result<void> read_statements(const fs::path& data, Case& into) {
  for (const Object signed_object : kObjects) {
    const std::string object(object_name(signed_object));
    const std::string name = "statements/" + std::string(object) + ".dsse.json";
    std::error_code code;
    if (!fs::exists(fs::symlink_status(data / name, code))) continue;
    auto bytes = read_bytes(data, name);
    if (!bytes) return bytes.error();
    auto statement = parse_statement(object, *bytes);
    if (!statement) return statement.error().at(name);
    into.statements.push_back(std::move(*statement));
    if (auto done = read_stamps(data, signed_object, *bytes, into); !done) return done;
  }
  return {};
}

Result<void> read_keys(const fs::path& data, Case& into) {
  for (const std::string_view role : {"provider", "auditor"}) {
    const std::string name = "trust/" + std::string(role) + ".pem";
    std::error_code code;
    if (!fs::exists(fs::symlink_status(data / name, code))) continue;
    auto bytes = read_bytes(data, name);
    if (!bytes) return bytes.error();
    // The first bytes of a SubjectPublicKeyInfo name its algorithm.
    const bool ed25519 = bytes->find("\nMCowBQYDK2VwAyEA") != std::string::npos,
               p256 = bytes->find("\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE") != std::string::npos;
    into.keys.push_back({std::string(role), ed25519 ? "Ed25519" : p256 ? "ECDSA P-256" : ""});
  }
  return {};
}

Result<void> list_items(const fs::path& data, Case& into) {
  std::error_code code;
  for (fs::recursive_directory_iterator at(data, code), end; !code && at != end; at.increment(code)) {
    const fs::file_status status = at->symlink_status(code);
    if (code || fs::is_directory(status)) continue;
    const std::string path = at->path().lexically_relative(data).generic_string();
    if (!fs::is_regular_file(status)) return Error{ErrorCode::bad_input, path + ": is not a regular file"};
    if (into.items.size() >= kMaxFiles)
      return Error{ErrorCode::bad_input, "data: holds more than " + std::to_string(kMaxFiles) + " files"};
    into.items.push_back({path, at->file_size(code)});
  }
  if (code) return files::failure("data", code.value(), files::Access::read);
  std::sort(into.items.begin(), into.items.end(), [](const Item& a, const Item& b) { return a.path < b.path; });
  return {};
}

/// The objects name each other by digest; names that disagree end the report.
Result<void> check_bindings(const Case& from) {
  struct Bound {
    std::string_view a, b;
    const std::string &left, &right;
  };
  const Plan& plan = from.plan;
  const Verdict& verdict = from.verdict;
  const std::array<Bound, 6> pairs{
      {{"verdict.json: field commitment", "plan.json", verdict.commitment, plan.commitment},
       {"verdict.json: field opening", "plan.json", verdict.opening, plan.opening},
       {"verdict.json: field ledger", "plan.json", verdict.ledger, plan.ledger},
       {"verdict.json: field suspect", "plan.json", verdict.suspect, plan.suspect},
       {"transcript.json: field plan", "verdict.json", from.transcript.plan, verdict.plan},
       {"commitment.json: field digest", "plan.json, field opening", from.commitment.digest, plan.opening}}};
  for (const Bound& pair : pairs)
    if (pair.left != pair.right)
      return Error{ErrorCode::invalid_evidence, std::string(pair.a) + ": differs from that of " + std::string(pair.b)};
  for (const Statement& statement : from.statements) {
    const std::string* expected = statement.object == "commitment"   ? &plan.commitment
                                  : statement.object == "ledger"     ? &plan.ledger
                                  : statement.object == "plan"       ? &verdict.plan
                                  : statement.object == "transcript" ? &verdict.transcript
                                                                     : nullptr;
    if (expected != nullptr && *expected != statement.sha256)
      return Error{ErrorCode::invalid_evidence, "statements/" + statement.object +
                                                    ".dsse.json: field subject: the digest is not that of the " +
                                                    statement.object + " that the verdict is about"};
  }
  return {};
}

}  // namespace

const TranscriptFile* Transcript::find(std::string_view path) const noexcept {
  for (const TranscriptFile& file : files)
    if (file.path == path) return &file;
  return nullptr;
}
const Channel* Verdict::find(std::string_view channel) const noexcept {
  for (const Channel& candidate : channels)
    if (candidate.channel == channel) return &candidate;
  return nullptr;
}
const Statement* Case::statement(std::string_view object) const noexcept {
  for (const Statement& candidate : statements)
    if (candidate.object == object) return &candidate;
  return nullptr;
}
std::string Case::stamped(std::string_view object) const {
  const Statement* signed_object = statement(object);
  std::string last;
  for (const Stamp& stamp : stamps)
    if (stamp.object == object && signed_object != nullptr && stamp.time >= signed_object->date && stamp.time > last) last = stamp.time;
  return last;
}
const PlanChannel* Case::planned(std::string_view channel) const noexcept {
  for (const PlanChannel& candidate : plan.channels)
    if (candidate.channel == channel) return &candidate;
  return nullptr;
}
std::string Case::signer_key(std::string_view role) const {
  for (const Statement& candidate : statements)
    if (candidate.signer == role) return candidate.key_id;
  return {};
}

Result<Case> read_case(const fs::path& bag) {
  const fs::path data = bag / "data";
  std::error_code code;
  if (const auto type = fs::status(data, code).type(); type == fs::file_type::none) return files::failure("data", code.value(), files::Access::read);
  else if (type != fs::file_type::directory) return Error{ErrorCode::bad_input, "is no bag: it has no folder data"};
  Case into;
  if (auto done = read_object(data, "plan.json", into.plan, read_plan); !done) return done.error();
  if (auto done = read_object(data, "commitment.json", into.commitment, read_commitment); !done) return done.error();
  if (auto done = read_object(data, "suspect.json", into.suspect, read_suspect); !done) return done.error();
  if (auto done = read_object(data, "transcript.json", into.transcript, read_transcript); !done) return done.error();
  if (auto done = read_object(data, "verdict.json", into.verdict, read_verdict); !done) return done.error();
  if (auto done = read_statements(data, into); !done) return done.error();
  if (auto done = read_keys(data, into); !done) return done.error();
  if (auto done = list_items(data, into); !done) return done.error();
  if (auto done = check_bindings(into); !done) return done.error();
  return into;
}

}  // namespace heirmark::report
