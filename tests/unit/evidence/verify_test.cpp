#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "bag_world.hpp"

using namespace heirmark;
namespace fs = std::filesystem;
using world::failures;
using world::text;

TEST_CASE("a bag verifies from the disk, with every check") {
  const world::World w({.responses = 3, .tokens = 3, .released = "2026-12-02"});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  const auto report = verify_bag(folder.path() / "case/bag", {});
  REQUIRE(report.ok());
  INFO(text(*report));
  CHECK(report->state == BagState::valid);
  CHECK(report->has("trust.unpinned", Level::note));
  CHECK(!report->has("transcript.name", Level::note));
  CHECK(report->outcome == "inconclusive");
  CHECK(!report->plan_id.empty());
  for (const char* code : {"bag.manifest", "bag.tags", "plan.parse", "commitment.opening-digest", "commitment.opening-fields", "plan.commitment", "plan.opening", "plan.key",
                           "plan.suspect", "plan.prompts", "plan.ledger", "plan.ledger-responses", "transcript.plan", "transcript.file", "transcript.hello", "transcript.c1",
                           "transcript.issued", "verdict.plan", "verdict.transcript", "verdict.opening", "verdict.commitment", "verdict.ledger", "verdict.suspect",
                           "verdict.recomputed", "statement.commitment.signature", "statement.ledger.subject", "statement.plan.predicate", "statement.transcript.parse",
                           "statement.verdict.signature", "dates.order", "dates.release"}) {
    INFO(code);
    CHECK(report->has(code, Level::ok));
  }
}

TEST_CASE("bags that are made at once are whole, and what a kill left goes away") {
  const world::World w({.responses = 3, .tokens = 3});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  const fs::path home = folder.path() / "case";
  fs::create_directories(home / ".bag.new/data");
  fs::create_directories(home / ".bag.old/data");
  std::atomic<int> failed = 0;
  std::vector<std::thread> makers;
  for (int i = 0; i < 4; ++i)
    makers.emplace_back([&] {
      for (int k = 0; k < 5; ++k) failed += !make_bag(home).ok();
    });
  for (std::thread& maker : makers) maker.join();
  CHECK(failed == 0);
  const auto report = verify_bag(home / "bag", {});
  REQUIRE(report.ok());
  INFO(text(*report));
  CHECK(report->state == BagState::valid);
  for (const auto& entry : fs::directory_iterator(home)) CHECK(entry.path().filename().string().front() != '.');
}

TEST_CASE("bags of fewer channels verify, and hold no file that is not used") {
  const world::World w({.responses = 3, .tokens = 3});
  const world::Signers signers;
  for (const auto& channels : {std::vector<ChannelPlan>{world::c1(1'000'000, 2, 4, 0)}, std::vector<ChannelPlan>{world::c3(1'000'000, 2)},
                               std::vector<ChannelPlan>{world::c2(1'000'000, 2)}}) {
    world::Folder folder;
    world::make_case(w, signers, folder.path(), channels);
    const auto report = verify_bag(folder.path() / "case/bag", {});
    REQUIRE(report.ok());
    INFO(text(*report));
    CHECK(report->state == BagState::valid);
    CHECK(fs::exists(folder.path() / "case/bag/data/ledger.jsonl") == (channels[0].channel != Channel::c1));
  }
}

TEST_CASE("trust roots decide whether a valid bag is trusted") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers, strangers;
  const world::Files files = world::small_bag(w, signers);
  VerifyOptions both, one, none, broken;
  both.trust_roots = {signers.auditor.public_pem, signers.provider.public_pem};
  one.trust_roots = {signers.auditor.public_pem};
  none.trust_roots = {strangers.auditor.public_pem};
  broken.trust_roots = {std::string("-----BEGIN PUBLIC KEY-----")};
  CHECK(world::verify(files, both).state == BagState::valid);
  CHECK(world::verify(files, both).has("trust.auditor", Level::ok));
  CHECK(!world::verify(files, both).has("trust.unpinned", Level::note));
  CHECK(world::verify(files, one).state == BagState::valid_but_untrusted);
  CHECK(world::verify(files, none).state == BagState::valid_but_untrusted);
  CHECK(world::verify(files, none).has("trust.untrusted", Level::note));
  VerifyReport report;
  CHECK(!evidence::verify_files(files, broken, report).ok());
  // Untrusted never hides invalid.
  world::Files changed = files;
  changed["data/verdict.json"] += " ";
  CHECK(world::verify(world::remade(changed), none).state == BagState::invalid);
}

