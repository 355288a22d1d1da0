// The sampler of llama.cpp against a stub of its interface: the C++ sampler's tokens whatever the candidates' order and whoever truncated them, grammars, modes
// and options; what could not be marked is counted or stops. What a response is: response_test.cpp.
#include <cmath>
#include <latch>
#include <thread>

#include <heirmark/device_sampler.hpp>

#include "contract.hpp"

using namespace heirmark::test::llama;

namespace {
/// Removes what a chain that truncates has removed.
std::vector<float> keep_best(std::vector<float> logits, std::size_t keep) {
  const Candidates kept(logits, Order::engine, keep);
  std::vector<float> out(logits.size(), -kInf);
  for (const llama_token_data& candidate : kept.data) out[static_cast<std::size_t>(candidate.id)] = candidate.logit;
  return out;
}
}  // namespace

TEST_CASE("The tokens are the C++ sampler's in every order of the candidates, whole or truncated") {
  const std::vector<std::uint32_t> prompt = {3, 1, 4, 1, 5, 9};
  struct Setting {
    Order order;
    std::size_t keep;
  };
  const std::vector<Setting> settings = {{Order::engine, kVocab},     {Order::reversed, kVocab}, {Order::shuffled, kVocab}, {Order::descending, kVocab}, {Order::descending, 40},
                                         {Order::shuffled, 40},       {Order::reversed, 700},    {Order::engine, 1},        {Order::shuffled, 2}};
  for (const heirmark::Profile& profile : heirmark::profiles::all()) {
    const LibraryPtr library = make_library(profile);
    for (const Setting& setting : settings)
      for (const int kind : {0, 1, 2}) {
        heirmark::SamplingParams params;
        if (kind == 1) params = {.temperature = 0.7f, .min_p = 0.01f, .top_k = 50, .top_p = 0.9f};
        if (kind == 2) params.temperature = 0.0f;
        INFO(profile.name << " order " << static_cast<int>(setting.order) << " keep " << setting.keep << " kind " << kind);
        heirmark_llama_options options = defaults();
        options.account_slot = 1;
        options.params = {params.temperature, params.min_p, params.top_p, params.top_k, HEIRMARK_MARKED};
        const MarkPtr mark = make_mark(library, options, 9);
        Reference reference(profile, 9, prompt, 1);
        accept_all(mark, prompt);
        std::array<std::uint32_t, 7> counts{};
        for (std::uint64_t i = 0; i < 60; ++i) {
          const std::vector<float> logits = logits_of(i % 7);  // the same few rows again: windows repeat
          const heirmark::Sampled expected = reference.next(keep_best(logits, setting.keep), params);
          REQUIRE(step(mark, Candidates(logits, setting.order, setting.keep, i)) == static_cast<llama_token>(expected.token));
          ++counts[static_cast<std::size_t>(expected.status)];
        }
        const heirmark_llama_report report = report_of(mark);
        CHECK(report.position == 60);
        CHECK(report.marked == counts[HEIRMARK_ROW_MARKED]);
        CHECK(report.issued == counts[HEIRMARK_ROW_ISSUED]);
        CHECK(report.unmarked == counts[HEIRMARK_ROW_UNMARKED]);
        CHECK(report.forced + report.foreign + report.failures + report.last_failure + report.stopped == 0);
        CHECK(std::memcmp(report.request_id, request(9).data(), sizeof report.request_id) == 0);
      }
  }
}

