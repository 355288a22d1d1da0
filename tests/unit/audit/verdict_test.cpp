#include <catch2/catch.hpp>

#include <heirmark/stats.hpp>

#include "naive.hpp"
#include "world.hpp"

using namespace heirmark;
using world::Guilt;
namespace {
double number(const std::string& text) { return std::stod(text); }
const VerdictAccount& account(const VerdictChannel& channel, const std::string& name) {
  return *std::find_if(channel.accounts.begin(), channel.accounts.end(), [&](const VerdictAccount& one) { return one.account == name; });
}
std::vector<ChannelPlan> all_channels() { return {world::c1(200'000, 60, 40, 255), world::c2(300'000, 4), world::c3(500'000, 8)}; }
std::string slurp(const std::filesystem::path& path) { return files::read(path).value(); }
}  // namespace

TEST_CASE("a suspect that learned issued text and marked text is supported on every channel") {
  const world::World w({.responses = 60, .tokens = 24});
  world::FakeSuspect suspect(w, {.issued = 2.5, .text = 0.7});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), all_channels());
  if (!audit.ok()) FAIL(audit.error().message);
  const Verdict& v = audit->verdict;
  CHECK(v.outcome == Outcome::supports);
  REQUIRE(v.channels.size() == 3);
  for (const VerdictChannel& channel : v.channels) {
    INFO(channel_name(channel.channel) << " p " << channel.log10_p << " e " << channel.log10_e << " n " << channel.n);
    CHECK(number(channel.log10_p) < -6);
    CHECK(number(channel.log10_e) > 6);
    CHECK(!channel.growth.empty());
    CHECK(channel.growth.size() <= 64);
    CHECK(channel.growth.back().n == channel.n);
    CHECK(channel.growth.back().log10_e == channel.log10_e);
  }
  REQUIRE(v.controls.size() == 3);
  for (const VerdictControl& control : v.controls) CHECK(number(control.log10_p) > -4);
  CHECK(v.channels[0].classes.size() <= 16);
  CHECK(v.channels[0].histogram.counts.size() == 64);
  CHECK(v.channels[1].issuance + v.channels[1].window == v.channels[1].n);
  CHECK(v.channels[2].alpha != "1.000000");
  CHECK(slurp(folder.path() / "case/verdict.json") == v.bytes());
  const auto again = Verdict::parse(v.bytes());
  REQUIRE(again.ok());
  CHECK(again->bytes() == v.bytes());
  // Headline: p = m min p / omega, e = sum omega e / m.
  double least = 0;
  std::vector<double> e;
  for (const VerdictChannel& channel : v.channels) {
    least = std::min(least, number(channel.log10_p) - std::log10(channel.weight / 1e6));
    e.push_back(std::log(channel.weight / 1e6) + number(channel.log10_e) * std::log(10.0));
  }
  CHECK(number(v.log10_p) == Approx(least).margin(2e-4));
  CHECK(number(v.log10_e) == Approx(stats::log_sum_exp(e) / std::log(10.0)).margin(2e-4));
}

TEST_CASE("an innocent suspect is inconclusive") {
  const world::World w({.seed = 2, .responses = 60, .tokens = 24});
  world::FakeSuspect suspect(w, {});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), all_channels());
  if (!audit.ok()) FAIL(audit.error().message);
  CHECK(audit->verdict.outcome == Outcome::inconclusive);
  for (const VerdictChannel& channel : audit->verdict.channels) CHECK(number(channel.log10_e) < 2);
}

TEST_CASE("a signal that another key shows too is not this key's") {
  const world::World w({.seed = 3});
  world::FakeSuspect suspect(w, {.issued = 2.5, .members = {700, 699}});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), {world::c3(1'000'000, 8)});
  if (!audit.ok()) FAIL(audit.error().message);
  CHECK(number(audit->verdict.log10_p) <= -6);
  CHECK(number(audit->verdict.controls[0].log10_p) <= -6);
  CHECK(number(audit->verdict.controls[1].log10_p) > -6);
  CHECK(audit->verdict.outcome == Outcome::does_not_support);
}

