// heirmark_llama_record: what the ledger holds of a response is what the engine accepted of it, once, under its own request id.
#include <heirmark_llama_ledger.h>

#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include <heirmark/device_sampler.hpp>

#include "made.hpp"
#include "contract.hpp"

using namespace heirmark::test::llama;

namespace {
struct Response {
  heirmark::IssuedResponse issued;
  std::uint64_t tokens, marked;
};

/// A ledger that is open for writing until it is read.
class OpenLedger {
 public:
  explicit OpenLedger(std::uint64_t queue_bytes = 1 << 20, const char* key_id = "0123456789abcdef") {
    heirmark_ledger_options options;
    heirmark_ledger_options_init(&options);
    options.linger_ms = 0;
    options.queue_bytes = queue_bytes;
    options.key_id = key_id;
    options.model = "model-a";
    REQUIRE(heirmark_ledger_open(made_.folder().c_str(), &options, &ledger_) == HEIRMARK_OK);
  }
  OpenLedger(const OpenLedger&) = delete;
  OpenLedger& operator=(const OpenLedger&) = delete;
  ~OpenLedger() { heirmark_ledger_close(ledger_, 10'000); }
  [[nodiscard]] heirmark_ledger* get() const { return ledger_; }
  [[nodiscard]] heirmark_ledger_state state() const {
    heirmark_ledger_state out;
    REQUIRE(heirmark_ledger_get_state(ledger_, &out) == HEIRMARK_OK);
    return out;
  }
  /// All that was recorded, verified.
  std::vector<Response> close() {
    REQUIRE(heirmark_ledger_close(std::exchange(ledger_, nullptr), 30'000) == HEIRMARK_OK);
    CHECK(made_.check().problems.empty());
    const auto reader = heirmark::LedgerReader::open(made_.folder()).value();
    heirmark::LedgerReader::Filter filter;
    filter.unmarked = true;
    std::vector<Response> out;
    REQUIRE(reader.each_response(made_.secret(), filter, [&](const heirmark::LedgerRecord& record, heirmark::IssuedResponse&& response) -> heirmark::Result<void> {
      out.push_back({std::move(response), record.tokens, record.marked_tokens});
      return {};
    }, {}).ok());
    return out;
  }

 private:
  heirmark::Made made_;
  heirmark_ledger* ledger_ = nullptr;
};

heirmark_llama_options recording() {
  heirmark_llama_options options = defaults();
  options.keep_steps = 1;
  return options;
}
std::uint64_t record(const MarkPtr& mark, const OpenLedger& ledger, std::size_t tokens = SIZE_MAX) {
  std::uint64_t ticket = 99;
  REQUIRE(heirmark_llama_record(mark.get(), ledger.get(), "acme", tokens, &ticket) == HEIRMARK_OK);
  return ticket;
}
std::vector<std::uint32_t> run(const MarkPtr& mark, std::uint64_t count, std::uint64_t rows = 7) {
  std::vector<std::uint32_t> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(static_cast<std::uint32_t>(step(mark, Candidates(logits_of(i % rows)))));
  return out;
}
std::vector<std::uint32_t> joined(std::vector<std::uint32_t> a, const std::vector<std::uint32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
RequestId id_of(const Response& response) {
  RequestId out;
  std::copy(response.issued.request_id.bytes.begin(), response.issued.request_id.bytes.end(), out.begin());
  return out;
}
std::size_t kept(const MarkPtr& mark) {
  std::size_t steps = 0, prompt = 0;
  heirmark_llama_steps(mark.get(), &steps);
  CHECK(heirmark_llama_prompt(mark.get(), &prompt) != nullptr);
  return steps + prompt;
}
const std::vector<heirmark::IssuedToken>& likeliest(const Response& response, std::size_t position) { return response.issued.phat[position]; }
bool certain(const Response& response, std::size_t position) {
  const auto& top = likeliest(response, position);
  return top.size() == 1 && top[0].token == response.issued.tokens[position] && top[0].p == 0xFFFFFFFFu;
}
}  // namespace

TEST_CASE("The ledger holds a response's id, account, prompt, tokens and likeliest tokens, and holds it once") {
  const LibraryPtr library = make_library();
  auto device = heirmark::DeviceSampler::create(heirmark::profiles::standard_2026_11(), heirmark::test::keys(1, 2),
                                                {.vocab_size = kVocab, .max_rows = 1, .backend = heirmark::DeviceSampler::Backend::cpu}).value();
  OpenLedger ledger;
  const std::vector<std::uint32_t> prompt = {3, 1, 4, 1, 5, 9};
  const char* const accounts[] = {"acme", "birch"};
  std::vector<std::vector<heirmark::Sampled>> sampled(2);
  std::vector<std::vector<heirmark::TopTokens>> top(2);
  for (std::uint32_t account = 0; account < 2; ++account) {
    heirmark_llama_options options = recording();
    options.account_slot = account;
    options.params.temperature = 0.8f;
    const MarkPtr mark = make_mark(library, options, static_cast<std::uint8_t>(30 + account));
    accept_all(mark, prompt);
    heirmark::Sequence sequence = device.begin(Reference::id_of(static_cast<std::uint8_t>(30 + account)), prompt, account);
    for (std::uint64_t i = 0; i < 40; ++i) {
      const std::vector<float> logits = logits_of(i % 7, 1 + static_cast<float>(i % 7));
      const heirmark::DeviceRow row = device.row(sequence, {.temperature = 0.8f});
      REQUIRE(device.sample({logits.data(), heirmark::DType::float32, 1, kVocab}, &row, &sampled[account].emplace_back(), &top[account].emplace_back(), {}, nullptr).ok());
      device.settle(sequence, row, sampled[account].back());
      REQUIRE(step(mark, Candidates(logits, Order::shuffled, kVocab, i)) == static_cast<llama_token>(sampled[account].back().token));
    }
    std::uint64_t ticket = 0;
    REQUIRE(heirmark_llama_record(mark.get(), ledger.get(), accounts[account], SIZE_MAX, &ticket) == HEIRMARK_OK);
    CHECK(ticket == account + 1);
    CHECK(id_of(mark) != request(static_cast<std::uint8_t>(30 + account)));
    CHECK(report_of(mark).position + report_of(mark).marked + report_of(mark).issued == 0);
    // Recorded again, there is nothing.
    REQUIRE(heirmark_llama_record(mark.get(), ledger.get(), accounts[account], SIZE_MAX, &ticket) == HEIRMARK_OK);
    CHECK(ticket == 0);
  }
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 2);
  for (std::size_t n = 0; n < 2; ++n) {
    const Response& response = responses[n];
    CHECK(id_of(response) == request(static_cast<std::uint8_t>(30 + n)));
    CHECK(response.issued.account == accounts[n]);
    CHECK(response.issued.prompt == prompt);
    CHECK(response.marked == 40);
    REQUIRE(response.issued.tokens.size() == 40);
    for (std::size_t i = 0; i < 40; ++i) {
      REQUIRE(response.issued.tokens[i] == sampled[n][i].token);
      std::vector<std::pair<std::uint32_t, std::uint32_t>> expected, found;
      for (const auto& entry : top[n][i].token)
        if (entry.p != 0) expected.emplace_back(entry.token, entry.p);
      for (const heirmark::IssuedToken& entry : likeliest(response, i)) found.emplace_back(entry.token, entry.p);
      REQUIRE(found.size() == HEIRMARK_TOP_TOKENS);
      REQUIRE(found == expected);
    }
  }
}

TEST_CASE("A response of which nothing was accepted, and one that opted out, are not recorded, and nothing of the latter is kept") {
  const LibraryPtr library = make_library();
  OpenLedger ledger;
  const MarkPtr idle = make_mark(library, recording(), 1);
  accept_all(idle, {1, 2});
  CHECK(record(idle, ledger) == 0);
  CHECK(id_of(idle) == request(1));
  Candidates(logits_of(0)).drawn_by(idle.get());
  CHECK(record(idle, ledger) == 0);
  run(idle, 3);
  CHECK(record(idle, ledger, 0) == 0);  // the engine took all back
  CHECK(record(idle, ledger) == 0);

  heirmark_llama_options options = recording();
  options.params.mode = HEIRMARK_OFF;
  const MarkPtr off = make_mark(library, options, 2);
  accept_all(off, {1, 2});
  run(off, 5);
  CHECK(report_of(off).unmarked == 5);
  CHECK(kept(off) == 0);
  CHECK(record(off, ledger) == 0);
  CHECK(ledger.close().empty());
}

TEST_CASE("A greedy response is recorded, without a mark") {
  const LibraryPtr library = make_library();
  OpenLedger ledger;
  heirmark_llama_options options = recording();
  options.params.mode = HEIRMARK_GREEDY;
  const MarkPtr mark = make_mark(library, options, 3);
  const std::vector<std::uint32_t> text = run(mark, 6);
  CHECK(record(mark, ledger) == 1);
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 1);
  CHECK(responses[0].issued.tokens == text);
  CHECK(responses[0].issued.prompt.empty());
  CHECK(responses[0].marked == 0);
}

TEST_CASE("Tokens that failed, were forced or are foreign are recorded as such, under either policy") {
  const LibraryPtr library = make_library();
  OpenLedger ledger;
  {
    const MarkPtr mark = make_mark(library, recording(), 4);
    run(mark, 2);
    llama_sampler_accept(mark.get(), 4999);  // foreign
    std::vector<float> logits = logits_of(0);
    logits[1234] = kInf;
    REQUIRE(step(mark, Candidates(logits)) == 1234);
    const llama_token rejected = Candidates(logits_of(1)).drawn_by(mark.get());
    logits = logits_of(1);
    logits[static_cast<std::size_t>(rejected)] = -kInf;
    step(mark, Candidates(logits));  // a grammar's second draw
    Candidates twice(logits_of(2));
    twice.data.push_back({3, 50.0f, 0});
    twice.array.data = twice.data.data();
    twice.array.size = twice.data.size();
    REQUIRE(step(mark, twice) == 3);
    run(mark, 1);
    CHECK(record(mark, ledger) == 1);
  }
  heirmark_llama_options options = recording();
  options.policy = HEIRMARK_LLAMA_STOP;
  for (const std::size_t given_out : {std::size_t{3}, SIZE_MAX}) {
    const MarkPtr mark = make_mark(library, options, given_out == 3 ? 5 : 6);
    run(mark, 2);
    llama_sampler_accept(mark.get(), 4999);
    CHECK(step(mark, Candidates(logits_of(0))) == kStop);
    record(mark, ledger, given_out);
  }
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 3);
  CHECK(responses[0].tokens == 7);
  CHECK(responses[0].marked == 3);
  CHECK(responses[0].issued.tokens[2] == 4999);
  CHECK(certain(responses[0], 2));
  CHECK(responses[0].issued.tokens[3] == 1234);
  CHECK(certain(responses[0], 3));
  CHECK(likeliest(responses[0], 4).size() == HEIRMARK_TOP_TOKENS);
  CHECK(responses[0].issued.tokens[5] == 3);
  CHECK(likeliest(responses[0], 6).size() == HEIRMARK_TOP_TOKENS);
  for (const std::size_t n : {1u, 2u}) {
    CHECK(responses[n].tokens == n + 2);
    CHECK(responses[n].marked == 2);
    CHECK(certain(responses[n], 2));
  }
  CHECK(responses[2].issued.tokens[3] == static_cast<std::uint32_t>(kStop));
  CHECK(certain(responses[2], 3));
}

TEST_CASE("Drafts that were undone, and tokens accepted of a draft and not given out, are not recorded") {
  const LibraryPtr library = make_library();
  OpenLedger ledger;
  const MarkPtr mark = make_mark(library, recording(), 7), plain = make_mark(library, recording(), 7);
  accept_all(mark, {5, 6});
  accept_all(plain, {5, 6});
  const std::vector<std::uint32_t> expected = run(plain, 20);
  for (std::uint64_t at = 0; at < 20; at += 5) {
    const MarkPtr saved(llama_sampler_clone(mark.get()));
    for (std::uint64_t i = at; i < at + 3; ++i) step(mark, Candidates(logits_of(i % 7)));
    llama_sampler_accept(mark.get(), 4000);  // foreign
    llama_sampler_copy(saved.get(), mark.get());
    for (std::uint64_t i = at; i < at + 5; ++i) step(mark, Candidates(logits_of(i % 7)));
  }
  CHECK(record(mark, ledger, 18) == 1);
  // What was accepted is the next response's prompt, given out or not.
  run(mark, 1);
  CHECK(record(mark, ledger) == 2);
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 2);
  CHECK(responses[0].issued.prompt == std::vector<std::uint32_t>{5, 6});
  CHECK(responses[0].issued.tokens == std::vector<std::uint32_t>(expected.begin(), expected.begin() + 18));
  CHECK(responses[0].marked == 18);
  CHECK(responses[1].issued.prompt == joined({5, 6}, expected));
}

TEST_CASE("Clones that begin responses of their own are recorded each under its id, with the prompt that they share") {
  const LibraryPtr library = make_library();
  OpenLedger ledger;
  const std::vector<std::uint32_t> prompt = {8, 9, 10};
  std::vector<MarkPtr> marks;
  marks.push_back(make_mark(library, recording(), 8));
  accept_all(marks[0], prompt);
  for (int n = 1; n < 4; ++n) {
    marks.emplace_back(llama_sampler_clone(marks[0].get()));
    REQUIRE(heirmark_llama_begin(marks.back().get(), nullptr) == HEIRMARK_OK);
  }
  std::map<RequestId, std::vector<std::uint32_t>> texts;
  for (std::size_t n = 0; n < marks.size(); ++n) {
    const RequestId id = id_of(marks[n]);
    texts[id] = run(marks[n], 4 + n);
    CHECK(record(marks[n], ledger) == n + 1);
  }
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 4);
  REQUIRE(texts.size() == 4);
  std::set<RequestId> seen;
  for (const Response& response : responses) {
    CHECK(seen.insert(id_of(response)).second);
    CHECK(response.issued.prompt == prompt);
    CHECK(response.issued.tokens == texts.at(id_of(response)));
  }
}

