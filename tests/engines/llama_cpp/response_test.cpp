// What a response is to the sampler: its prompt, its draws and accepted tokens, its id, through clones, drafts, copies and resets.
#include <cstring>
#include <numeric>
#include <set>

#include "contract.hpp"

using namespace heirmark::test::llama;

TEST_CASE("The prompt is what was accepted before the first draw") {
  const LibraryPtr library = make_library(heirmark::profiles::tournament_2026_11());  // its window is the longest
  for (const std::size_t length : {0u, 1u, 2u, 3u, 4u, 5u, 100u}) {
    INFO("a prompt of " << length);
    std::vector<std::uint32_t> prompt(length);
    std::iota(prompt.begin(), prompt.end(), 50);
    const MarkPtr mark = make_mark(library, defaults(), 1);
    Reference reference(heirmark::profiles::tournament_2026_11(), 1, prompt);
    accept_all(mark, prompt);
    CHECK(report_of(mark).position == 0);
    for (std::uint64_t i = 0; i < 12; ++i) REQUIRE(step(mark, Candidates(logits_of(i))) == static_cast<llama_token>(reference.next(logits_of(i), {}).token));
    CHECK(report_of(mark).position == 12);
  }
  SECTION("places that hold no token are passed over") {
    const MarkPtr mark = make_mark(library, defaults(), 1);
    Reference reference(heirmark::profiles::tournament_2026_11(), 1, std::vector<std::uint32_t>{8, 9});
    for (const llama_token token : {8, -1, 9, -1}) llama_sampler_accept(mark.get(), token);
    for (std::uint64_t i = 0; i < 8; ++i) REQUIRE(step(mark, Candidates(logits_of(i))) == static_cast<llama_token>(reference.next(logits_of(i), {}).token));
  }
  SECTION("a response that begins later has all before it as its prompt") {
    const MarkPtr mark = make_mark(library, defaults(), 1);
    accept_all(mark, {5, 6, 7});
    std::vector<std::uint32_t> text = {5, 6, 7};
    for (std::uint64_t i = 0; i < 8; ++i) text.push_back(static_cast<std::uint32_t>(step(mark, Candidates(logits_of(i)))));
    REQUIRE(heirmark_llama_begin(mark.get(), request(2).data()) == HEIRMARK_OK);
    CHECK(report_of(mark).marked + report_of(mark).issued + report_of(mark).position == 0);
    accept_all(mark, {11});
    text.push_back(11);
    Reference reference(heirmark::profiles::tournament_2026_11(), 2, text);
    for (std::uint64_t i = 0; i < 8; ++i) REQUIRE(step(mark, Candidates(logits_of(i))) == static_cast<llama_token>(reference.next(logits_of(i), {}).token));
    CHECK(report_of(mark).position == 8);
  }
}

TEST_CASE("A draw moves nothing until its token is accepted, once") {
  const LibraryPtr library = make_library();
  const MarkPtr mark = make_mark(library, defaults(), 3);
  Reference reference(heirmark::profiles::standard_2026_11(), 3, {});
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto expected = static_cast<llama_token>(reference.next(logits_of(i % 3), {}).token);
    for (int again = 0; again < 3; ++again) REQUIRE(Candidates(logits_of(i % 3)).drawn_by(mark.get()) == expected);
    CHECK(report_of(mark).position == i);
    llama_sampler_accept(mark.get(), expected);
    CHECK(report_of(mark).position == i + 1);
  }
  const heirmark_llama_report report = report_of(mark);
  CHECK(report.marked + report.issued == 40);
  CHECK(report.issued > 0);
  CHECK(report.failures == 0);
}

