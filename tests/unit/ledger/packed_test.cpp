#include <catch2/catch.hpp>

#include <random>

#include "ledger/packed.hpp"
#include "made.hpp"

namespace heirmark::ledger {
namespace {

Secret32 salt_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes;
  bytes.fill(byte);
  return Secret32(std::span<const std::uint8_t, 32>(bytes));
}

std::vector<std::uint8_t> example() {
  // version, salt, request id, account "a", prompt {300}, two tokens: 7 marked with {(7, 2^31), (9, 5)}; 200000 unmarked and certain
  std::vector<std::uint8_t> out{1};
  out.insert(out.end(), 32, 0xAA);
  for (std::uint8_t i = 0; i < 12; ++i) out.push_back(i);
  for (const int byte : {1, int('a'), 1, 0xAC, 0x02, 2, 7, 0, 2, 7, 0x80, 0x80, 0x80, 0x80, 0x08, 9, 0xFB, 0xFF, 0xFF, 0xFF, 0x07, 0xC0, 0x9A, 0x0C, 2, 0})
    out.push_back(static_cast<std::uint8_t>(byte));
  return out;
}

TEST_CASE("the example of the specification unpacks to what it says, and packs again to its bytes", "[ledger]") {
  const auto read = unpack(example());
  REQUIRE(read.ok());
  CHECK(read->packed.account == "a");
  CHECK(read->packed.prompt == std::vector<TokenId>{300});
  CHECK(read->packed.tokens == std::vector<TokenId>{7, 200000});
  CHECK(read->packed.marked == 1);
  REQUIRE(read->likeliest.size() == 2);
  REQUIRE(read->likeliest[0].size() == 2);
  CHECK(read->likeliest[0][0].p == 1u << 31);
  CHECK(read->likeliest[0][1].token == 9);
  CHECK(read->likeliest[0][1].p == 5);
  CHECK(read->likeliest[1].empty());
  CHECK(pack(salt_of(0xAA), read->packed) == example());
}

TEST_CASE("a sealed part that was cut, lengthened or spelled otherwise is refused", "[ledger]") {
  const auto good = example();
  for (std::size_t size = 0; size < good.size(); ++size) {
    INFO(size);
    CHECK(!unpack({good.data(), size}).ok());
  }
  auto longer = good;
  longer.push_back(0);
  CHECK(!unpack(longer).ok());
  auto other_version = good;
  other_version[0] = 2;
  CHECK(!unpack(other_version).ok());
  auto padded = good;  // 300 as AC 82 00
  padded[48] = 0xAC;
  padded[49] = 0x82;
  padded.insert(padded.begin() + 50, 0x00);
  CHECK(!unpack(padded).ok());
  auto bad_account = good;
  bad_account[46] = 'A';
  CHECK(!unpack(bad_account).ok());
  auto bad_status = good;
  bad_status[52] = 7;
  CHECK(!unpack(bad_status).ok());
}

TEST_CASE("any bytes are refused or unpack to something that packs to the same bytes", "[ledger]") {
  std::mt19937 random(7);
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = example();
    for (auto changes = 1 + random() % 3; changes > 0; --changes) bytes[45 + random() % (bytes.size() - 45)] = static_cast<std::uint8_t>(random());
    const auto read = unpack(bytes);
    if (!read) continue;
    ++taken;
    REQUIRE(pack(read->salt, read->packed) == bytes);
  }
  CHECK(taken > 100);
}

TEST_CASE("a token's likeliest tokens are checked before anything changes", "[ledger]") {
  Issued issued(RequestId{}, "default", std::vector<TokenId>{1, 2});
  const std::vector<std::vector<IssuedToken>> bad{{{1, 0}}, {{1, 5}, {1, 5}}, {{1, 5}, {1, 4}}, {{1, 0xFFFFFFFF}, {2, 2}}, {{1u << 20, 5}},
                                                  std::vector<IssuedToken>(1025, IssuedToken{1, 1})};
  for (const auto& top : bad) CHECK(issued.add(1, RowStatus::issued, top).error().code == ErrorCode::bad_input);
  CHECK(issued.add(1u << 20, RowStatus::issued, {}).error().code == ErrorCode::bad_input);
  CHECK(issued.add(1, static_cast<RowStatus>(7), {}).error().code == ErrorCode::bad_input);
  CHECK(issued.tokens() == 0);
  std::vector<IssuedToken> twice_in_many;
  for (std::uint32_t i = 0; i < 20; ++i) twice_in_many.push_back({i == 19 ? 0 : i, 1000 - i});
  CHECK(!issued.add(1, RowStatus::issued, twice_in_many).ok());
  CHECK(issued.add(1, RowStatus::issued, std::vector<IssuedToken>{{1, 0xFFFFFFFF}, {2, 1}}).ok());
  CHECK(issued.add(1, RowStatus::marked, {}).ok());
  CHECK(issued.add(1, RowStatus::unmarked, {}).ok());
  CHECK(issued.tokens() == 3);
  CHECK(issued.marked_tokens() == 2);
}