TEST_CASE("Of clones that share a response one is recorded, whichever it is, also when it comes back") {
  const LibraryPtr library = make_library();
  for (const bool original_first : {false, true}) {
    INFO("the original first: " << original_first);
    OpenLedger ledger;
    const MarkPtr mark = make_mark(library, recording(), 20);
    run(mark, 3);
    const MarkPtr twin(llama_sampler_clone(mark.get())), saved(llama_sampler_clone(mark.get()));
    run(twin, 2);
    const MarkPtr &first = original_first ? mark : twin, &second = original_first ? twin : mark;
    std::uint64_t ticket = 5;
    // What was refused claims nothing.
    CHECK(heirmark_llama_record(second.get(), ledger.get(), "not a name", SIZE_MAX, nullptr) == HEIRMARK_BAD_INPUT);
    CHECK(record(first, ledger) == 1);
    CHECK(heirmark_llama_record(second.get(), ledger.get(), "acme", SIZE_MAX, &ticket) == HEIRMARK_USAGE);
    CHECK(std::string(heirmark_llama_record_error()).find("clone") != std::string::npos);
    CHECK(ticket == 0);
    llama_sampler_copy(saved.get(), first.get());
    CHECK(heirmark_llama_record(first.get(), ledger.get(), "acme", SIZE_MAX, nullptr) == HEIRMARK_USAGE);
    // As a response of its own it is.
    REQUIRE(heirmark_llama_begin(second.get(), nullptr) == HEIRMARK_OK);
    run(second, 2);
    CHECK(record(second, ledger) == 2);
    llama_sampler_reset(first.get());
    run(first, 1);
    CHECK(record(first, ledger) == 3);
    const std::vector<Response> responses = ledger.close();
    REQUIRE(responses.size() == 3);
    CHECK(responses[0].tokens == (original_first ? 3 : 5));
    CHECK(std::set<RequestId>{id_of(responses[0]), id_of(responses[1]), id_of(responses[2])}.size() == 3);
  }
}

