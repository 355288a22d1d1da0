#include <catch2/catch.hpp>

#include "world.hpp"

using namespace heirmark;
namespace fs = std::filesystem;
namespace {
std::string slurp(const fs::path& path) { return files::read(path).value(); }
void put(const fs::path& path, std::string_view bytes) { REQUIRE(files::write_atomic(path, bytes).ok()); }

RunOptions at(std::string time) {
  RunOptions options;
  options.now = [time] { return time; };
  return options;
}

// A small case with a plan, made once.
struct Small {
  world::World w{{.responses = 3, .tokens = 3, .prompts = 2, .listed = 3}};
  world::Folder folder;
  fs::path home = folder.path() / "case";
  Plan plan;
  Small() {
    const auto made = make_plan(w.request(folder.path(), {world::c1(400'000, 3, 4, 7), world::c2(100'000, 1), world::c3(500'000, 2)}), home);
    REQUIRE(made.ok());
    plan = *made;
  }
  void clear() {
    fs::remove_all(home / "transcript");
    fs::remove(home / "transcript.json");
  }
};
}  // namespace

TEST_CASE("a run answers every query once and seals the transcript") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  std::vector<std::uint64_t> seen;
  RunOptions options = at("2026-12-03T00:00:00Z");
  options.batch = 2;
  options.progress = [&](const RunProgress& progress) { CHECK(progress.total == 6); seen.push_back(progress.done); return true; };
  REQUIRE(run_audit(s.home, suspect, options).ok());
  CHECK(suspect.queries == 2 + 3);  // 3 texts in batches of 2, 3 responses
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() == 6);
  const auto transcript = Transcript::parse(slurp(s.home / "transcript.json"));
  REQUIRE(transcript.ok());
  CHECK(transcript->plan == s.plan.digest());
  CHECK(transcript->queries == 6);
  CHECK(transcript->files.size() == 2);
  CHECK(transcript->bytes() == slurp(s.home / "transcript.json"));
  // Once more: nothing is asked, nothing changes.
  const std::string sealed = slurp(s.home / "transcript.json");
  REQUIRE(run_audit(s.home, suspect, at("2026-12-04T00:00:00Z")).ok());
  CHECK(suspect.queries == 5);
  CHECK(slurp(s.home / "transcript.json") == sealed);
  put(s.home / "transcript/c1.jsonl", slurp(s.home / "transcript/c1.jsonl") + " ");
  CHECK(run_audit(s.home, suspect, at("2026-12-04T00:00:00Z")).error().code == ErrorCode::invalid_evidence);
}

TEST_CASE("a run killed at any byte goes on without loss or double count") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  REQUIRE(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).ok());
  const std::string c1 = slurp(s.home / "transcript/c1.jsonl"), issued = slurp(s.home / "transcript/issued.jsonl"), sealed = slurp(s.home / "transcript.json"),
                    progress = slurp(s.home / "transcript/progress.json");
  const auto go_on = [&](std::size_t c1_bytes, std::optional<std::size_t> issued_bytes) {
    s.clear();
    fs::create_directory(s.home / "transcript");
    put(s.home / "transcript/progress.json", progress);
    put(s.home / "transcript/c1.jsonl", std::string_view(c1).substr(0, c1_bytes));
    if (issued_bytes) put(s.home / "transcript/issued.jsonl", std::string_view(issued).substr(0, *issued_bytes));
    world::FakeSuspect again(s.w, {});
    RunOptions options = at("2026-12-03T00:00:00Z");
    options.batch = 2;
    const auto done = run_audit(s.home, again, options);
    if (!done.ok()) FAIL(done.error().message);
    REQUIRE(slurp(s.home / "transcript/c1.jsonl") == c1);
    REQUIRE(slurp(s.home / "transcript/issued.jsonl") == issued);
    REQUIRE(slurp(s.home / "transcript.json") == sealed);
    const auto lines = [](std::string_view text) { return std::count(text.begin(), text.end(), '\n'); };
    const auto left = lines(c1) - lines(std::string_view(c1).substr(0, c1_bytes));
    REQUIRE(again.queries == (left + 1) / 2 + 3 - (issued_bytes ? lines(std::string_view(issued).substr(0, *issued_bytes)) : 0));
  };
  for (std::size_t n = 0; n <= c1.size(); ++n) go_on(n, std::nullopt);
  for (std::size_t n = 0; n <= issued.size(); ++n) go_on(c1.size(), n);
  // Killed before the first byte of anything.
  s.clear();
  world::FakeSuspect again(s.w, {});
  REQUIRE(run_audit(s.home, again, at("2026-12-03T00:00:00Z")).ok());
  CHECK(slurp(s.home / "transcript.json") == sealed);
}

