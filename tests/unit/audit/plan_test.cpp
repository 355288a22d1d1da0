#include <catch2/catch.hpp>
#include <fstream>

#include "audit/case.hpp"
#include "world.hpp"

using namespace heirmark;
namespace {
std::vector<ChannelPlan> channels() { return {world::c1(200'000, 4, 6, 15), world::c2(300'000, 2), world::c3(500'000, 3)}; }
}  // namespace

TEST_CASE("a plan's digest fixes the order of prompts and every seed") {
  // Values from another language's SHA-256, see specs/formats.md "Seed".
  const auto seed = audit::plan_seed(std::string(64, 'a'));
  CHECK(audit::prompt_order(seed, 10) == std::vector<std::uint32_t>{6, 5, 0, 1, 4, 2, 8, 3, 7, 9});
  CHECK(audit::query_seed(seed, "c1", 0) == 272156112337110ull);
  CHECK(audit::query_seed(seed, "c1", 258) == 191851095923535ull);
  CHECK(audit::query_seed(seed, "issued", 7) == 44267667881024ull);
}

TEST_CASE("make_plan writes a folder that a person can look through") {
  const world::World w({.responses = 25, .tokens = 4});
  world::Folder folder;
  const PlanRequest request = w.request(folder.path(), channels());
  const auto plan = make_plan(request, folder.path() / "case");
  if (!plan.ok()) FAIL(plan.error().message);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path() / "case")) names.insert(entry.path().filename().string());
  CHECK(names == std::set<std::string>{"commitment.json", "ledger.jsonl", "plan.json", "prompts.jsonl", "suspect.json"});
  const std::string bytes = files::read(folder.path() / "case/plan.json").value();
  CHECK(bytes == plan->bytes());
  const auto again = Plan::parse(bytes);
  REQUIRE(again.ok());
  CHECK(again->bytes() == bytes);
  CHECK(again->digest() == crypto::sha256_hex(bytes));
  CHECK(plan->ledger_responses == 25);
  CHECK(plan->fit_responses == 2);
  CHECK(plan->multiplicity == 1);
  CHECK(plan->opening == w.opening().digest());
  CHECK(plan->h1.find("acme-7b/2026-11") != std::string::npos);
  CHECK(make_plan(request, folder.path() / "case").error().code == ErrorCode::usage);  // never overwritten
  // Whoever signs it may refuse: then there is no plan. The message does not speak of the folder's first name.
  PlanRequest signed_one = request;
  std::filesystem::path first;
  signed_one.sign = [&](const std::filesystem::path& at) -> Result<void> {
    first = at;
    CHECK(std::filesystem::exists(at / "plan.json"));
    return Error{ErrorCode::key, (at / "trust").string() + ": no"};
  };
  const auto refused = make_plan(signed_one, folder.path() / "signed");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message == (folder.path() / "signed/trust").string() + ": no");
  CHECK((!std::filesystem::exists(first) && !std::filesystem::exists(folder.path() / "signed")));
  // An empty folder may be there already, behind a link too.
  std::filesystem::create_directory(folder.path() / "empty");
  std::filesystem::create_directory_symlink("empty", folder.path() / "link");
  const auto second = make_plan(request, folder.path() / "link/");
  REQUIRE(second.ok());
  CHECK(second->plan_id != plan->plan_id);
  CHECK(std::filesystem::exists(folder.path() / "empty/plan.json"));
}

TEST_CASE("nobody else reads a case, its key or its customers' tokens") {
  const world::World w({.responses = 5, .tokens = 4});
  world::Folder folder;
  world::FakeSuspect suspect(w, {});
  REQUIRE(world::audit_of(w, suspect, folder.path(), channels()).ok());
  const auto mode = [&](const char* name) { return static_cast<unsigned>(std::filesystem::status(folder.path() / name).permissions()); };
  CHECK(mode("case") == 0700);
  CHECK(mode("case/opening.json") == 0600);
  CHECK(mode("case/ledger.jsonl") == 0600);
  CHECK((mode("case/plan.json") & 0400) == 0400);
}

