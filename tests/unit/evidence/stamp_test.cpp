// Time stamps in a bag: what they show, what they do not, and what is wrong with one.
#include <catch2/catch.hpp>

#include "authority.hpp"
#include "bag_world.hpp"

using namespace heirmark;
using authority::Authority;
using world::failures;
using world::Files;
using world::text;

namespace {
/// ASN.1's spelling of "2026-12-01T00:00:00Z".
std::string generalized(std::string time) {
  std::erase_if(time, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  return time;
}
std::string stamp(const Authority& from, std::string_view statement, const std::string& time) { return from.answer(make_stamp_request(statement).value(), {.time = generalized(time)}); }
const std::string& statement(const Files& files, Object object) { return files.at("data/statements/" + std::string(object_name(object)) + ".dsse.json"); }
/// Every statement stamped five seconds after its date.
Files stamped(Files files, const Authority& from, unsigned slot = 1) {
  for (const Object object : kObjects) {
    std::string time = world::statement_date(object);
    time[18] = '5';
    files["data/" + stamp_file(object, slot)] = stamp(from, statement(files, object), time);
  }
  return world::remade(std::move(files));
}
std::string file(const std::filesystem::path& path) { return files::read(path, 1 << 20).value(); }
void write(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  REQUIRE(files::write_atomic(path, bytes).ok());
}
std::string detail(const VerifyReport& report, std::string_view code) {
  for (const Check& check : report.checks)
    if (check.code == code) return check.detail;
  return "no " + std::string(code);
}
VerifyOptions trusting(const Authority& from) {
  VerifyOptions options;
  options.stamp_roots.push_back({from.root_pem(), "root.pem"});
  return options;
}
}  // namespace

TEST_CASE("stamps on every statement show the order, and roots say whose count") {
  const world::World w({.responses = 2, .tokens = 2, .released = "2026-12-02"});
  const world::Signers signers;
  const Authority from, other({.name = "Another"});
  const Files plain = world::small_bag(w, signers);
  CHECK(world::verify(plain).has("dates.stamped", Level::note));
  CHECK(!world::verify(plain).has("trust.stamps-unpinned", Level::note));

  const Files files = stamped(plain, from);
  const auto open = world::verify(files), good = world::verify(files, trusting(from)), strange = world::verify(files, trusting(other));
  INFO(text(open));
  CHECK(open.state == BagState::valid);
  CHECK(detail(open, "dates.stamped").starts_with("time stamps show the order, if their authorities are to be believed"));
  CHECK(open.has("trust.stamps-unpinned", Level::note));
  for (const Object object : kObjects)
    for (const char* what : {"imprint", "signature"}) CHECK(open.has("stamp." + std::string(object_name(object)) + "." + what, Level::ok));
  CHECK(detail(open, "stamp.plan.signature") == "not later than 2026-12-02T01:00:05Z, by CN=Test Authority");
  CHECK(good.state == BagState::valid);
  CHECK(good.has("trust.stamps", Level::ok));
  CHECK(good.has("dates.stamped", Level::ok));
  CHECK(detail(good, "stamp.plan.signature") == "vouched for, not later than 2026-12-02T01:00:05Z, by CN=Test Authority");
  CHECK(strange.state == BagState::valid_but_untrusted);
  CHECK(strange.has("trust.unstamped", Level::note));
  CHECK(strange.has("dates.stamped", Level::note));
  CHECK(failures(strange).empty());
  // The second slot counts as the first does.
  CHECK(world::verify(stamped(plain, other, 2), trusting(other)).state == BagState::valid);
  CHECK(world::verify(stamped(stamped(plain, from), other, 2), trusting(other)).state == BagState::valid);
  CHECK(world::verify(plain, trusting(from)).state == BagState::valid_but_untrusted);
  // A verdict may be without one, nothing else.
  for (const Object object : kObjects) {
    Files one = files;
    one.erase("data/" + stamp_file(object, 1));
    CHECK((world::verify(world::remade(one), trusting(from)).state == BagState::valid) == (object == Object::verdict));
  }
  VerifyOptions broken;
  broken.stamp_roots.push_back({"no PEM", "roots.pem"});
  VerifyReport report;
  const auto done = evidence::verify_files(files, broken, report);
  REQUIRE(!done.ok());
  CHECK(done.error().message == "roots.pem: no certificate in PEM");
}

TEST_CASE("a stamp that comes too late, or before the date, is told") {
  const world::World w({.responses = 2, .tokens = 2, .released = "2026-12-02"});
  const world::Signers signers;
  const Authority from;
  const Files files = stamped(world::small_bag(w, signers), from);
  const auto with = [&](Object object, const std::string& time) {
    Files changed = files;
    changed["data/" + stamp_file(object, 1)] = stamp(from, statement(files, object), time);
    const auto report = world::verify(world::remade(changed), trusting(from));
    CHECK(report.state == BagState::valid);
    return report.has("dates.stamped", Level::ok) ? std::string() : detail(report, "dates.stamped");
  };
  CHECK(with(Object::commitment, "2026-12-02T23:59:59Z").empty());  // the day of the release itself
  CHECK(with(Object::commitment, "2026-12-03T00:00:00Z") ==
        "the time stamp of commitment.json, 2026-12-03T00:00:00Z, is after the suspect's release (2026-12-02): that it was signed before is the signer's word");
  CHECK(with(Object::ledger, "2026-12-03T00:00:00Z").find("ledger.jsonl") != std::string::npos);
  CHECK(with(Object::plan, "2027-01-01T00:00:00Z").find("is after the first query") != std::string::npos);
  CHECK(with(Object::transcript, "2027-01-01T00:00:00Z").find("is after the verdict") != std::string::npos);
  CHECK(with(Object::verdict, "2027-01-01T00:00:00Z").empty());
  CHECK(with(Object::plan, "2026-12-02T00:59:59Z") == "the statement about plan.json is dated 2026-12-02T01:00:00Z, after its time stamp of 2026-12-02T00:59:59Z");
  Files without = files;
  without.erase("data/" + stamp_file(Object::ledger, 1));
  CHECK(detail(world::verify(world::remade(without), trusting(from)), "dates.stamped") == "no time stamp shows that ledger.jsonl was signed before the suspect's release");
  // Of two stamps that somebody vouches for the earlier counts; of others, one of which may be anybody's own, the later.
  Files two = files;
  two["data/" + stamp_file(Object::commitment, 2)] = stamp(from, statement(files, Object::commitment), "2027-01-01T00:00:00Z");
  CHECK(world::verify(world::remade(two), trusting(from)).has("dates.stamped", Level::ok));
  CHECK(detail(world::verify(world::remade(two)), "dates.stamped").find("is after the suspect's release") != std::string::npos);
}

TEST_CASE("a stamp of other bytes, a torn one and one that nobody signed make a bag invalid") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  const Authority from, unfit({.usage = "critical,codeSigning"});
  const Files files = stamped(world::small_bag(w, signers), from);
  const auto fails = [&](const std::string& bytes) {
    Files changed = files;
    changed["data/" + stamp_file(Object::plan, 1)] = bytes;
    const auto report = world::verify(world::remade(changed));
    CHECK(report.state == BagState::invalid);
    return failures(report);
  };
  using Set = std::set<std::string>;
  CHECK(fails(files.at("data/" + stamp_file(Object::verdict, 1))) == Set{"stamp.plan.imprint"});
  CHECK(fails("") == Set{"stamp.plan.parse"});
  CHECK(fails(files.at("data/" + stamp_file(Object::plan, 1)) + "x") == Set{"stamp.plan.parse"});
  CHECK(fails(stamp(unfit, statement(files, Object::plan), "2026-12-02T01:00:00Z")) == Set{"stamp.plan.signature"});
  CHECK(fails(from.answer(make_stamp_request(statement(files, Object::plan)).value(), {.time = "20261202010000Z", .hash = "SHA512-256"})) == Set{"stamp.plan.imprint"});
  // A third slot does not belong.
  Files third = files;
  third["data/stamps/plan-3.tsr"] = files.at("data/" + stamp_file(Object::plan, 1));
  world::Folder folder;
  for (const auto& [path, bytes] : world::remade(third)) write(folder.path() / path, bytes);
  const auto read = verify_bag(folder.path(), {});
  REQUIRE(read.ok());
  CHECK(read->has("bag.extra-file", Level::fail));
}