TEST_CASE("A token that the sampler did not choose is taken as the engine's own, counted, and ends a response that may not go on unmarked") {
  const LibraryPtr library = make_library();
  for (const bool drawn_before : {false, true}) {
    INFO("after a draw: " << drawn_before);
    heirmark_llama_options options = defaults();
    options.keep_steps = 1;
    const MarkPtr mark = make_mark(library, options, 7);
    Reference reference(heirmark::profiles::standard_2026_11(), 7, {});
    for (std::uint64_t i = 0; i < 30; ++i) {
      if (i % 5 == 2) {
        if (drawn_before) Candidates(logits_of(i % 4)).drawn_by(mark.get());
        llama_sampler_accept(mark.get(), 4999);
        reference.sequence.accept(4999);
      } else {
        REQUIRE(step(mark, Candidates(logits_of(i % 4))) == static_cast<llama_token>(reference.next(logits_of(i % 4), {}).token));
      }
    }
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.foreign == 6);
    CHECK(report.failures == 6);
    CHECK(report.last_failure == HEIRMARK_LLAMA_FOREIGN);
    CHECK(report.stopped == 0);
    CHECK(report.position == 30);
    CHECK(report.marked + report.issued == 24);
    const heirmark_llama_step& foreign = heirmark_llama_steps(mark.get(), nullptr)[2];
    CHECK(foreign.foreign == 1);
    CHECK(foreign.token == 4999);
    CHECK(foreign.status == HEIRMARK_ROW_UNMARKED);
    CHECK(foreign.top.token[0].token == HEIRMARK_NO_TOKEN);
    CHECK(foreign.top.token[0].p == 0);
  }
  SECTION("stop") {
    heirmark_llama_options options = defaults();
    options.policy = HEIRMARK_LLAMA_STOP;
    const MarkPtr mark = make_mark(library, options, 7);
    const llama_token first = step(mark, Candidates(logits_of(0)));
    CHECK(first != kStop);
    llama_sampler_accept(mark.get(), 4999);
    CHECK(report_of(mark).stopped == 1);
    for (int i = 0; i < 3; ++i) CHECK(step(mark, Candidates(logits_of(1))) == kStop);
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.foreign == 1);
    CHECK(report.failures == 1);
    CHECK(report.marked + report.issued == 1);
    llama_sampler_reset(mark.get());
    CHECK(report_of(mark).stopped == 0);
    CHECK(step(mark, Candidates(logits_of(0))) != kStop);
  }
  SECTION("who asked for no mark has no failure") {
    heirmark_llama_options options = defaults();
    options.policy = HEIRMARK_LLAMA_STOP;
    options.params.mode = HEIRMARK_OFF;
    const MarkPtr mark = make_mark(library, options, 7);
    step(mark, Candidates(logits_of(0)));
    llama_sampler_accept(mark.get(), 4999);
    step(mark, Candidates(logits_of(0)));
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.unmarked == 2);
    CHECK(report.foreign == 1);
    CHECK(report.failures + report.stopped == 0);
  }
}

TEST_CASE("A grammar that is tried after sampling: the second draw is unmarked, and counted or refused") {
  const LibraryPtr library = make_library();
  const auto forbid = [](std::vector<float> logits, llama_token token, bool absent) {
    logits[static_cast<std::size_t>(token)] = -kInf;
    Candidates out(logits, Order::shuffled, absent ? 50 : kVocab, 3);
    return out;
  };
  for (const bool absent : {false, true}) {
    INFO("the rejected token is not listed: " << absent);
    const MarkPtr mark = make_mark(library, defaults(), 8);
    std::uint32_t redrawn = 0;
    for (std::uint64_t i = 0; i < 30; ++i) {
      const llama_token first = Candidates(logits_of(i)).drawn_by(mark.get());
      if (i % 3 != 0) {
        llama_sampler_accept(mark.get(), first);
        continue;
      }
      const llama_token second = step(mark, forbid(logits_of(i), first, absent));
      CHECK(second != first);
      ++redrawn;
    }
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.unmarked == redrawn);
    CHECK(report.failures == redrawn);
    CHECK(report.foreign == 0);
    CHECK(report.last_failure == HEIRMARK_LLAMA_REDRAWN);
    CHECK(report.marked + report.issued == 30 - redrawn);
  }
  SECTION("stop") {
    heirmark_llama_options options = defaults();
    options.policy = HEIRMARK_LLAMA_STOP;
    const MarkPtr mark = make_mark(library, options, 8);
    const llama_token first = Candidates(logits_of(0)).drawn_by(mark.get());
    CHECK(step(mark, forbid(logits_of(0), first, false)) == kStop);
    CHECK(report_of(mark).last_failure == HEIRMARK_LLAMA_REDRAWN);
    CHECK(report_of(mark).failures == 1);
    CHECK(report_of(mark).stopped == 1);
  }
  SECTION("greedy needs no second randomness, so it has no failure") {
    heirmark_llama_options options = defaults();
    options.params.mode = HEIRMARK_GREEDY;
    const MarkPtr mark = make_mark(library, options, 8);
    const std::vector<float> logits = logits_of(0);
    const Candidates sorted(logits, Order::descending);
    REQUIRE(Candidates(logits).drawn_by(mark.get()) == sorted.data[0].id);
    CHECK(step(mark, forbid(logits, sorted.data[0].id, false)) == sorted.data[1].id);
    CHECK(report_of(mark).failures == 0);
  }
}