TEST_CASE("likeliest tokens are recorded in the ledger's order, however they come", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const auto record = [&](std::vector<IssuedToken> top) {
    Issued issued(RequestId{}, "default", {});
    REQUIRE(issued.add(5, RowStatus::issued, top).ok());
    REQUIRE(ledger.append(std::move(issued)).ok());
  };
  record({{1, 9}, {2, 5}, {3, 5}, {4, 1}});
  record({{1, 9}, {3, 5}, {2, 5}, {4, 1}});
  record({{4, 1}, {3, 5}, {2, 5}, {1, 9}});
  REQUIRE(ledger.close(std::chrono::seconds(10)).ok());
  const auto reader = LedgerReader::open(made.folder()).value();
  std::size_t responses = 0;
  REQUIRE(reader.each_response(made.secret(), {}, [&](const LedgerRecord&, IssuedResponse&& response) -> Result<void> {
    ++responses;
    REQUIRE(response.phat.at(0).size() == 4);
    for (std::uint32_t i = 0; i < 4; ++i) CHECK(response.phat[0][i].token == i + 1);
    return {};
  }, {}).ok());
  CHECK(responses == 3);
}

TEST_CASE("a response that was cut is the one that never had the tokens", "[ledger]") {
  Made made;
  const auto build = [](std::uint32_t tokens) {
    Issued out(RequestId{}, "default", std::vector<TokenId>{1, 2});
    for (std::uint32_t t = 0; t < tokens; ++t)
      REQUIRE(out.add(200 * t, t % 3 == 0 ? RowStatus::unmarked : RowStatus::marked, t % 2 == 0 ? std::vector<IssuedToken>{{300 * t, 1u << 20}, {5, 77}} : std::vector<IssuedToken>{}).ok());
    return out;
  };
  Ledger ledger = made.open();
  for (std::uint32_t kept = 0; kept <= 7; ++kept) {
    Issued cut = build(7);
    cut.truncate(kept);
    CHECK(cut.tokens() == kept);
    CHECK(cut.marked_tokens() == build(kept).marked_tokens());
    REQUIRE(cut.add(9, RowStatus::marked, {}).ok());
    Issued never = build(kept);
    REQUIRE(never.add(9, RowStatus::marked, {}).ok());
    REQUIRE(ledger.append(std::move(cut)).ok());
    REQUIRE(ledger.append(std::move(never)).ok());
  }
  REQUIRE(ledger.close().ok());
  std::vector<IssuedResponse> responses;
  const auto reader = LedgerReader::open(made.folder()).value();
  REQUIRE(reader.each_response(made.secret(), {}, [&](const LedgerRecord&, IssuedResponse&& response) -> Result<void> { return responses.push_back(std::move(response)), Result<void>(); }, {}).ok());
  REQUIRE(responses.size() == 16);
  for (std::size_t i = 0; i < 16; i += 2) {
    CHECK(responses[i].tokens == responses[i + 1].tokens);
    REQUIRE(responses[i].phat.size() == responses[i + 1].phat.size());
    for (std::size_t t = 0; t < responses[i].phat.size(); ++t)
      CHECK(std::equal(responses[i].phat[t].begin(), responses[i].phat[t].end(), responses[i + 1].phat[t].begin(), responses[i + 1].phat[t].end(),
                       [](const IssuedToken& a, const IssuedToken& b) { return a.token == b.token && a.p == b.p; }));
  }
}

TEST_CASE("digests of a response depend on the salt and on each part alone", "[ledger]") {
  const auto make = [](std::string account, std::vector<TokenId> prompt, std::vector<TokenId> tokens) {
    Packed out;
    out.account = std::move(account);
    out.prompt = std::move(prompt);
    out.tokens = std::move(tokens);
    out.positions = {1, 2, 3};
    return out;
  };
  const Digests one = digests_of(salt_of(1), make("a", {1}, {2}));
  const Digests other_salt = digests_of(salt_of(2), make("a", {1}, {2}));
  CHECK(one.account != other_salt.account);
  CHECK(one.tokens != other_salt.tokens);
  const Digests other_account = digests_of(salt_of(1), make("b", {1}, {2}));
  CHECK(one.account != other_account.account);
  CHECK(one.prompt == other_account.prompt);
  const Digests swapped = digests_of(salt_of(1), make("a", {2}, {1}));
  CHECK(one.prompt != swapped.tokens);  // the same bytes under another name
  CHECK(one.prompt != swapped.prompt);
}

}  // namespace
}  // namespace heirmark::ledger
