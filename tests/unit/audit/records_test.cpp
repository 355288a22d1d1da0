#include <catch2/catch.hpp>

#include "world.hpp"

using namespace heirmark;
namespace {
const std::string kLine = R"({"account":"alice","phat":[[[3,2000],[1,1000]],[[2,4294967295]]],"prompt":[5],"request_id":"000102030405060708090a0b","seq":0,"time":"2026-11-02T00:00:00Z","tokens":[3,2]})"
                          "\n";
std::string with(const std::string& from, const std::string& to) {
  std::string out = kLine;
  REQUIRE(out.find(from) != std::string::npos);
  return out.replace(out.find(from), from.size(), to);
}
std::string with_seq(std::uint64_t seq, const std::string& id) {
  std::string out = with("\"seq\":0", "\"seq\":" + std::to_string(seq));
  return out.replace(out.find("000102030405060708090a0b"), 24, id);
}
}  // namespace

TEST_CASE("a ledger line is read and written in one form") {
  const auto ledger = parse_ledger(kLine);
  if (!ledger.ok()) FAIL(ledger.error().message);
  REQUIRE(ledger->size() == 1);
  CHECK((*ledger)[0].phat[0].size() == 2);
  CHECK((*ledger)[0].phat[1][0].p == 4294967295u);
  CHECK((*ledger)[0].request_id.bytes[11] == 11);
  CHECK(ledger_line((*ledger)[0], 0, "2026-11-02T00:00:00Z").value() == kLine);
  CHECK(parse_ledger(kLine + with_seq(1, "ffffffffffffffffffffffff"))->size() == 2);
  CHECK(parse_ledger("")->empty());
}