TEST_CASE("a run can be stopped anywhere and goes on") {
  Small s;
  world::FakeSuspect whole(s.w, {});
  REQUIRE(run_audit(s.home, whole, at("2026-12-03T00:00:00Z")).ok());
  const std::string sealed = slurp(s.home / "transcript.json");
  for (int after = 0; after < 9; ++after) {
    s.clear();
    world::FakeSuspect suspect(s.w, {});
    RunOptions options = at("2026-12-03T00:00:00Z");
    options.batch = 1;
    int calls = 0;
    options.progress = [&](const RunProgress&) { return calls++ < after; };
    const auto done = run_audit(s.home, suspect, options);
    if (!done.ok()) CHECK(done.error().code == ErrorCode::stopped);
    options.progress = {};
    REQUIRE(run_audit(s.home, suspect, options).ok());
    CHECK(suspect.queries == 6);
    CHECK(slurp(s.home / "transcript.json") == sealed);
  }
}

TEST_CASE("a suspect that fails ends the run with its words, and the run goes on later") {
  Small s;
  for (int after = 0; after < 4; ++after) {
    s.clear();
    world::FakeSuspect suspect(s.w, {});
    suspect.fail_after = after;
    const auto done = run_audit(s.home, suspect, at("2026-12-03T00:00:00Z"));
    REQUIRE(!done.ok());
    CHECK(done.error().message.find("the fake is out of order") != std::string::npos);
    CHECK(!fs::exists(s.home / "transcript.json"));
    REQUIRE(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).ok());
  }
}

TEST_CASE("a run refuses files that are not the plan's") {
  const char* name = GENERATE("suspect.json", "commitment.json", "prompts.jsonl", "ledger.jsonl");
  Small s;
  world::FakeSuspect suspect(s.w, {});
  put(s.home / name, slurp(s.home / name) + "\n");
  CHECK(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).error().code == ErrorCode::invalid_evidence);
  CHECK(suspect.queries == 0);
}

TEST_CASE("a run refuses a plan that changed under it") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  suspect.fail_after = 1;
  REQUIRE(!run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).ok());
  Plan changed = s.plan;
  changed.alpha = "0.01";
  put(s.home / "plan.json", changed.bytes());
  const auto done = run_audit(s.home, suspect, at("2026-12-03T00:00:00Z"));
  REQUIRE(!done.ok());
  CHECK(done.error().code == ErrorCode::invalid_evidence);
  CHECK(done.error().message.find("another plan") != std::string::npos);
}

TEST_CASE("a run refuses lines that the plan did not ask for") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  REQUIRE(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).ok());
  const std::string c1 = slurp(s.home / "transcript/c1.jsonl");
  fs::remove(s.home / "transcript.json");
  const auto refused = [&](std::string bytes) {
    put(s.home / "transcript/c1.jsonl", bytes);
    const auto done = run_audit(s.home, suspect, at("2026-12-03T00:00:00Z"));
    REQUIRE(!done.ok());
    INFO(done.error().message);
    CHECK(done.error().code == ErrorCode::invalid_evidence);
    CHECK(done.error().message.find("transcript/c1.jsonl:") == 0);
  };
  const std::size_t first = c1.find('\n') + 1;
  refused(c1 + c1.substr(0, first));                       // one line too many
  refused(c1.substr(first));                               // the first line is missing
  refused(c1.substr(0, first) + c1.substr(0, first));      // one line twice
  refused("\n" + c1);
  fs::remove(s.home / "transcript/progress.json");
  CHECK(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).error().message.find("progress.json") != std::string::npos);
}

TEST_CASE("a run refuses another suspect than the one it began with") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  suspect.fail_after = 1;
  REQUIRE(!run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).ok());
  world::FakeSuspect other(s.w, {});
  other.context_length = 4096;
  CHECK(run_audit(s.home, other, at("2026-12-03T00:00:00Z")).error().message.find("another suspect") != std::string::npos);
  const world::World bigger({.vocab = 5000});
  world::FakeSuspect wrong_vocab(bigger, {});
  CHECK(run_audit(s.home, wrong_vocab, at("2026-12-03T00:00:00Z")).error().message.find("vocab") != std::string::npos);
}