TEST_CASE("A grammar that is tried after sampling leaves the distribution what it was") {
  // Tokens 0 and 2048 share a bin and have half the mass of token 1 each; 2048 is forbidden after it was drawn. Then 0 has 1/3 of what remains; with the
  // noise of the first draw it would have 5/12. n = 20,000: the count's sd is 66.7, so 7 sd fail by chance with 3e-12 (the redraw's randomness is the system's and
  // has no seed), and the wrong rule is 25 sd away.
  constexpr int kDraws = 20000;
  const LibraryPtr library = make_library();
  for (const std::uint32_t mode : {HEIRMARK_MARKED, HEIRMARK_OFF}) {
    heirmark_llama_options options = defaults();
    options.params.mode = mode;
    const MarkPtr mark = make_mark(library, options, 0);
    int zeros = 0;
    for (int n = 0; n < kDraws; ++n) {
      REQUIRE(heirmark_llama_begin(mark.get(), nullptr) == HEIRMARK_OK);
      std::array<llama_token_data, 3> data = {{{0, 0, 0}, {2048, 0, 0}, {1, std::log(2.0f), 0}}};
      llama_token_data_array array = {data.data(), data.size(), -1, false};
      llama_sampler_apply(mark.get(), &array);
      if (data[static_cast<std::size_t>(array.selected)].id == 2048) {
        data[1].logit = -kInf;
        llama_sampler_apply(mark.get(), &array);
        REQUIRE(array.selected != 1);
      }
      zeros += array.selected == 0 ? 1 : 0;
    }
    INFO("mode " << mode << ": " << zeros);
    CHECK(std::abs(zeros - kDraws / 3.0) < 7 * std::sqrt(kDraws * 2.0 / 9.0));
  }
}

TEST_CASE("Where nothing can be taken the stop token is selected, under either policy") {
  const LibraryPtr library = make_library();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::uint32_t policy : {HEIRMARK_LLAMA_COUNT, HEIRMARK_LLAMA_STOP})
    for (const float nothing : {-kInf, nan}) {
      INFO("policy " << policy << ", logits " << nothing);
      heirmark_llama_options options = defaults();
      options.policy = policy;
      options.keep_steps = 1;
      const MarkPtr mark = make_mark(library, options, 10);
      for (int again = 0; again < 2; ++again) {
        Candidates dead(std::vector<float>(kVocab, nothing));
        CHECK(dead.drawn_by(mark.get()) == kStop);
        CHECK(dead.array.size == 1);  // whoever looks at the candidates afterwards sees that one
        CHECK(dead.data[0].p == 1.0f);
      }
      llama_sampler_accept(mark.get(), kStop);
      heirmark_llama_report report = report_of(mark);
      CHECK(report.failures == 1);
      CHECK(report.last_failure == HEIRMARK_LLAMA_NO_CANDIDATE);
      CHECK(report.foreign + report.unmarked + report.marked == 0);
      CHECK(report.position == 1);
      CHECK(report.stopped == (policy == HEIRMARK_LLAMA_STOP ? 1 : 0));
      std::size_t count = 0;
      const heirmark_llama_step* steps = heirmark_llama_steps(mark.get(), &count);
      REQUIRE(count == 1);
      CHECK(steps[0].token == kStop);
      CHECK(steps[0].foreign == 0);
      CHECK((step(mark, Candidates(logits_of(0))) == kStop) == (policy == HEIRMARK_LLAMA_STOP));
    }
  SECTION("and -1 where there is no place for it, as llama.cpp's own samplers do") {
    const MarkPtr mark = make_mark(library, defaults(), 10);
    llama_token_data_array none = {nullptr, 0, 5, false};
    llama_sampler_apply(mark.get(), &none);
    CHECK(none.selected == -1);
    CHECK(report_of(mark).last_failure == HEIRMARK_LLAMA_NO_CANDIDATE);
    CHECK(step(mark, Candidates(logits_of(0))) != kStop);
  }
}