TEST_CASE("a device that is not there is an error, and no finding about the bag") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  const world::Files files = world::small_bag(w, signers);
  VerifyOptions options;
  options.device = Device::cuda;
  VerifyReport report;
  const auto done = evidence::verify_files(files, options, report);
  const auto there = check_device(Device::cuda);
  REQUIRE(done.ok() == there.ok());
  if (!there) {
    CHECK(done.error().code == ErrorCode::io);
    CHECK(done.error().message == there.error().message);
    CHECK(!report.has("verdict.recomputed", Level::fail));
  } else {
    CHECK(report.has("verdict.recomputed", Level::ok));
  }
}

TEST_CASE("one key in both roles is noted") {
  const world::World w({.responses = 2, .tokens = 2});
  world::Signers signers;
  signers.provider = signers.auditor;
  CHECK(world::verify(world::small_bag(w, signers)).has("trust.one-key", Level::note));
}

TEST_CASE("a trusted key may be trusted in one role alone") {
  const world::World w({.responses = 2, .tokens = 2});
  const world::Signers signers;
  world::Signers provider_alone;  // signs as the auditor too
  provider_alone.auditor = provider_alone.provider = signers.provider;
  const world::Files honest = world::small_bag(w, signers), forged = world::small_bag(w, provider_alone);
  const auto with = [](std::vector<TrustRoot> roots) {
    VerifyOptions options;
    options.trust_roots = std::move(roots);
    return options;
  };
  const std::string provider = signers.provider.public_pem, auditor = signers.auditor.public_pem;
  const VerifyOptions roles = with({{provider, "provider"}, {auditor, "auditor"}}), crossed = with({{provider, "auditor"}, {auditor, "provider"}});
  CHECK(world::verify(honest, roles).state == BagState::valid);
  CHECK(world::verify(honest, crossed).state == BagState::valid_but_untrusted);
  CHECK(world::verify(forged, roles).state == BagState::valid_but_untrusted);
  CHECK(world::verify(forged, with({provider, auditor})).state == BagState::valid);  // of either role: only the note tells
  VerifyReport report;
  CHECK(!evidence::verify_files(honest, with({{provider, "court"}}), report).ok());
}

TEST_CASE("dates that run backwards are told") {
  const world::World w({.responses = 2, .tokens = 2, .released = "2026-11-30"});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  // The ledger was signed on December 1, after the release on November 30.
  CHECK(failures(*verify_bag(folder.path() / "case/bag", {})) == std::set<std::string>{"dates.release"});
  const auto with = [&](Object object, const std::string& date) {
    REQUIRE(sign_object(folder.path() / "case", object, date, signers.of(object)).ok());
    REQUIRE(make_bag(folder.path() / "case").ok());
    const auto report = verify_bag(folder.path() / "case/bag", {});
    REQUIRE(sign_object(folder.path() / "case", object, world::statement_date(object), signers.of(object)).ok());
    return failures(*report);
  };
  CHECK(with(Object::ledger, "2026-11-30T23:59:59Z").empty());
  CHECK(with(Object::commitment, "2026-12-01T00:00:01Z") == std::set<std::string>{"dates.order", "dates.release"});
  CHECK(with(Object::plan, "2026-12-01T23:59:59Z").contains("dates.order"));
  CHECK(with(Object::plan, "2026-12-03T00:00:01Z").contains("dates.order"));  // after the first query
  CHECK(with(Object::transcript, "2026-12-02T00:00:00Z").contains("dates.order"));
  CHECK(with(Object::transcript, "2026-12-05T00:00:01Z").contains("dates.order"));  // after the opening was used
  CHECK(with(Object::verdict, "2026-12-04T00:00:00Z").contains("dates.order"));
}

TEST_CASE("times of a ledger that contradict other dates are noted") {
  world::World w({.responses = 3, .tokens = 2});
  const world::Signers signers;
  const auto noted = [&](std::vector<std::string> times) {
    w.times = std::move(times);
    world::Folder folder;
    world::make_case(w, signers, folder.path());
    const auto report = verify_bag(folder.path() / "case/bag", {}).value();
    CHECK(failures(report).empty());
    for (const Check& check : report.checks)
      if (check.code == "dates.ledger") return check.level == Level::note ? check.detail : std::string("ok");
    return std::string("none");
  };
  CHECK(noted({}) == "ok");
  CHECK(noted({"2026-11-02T00:00:00Z", "2026-11-01T23:59:59Z"}).find("line 2") != std::string::npos);
  CHECK(noted({"2026-11-30T00:00:00Z", "2026-12-01T00:00:01Z", "2026-12-01T00:00:01Z"}).find("after its statement") != std::string::npos);
  CHECK(noted({"2026-10-31T23:59:59Z"}).find("before the key was in force") != std::string::npos);
  CHECK(noted({"2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"}).find("last day 2026-11-30") != std::string::npos);
}