TEST_CASE("prompts come from any token file") {
  const world::World w({.responses = 5, .tokens = 3});
  world::Folder folder;
  PlanRequest request = w.request(folder.path(), {world::c1(1'000'000, 4, 6, 15)});
  const auto plan_of = [&](const std::string& bytes, const std::string& name) {
    REQUIRE(files::write_atomic(request.prompts, bytes).ok());
    return make_plan(request, folder.path() / name);
  };
  // What a reader of token files ignores, it ignores here too.
  const auto plan = plan_of("{\"tokens\": [1, 2], \"note\": 0.5, \"x\": 1e999, \"note\": 1}\r\n{\"prompt_tokens\":1,\"tokens\":[3]}\n\n", "case");
  if (!plan.ok()) FAIL(plan.error().message);
  CHECK(files::read(folder.path() / "case/prompts.jsonl", 1000).value() == "{\"tokens\":[1,2]}\n{\"tokens\":[3]}\n");
  // And what it refuses is refused.
  for (const char* line : {"{\"tokens\":[1,2],\"prompt_tokens\":9}", "{\"tokens\":[1,2],\"prompt_tokens\":\"x\"}", "{\"tokens\":[]}", "{\"tokens\":[1048576]}"}) {
    const auto refused = plan_of(std::string("{\"tokens\":[1]}\n") + line + "\n", "none");
    INFO(line);
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::bad_input);
    CHECK(refused.error().message.find("prompts-in.jsonl:2") != std::string::npos);
  }
}

TEST_CASE("a plan that cannot work is refused and leaves nothing behind") {
  const world::World w({.responses = 5, .tokens = 3});
  world::Folder folder;
  const auto refused = [&](const std::function<void(PlanRequest&)>& change, const std::string& message) {
    PlanRequest request = w.request(folder.path(), channels());
    change(request);
    const auto plan = make_plan(request, folder.path() / "case");
    REQUIRE(!plan.ok());
    INFO(plan.error().message);
    CHECK(plan.error().message.find(message) != std::string::npos);
    CHECK(!std::filesystem::exists(folder.path() / "case"));
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) CHECK(entry.path().filename().string().find(".case") == std::string::npos);
  };
  refused([](auto& r) { r.alpha = "1e-6"; }, "alpha");
  refused([](auto& r) { r.alpha = "0.0000010"; }, "alpha");
  refused([](auto& r) { r.alpha = "0."; }, "alpha");
  refused([](auto& r) { r.date = "today"; }, "date");
  refused([](auto& r) { r.attempt = 3; r.multiplicity = 2; }, "multiplicity");
  refused([](auto& r) { r.h1 = "na\xc3\xafve"; }, "h1");
  refused([](auto& r) { r.channels[0].weight = 1; }, "weights sum to 800001");
  refused([](auto& r) { std::swap(r.channels[0], r.channels[1]); }, "order");
  refused([](auto& r) { r.channels[1] = r.channels[0]; }, "order");
  refused([](auto& r) { r.channels[0].decoys = 1021; }, "family size");
  refused([](auto& r) { r.channels[0].texts = 0; }, "texts");
  refused([](auto& r) { r.channels[1].samples = 0; }, "samples");
  refused([](auto& r) { r.channels[2].top = 2000; }, "top");
  refused([](auto& r) { r.fit_responses = 5; }, "fitResponses");
  refused([](auto& r) { r.controls = 65; }, "controls");
  refused([](auto& r) { r.prompts.clear(); }, "prompts");
  refused([](auto& r) { r.ledger.clear(); }, "ledger");
  refused([](auto& r) { r.channels = {world::c3(1'000'000, 3)}; }, "no channel uses them");
  refused([](auto& r) { r.channels = {world::c1(1'000'000, 4, 6, 15)}; }, "no channel uses it");
  refused([](auto& r) { r.suspect = r.commitment; }, "suspect");
  refused([](auto& r) { r.commitment = r.suspect; }, "suspect-in.json");
  refused([](auto& r) { r.ledger = r.prompts; }, "prompts-in.jsonl");
  refused([](auto& r) { r.commitment = "/no/such/file"; }, "/no/such/file");
}