TEST_CASE("the account whose responses were used is named, and no other") {
  const world::World w({.seed = 4, .responses = 90});
  world::FakeSuspect suspect(w, {.issued = 3, .accounts = {"bob"}});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), {world::c2(400'000, 6), world::c3(600'000, 8)});
  if (!audit.ok()) FAIL(audit.error().message);
  for (const VerdictChannel& channel : audit->verdict.channels) {
    REQUIRE(channel.accounts.size() == 3);
    CHECK(channel.accounts[0].account == "alice");
    CHECK(!account(channel, "alice").named);
    CHECK(account(channel, "bob").named);
    CHECK(!account(channel, "carol").named);
    CHECK(account(channel, "alice").responses + account(channel, "bob").responses + account(channel, "carol").responses == channel.responses);
  }
}

TEST_CASE("multiplicity counts against the accuser") {
  const world::World w({.seed = 5, .responses = 20});
  const auto run = [&](std::uint64_t multiplicity) {
    world::FakeSuspect suspect(w, {.issued = 2});
    world::Folder folder;
    return world::audit_of(w, suspect, folder.path(), {world::c3(1'000'000, 8)}, 1, [&](PlanRequest& request) { request.multiplicity = multiplicity; }).value().verdict;
  };
  const Verdict one = run(1), many = run(1000);
  CHECK(number(many.log10_p) == Approx(number(one.log10_p) + 3).margin(2e-4));
  CHECK(number(many.log10_e) == Approx(number(one.log10_e) - 3).margin(2e-4));
}

TEST_CASE("the bytes of a verdict do not depend on threads") {
  const world::World w({.seed = 6, .responses = 60});
  world::FakeSuspect suspect(w, {.issued = 1, .text = 0.3});
  world::Folder folder;
  REQUIRE(world::audit_of(w, suspect, folder.path(), all_channels(), 1).ok());
  const std::string one = slurp(folder.path() / "case/verdict.json");
  for (const unsigned threads : {2u, 3u, 8u}) {
    VerdictOptions options;
    options.threads = threads;
    REQUIRE(write_verdict(folder.path() / "case", folder.path() / "opening-in.json", "2026-12-05T00:00:00Z", options).ok());
    CHECK(slurp(folder.path() / "case/verdict.json") == one);
  }
}

TEST_CASE("computing a verdict can be stopped") {
  const world::World w({.seed = 6});
  world::FakeSuspect suspect(w, {});
  world::Folder folder;
  REQUIRE(world::audit_of(w, suspect, folder.path(), all_channels()).ok());
  for (const double at : {0.0, 0.3, 0.6, 0.9}) {
    VerdictOptions options;
    double last = 0;
    options.progress = [&](double share) { CHECK(share >= last - 1e-9); last = share; return share < at; };
    const auto stopped = write_verdict(folder.path() / "case", folder.path() / "opening-in.json", "2026-12-05T00:00:00Z", options);
    REQUIRE(!stopped.ok());
    CHECK(stopped.error().code == ErrorCode::stopped);
  }
}