TEST_CASE("An infinite logit forces its token") {
  const LibraryPtr library = make_library();
  heirmark_llama_options options = defaults();
  options.policy = HEIRMARK_LLAMA_STOP;
  const MarkPtr mark = make_mark(library, options, 11);
  std::vector<float> logits = logits_of(0);
  logits[1234] = kInf;
  CHECK(Candidates(logits, Order::shuffled).drawn_by(mark.get()) == 1234);
  CHECK(step(mark, Candidates(logits, Order::reversed)) == 1234);
  const heirmark_llama_report report = report_of(mark);
  CHECK(report.forced == 1);
  CHECK(report.failures + report.stopped == 0);
  CHECK(step(mark, Candidates(logits_of(0))) != kStop);
}

TEST_CASE("Candidates that are no list of this vocabulary's tokens are not marked") {
  const LibraryPtr library = make_library();
  for (const llama_token bad : {llama_token{-1}, static_cast<llama_token>(kVocab), std::numeric_limits<llama_token>::max(), llama_token{3}}) {
    INFO("the fourth id twice, or " << bad);
    const auto candidates = [&] {
      Candidates out(logits_of(0));
      out.data.push_back({bad, 50.0f, 0});
      out.array.data = out.data.data();
      out.array.size = out.data.size();
      return out;
    };
    const MarkPtr mark = make_mark(library, defaults(), 12);
    const llama_token token = step(mark, candidates());
    if (bad == 3) CHECK(token == 3);  // the later one counts, and it is all there is
    else CHECK(token != bad);
    heirmark_llama_report report = report_of(mark);
    CHECK(report.unmarked == 1);
    CHECK(report.failures == 1);
    CHECK(report.last_failure == HEIRMARK_LLAMA_BAD_CANDIDATES);
    // Nothing of it is left for the next row.
    Reference reference(heirmark::profiles::standard_2026_11(), 12, {});
    reference.sequence.accept(static_cast<std::uint32_t>(token));
    REQUIRE(step(mark, Candidates(logits_of(1), Order::descending, 30)) == static_cast<llama_token>(reference.next(keep_best(logits_of(1), 30), {}).token));

    heirmark_llama_options options = defaults();
    options.policy = HEIRMARK_LLAMA_STOP;
    const MarkPtr strict = make_mark(library, options, 12);
    CHECK(step(strict, candidates()) == kStop);
    CHECK(report_of(strict).failures == 1);
    options.params.mode = HEIRMARK_OFF;
    const MarkPtr off = make_mark(library, options, 12);
    step(off, candidates());
    CHECK(report_of(off).unmarked == 1);
    CHECK(report_of(off).failures + report_of(off).stopped == 0);
  }
}

TEST_CASE("The steps hold the top tokens that the C++ sampler gives") {
  const LibraryPtr library = make_library();
  auto device = heirmark::DeviceSampler::create(heirmark::profiles::standard_2026_11(), heirmark::test::keys(1, 2),
                                                {.vocab_size = kVocab, .max_rows = 1, .backend = heirmark::DeviceSampler::Backend::cpu}).value();
  heirmark_llama_options options = defaults();
  options.keep_steps = 1;
  options.params.temperature = 0.8f;
  options.params.top_p = 0.95f;
  const MarkPtr mark = make_mark(library, options, 13);
  CHECK(heirmark_llama_steps(mark.get(), nullptr) == nullptr);
  heirmark::Sequence sequence = device.begin(Reference::id_of(13), {});
  for (std::size_t i = 0; i < 25; ++i) {
    const std::vector<float> logits = logits_of(i % 4, 1 + static_cast<float>(i));
    const heirmark::DeviceRow row = device.row(sequence, {.temperature = 0.8f, .top_p = 0.95f});
    heirmark::Sampled sampled;
    heirmark::TopTokens top;
    REQUIRE(device.sample({logits.data(), heirmark::DType::float32, 1, kVocab}, &row, &sampled, &top, {}, nullptr).ok());
    device.settle(sequence, row, sampled);
    step(mark, Candidates(logits, Order::shuffled, kVocab, i));
    std::size_t count = 0;
    const heirmark_llama_step* steps = heirmark_llama_steps(mark.get(), &count);
    REQUIRE(count == i + 1);
    CHECK(steps[i].token == sampled.token);
    CHECK(steps[i].status == static_cast<std::uint32_t>(sampled.status));
    CHECK(steps[i].foreign == 0);
    REQUIRE(std::memcmp(&steps[i].top, &top, sizeof top) == 0);
  }
  SECTION("none are kept unless asked for") {
    const MarkPtr silent = make_mark(library, defaults(), 13);
    step(silent, Candidates(logits_of(0)));
    std::size_t count = 7;
    CHECK(heirmark_llama_steps(silent.get(), &count) == nullptr);
    CHECK(count == 0);
  }
}