TEST_CASE("A clone goes on as its original would, and neither disturbs the other") {
  const LibraryPtr library = make_library();
  const MarkPtr mark = make_mark(library, defaults(), 4);
  Reference reference(heirmark::profiles::standard_2026_11(), 4, std::vector<std::uint32_t>{1, 2});
  accept_all(mark, {1, 2});
  for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(step(mark, Candidates(logits_of(i % 3))) == static_cast<llama_token>(reference.next(logits_of(i % 3), {}).token));
  SECTION("between draw and accept") {
    const auto expected = static_cast<llama_token>(reference.next(logits_of(0), {}).token);
    REQUIRE(Candidates(logits_of(0)).drawn_by(mark.get()) == expected);
    const MarkPtr twin(llama_sampler_clone(mark.get()));
    llama_sampler_accept(twin.get(), expected);
    CHECK(report_of(twin).position == 11);
    CHECK(report_of(twin).foreign == 0);
    CHECK(report_of(mark).position == 10);
  }
  SECTION("after the prompt, before the first draw") {
    const MarkPtr prompted = make_mark(library, defaults(), 4);
    accept_all(prompted, {1, 2});
    const MarkPtr twin(llama_sampler_clone(prompted.get()));
    for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(step(twin, Candidates(logits_of(i))) == step(prompted, Candidates(logits_of(i))));
    llama_sampler_copy(make_mark(library, defaults(), 9).get(), twin.get());
    CHECK(report_of(twin).position == 0);
    CHECK(std::memcmp(report_of(twin).request_id, request(9).data(), sizeof(RequestId)) == 0);
  }
  SECTION("with an end of its own") {
    MarkPtr twin(llama_sampler_clone(mark.get()));
    std::vector<llama_token> first, second;
    for (std::uint64_t i = 0; i < 30; ++i) {
      first.push_back(static_cast<llama_token>(reference.next(logits_of(i % 5), {}).token));
      second.push_back(step(twin, Candidates(logits_of(i % 5), Order::shuffled)));
    }
    twin.reset();
    CHECK(first == second);
    for (std::uint64_t i = 0; i < 30; ++i) REQUIRE(step(mark, Candidates(logits_of(i % 5))) == first[i]);
  }
  SECTION("as another response, when it begins one") {
    const MarkPtr twin(llama_sampler_clone(mark.get()));
    REQUIRE(heirmark_llama_begin(twin.get(), nullptr) == HEIRMARK_OK);
    CHECK(std::memcmp(report_of(twin).request_id, report_of(mark).request_id, sizeof(RequestId)) != 0);
  }
}

TEST_CASE("Drafts: what llama-server accepts of a draft is what it would have sampled, also when it restores and replays") {
  const LibraryPtr library = make_library();
  heirmark_llama_options options = defaults();
  options.keep_steps = 1;
  const MarkPtr plain = make_mark(library, options, 5), drafted = make_mark(library, options, 5);
  std::vector<llama_token> expected;
  for (std::uint64_t i = 0; i < 120; ++i) expected.push_back(step(plain, Candidates(logits_of(i % 11))));

  std::mt19937_64 random(8);
  std::vector<llama_token> text;
  int restored = 0;
  while (text.size() < 100) {
    std::vector<llama_token> draft(expected.begin() + static_cast<std::ptrdiff_t>(text.size()), expected.begin() + static_cast<std::ptrdiff_t>(text.size()) + 4);
    if (random() % 2 == 0) draft[random() % 4] ^= 1;  // most drafts are wrong somewhere
    const auto verify = [&] {
      // common_sampler_sample_and_accept_n
      std::vector<llama_token> taken;
      std::size_t i = 0;
      for (; i < draft.size(); ++i) {
        taken.push_back(step(drafted, Candidates(logits_of((text.size() + i) % 11))));
        if (taken.back() != draft[i]) return taken;
      }
      taken.push_back(step(drafted, Candidates(logits_of((text.size() + i) % 11))));
      return taken;
    };
    const MarkPtr saved(llama_sampler_clone(drafted.get()));
    std::vector<llama_token> taken = verify();
    if (taken.size() <= draft.size()) {
      llama_sampler_copy(saved.get(), drafted.get());
      draft = taken;
      const std::vector<llama_token> again = verify();
      REQUIRE(again.size() > taken.size());
      REQUIRE(std::equal(taken.begin(), taken.end(), again.begin()));
      taken = again;
      ++restored;
    }
    text.insert(text.end(), taken.begin(), taken.end());
  }
  CHECK(restored > 5);
  expected.resize(text.size());
  CHECK(text == expected);
  const heirmark_llama_report report = report_of(drafted);
  CHECK(report.position == text.size());
  CHECK(report.marked + report.issued == text.size());
  CHECK(report.failures + report.foreign == 0);
  std::size_t steps = 0, steps_plain = 0;
  const heirmark_llama_step *of_drafted = heirmark_llama_steps(drafted.get(), &steps), *of_plain = heirmark_llama_steps(plain.get(), &steps_plain);
  REQUIRE(steps == text.size());
  REQUIRE(steps_plain == 120);
  CHECK(std::memcmp(of_drafted, of_plain, steps * sizeof *of_plain) == 0);
}