TEST_CASE("A chat that goes on: each response has all before it as its prompt, and the marks are of that prompt") {
  const heirmark::Profile& profile = heirmark::profiles::tournament_2026_11();  // its window is the longest
  const LibraryPtr library = make_library(profile);
  OpenLedger ledger;
  const MarkPtr mark = make_mark(library, recording(), 9);
  accept_all(mark, {1, 2, 3});
  std::vector<std::uint32_t> text = {1, 2, 3};
  std::vector<std::vector<std::uint32_t>> prompts, answers;
  const auto answer = [&] {
    prompts.push_back(text);
    answers.push_back(run(mark, 9));
    text = joined(text, answers.back());
  };
  answer();
  SECTION("recorded at once") {
    record(mark, ledger);
    accept_all(mark, {20, 21});
    text = joined(text, {20, 21});
  }
  SECTION("recorded at once, the next under a given id") {
    record(mark, ledger);
    REQUIRE(heirmark_llama_begin(mark.get(), request(10).data()) == HEIRMARK_OK);
  }
  SECTION("after a reset: a new text") {
    record(mark, ledger);
    llama_sampler_reset(mark.get());
    CHECK(kept(mark) == 0);
    accept_all(mark, {30});
    text = {30};
  }
  heirmark::RequestId id;
  std::memcpy(id.bytes.data(), report_of(mark).request_id, id.bytes.size());
  auto sampler = heirmark::Sampler::create(profile, heirmark::test::keys(1, 2), {.vocab_size = kVocab, .max_rows = 1}).value();
  heirmark::Sequence sequence = sampler.begin(id, text, 0);
  answer();
  for (std::uint64_t i = 0; i < 9; ++i) {
    const std::vector<float> logits = logits_of(i % 7);
    const heirmark::Row row{&sequence, {}};
    heirmark::Sampled out;
    REQUIRE(sampler.sample({logits.data(), heirmark::DType::float32, 1, kVocab}, {&row, 1}, {&out, 1}).ok());
    REQUIRE(out.token == answers[1][i]);
  }
  CHECK(record(mark, ledger) == 2);
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 2);
  for (std::size_t n = 0; n < 2; ++n) {
    CHECK(responses[n].issued.prompt == prompts[n]);
    CHECK(responses[n].issued.tokens == answers[n]);
  }
  CHECK(responses[1].issued.request_id.bytes == id.bytes);
}