TEST_CASE("Probabilities are written where asked for") {
  const LibraryPtr library = make_library();
  heirmark_llama_options options = defaults();
  options.probabilities = 1;
  for (const float temperature : {1.0f, 0.5f}) {
    options.params.temperature = temperature;
    const MarkPtr mark = make_mark(library, options, 14);
    std::vector<float> logits = logits_of(0);
    logits[5] = -kInf;
    logits[6] = std::numeric_limits<float>::quiet_NaN();
    Candidates candidates(logits, Order::shuffled, kVocab, 1);
    candidates.drawn_by(mark.get());
    double sum = 0, total = 0;
    for (const float x : logits)
      if (!std::isnan(x)) sum += std::exp(static_cast<double>(x) / static_cast<double>(temperature));
    for (const llama_token_data& candidate : candidates.data) {
      const double expected = std::isnan(candidate.logit) ? 0 : std::exp(static_cast<double>(candidate.logit) / static_cast<double>(temperature)) / sum;
      REQUIRE(static_cast<double>(candidate.p) == Approx(expected).epsilon(1e-5));
      total += static_cast<double>(candidate.p);
    }
    CHECK(total == Approx(1.0).epsilon(1e-5));
  }
  SECTION("of a token that was not drawn: 1") {
    options.params.mode = HEIRMARK_GREEDY;
    const MarkPtr mark = make_mark(library, options, 14);
    Candidates candidates(logits_of(0), Order::descending, 20);
    candidates.drawn_by(mark.get());
    CHECK(candidates.array.selected == 0);
    CHECK(candidates.data[0].p == 1.0f);
    CHECK(candidates.data[1].p == 0.0f);
  }
  SECTION("not where nobody asked") {
    options.probabilities = 0;
    const MarkPtr mark = make_mark(library, options, 14);
    Candidates candidates(logits_of(0));
    candidates.drawn_by(mark.get());
    CHECK(std::all_of(candidates.data.begin(), candidates.data.end(), [](const llama_token_data& c) { return c.p == 0.0f; }));
  }
}

TEST_CASE("Modes: off and greedy draw without a mark, issuance always by the issuance draw") {
  const LibraryPtr library = make_library();
  for (const std::uint32_t mode : {HEIRMARK_OFF, HEIRMARK_GREEDY, HEIRMARK_ISSUANCE}) {
    heirmark_llama_options options = defaults();
    options.policy = HEIRMARK_LLAMA_STOP;
    options.params.mode = mode;
    const MarkPtr mark = make_mark(library, options, 15);
    for (std::uint64_t i = 0; i < 20; ++i) step(mark, Candidates(logits_of(i)));
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.unmarked == (mode == HEIRMARK_ISSUANCE ? 0 : 20));
    CHECK(report.issued == (mode == HEIRMARK_ISSUANCE ? 20 : 0));
    CHECK(report.failures + report.marked == 0);
  }
}