TEST_CASE("channels ask for profiles that can answer") {
  world::Folder folder;
  const world::World green({.profile = "greenlist-2026-11"}), issuance({.profile = "issuance-only-2026-11"});
  CHECK(make_plan(green.request(folder.path(), {world::c3(1'000'000, 3)}), folder.path() / "a").error().message.find("gumbel") != std::string::npos);
  CHECK(make_plan(issuance.request(folder.path(), {world::c1(1'000'000, 3, 3, 0)}), folder.path() / "b").error().message.find("marks no window") != std::string::npos);
}

TEST_CASE("default channels") {
  const auto sum = [](const std::vector<ChannelPlan>& list) {
    std::uint32_t out = 0;
    for (const ChannelPlan& channel : list) out += channel.weight;
    return out;
  };
  for (const auto& [prompts, ledger, count] : {std::tuple<bool, bool, std::size_t>{true, true, 3}, {true, false, 1}, {false, true, 2}}) {
    CHECK(default_channels(prompts, ledger).size() == count);
    CHECK(sum(default_channels(prompts, ledger)) == 1'000'000);
  }
  const world::World w({.family_size = 16, .live = 3, .responses = 5, .tokens = 3});
  world::Folder folder;
  PlanRequest request = w.request(folder.path(), channels());
  request.channels.clear();
  const auto plan = make_plan(request, folder.path() / "case");
  REQUIRE(plan.ok());
  CHECK(plan->channels[0].decoys == 12);  // what a family of 16 has beside 3 controls
}

TEST_CASE("plan.json is read strictly") {
  const world::World w({.responses = 5, .tokens = 3});
  world::Folder folder;
  const std::string bytes = make_plan(w.request(folder.path(), channels()), folder.path() / "case").value().bytes();
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    REQUIRE(changed.find(from) != std::string::npos);
    changed.replace(changed.find(from), from.size(), to);
    INFO(changed);
    CHECK(!Plan::parse(changed).ok());
  };
  refused("\"attempt\":1", "\"attempt\":0");
  refused("\"attempt\":1", "\"attempt\":2");
  refused("\"attempt\":1", "\"attempt\":1.0");
  refused("\"attempt\":1", "\"attempt\":1,\"extra\":1");
  refused("\"stop\":\"fixed\"", "\"stop\":\"never\"");
  refused("heirmark/plan/v1", "heirmark/plan/v2");
  refused("\"channel\":\"c2\"", "\"channel\":\"c4\"");
  refused("\"countRule\":\"distinct\"", "\"countRule\":\"best\"");
  refused("\"fitResponses\":1", "\"fitResponses\":5");
  refused("\"controls\":3", "\"controls\":65");
  refused("{", " {");
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7) CHECK(!Plan::parse(std::string_view(bytes).substr(0, cut)).ok());
}

TEST_CASE("alpha is compared in real numbers, by what is printed") {
  CHECK(audit::reaches_alpha("-6.0000", "0.000001"));
  CHECK(!audit::reaches_alpha("-5.9999", "0.000001"));
  CHECK(audit::reaches_alpha("-1.3011", "0.05"));   // log10 0.05 = -1.30103
  CHECK(!audit::reaches_alpha("-1.3010", "0.05"));
  CHECK(audit::reaches_alpha("-38.0000", "0." + std::string(37, '0') + "1"));
  CHECK(!audit::reaches_alpha("-37.9999", "0." + std::string(37, '0') + "1"));
  CHECK(audit::names_account("4.0000", 2, "0.0002"));
  CHECK(!audit::names_account("3.9999", 2, "0.0002"));
  CHECK(audit::names_account("2.4772", 3, "0.01"));  // log10 300 = 2.47712
  CHECK(!audit::names_account("2.4771", 3, "0.01"));
}