TEST_CASE("reset begins a response without a prompt, under a new request id unless nothing was drawn under the old one") {
  const LibraryPtr library = make_library(heirmark::profiles::tournament_2026_11());  // its window is the longest
  const MarkPtr mark = make_mark(library, defaults(), 6);
  accept_all(mark, {9, 9, 9});
  llama_sampler_reset(mark.get());
  CHECK(std::memcmp(report_of(mark).request_id, request(6).data(), sizeof(RequestId)) == 0);
  Reference reference(heirmark::profiles::tournament_2026_11(), 6, std::vector<std::uint32_t>{1});
  accept_all(mark, {1});
  for (std::uint64_t i = 0; i < 5; ++i) REQUIRE(step(mark, Candidates(logits_of(i))) == static_cast<llama_token>(reference.next(logits_of(i), {}).token));

  std::set<RequestId> seen = {request(6)};
  for (int n = 0; n < 20; ++n) {
    llama_sampler_reset(mark.get());
    const heirmark_llama_report report = report_of(mark);
    CHECK(report.position + report.marked + report.issued == 0);
    CHECK(seen.insert(id_of(mark)).second);
    Candidates(logits_of(1)).drawn_by(mark.get());  // drawn is enough: what was seen of it must not be used twice
  }
  SECTION("an id that was given after draws is unused too") {
    REQUIRE(heirmark_llama_begin(mark.get(), request(8).data()) == HEIRMARK_OK);
    llama_sampler_reset(mark.get());
    CHECK(std::memcmp(report_of(mark).request_id, request(8).data(), sizeof(RequestId)) == 0);
  }
  SECTION("clones of a sampler that nothing has used yet are responses of their own once they are reset") {
    const MarkPtr prototype = make_mark(library, defaults(), 7);
    std::set<RequestId> ids = {request(7)};
    std::vector<MarkPtr> clones;
    for (int n = 0; n < 3; ++n) {
      clones.emplace_back(llama_sampler_clone(prototype.get()));
      llama_sampler_reset(clones.back().get());
      CHECK(ids.insert(id_of(clones.back())).second);
    }
  }
  SECTION("what a clone has drawn counts as drawn, also when it is gone") {
    const MarkPtr original = make_mark(library, defaults(), 7);
    {
      const MarkPtr twin(llama_sampler_clone(original.get()));
      Candidates(logits_of(1)).drawn_by(twin.get());
    }
    llama_sampler_reset(original.get());
    CHECK(id_of(original) != request(7));
  }
  SECTION("a response that was recorded is over for clones that have not begun it") {
    const MarkPtr prototype = make_mark(library, defaults(), 7), mine = make_mark(library, defaults(), 8);
    llama_sampler_copy(prototype.get(), mine.get());
    step(mine, Candidates(logits_of(1)));
    REQUIRE(heirmark_llama_claim(mine.get(), 1) == 0);
    llama_sampler_copy(prototype.get(), mine.get());
    step(mine, Candidates(logits_of(1)));
    CHECK(id_of(mine) != request(7));
  }
  SECTION("what was drawn and then undone counts as drawn") {
    const MarkPtr again = make_mark(library, defaults(), 7);
    const MarkPtr saved(llama_sampler_clone(again.get()));
    Candidates(logits_of(1)).drawn_by(again.get());
    llama_sampler_copy(saved.get(), again.get());
    CHECK(std::memcmp(report_of(again).request_id, request(7).data(), sizeof(RequestId)) == 0);
    llama_sampler_reset(again.get());
    CHECK(std::memcmp(report_of(again).request_id, request(7).data(), sizeof(RequestId)) != 0);
  }
}