TEST_CASE("In a chain: found, applied after the others, accepted once, copied and cloned with it") {
  const LibraryPtr library = make_library();
  llama_sampler* chain = llama_sampler_chain_init({true});
  MarkPtr owner(chain);
  CHECK(heirmark_llama_find(chain) == nullptr);
  CHECK(heirmark_llama_find(nullptr) == nullptr);
  static llama_sampler_i halve{};
  halve.apply = [](llama_sampler* /*smpl*/, llama_token_data_array* cur_p) { cur_p->size = std::max<std::size_t>(1, cur_p->size / 2); };
  halve.clone = [](const llama_sampler* smpl) { return llama_sampler_init(smpl->iface, nullptr); };
  halve.copy_state = [](const llama_sampler* /*src*/, llama_sampler* /*dst*/) {};
  llama_sampler_chain_add(chain, llama_sampler_init(&halve, nullptr));
  CHECK(heirmark_llama_find(chain) == nullptr);
  CHECK(heirmark_llama_find(llama_sampler_chain_get(chain, 0)) == nullptr);
  llama_sampler* mark = make_mark(library, defaults(), 16).release();
  llama_sampler_chain_add(chain, mark);
  CHECK(heirmark_llama_find(chain) == mark);
  CHECK(heirmark_llama_find(mark) == mark);
  CHECK(std::string(mark->iface->name(mark)) == "heirmark");
  CHECK(mark->iface->backend_init == nullptr);  // so that a chain on a device ends before it

  Reference reference(heirmark::profiles::standard_2026_11(), 16, {});
  const MarkPtr twin(llama_sampler_clone(chain));
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto expected = static_cast<llama_token>(reference.next(keep_best(logits_of(i), kVocab / 2), {}).token);
    REQUIRE(step(owner, Candidates(logits_of(i), Order::descending)) == expected);
    REQUIRE(step(twin, Candidates(logits_of(i), Order::descending)) == expected);
  }
  heirmark_llama_report report;
  REQUIRE(heirmark_llama_get_report(heirmark_llama_find(twin.get()), &report) == HEIRMARK_OK);
  CHECK(report.position == 20);
  llama_sampler_copy(chain, twin.get());
  REQUIRE(heirmark_llama_get_report(heirmark_llama_find(twin.get()), &report) == HEIRMARK_OK);
  CHECK(report.position == 20);
}

TEST_CASE("Vocabularies of two samplers and several threads do not meet") {
  const LibraryPtr large = make_library(), small = make_library(heirmark::profiles::standard_2026_11(), 100);
  heirmark_llama_options small_options = defaults();
  small_options.vocab_size = 100;
  std::vector<std::vector<float>> rows;
  for (std::uint64_t i = 0; i < 10; ++i) rows.push_back(logits_of(i));
  const auto run = [&](const MarkPtr& a, const MarkPtr& b) {
    std::vector<llama_token> out;
    for (std::size_t i = 0; i < 1000; ++i) {
      out.push_back(step(a, Candidates(rows[i % 10])));
      out.push_back(step(b, Candidates(std::vector<float>(rows[i % 10].begin(), rows[i % 10].begin() + 100), Order::reversed, 100)));
    }
    return out;
  };
  const auto marks = [&](std::uint8_t id) { return std::array{make_mark(large, defaults(), id), make_mark(small, small_options, id)}; };
  const auto alone = marks(20), other = marks(21), again = marks(20), beside = marks(21);
  const std::vector<llama_token> first = run(alone[0], alone[1]), second = run(other[0], other[1]);
  CHECK(first != second);
  for (std::size_t i = 1; i < first.size(); i += 2) REQUIRE(first[i] < 100);
  std::vector<llama_token> a, b;
  std::latch start(2);
  std::thread one([&] { start.arrive_and_wait(), a = run(again[0], again[1]); }), two([&] { start.arrive_and_wait(), b = run(beside[0], beside[1]); });
  one.join();
  two.join();
  CHECK(a == first);
  CHECK(b == second);
}