TEST_CASE("stamps are kept beside their statement, and go with it") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  const Authority from;
  world::Folder folder;
  world::make_case(w, signers, folder.path(), {world::c1(1'000'000, 2, 4, 0)});
  const auto home = folder.path() / "case";
  const std::string envelope = file(home / "statements/plan.dsse.json"), asked = make_stamp_request(envelope).value();
  const std::string reply = from.answer(asked, {.time = "20261202010000Z"});
  CHECK(add_stamp(home, Object::plan, 1, reply, make_stamp_request(envelope).value()).error().code == ErrorCode::invalid_evidence);
  CHECK(add_stamp(home, Object::transcript, 1, reply).error().code == ErrorCode::invalid_evidence);
  CHECK(add_stamp(home, Object::ledger, 1, reply).error().code == ErrorCode::bad_input);  // no such statement
  CHECK(add_stamp(home, Object::plan, 0, reply).error().code == ErrorCode::usage);
  CHECK(add_stamp(home, Object::plan, 3, reply).error().code == ErrorCode::usage);
  CHECK(add_stamp(home, Object::plan, 1, "<html>").error().code == ErrorCode::bad_input);
  CHECK(!std::filesystem::exists(home / "stamps/plan-1.tsr"));
  const auto added = add_stamp(home, Object::plan, 1, reply, asked);
  REQUIRE(added.ok());
  CHECK(added->time == "2026-12-02T01:00:00Z");
  CHECK(file(home / "stamps/plan-1.tsr") == reply);
  CHECK(add_stamp(home, Object::plan, 1, reply, asked).error().code == ErrorCode::usage);
  CHECK(add_stamp(home, Object::plan, 2, reply, asked).error().message.ends_with("stamps/plan-1.tsr is this very stamp"));
  CHECK(add_stamp(home, Object::verdict, 2, stamp(from, file(home / "statements/verdict.dsse.json"), "2026-12-06T00:00:00Z")).ok());

  REQUIRE(make_bag(home).ok());
  auto report = verify_bag(home / "bag", {});
  REQUIRE(report.ok());
  INFO(text(*report));
  CHECK(report->state == BagState::valid);
  CHECK(report->has("stamp.plan.signature", Level::ok));
  CHECK(check_case(home, Stage::planned)->has("stamp.plan.signature", Level::ok));
  CHECK(!check_case(home, Stage::sealed)->has("stamp.verdict.signature", Level::ok));

  // A bag that would be invalid does not take a good one's place; and a kill between two renames is mended.
  const std::string good = file(home / "bag/manifest-sha256.txt");
  const auto never = [](const std::filesystem::path& fresh) -> Result<void> {
    CHECK(std::filesystem::exists(fresh / "manifest-sha256.txt"));
    return Error{ErrorCode::invalid_evidence, "no"};
  };
  CHECK(make_bag(home, never).error().message == "no");
  CHECK(file(home / "bag/manifest-sha256.txt") == good);
  CHECK(!std::filesystem::exists(home / ".bag.new"));
  std::filesystem::rename(home / "bag", home / ".bag.old");
  CHECK(!make_bag(home, never).ok());
  CHECK(file(home / "bag/manifest-sha256.txt") == good);

  // The same statement again keeps its stamps.
  REQUIRE(sign_object(home, Object::verdict, world::statement_date(Object::verdict), signers.auditor).ok());
  CHECK(std::filesystem::exists(home / "stamps/verdict-2.tsr"));
  // Signed again, a verdict has another statement: the old one's stamp would make the bag invalid.
  REQUIRE(sign_object(home, Object::verdict, "2026-12-07T00:00:00Z", signers.auditor).ok());
  CHECK(!std::filesystem::exists(home / "stamps/verdict-2.tsr"));
  CHECK(std::filesystem::exists(home / "stamps/plan-1.tsr"));
  REQUIRE(make_bag(home).ok());
  CHECK(verify_bag(home / "bag", {})->state == BagState::valid);

  write(home / "stamps/ledger-1.tsr", reply);  // of a plan without a ledger: not taken along
  REQUIRE(make_bag(home).ok());
  CHECK(!std::filesystem::exists(home / "bag/data/stamps/ledger-1.tsr"));
}

TEST_CASE("a commitment that was signed after the key's first day is told") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  const Files files = world::small_bag(w, signers);
  CHECK(world::verify(files).has("dates.commitment", Level::ok));
  Files late = files;
  late["data/statements/commitment.dsse.json"] = make_statement(Object::commitment, files.at("data/commitment.json"), {}, "2026-11-05T00:00:00Z", signers.provider).value();
  const auto report = world::verify(world::remade(late));
  CHECK(report.state == BagState::valid);
  CHECK(report.has("dates.commitment", Level::note));
}