TEST_CASE("C2 and C3 of a whole audit are what a naive program finds") {
  // Everything again from the case's files: which contexts count, the fit, the bets, the documents, the accounts.
  world::World w({.seed = 7, .responses = 40, .tokens = 16});
  const auto piece = [&](std::size_t d, std::ptrdiff_t from, std::ptrdiff_t to) {
    const auto& tokens = w.ledger[d].tokens;
    w.prompts.emplace_back(tokens.begin() + from, tokens.begin() + to);
  };
  piece(7, 0, 16);   // prompts of C1 that show a response, its beginning, its middle
  piece(9, 0, 3);
  piece(12, 3, 11);
  world::FakeSuspect suspect(w, {.issued = 0.8, .accounts = {"carol"}});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), all_channels(), 1, [](PlanRequest& request) { request.fit_responses = 5; });
  if (!audit.ok()) FAIL(audit.error().message);
  const auto prompts = w.prompts;
  const auto choices = issued_choices(w.opening(), w.ledger).value();
  std::vector<std::vector<ScoredPosition>> answers;
  {
    const std::string bytes = slurp(folder.path() / "case/transcript/issued.jsonl");
    std::size_t at = 0;
    for (std::size_t d = 0; d < w.ledger.size(); ++d) {
      const std::size_t end = bytes.find('\n', at);
      answers.push_back(audit::parse_issued_line(bytes.substr(at, end - at), d, w.ledger[d].tokens.size(), 4, 8, 4096).value());
      at = end + 1;
    }
  }
  std::set<std::vector<TokenId>> shown;  // windows of prompt positions; h = 2
  const auto show = [&](const std::vector<TokenId>& prompt) {
    for (std::size_t t = 0; t < prompt.size(); ++t) {
      std::vector<TokenId> window(2, kNoToken);
      for (std::size_t k = 0; k < std::min<std::size_t>(t, 2); ++k) window[1 - k] = prompt[t - 1 - k];
      shown.insert(window);
    }
  };
  for (const auto& prompt : prompts) show(prompt);
  const auto recited = [&](const std::vector<TokenId>& tokens, std::size_t t) {  // do the last four tokens stand in a prompt, with one after them?
    const std::vector<TokenId> run(tokens.begin() + static_cast<std::ptrdiff_t>(t - std::min<std::size_t>(t, 4)), tokens.begin() + static_cast<std::ptrdiff_t>(t));
    for (const auto& prompt : prompts)
      for (std::size_t at = 0; at + run.size() < prompt.size(); ++at)
        if (std::equal(run.begin(), run.end(), prompt.begin() + static_cast<std::ptrdiff_t>(at))) return true;
    return false;
  };
  std::size_t next = 0, n = 0, recitals = 0;
  std::vector<naive::Position> fit;
  std::vector<std::vector<naive::Position>> documents;
  for (std::size_t d = 0; d < w.ledger.size(); ++d) {
    show(w.ledger[d].prompt);
    std::vector<TokenId> all = w.ledger[d].prompt;
    all.insert(all.end(), w.ledger[d].tokens.begin(), w.ledger[d].tokens.end());
    std::vector<naive::Position> document;
    for (; next < choices.size() && choices[next].response == d; ++next) {
      const std::size_t t = choices[next].position, end = w.ledger[d].prompt.size() + t;
      if (choices[next].window && shown.contains({all[end - 2], all[end - 1]})) continue;
      if (!choices[next].window && recited(w.ledger[d].tokens, t)) {
        recitals += t > 0 && d >= 5;
        continue;
      }
      naive::Position position{{}, {}, answers[d][t].samples, choices[next].choice, choices[next].window};
      for (const auto& entry : w.ledger[d].phat[t]) position.log.push_back({entry.token, entry.p});
      for (const auto& entry : answers[d][t].top) position.top.push_back({entry.token, entry.nlp});
      document.push_back(position);
    }
    if (d < 5) fit.insert(fit.end(), document.begin(), document.end());
    else { n += document.size(); documents.push_back(document); }
  }
  const auto alpha = std::round(naive::fit(fit) * 1e6L) / 1e6L;
  const auto bets = [&](bool third, const std::string& only) {
    std::vector<std::vector<std::vector<naive::Real>>> out;
    for (std::size_t k = 0; k < documents.size(); ++k) {
      if (!only.empty() && w.ledger[k + 5].account != only) continue;
      out.emplace_back();
      for (const naive::Position& position : documents[k]) {
        if (!only.empty() && position.window) continue;  // accounts share their windows' noise
        const auto payoffs = third ? naive::c3(position, alpha) : naive::c2(position);
        out.back().emplace_back();
        for (std::size_t g = 0; g < payoffs.l.size(); ++g) out.back().back().push_back(naive::bet(payoffs, g, position.choice));
      }
    }
    return static_cast<double>(naive::documents(out, third ? 30 : 20));
  };
  const VerdictChannel& c2 = audit->verdict.channels[1];
  const VerdictChannel& c3 = audit->verdict.channels[2];
  CHECK(recitals > 5);
  CHECK(c3.n == n);
  CHECK(number(c3.alpha) == Approx(static_cast<double>(alpha)).margin(1e-9));
  CHECK(c2.log10_e == stats::log10_e_string(bets(false, "")));
  CHECK(c3.log10_e == stats::log10_e_string(bets(true, "")));
  for (const char* name : {"alice", "bob", "carol"}) {
    CHECK(account(c2, name).log10_e == stats::log10_e_string(bets(false, name)));
    CHECK(account(c3, name).log10_e == stats::log10_e_string(bets(true, name)));
  }
}

