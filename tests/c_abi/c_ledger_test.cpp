// The ledger from C: what a server does, from sampling to the record; errors by code and line; ownership.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <heirmark_ledger.h>

#include <heirmark/subkeys.hpp>

#include "made.hpp"
#include "subkeys.hpp"

namespace {
using heirmark::Made;

heirmark_ledger_options options_of(const char* key_id) {
  heirmark_ledger_options options;
  heirmark_ledger_options_init(&options);
  options.key_id = key_id;
  options.model = "model-c";
  return options;
}

TEST_CASE("a response that was sampled through the C library comes back from the ledger with its likeliest tokens", "[c]") {
  Made made;
  constexpr std::uint32_t kVocab = 1009, kTokens = 40;
  heirmark::SubkeysFile file;
  file.path = heirmark::KeyPath::parse("acme-70b/2026-11").value();
  file.key_id = "0123456789abcdef";
  file.profile = heirmark::profiles::standard_2026_11();
  file.accounts = {"acme"};
  file.subkeys = heirmark::test::keys(1, 1);
  const std::string bytes = file.bytes();
  heirmark_keys* keys = nullptr;
  REQUIRE(heirmark_keys_parse(bytes.data(), bytes.size(), &keys) == HEIRMARK_OK);
  heirmark_sampler_options sampling;
  heirmark_sampler_options_init(&sampling);
  sampling.vocab_size = kVocab;
  sampling.backend = HEIRMARK_BACKEND_CPU;
  heirmark_sampler* sampler = nullptr;
  REQUIRE(heirmark_sampler_create(keys, &sampling, &sampler) == HEIRMARK_OK);

  heirmark_ledger* ledger = nullptr;
  const heirmark_ledger_options options = options_of(heirmark_keys_id(keys));
  REQUIRE(heirmark_ledger_open(made.folder().c_str(), &options, &ledger) == HEIRMARK_OK);
  CHECK(heirmark_ledger_id(ledger) == made.info().id);

  const std::uint8_t id[HEIRMARK_REQUEST_ID_BYTES] = {1, 2, 3};
  const std::vector<std::uint32_t> prompt{5, 6, 7};
  heirmark_sequence* sequence = nullptr;
  heirmark_issued* issued = nullptr;
  REQUIRE(heirmark_sequence_begin(sampler, id, prompt.data(), prompt.size(), 0, &sequence) == HEIRMARK_OK);
  REQUIRE(heirmark_issued_begin(id, heirmark_keys_account(keys, 0), prompt.data(), prompt.size(), &issued) == HEIRMARK_OK);
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(kVocab);
  std::vector<std::uint32_t> tokens;
  heirmark_top_tokens last{};
  heirmark_params params;
  heirmark_params_init(&params);
  for (std::uint32_t t = 0; t < kTokens; ++t) {
    for (float& x : logits) x = normal(random);
    heirmark_row row;
    heirmark_sampled sampled;
    const heirmark_logits batch{logits.data(), HEIRMARK_FLOAT32, 1, kVocab};
    REQUIRE(heirmark_sequence_row(sampler, sequence, &params, &row) == HEIRMARK_OK);
    REQUIRE(heirmark_sample(sampler, &batch, &row, &sampled, &last, {nullptr, 0}, nullptr) == HEIRMARK_OK);
    REQUIRE(heirmark_sequence_settle(sampler, sequence, &row, &sampled) == HEIRMARK_OK);
    REQUIRE(heirmark_issued_add(issued, sampled.token, sampled.status, &last) == HEIRMARK_OK);
    tokens.push_back(sampled.token);
  }
  std::uint64_t ticket = 0;
  REQUIRE(heirmark_ledger_append(ledger, issued, &ticket) == HEIRMARK_OK);
  CHECK(ticket == 1);
  CHECK(heirmark_ledger_append(ledger, issued, &ticket) == HEIRMARK_BAD_INPUT);  // it is empty now
  heirmark_issued_free(issued);
  REQUIRE(heirmark_ledger_wait(ledger, ticket, 10'000) == HEIRMARK_OK);
  heirmark_ledger_state state;
  REQUIRE(heirmark_ledger_get_state(ledger, &state) == HEIRMARK_OK);
  CHECK(state.durable == 1);
  CHECK(state.records == 1);
  CHECK(std::string(state.error).empty());
  REQUIRE(heirmark_ledger_close(ledger, 10'000) == HEIRMARK_OK);

  const auto reader = heirmark::LedgerReader::open(made.folder()).value();
  int responses = 0;
  REQUIRE(reader.each_response(made.secret(), {}, [&](const heirmark::LedgerRecord& record, heirmark::IssuedResponse&& response) -> heirmark::Result<void> {
    ++responses;
    CHECK(record.key_id == "0123456789abcdef");
    CHECK(record.model == "model-c");
    CHECK(record.marked_tokens == kTokens);
    CHECK(response.account == "acme");
    CHECK(response.prompt == prompt);
    CHECK(response.tokens == tokens);
    CHECK(std::memcmp(response.request_id.bytes.data(), id, sizeof id) == 0);
    REQUIRE(response.phat.size() == kTokens);
    REQUIRE(response.phat.back().size() == HEIRMARK_TOP_TOKENS);
    for (std::size_t i = 0; i < HEIRMARK_TOP_TOKENS; ++i) {
      CHECK(response.phat.back()[i].token == last.token[i].token);
      CHECK(response.phat.back()[i].p == last.token[i].p);
    }
    return {};
  }, {}).ok());
  CHECK(responses == 1);
  heirmark_sequence_free(sequence);
  heirmark_sampler_free(sampler);
  heirmark_keys_free(keys);
}

TEST_CASE("wrong calls of the ledger's C library have a code and a line, and change nothing", "[c]") {
  Made made;
  heirmark_ledger* ledger = nullptr;
  heirmark_ledger_options options = options_of("0123456789abcdef");
  const std::string folder = made.folder().string();
  CHECK(heirmark_ledger_open(nullptr, &options, &ledger) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_open(folder.c_str(), nullptr, &ledger) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_open(folder.c_str(), &options, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_open("/nowhere", &options, &ledger) == HEIRMARK_BAD_INPUT);
  CHECK(std::string(heirmark_ledger_last_error()).find("/nowhere") == 0);
  auto changed = options;
  changed.size = 12;
  CHECK(heirmark_ledger_open(folder.c_str(), &changed, &ledger) == HEIRMARK_USAGE);
  changed = options;
  changed.model = nullptr;
  CHECK(heirmark_ledger_open(folder.c_str(), &changed, &ledger) == HEIRMARK_USAGE);
  changed = options;
  changed.key_id = "no";
  CHECK(heirmark_ledger_open(folder.c_str(), &changed, &ledger) == HEIRMARK_USAGE);
  changed = options;
  changed.checkpoint_seconds = 0;
  CHECK(heirmark_ledger_open(folder.c_str(), &changed, &ledger) == HEIRMARK_USAGE);
  CHECK(ledger == nullptr);

  REQUIRE(heirmark_ledger_open(folder.c_str(), &options, &ledger) == HEIRMARK_OK);
  heirmark_ledger* second = nullptr;
  CHECK(heirmark_ledger_open(folder.c_str(), &options, &second) == HEIRMARK_IO);
  CHECK(second == nullptr);

  const std::uint8_t id[HEIRMARK_REQUEST_ID_BYTES] = {};
  heirmark_issued* issued = nullptr;
  CHECK(heirmark_issued_begin(nullptr, "default", nullptr, 0, &issued) == HEIRMARK_USAGE);
  CHECK(heirmark_issued_begin(id, nullptr, nullptr, 0, &issued) == HEIRMARK_USAGE);
  CHECK(heirmark_issued_begin(id, "default", nullptr, 1, &issued) == HEIRMARK_USAGE);
  CHECK(issued == nullptr);
  REQUIRE(heirmark_issued_begin(id, "No name", nullptr, 0, &issued) == HEIRMARK_OK);
  CHECK(heirmark_ledger_append(ledger, issued, nullptr) == HEIRMARK_BAD_INPUT);
  CHECK(heirmark_issued_add(issued, 1, 99, nullptr) == HEIRMARK_BAD_INPUT);
  CHECK(heirmark_issued_add(issued, 1u << 20, HEIRMARK_ROW_MARKED, nullptr) == HEIRMARK_BAD_INPUT);
  CHECK(heirmark_issued_add(nullptr, 1, 0, nullptr) == HEIRMARK_USAGE);
  REQUIRE(heirmark_issued_add(issued, 1, HEIRMARK_ROW_ISSUED, nullptr) == HEIRMARK_OK);
  CHECK(heirmark_ledger_append(ledger, issued, nullptr) == HEIRMARK_BAD_INPUT);
  CHECK(std::string(heirmark_ledger_last_error()).find("No name") != std::string::npos);
  CHECK(heirmark_ledger_append(nullptr, issued, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_append(ledger, nullptr, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_wait(ledger, 1, 1) == HEIRMARK_USAGE);
  CHECK(heirmark_ledger_get_state(ledger, nullptr) == HEIRMARK_USAGE);
  heirmark_issued_truncate(issued, 0);
  CHECK(heirmark_ledger_append(ledger, issued, nullptr) == HEIRMARK_BAD_INPUT);
  CHECK(std::string(heirmark_ledger_last_error()).find("without tokens") != std::string::npos);
  heirmark_issued_truncate(nullptr, 0);
  heirmark_issued_free(issued);
  heirmark_issued_free(nullptr);
  heirmark_ledger_options_init(nullptr);
  CHECK(heirmark_ledger_id(nullptr) == nullptr);
  CHECK(heirmark_ledger_close(nullptr, 0) == HEIRMARK_OK);
  CHECK(heirmark_ledger_close(ledger, 10'000) == HEIRMARK_OK);
  CHECK(made.check().summary.records == 0);
}

}  // namespace
