#include <catch2/catch.hpp>
#include <cmath>

#include "opening.hpp"
#include "scoring/race.hpp"

using namespace heirmark;

namespace {
long double exponential(std::uint64_t word) {
  const long double u = (static_cast<long double>(word) + 0.5L) / 18446744073709551616.0L;
  return -std::log1p(-u);
}

/// The race over all 2,048 bins and the rest, each with both words.
std::int32_t race(const core::KeyWords& row, const std::vector<IssuedToken>& phat) {
  std::map<std::uint32_t, long double> mass;
  std::uint64_t sum = 0;
  for (const auto& entry : phat) mass[entry.token % 2048] += entry.p, sum += entry.p;
  long double best = INFINITY;
  std::uint32_t winner = 0;
  for (const auto& [bin, p] : mass) {
    const std::uint64_t word = static_cast<std::uint64_t>(core::stream_word(row, core::kBinsCoarse, bin)) << 32 |
                               core::stream_word(row, core::kBinsFine, bin);
    if (const long double time = exponential(word) / p; time < best) best = time, winner = bin;
  }
  if (sum < 1ull << 32 &&
      exponential(core::stream_word64(row, core::kRest, 0)) / static_cast<long double>((1ull << 32) - sum) < best)
    return -1;
  std::int32_t choice = -1;
  best = INFINITY;
  for (std::size_t i = 0; i < phat.size(); ++i)
    if (phat[i].token % 2048 == winner)
      if (const long double time =
              exponential(core::stream_word64(row, core::kInner, phat[i].token / 2048)) / phat[i].p;
          time < best)
        best = time, choice = static_cast<std::int32_t>(i);
  return choice;
}

std::vector<IssuedToken> distribution(std::mt19937_64& random, std::size_t count) {
  std::vector<IssuedToken> out;
  std::uint64_t left = 1ull << 32;
  for (std::size_t i = 0; i < count; ++i) {
    const auto p = static_cast<std::uint32_t>(std::min<std::uint64_t>(random() % (left / 2) + 1, 0xFFFFFFFFu));
    left -= p;
    TokenId token = 0;
    do token = static_cast<TokenId>(random() % 64 + 2048 * (random() % 3));
    while (std::any_of(out.begin(), out.end(), [&](const IssuedToken& other) { return other.token == token; }));
    out.push_back({token, p});
    if (left < 4) break;
  }
  std::sort(out.begin(), out.end(),
            [](const IssuedToken& a, const IssuedToken& b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
  return out;
}

std::vector<IssuedResponse> ledger(std::uint64_t seed, std::size_t responses, std::size_t length) {
  std::mt19937_64 random(seed);
  std::vector<IssuedResponse> out(responses);
  for (std::size_t d = 0; d < responses; ++d) {
    for (auto& byte : out[d].request_id.bytes) byte = static_cast<std::uint8_t>(random());
    out[d].account = d % 3 == 0 ? "default" : "acct-" + std::to_string(d % 4);
    for (std::size_t t = 0; t < d % 4; ++t) out[d].prompt.push_back(static_cast<TokenId>(random() % 20));
    for (std::size_t t = 0; t < length; ++t) {
      out[d].phat.push_back(distribution(random, 1 + random() % 12));
      out[d].tokens.push_back(static_cast<TokenId>(random() % 20));
    }
  }
  return out;
}
}  // namespace

TEST_CASE("the race with few blocks is the race with all of them") {
  std::mt19937_64 random(4);
  scoring::Race races;
  std::size_t wrong = 0, rest = 0;
  for (int i = 0; i < 6000; ++i) {
    core::KeyWords row{};
    for (auto& word : row.w) word = static_cast<std::uint32_t>(random());
    const auto phat = distribution(random, 1 + random() % 30);
    const auto choice = races.choose(row, phat);
    wrong += choice != race(row, phat) ? 1u : 0u;
    rest += choice == -1 ? 1u : 0u;
  }
  CHECK(wrong == 0);
  CHECK(rest > 20);
}

TEST_CASE("modes and usable positions by the plain reading of the specification") {
  const Opening opening = test::opening(8, 16, 7, "standard-2026-11");
  for (const std::uint32_t member : {7u, 2u}) {
    const auto log = ledger(5, 40, 50);
    const auto keys = test::window_keys(opening, member);
    std::vector<IssuedChoice> expected;
    std::set<std::vector<std::uint32_t>> met;
    for (std::uint32_t d = 0; d < log.size(); ++d) {
      std::vector<TokenId> tokens = log[d].prompt;
      std::set<std::vector<std::uint32_t>> history;
      const auto account = naive::words_of(opening.epoch().issuance(member, log[d].account));
      for (std::uint32_t t = 0; t < log[d].tokens.size(); ++t) {
        const auto w = naive::window_of(tokens, tokens.size(), 2);
        const auto context = naive::context_of(w);
        tokens.push_back(log[d].tokens[t]);
        if (core::coin_is_window(naive::words_of(opening.coin()), context, 1ull << 31) && history.insert(w).second) {
          if (!met.insert(w).second) continue;
          expected.push_back(
              {d, t, true, race(core::hchacha20(keys.by_class[core::window_class(context)], context), log[d].phat[t])});
        } else {
          expected.push_back({d, t, false,
                              race(core::hchacha20(account, core::issuance_context(log[d].request_id.bytes.data(), t)),
                                   log[d].phat[t])});
        }
      }
    }
    const auto got = issued_choices(opening, log, member).value();
    REQUIRE(got.size() == expected.size());
    std::size_t wrong = 0, windows = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      wrong += got[i].response != expected[i].response || got[i].position != expected[i].position ||
                       got[i].window != expected[i].window || got[i].choice != expected[i].choice
                   ? 1u
                   : 0u;
      windows += got[i].window ? 1u : 0u;
    }
    CHECK(wrong == 0);
    CHECK(windows > 50);
    CHECK(got.size() - windows > 50);
    CHECK(got.size() < 40 * 50);  // some windows came back
  }
}

TEST_CASE("every fault of a ledger is named with its place") {
  const Opening opening = test::opening(8, 16, 7, "standard-2026-11");
  const auto fault = [&](auto&& change) {
    auto log = ledger(6, 3, 4);
    for (auto& response : log)
      for (auto& phat : response.phat) phat = {{5, 1000}, {9, 1000}, {1, 10}};
    change(log);
    const auto result = issued_choices(opening, log);
    if (result.ok()) return std::string("ok");
    CHECK(result.error().code == ErrorCode::bad_input);
    return result.error().message;
  };
  CHECK(fault([](auto&) {}) == "ok");
  CHECK(fault([](auto& log) { log[1].phat[2].clear(); }) == "response 1, position 2: an empty distribution");
  CHECK(fault([](auto& log) { log[1].phat[2][1].token = 4; }) ==
        "response 1, position 2: entries not sorted by probability, then by token");
  CHECK(fault([](auto& log) { log[1].phat[2][2].p = 1001; }) ==
        "response 1, position 2: entries not sorted by probability, then by token");
  CHECK(fault([](auto& log) { log[1].phat[2][2].token = 9; }) == "response 1, position 2: a token twice");
  CHECK(fault([](auto& log) { log[1].phat[2][2].p = 0; }) == "response 1, position 2: a probability of 0");
  CHECK(fault([](auto& log) { log[1].phat[2][2].token = kMaxVocab; }) ==
        "response 1, position 2: a token id out of range");
  CHECK(fault([](auto& log) {
          log[1].phat[2] = {{5, 0xFFFFFFFFu}, {9, 2}};
        }) == "response 1, position 2: probabilities sum to more than 1");
  CHECK(fault([](auto& log) { log[1].phat[2] = {{5, 0xFFFFFFFFu}, {9, 1}}; }) == "ok");
  CHECK(fault([](auto& log) { log[1].phat.pop_back(); }) == "response 1: 3 distributions for 4 tokens");
  CHECK(fault([](auto& log) { log[1].tokens[0] = kMaxVocab; }) == "response 1: token id 1048576 is out of range");
  CHECK(fault([](auto& log) { log[1].prompt = {kNoToken}; }) == "response 1: token id 4294967295 is out of range");
  CHECK(fault([](auto& log) { log[2].request_id = log[0].request_id; }) ==
        "response 2: its request id has occurred before");
  CHECK(fault([](auto& log) { log[2].account = "A"; }) == "response 2: no account name: A");
  CHECK(issued_choices(test::opening(8, 16, 7, "greenlist-2026-11"), {}).error().code == ErrorCode::usage);
  CHECK(issued_choices(opening, {}, 16).error().code == ErrorCode::usage);
}