TEST_CASE("a verdict with one other digit is told by recomputing, even when the auditor signs it") {
  const world::World w({.responses = 3, .tokens = 3});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  const fs::path home = folder.path() / "case";
  Verdict verdict = Verdict::parse(files::read(home / "verdict.json").value()).value();
  const auto forged = [&](const Verdict& changed) {
    REQUIRE(files::write_atomic(home / "verdict.json", changed.bytes()).ok());
    REQUIRE(sign_object(home, Object::verdict, "2026-12-06T00:00:00Z", signers.auditor).ok());
    REQUIRE(make_bag(home).ok());
    return failures(*verify_bag(home / "bag", {}));
  };
  CHECK(forged(verdict).empty());
  Verdict better = verdict;
  better.log10_p = "-9.0000";
  CHECK(forged(better) == std::set<std::string>{"verdict.recomputed"});
  Verdict outcome = verdict;
  outcome.outcome = Outcome::supports;
  CHECK(forged(outcome) == std::set<std::string>{"verdict.recomputed"});
  Verdict named = verdict;
  named.channels[2].accounts[0].named = true;
  CHECK(forged(named) == std::set<std::string>{"verdict.recomputed"});
  Verdict other = verdict;
  other.suspect = std::string(64, '0');
  CHECK(forged(other) == std::set<std::string>{"verdict.suspect", "verdict.recomputed"});
}

TEST_CASE("an auditor who signs everything again still cannot change what was asked or answered") {
  const world::World w({.responses = 3, .tokens = 3});
  const world::Signers signers;
  world::Folder folder;
  world::make_case(w, signers, folder.path());
  const fs::path home = folder.path() / "case";
  const std::string c1 = files::read(home / "transcript/c1.jsonl").value(), sealed = files::read(home / "transcript.json").value(), plan = files::read(home / "plan.json").value();
  const auto again = [&](const std::string& new_c1, const std::function<void(Transcript&)>& change) {
    Transcript transcript = Transcript::parse(sealed).value();
    transcript.files[0].sha256 = crypto::sha256_hex(new_c1);
    transcript.files[0].lines = static_cast<std::uint64_t>(std::count(new_c1.begin(), new_c1.end(), '\n'));
    transcript.queries = transcript.files[0].lines + transcript.files[1].lines;
    change(transcript);
    REQUIRE(files::write_atomic(home / "transcript/c1.jsonl", new_c1).ok());
    REQUIRE(files::write_atomic(home / "transcript.json", transcript.bytes()).ok());
    Verdict verdict = Verdict::parse(files::read(home / "verdict.json").value()).value();
    verdict.transcript = crypto::sha256_hex(transcript.bytes());
    REQUIRE(files::write_atomic(home / "verdict.json", verdict.bytes()).ok());
    for (const Object object : {Object::transcript, Object::verdict}) REQUIRE(sign_object(home, object, world::statement_date(object), signers.auditor).ok());
    REQUIRE(make_bag(home).ok());
    return failures(*verify_bag(home / "bag", {}));
  };
  const auto nothing = [](Transcript&) {};
  CHECK(again(c1, nothing).empty());
  const std::size_t first = c1.find('\n') + 1;
  CHECK(again(c1.substr(0, first), nothing) == std::set<std::string>{"transcript.c1", "verdict.recomputed"});          // a text left out
  CHECK(again(c1.substr(first) + c1.substr(0, first), nothing) == std::set<std::string>{"transcript.c1", "verdict.recomputed"});  // another order
  CHECK(again(c1, [](Transcript& t) { t.hello.vocab = 5000; }) == std::set<std::string>{"transcript.hello", "verdict.recomputed"});
  CHECK(again(c1, [](Transcript& t) { t.hello.name = "another"; }).empty());
  const auto told = verify_bag(home / "bag", {});
  REQUIRE(told.ok());
  CHECK(told->has("transcript.name", Level::note));
  CHECK(told->state == BagState::valid);
  CHECK(again(c1, [](Transcript& t) { ++t.queries; }) == std::set<std::string>{"transcript.file", "verdict.recomputed"});
  CHECK(again(c1, [](Transcript& t) { std::swap(t.files[0], t.files[1]); }) == std::set<std::string>{"transcript.file", "verdict.recomputed"});
  CHECK(again(c1, [](Transcript& t) { t.plan = std::string(64, '0'); }) == std::set<std::string>{"transcript.plan", "verdict.recomputed"});
  CHECK(again(c1, [](Transcript& t) { t.hello.context = 5; }) == std::set<std::string>{"transcript.issued", "verdict.recomputed"});
}