TEST_CASE("a suspect with a short context is asked what it can read") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  suspect.context_length = 6;  // prompts of 3 and texts of 4 tokens do not fit
  CHECK(run_audit(s.home, suspect, at("2026-12-03T00:00:00Z")).error().message.find("do not fit the suspect's context of 6") != std::string::npos);
  world::Folder folder;
  const auto plan = make_plan(s.w.request(folder.path(), {world::c3(1'000'000, 2)}), folder.path() / "case");
  REQUIRE(plan.ok());
  suspect.context_length = 6;  // 4 prompt tokens and 2 of the 3 generated ones
  world::FakeSuspect short_one(s.w, {});
  short_one.context_length = 6;
  REQUIRE(run_audit(folder.path() / "case", short_one, at("2026-12-03T00:00:00Z")).ok());
  const auto verdict = write_verdict(folder.path() / "case", folder.path() / "opening-in.json", "2026-12-05T00:00:00Z", {});
  if (!verdict.ok()) FAIL(verdict.error().message);
  CHECK(verdict->channels[0].n <= 4);
}

TEST_CASE("a suspect that sees what it is asked about is refused before it is asked, or before the transcript is sealed") {
  using Sees = world::FakeSuspect::Sees;
  const Sees sees = GENERATE(Sees::itself, Sees::itself_as_it_is);
  const std::uint64_t fit = GENERATE(0u, 16u);
  world::World w({.responses = 20, .tokens = 6});
  world::Folder folder;
  PlanRequest request = w.request(folder.path(), {world::c3(1'000'000, 12)});
  request.fit_responses = fit;
  REQUIRE(make_plan(request, folder.path() / "case").ok());
  world::FakeSuspect suspect(w, {});
  suspect.sees = sees;
  const auto refused = run_audit(folder.path() / "case", suspect, at("2026-12-03T00:00:00Z"));
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::bad_input);
  CHECK(refused.error().message.find("the suspect sees what it is asked about") != std::string::npos);
  CHECK(suspect.queries == (fit == 0 ? 20 : 0));
  CHECK(suspect.probes == 32);  // sixteen positions, each as it is and with another token
  CHECK(fs::exists(folder.path() / "case/transcript/issued.refused.jsonl") == (fit == 0));
  CHECK(!fs::exists(folder.path() / "case/transcript.json"));
  // Mended, it is asked; nothing is left of what was refused.
  suspect.sees = Sees::before;
  REQUIRE(run_audit(folder.path() / "case", suspect, at("2026-12-03T00:00:00Z")).ok());
  CHECK(suspect.queries == (fit == 0 ? 40 : 20));
  CHECK(suspect.probes == (fit == 0 ? 64 : 96));
}

TEST_CASE("a suspect that dies while positions are asked about twice leaves its answers where they are") {
  world::World w({.responses = 20, .tokens = 6});
  world::Folder folder;
  REQUIRE(make_plan(w.request(folder.path(), {world::c3(1'000'000, 12)}), folder.path() / "case").ok());
  world::FakeSuspect suspect(w, {});
  suspect.fail_at_probe = 20;  // two of fit responses come first
  CHECK(run_audit(folder.path() / "case", suspect, at("2026-12-03T00:00:00Z")).error().code == ErrorCode::io);
  CHECK(suspect.queries == 20);
  CHECK(!fs::exists(folder.path() / "case/transcript/issued.refused.jsonl"));
  REQUIRE(run_audit(folder.path() / "case", suspect, at("2026-12-03T00:00:00Z")).ok());
  CHECK(suspect.queries == 20);  // nothing was asked again
}

TEST_CASE("two runs do not work in one folder") {
  Small s;
  world::FakeSuspect suspect(s.w, {});
  RunOptions options = at("2026-12-03T00:00:00Z");
  bool tried = false;
  options.progress = [&](const RunProgress&) {
    if (!tried) {
      tried = true;
      world::FakeSuspect second(s.w, {});
      CHECK(run_audit(s.home, second, at("2026-12-03T00:00:00Z")).error().message.find("another command") != std::string::npos);
    }
    return true;
  };
  REQUIRE(run_audit(s.home, suspect, options).ok());
  CHECK(tried);
}

TEST_CASE("a verdict before the end of the run is refused") {
  Small s;
  const auto verdict = write_verdict(s.home, s.folder.path() / "opening-in.json", "2026-12-05T00:00:00Z", {});
  REQUIRE(!verdict.ok());
  CHECK(verdict.error().message.find("not finished") != std::string::npos);
}