TEST_CASE("What the ledger refuses stays as it was, and says why") {
  const LibraryPtr library = make_library();
  const auto refused = [&](const MarkPtr& mark, const OpenLedger& ledger, const char* account, heirmark_status status, const char* word) {
    const std::size_t before = kept(mark);
    const RequestId id = id_of(mark);
    std::uint64_t ticket = 7;
    CHECK(heirmark_llama_record(mark.get(), ledger.get(), account, SIZE_MAX, &ticket) == status);
    INFO(heirmark_llama_record_error());
    CHECK(std::string(heirmark_llama_record_error()).find(word) != std::string::npos);
    CHECK(ticket == 0);
    CHECK(kept(mark) == before);
    CHECK(id_of(mark) == id);
  };
  const MarkPtr mark = make_mark(library, recording(), 11);
  accept_all(mark, {4});
  const std::vector<std::uint32_t> text = run(mark, 5);
  {
    OpenLedger full(1);
    refused(mark, full, "acme", HEIRMARK_IO, "full");
    CHECK(full.state().refused == 1);
    CHECK(full.close().empty());
  }
  {
    OpenLedger keyless(1 << 20, nullptr);
    refused(mark, keyless, "acme", HEIRMARK_BAD_INPUT, "key id");
  }
  OpenLedger ledger;
  refused(mark, ledger, "not a name", HEIRMARK_BAD_INPUT, "not a name");
  refused(mark, ledger, nullptr, HEIRMARK_USAGE, "account");
  CHECK(heirmark_llama_record(mark.get(), nullptr, "acme", SIZE_MAX, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_record(nullptr, ledger.get(), "acme", SIZE_MAX, nullptr) == HEIRMARK_USAGE);
  CHECK(std::string(heirmark_llama_record_error()).find("keep_steps") != std::string::npos);
  const MarkPtr silent = make_mark(library, defaults(), 12);
  run(silent, 2);
  CHECK(heirmark_llama_record(silent.get(), ledger.get(), "acme", SIZE_MAX, nullptr) == HEIRMARK_USAGE);
  std::size_t count = 3;
  CHECK(heirmark_llama_prompt(silent.get(), &count) == nullptr);
  CHECK(count == 0);
  const MarkPtr chain(llama_sampler_chain_init({true}));
  CHECK(heirmark_llama_record(chain.get(), ledger.get(), "acme", SIZE_MAX, nullptr) == HEIRMARK_USAGE);
  // And then it is recorded after all.
  CHECK(record(mark, ledger) == 1);
  const std::vector<Response> responses = ledger.close();
  REQUIRE(responses.size() == 1);
  CHECK(responses[0].issued.tokens == text);
  CHECK(id_of(responses[0]) == request(11));
}