TEST_CASE("a suspect that copies what its prompt shows is not convicted") {
  const world::World w = world::copied_world(8);
  world::FakeSuspect suspect(w, {.copy = 4});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), {world::c2(400'000, 4), world::c3(600'000, 8)});
  if (!audit.ok()) FAIL(audit.error().message);
  CHECK(audit->verdict.outcome == Outcome::inconclusive);
  CHECK(audit->verdict.channels[0].tainted > 200);
  CHECK(number(audit->verdict.log10_e) < 1);
}

TEST_CASE("a suspect that copies its prompts in C1 is not convicted") {
  world::World w = world::copied_world(9);
  w.prompts.clear();
  for (const auto& response : w.ledger) w.prompts.push_back(response.prompt);
  world::FakeSuspect suspect(w, {.copy = 6});
  world::Folder folder;
  const auto audit = world::audit_of(w, suspect, folder.path(), {world::c1(1'000'000, 40, 30, 255)});
  if (!audit.ok()) FAIL(audit.error().message);
  CHECK(audit->verdict.outcome == Outcome::inconclusive);
  CHECK(audit->verdict.channels[0].tainted > 200);
}

TEST_CASE("count rules and other schemes give verdicts too") {
  for (const char* profile : {"window-only-2026-11", "greenlist-2026-11", "tournament-2026-11"})
    for (const CountRule rule : {CountRule::distinct, CountRule::log2}) {
      const world::World w({.seed = 10, .profile = profile, .vocab = 64, .listed = 6});
      world::FakeSuspect suspect(w, {.text = profile[0] == 'w' ? 0.8 : 0.0});
      world::Folder folder;
      const auto audit = world::audit_of(w, suspect, folder.path(), {world::c1(1'000'000, 40, 40, 63, rule)});
      if (!audit.ok()) FAIL(audit.error().message);
      CHECK(audit->verdict.channels[0].log10_p_saddlepoint.empty() == (rule == CountRule::distinct));
      CHECK(Verdict::parse(audit->verdict.bytes()).ok());
    }
}

TEST_CASE("a verdict needs inputs that belong together") {
  const world::World w({.seed = 11, .responses = 6, .tokens = 5});
  world::FakeSuspect suspect(w, {});
  world::Folder folder;
  REQUIRE(world::audit_of(w, suspect, folder.path(), all_channels()).ok());
  std::map<std::string, std::string> file;
  for (const char* name : {"plan.json", "transcript.json", "opening.json", "commitment.json", "suspect.json", "prompts.jsonl", "ledger.jsonl", "transcript/c1.jsonl",
                           "transcript/issued.jsonl"})
    file[name] = slurp(folder.path() / "case" / name);
  const auto compute = [&] {
    VerdictInputs in;
    in.plan = file["plan.json"];
    in.transcript = file["transcript.json"];
    in.opening = file["opening.json"];
    in.commitment = file["commitment.json"];
    in.suspect = file["suspect.json"];
    in.prompts = file["prompts.jsonl"];
    in.ledger = file["ledger.jsonl"];
    in.c1 = file["transcript/c1.jsonl"];
    in.issued = file["transcript/issued.jsonl"];
    return compute_verdict(in, "2026-12-05T00:00:00Z", {});
  };
  REQUIRE(compute().ok());
  for (const auto& [name, bytes] : std::map<std::string, std::string>(file)) {
    for (const std::string& broken : {std::string(), bytes + "\n", bytes.substr(0, bytes.size() - 1), bytes.substr(0, bytes.size() / 2)}) {
      file[name] = broken;
      INFO(name);
      CHECK(!compute().ok());
    }
    file[name] = bytes;
  }
  const world::World other({.seed = 12});
  file["opening.json"] = other.opening().bytes();
  CHECK(compute().error().code == ErrorCode::invalid_evidence);
  CHECK(!compute_verdict({}, "2026-12-05T00:00:00Z", {}).ok());
}