TEST_CASE("Options that make no sense are refused, each by its name") {
  const LibraryPtr library = make_library();
  const auto refused = [&](const heirmark_llama_options& options, heirmark_status status, const char* word, const LibraryPtr& by) {
    llama_sampler* mark = nullptr;
    CHECK(heirmark_llama_init(by.get(), &options, &mark) == status);
    CHECK(mark == nullptr);
    INFO(heirmark_llama_last_error());
    CHECK(std::string(heirmark_llama_last_error()).find(word) != std::string::npos);
  };
  const auto with = [&](auto change, heirmark_status status, const char* word) {
    heirmark_llama_options options = defaults();
    change(options);
    refused(options, status, word, library);
  };
  with([](heirmark_llama_options& o) { o.size = 0; }, HEIRMARK_USAGE, "size");
  with([](heirmark_llama_options& o) { o.vocab_size = 0; }, HEIRMARK_USAGE, "vocab_size");
  with([](heirmark_llama_options& o) { o.vocab_size = (1u << 20) + 1; }, HEIRMARK_USAGE, "vocab_size");
  with([](heirmark_llama_options& o) { o.vocab_size = kVocab - 1; }, HEIRMARK_USAGE, "stride");
  with([](heirmark_llama_options& o) { o.vocab_size = kVocab + 1; }, HEIRMARK_USAGE, "vocab_size");
  with([](heirmark_llama_options& o) { o.stop_token = -1; }, HEIRMARK_USAGE, "stop_token");
  with([](heirmark_llama_options& o) { o.stop_token = kVocab; }, HEIRMARK_USAGE, "stop_token");
  with([](heirmark_llama_options& o) { o.account_slot = 2; }, HEIRMARK_KEY, "account");
  with([](heirmark_llama_options& o) { o.policy = 2; }, HEIRMARK_USAGE, "policy");
  with([](heirmark_llama_options& o) { o.probabilities = 2; }, HEIRMARK_USAGE, "probabilities");
  with([](heirmark_llama_options& o) { o.keep_steps = 2; }, HEIRMARK_USAGE, "keep_steps");
  with([](heirmark_llama_options& o) { o.params.temperature = 1e-6f; }, HEIRMARK_USAGE, "params");
  with([](heirmark_llama_options& o) { o.params.temperature = -1; }, HEIRMARK_USAGE, "params");
  with([](heirmark_llama_options& o) { o.params.min_p = 2; }, HEIRMARK_USAGE, "params");
  with([](heirmark_llama_options& o) { o.params.top_p = 0; }, HEIRMARK_USAGE, "params");
  with([](heirmark_llama_options& o) { o.params.mode = 4; }, HEIRMARK_USAGE, "params");
  with([](heirmark_llama_options& o) { o.probabilities = 1, o.params.top_k = 5; }, HEIRMARK_USAGE, "probabilities");
  with([](heirmark_llama_options& o) { o.probabilities = 1, o.params.top_p = 0.5f; }, HEIRMARK_USAGE, "probabilities");
  with([](heirmark_llama_options& o) { o.probabilities = 1, o.params.min_p = 0.5f; }, HEIRMARK_USAGE, "probabilities");
  heirmark_llama_options options = defaults();
  options.params.top_k = 5;
  refused(options, HEIRMARK_USAGE, "params", make_library(heirmark::profiles::standard_2026_11(), kVocab, false));
  llama_sampler* mark = nullptr;
  CHECK(heirmark_llama_init(nullptr, &options, &mark) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_init(library.get(), nullptr, &mark) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_init(library.get(), &options, nullptr) == HEIRMARK_USAGE);
  heirmark_llama_options_init(nullptr);
}

TEST_CASE("Other people's samplers are refused, and numbers without a name have none") {
  const MarkPtr chain(llama_sampler_chain_init({true}));
  heirmark_llama_report report;
  CHECK(heirmark_llama_begin(chain.get(), nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_begin(nullptr, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_get_report(chain.get(), &report) == HEIRMARK_USAGE);
  CHECK(heirmark_llama_get_report(nullptr, &report) == HEIRMARK_USAGE);
  const LibraryPtr library = make_library();
  CHECK(heirmark_llama_get_report(make_mark(library, defaults(), 1).get(), nullptr) == HEIRMARK_USAGE);
  std::size_t count = 3;
  CHECK(heirmark_llama_steps(chain.get(), &count) == nullptr);
  CHECK(count == 0);
  CHECK(std::string(heirmark_llama_failure_name(HEIRMARK_LLAMA_NO_FAILURE)) == "none");
  CHECK(std::string(heirmark_llama_failure_name(HEIRMARK_LLAMA_REDRAWN)) == "redrawn");
  CHECK(std::string(heirmark_llama_failure_name(HEIRMARK_LLAMA_LIBRARY)) == "library");
  CHECK(std::string(heirmark_llama_failure_name(HEIRMARK_LLAMA_LIBRARY + 1)) == "unknown");
}