TEST_CASE("a ledger that is not in its one form is refused, by line") {
  const auto [bytes, message] = GENERATE(table<std::string, std::string>({
      {kLine.substr(0, kLine.size() - 1), "cut off"},
      {kLine + "\n", "ledger.jsonl:2: empty line"},
      {kLine + with_seq(2, "ffffffffffffffffffffffff"), "ledger.jsonl:2: seq is 2, not 1"},
      {kLine + with_seq(1, "000102030405060708090a0b"), "ledger.jsonl:2: request_id 000102030405060708090a0b occurs twice"},
      {with("\"seq\":0", "\"seq\":-1"), "seq"},
      {with("alice", "Alice"), "account"},
      {with("alice", ""), "account"},
      {with("000102030405060708090a0b", "000102030405060708090A0B"), "request_id"},
      {with("2026-11-02", "2026-13-02"), "time"},
      {with("[3,2000],[1,1000]", "[1,1000],[3,2000]"), "not sorted"},
      {with("[3,2000],[1,1000]", "[3,1000],[1,1000]"), "not sorted"},
      {with("[3,2000],[1,1000]", "[3,2000],[3,1000]"), "a token twice"},
      {with("[3,2000],[1,1000]", "[3,2000],[1,0]"), "p = 0"},
      {with("[3,2000],[1,1000]", "[3,4294967295],[1,1000]"), "more than 2^32"},
      {with("[3,2000],[1,1000]", "[3,4294967296]"), "phat"},
      {with("[3,2000],[1,1000]", ""), "phat"},
      {with("[3,2000],[1,1000]", "[3,2000,1]"), "phat"},
      {with(",[[2,4294967295]]", ""), "phat has 1 lists for 2 tokens"},
      {with("\"tokens\":[3,2]", "\"tokens\":[3,1048576]"), "tokens"},
      {with("\"tokens\":[3,2]", "\"tokens\":[3,2],\"x\":1"), "unknown field"},
      {with("\"tokens\":[3,2]", "\"tokens\":[3,2.0]"), "ledger.jsonl:1"},
      {with("\"prompt\":[5],", ""), "prompt"},
      {with("[5]", "[05]"), "ledger.jsonl:1"},
      {with("\"account\"", " \"account\""), "ledger.jsonl:1"},
      {"[]\n", "object"},
      {"null\n", "object"},
      {std::string(100'000, '['), "cut off"},
      {std::string(100'000, '[') + "\n", "ledger.jsonl:1"},
      {std::string("\x00\xff\n", 3), "ledger.jsonl:1"},
  }));
  const auto ledger = parse_ledger(bytes);
  REQUIRE(!ledger.ok());
  INFO(ledger.error().message);
  CHECK(ledger.error().message.find(message) != std::string::npos);
  CHECK(ledger.error().message.size() < 500);
}

TEST_CASE("tokens of a ledger are below the suspect's vocabulary") {
  CHECK(parse_ledger(kLine, 6).ok());
  CHECK(!parse_ledger(kLine, 5).ok());                       // the prompt
  CHECK(!parse_ledger(with("[1,1000]", "[9,1000]"), 6).ok());  // a listed token
}

TEST_CASE("a ledger line that no reader would accept is not written") {
  IssuedResponse response = parse_ledger(kLine).value()[0];
  CHECK(!ledger_line(response, 0, "yesterday").ok());
  response.account = "NOT A NAME";
  CHECK(!ledger_line(response, 0, "2026-11-02T00:00:00Z").ok());
  response.account = "\xff";
  CHECK(!ledger_line(response, 0, "2026-11-02T00:00:00Z").ok());
}

TEST_CASE("prompts are kept in one form") {
  const std::string kept = audit::prompt_line(std::vector<TokenId>{1, 2}) + audit::prompt_line(std::vector<TokenId>{3});
  CHECK(kept == "{\"tokens\":[1,2]}\n{\"tokens\":[3]}\n");
  CHECK(audit::parse_prompts(kept, 10).value() == std::vector<std::vector<TokenId>>{{1, 2}, {3}});
  CHECK(!audit::parse_prompts("", 10).ok());
  CHECK(!audit::parse_prompts("{\"tokens\":[]}\n", 10).ok());
  CHECK(!audit::parse_prompts("{\"tokens\":[10]}\n", 10).ok());
  CHECK(!audit::parse_prompts("{\"prompt_tokens\":1,\"tokens\":[3]}\n", 10).ok());
}

TEST_CASE("a line of c1 answers its query and no other") {
  const std::vector<TokenId> prompt{5, 6}, text{7, 8, 9};
  const ChannelPlan plan = world::c1(1'000'000, 4, 3, 0);
  const std::string line = audit::text_line(2, prompt, text);
  const auto read = [&](const std::string& bytes, std::uint64_t i, const std::vector<TokenId>& asked, std::uint32_t vocab) {
    return audit::parse_text_line(std::string_view(bytes).substr(0, bytes.size() - 1), i, asked, plan, vocab).ok();
  };
  CHECK(read(line, 2, prompt, 10));
  CHECK(!read(line, 1, prompt, 10));
  CHECK(!read(line, 2, {5, 7}, 10));
  CHECK(!read(line, 2, {5}, 10));
  CHECK(!read(line, 2, prompt, 9));
  CHECK(!read(audit::text_line(2, prompt, std::vector<TokenId>{7, 8, 9, 1}), 2, prompt, 10));
  CHECK(read(audit::text_line(2, prompt, {}), 2, prompt, 10));
}

TEST_CASE("a line of issued answers its query and no other") {
  const std::vector<ScoredPosition> positions{{{{4, 700000}, {5, 800000}}, {4}}, {{{1, 0}}, {9}}};
  const std::string line = audit::issued_line(3, positions);
  const auto read = [&](const std::string& bytes, std::uint64_t response, std::size_t count, std::uint32_t samples, std::uint32_t top, std::uint32_t vocab) {
    return audit::parse_issued_line(std::string_view(bytes).substr(0, bytes.size() - 1), response, count, samples, top, vocab);
  };
  CHECK(read(line, 3, 2, 1, 2, 10).value() == positions);
  CHECK(!read(line, 2, 2, 1, 2, 10).ok());
  CHECK(!read(line, 3, 1, 1, 2, 10).ok());
  CHECK(!read(line, 3, 2, 2, 2, 10).ok());
  CHECK(!read(line, 3, 2, 1, 1, 10).ok());
  CHECK(!read(line, 3, 2, 1, 2, 9).ok());
  // Two tokens of probability 0.6 are more than there can be.
  std::vector<ScoredPosition> impossible = positions;
  impossible[0].top = {{4, 510826}, {5, 510826}};
  CHECK(read(audit::issued_line(3, impossible), 3, 2, 1, 2, 10).error().message.find("sum to 1.2") != std::string::npos);
  const std::vector<ScoredPosition> unsorted{{{{4, 800000}, {5, 700000}}, {4}}};
  CHECK(!read(audit::issued_line(3, unsorted), 3, 1, 1, 2, 10).ok());
  const std::vector<ScoredPosition> twice{{{{4, 700000}, {4, 800000}}, {4}}};
  CHECK(!read(audit::issued_line(3, twice), 3, 1, 1, 2, 10).ok());
}

TEST_CASE("positions beyond the suspect's context are not asked about") {
  IssuedResponse response;
  response.prompt = {1, 2, 3};
  response.tokens = {4, 5, 6, 7};
  CHECK(audit::asked_positions(response, 100) == 4);
  CHECK(audit::asked_positions(response, 7) == 4);
  CHECK(audit::asked_positions(response, 5) == 2);
  CHECK(audit::asked_positions(response, 3) == 0);
  CHECK(audit::asked_positions(response, 1) == 0);
}
