// The public API: what it refuses, statuses, sequences, batches, threads.
#include <catch2/catch.hpp>

#include <cmath>
#include <memory>
#include <set>
#include <sys/wait.h>
#include <unistd.h>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <heirmark/sampler.hpp>

#include "core/context.hpp"
#include "rows.hpp"
#include "subkeys.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
Sampler make(const Profile& profile, std::uint32_t vocab, unsigned threads = 1) {
  return Sampler::create(profile, keys(), {.vocab_size = vocab, .max_rows = 64, .threads = threads}).value();
}

Sampled one(Sampler& sampler, Sequence& sequence, const std::vector<float>& row, SamplingParams params = {}) {
  const Row r{&sequence, params};
  Sampled out;
  REQUIRE(sampler.sample({row.data(), DType::float32, 1, row.size()}, {&r, 1}, {&out, 1}).ok());
  return out;
}
bool usage(const Result<void>& result) { return !result.ok() && result.error().code == ErrorCode::usage; }
}  // namespace

TEST_CASE("create refuses impossible options and profiles") {
  const auto code = [](const Profile& profile, Sampler::Options options, std::size_t accounts = 1) {
    auto made = Sampler::create(profile, keys(1, accounts), options);
    return made.ok() ? 0 : static_cast<int>(made.error().code);
  };
  constexpr int kUsage = static_cast<int>(ErrorCode::usage);
  const Profile& good = profiles::standard_2026_11();
  CHECK(code(good, {.vocab_size = 1}) == 0);
  CHECK(code(good, {.vocab_size = kMaxVocab}) == 0);
  CHECK(code(good, {}) == kUsage);
  CHECK(code(good, {.vocab_size = kMaxVocab + 1}) == kUsage);
  CHECK(code(good, {.vocab_size = 10, .max_rows = 0}) == kUsage);
  CHECK(code(good, {.vocab_size = 10, .threads = 0}) == kUsage);
  CHECK(code(good, {.vocab_size = 10}, 0) == static_cast<int>(ErrorCode::key));
  Profile bad = good;
  bad.window = 0;
  CHECK(code(bad, {.vocab_size = 10}) == kUsage);
  bad.window = 5;
  CHECK(code(bad, {.vocab_size = 10}) == kUsage);
  bad = good;
  bad.share_q32 = (1ull << 32) + 1;
  CHECK(code(bad, {.vocab_size = 10}) == kUsage);
  bad = profiles::tournament_2026_11();
  bad.layers = 31;
  CHECK(code(bad, {.vocab_size = 10}) == kUsage);
  bad = profiles::greenlist_2026_11();
  bad.delta_micro = 0xFFFFFFFFu;
  CHECK(code(bad, {.vocab_size = 10}) == kUsage);
}

TEST_CASE("sample refuses a call that makes no sense, and changes nothing") {
  Sampler sampler = make(profiles::standard_2026_11(), 100);
  const std::vector<float> data(1000);
  Sequence a = sampler.begin(request(1), {}), b = sampler.begin(request(2), {});
  std::vector<Row> rows = {{&a, {}}, {&b, {}}};
  std::vector<Sampled> out(2);
  const Logits good{data.data(), DType::float32, 2, 100};
  CHECK(usage(sampler.sample({nullptr, DType::float32, 2, 100}, rows, out)));
  CHECK(usage(sampler.sample({data.data(), DType::float32, 2, 99}, rows, out)));
  CHECK(usage(sampler.sample({data.data(), static_cast<DType>(9), 2, 100}, rows, out)));
  CHECK(usage(sampler.sample({data.data(), DType::float32, 1, 100}, rows, out)));
  CHECK(usage(sampler.sample(good, {rows.data(), 1}, out)));
  CHECK(usage(sampler.sample(good, rows, {out.data(), 1})));
  rows[1].sequence = &a;
  CHECK(usage(sampler.sample(good, rows, out)));
  rows[1].sequence = nullptr;
  CHECK(usage(sampler.sample(good, rows, out)));
  CHECK(a.position() == 0);
  CHECK(out[0].token == kNoToken);
  rows[1].sequence = &b;
  CHECK(sampler.sample(good, rows, out).ok());  // the refused calls left no trace on the sequences
  CHECK(a.position() == 1);
  CHECK(b.position() == 1);
  std::vector<Row> many(65, Row{&a, {}});
  std::vector<Sampled> many_out(65);
  CHECK(usage(sampler.sample({data.data(), DType::float32, 65, 100}, many, many_out)));
  CHECK(sampler.sample({nullptr, DType::float32, 0, 0}, {}, {}).ok());
}

TEST_CASE("bad parameters, one row at a time") {
  Sampler sampler = make(profiles::standard_2026_11(), 100);
  const std::vector<float> row(100);
  const SamplingParams bad[] = {{.temperature = -1},  {.temperature = kNan}, {.temperature = kInf}, {.temperature = 9e-4f}, {.temperature = 1001},
                                {.min_p = -0.1f},     {.min_p = 1.1f},       {.min_p = kNan},       {.top_p = 0},           {.top_p = -1},
                                {.top_p = 1.1f},      {.top_p = kNan},       {.mode = static_cast<Mode>(7)}};
  for (const SamplingParams& params : bad) {
    Sequence sequence = sampler.begin(request(1), {});
    const Sampled out = one(sampler, sequence, row, params);
    CHECK(out.status == RowStatus::bad_parameter);
    CHECK(out.token == kNoToken);
    CHECK(sequence.position() == 0);
  }
  Sequence sequence = sampler.begin(request(1), {}, 2);
  CHECK(one(sampler, sequence, row).status == RowStatus::bad_parameter);
  sequence = sampler.begin(request(1), {}, 1);
  CHECK(one(sampler, sequence, row).token < 100);
  const SamplingParams fine[] = {{.temperature = 1e-3f}, {.temperature = 1e3f}, {.temperature = 0}, {.temperature = -0.0f}, {.min_p = 1}, {.top_k = 0xFFFFFFFFu}, {.top_p = 1e-30f}};
  for (const SamplingParams& params : fine) CHECK(one(sampler, sequence, row, params).token < 100);
}

TEST_CASE("strange rows never give a token out of range, and a refused row does not advance its sequence") {
  Sampler sampler = make(profiles::standard_2026_11(), 50);
  for (const Mode mode : {Mode::off, Mode::greedy, Mode::marked, Mode::issuance}) {
    Sequence sequence = sampler.begin(request(1), {});
    std::vector<float> row(64, kMax);  // ids 50 .. 63 are padding, and would win
    std::fill_n(row.begin(), 50, kNan);
    CHECK(one(sampler, sequence, row, {.mode = mode}).status == RowStatus::no_finite_logit);
    std::fill_n(row.begin(), 50, -kInf);
    CHECK(one(sampler, sequence, row, {.mode = mode}).token == kNoToken);
    CHECK(sequence.position() == 0);
    row[49] = -kMax;
    CHECK(one(sampler, sequence, row, {.mode = mode}).token == 49);
    row[48] = row[47] = kInf;
    const Sampled out = one(sampler, sequence, row, {.mode = mode});
    CHECK(out.status == RowStatus::infinite_logit);
    CHECK(out.token == 47);
    CHECK(sequence.position() == 2);
  }
}

TEST_CASE("padding, stride, alignment and type of a row change nothing") {
  Random random(20261140);
  const std::uint32_t vocab = 5000;
  std::vector<float> row = make_row(random, Shape::language, vocab);
  for (float& x : row) x = core::bfloat_to_float(to_bfloat(std::ldexp(std::round(x * 4), -2)));  // exact in all three types
  std::vector<TokenId> expected;
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    for (const std::size_t padding : {0u, 1u, 3u, 777u}) {
      std::vector<float> padded = row;
      padded.resize(vocab + padding, kMax);
      std::vector<float> batch;
      for (int r = 0; r < 3; ++r) batch.insert(batch.end(), padded.begin(), padded.end());
      const Stored stored = store(batch, dtype, 1 + padding % 3);
      Sampler sampler = make(profiles::standard_2026_11(), vocab);
      std::vector<Sequence> sequences;
      for (std::uint32_t r = 0; r < 3; ++r) sequences.push_back(sampler.begin(request(r), {}));
      std::vector<TokenId> tokens;
      for (int step = 0; step < 30; ++step) {
        std::vector<Row> rows;
        for (Sequence& s : sequences) rows.push_back({&s, {}});
        std::vector<Sampled> out(3);
        REQUIRE(sampler.sample({stored.bytes.data() + stored.shift, dtype, 3, padded.size()}, rows, out).ok());
        for (const Sampled& s : out) tokens.push_back(s.token);
      }
      if (expected.empty()) expected = tokens;
      CHECK(tokens == expected);
    }
  }
}

TEST_CASE("threads and the split of a batch change nothing") {
  Random random(20261141);
  const std::uint32_t vocab = 3000;
  constexpr std::uint32_t kRows = 37;
  std::vector<float> batch;
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const auto row = make_row(random, r % 2 == 0 ? Shape::language : Shape::flat, vocab);
    batch.insert(batch.end(), row.begin(), row.end());
  }
  const auto run = [&](unsigned threads, std::size_t part) {
    Sampler sampler = make(profiles::standard_2026_11(), vocab, threads);
    std::vector<Sequence> sequences;
    for (std::uint32_t r = 0; r < kRows; ++r) sequences.push_back(sampler.begin(request(r), {}));
    std::vector<std::pair<TokenId, int>> result;
    for (int step = 0; step < 8; ++step) {
      for (std::size_t first = 0; first < kRows; first += part) {
        const std::size_t count = std::min<std::size_t>(part, kRows - first);
        std::vector<Row> rows;
        for (std::size_t i = 0; i < count; ++i) rows.push_back({&sequences[first + i], {.temperature = 0.9f, .top_k = (first + i) % 3 == 0 ? 50u : 0u}});
        std::vector<Sampled> out(count);
        REQUIRE(sampler.sample({batch.data() + first * vocab, DType::float32, count, vocab}, rows, out).ok());
        for (const Sampled& s : out) result.emplace_back(s.token, static_cast<int>(s.status));
      }
    }
    return result;
  };
  const auto expected = run(1, kRows);
  for (const unsigned threads : {1u, 2u, 3u, 8u})
    for (const std::size_t part : {std::size_t{1}, std::size_t{5}, std::size_t{kRows}}) {
      INFO(threads << " threads, parts of " << part);
      CHECK(run(threads, part) == expected);
    }
}

TEST_CASE("a process that is forked samples without the threads that it does not have") {
  Random random(20261142);
  constexpr std::uint32_t kVocab = 3000, kRows = 8;
  std::vector<float> batch;
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const auto row = make_row(random, Shape::language, kVocab);
    batch.insert(batch.end(), row.begin(), row.end());
  }
  const auto tokens = [&](Sampler& sampler) {
    std::vector<Sequence> sequences;
    for (std::uint32_t r = 0; r < kRows; ++r) sequences.push_back(sampler.begin(request(r), {}));
    std::vector<Row> rows;
    for (Sequence& sequence : sequences) rows.push_back({&sequence, {}});
    std::vector<Sampled> out(kRows);
    std::vector<TokenId> found;
    if (sampler.sample({batch.data(), DType::float32, kRows, kVocab}, rows, out).ok())
      for (const Sampled& s : out) found.push_back(s.token);
    return found;
  };
  auto sampler = std::make_unique<Sampler>(make(profiles::standard_2026_11(), kVocab, 3));
  const auto expected = tokens(*sampler);
  REQUIRE(expected.size() == kRows);
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // instead of waiting for ever
    const bool same = tokens(*sampler) == expected;
    sampler.reset();
    _exit(same ? 0 : 1);
  }
  REQUIRE(child > 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK(tokens(*sampler) == expected);
}

TEST_CASE("several threads may call one sampler at once") {
  Random random(20261142);
  const auto row = make_row(random, Shape::language, 4000);
  Sampler sampler = make(profiles::standard_2026_11(), 4000, 3);
  constexpr std::uint32_t kCallers = 4;
  const auto speak = [&](std::uint32_t caller) {
    std::vector<Sequence> sequences = {sampler.begin(request(2 * caller), {}), sampler.begin(request(2 * caller + 1), {})};
    std::vector<float> batch = row;
    batch.insert(batch.end(), row.begin(), row.end());
    std::vector<TokenId> tokens;
    for (int step = 0; step < 50; ++step) {
      const Row rows[] = {{&sequences[0], {}}, {&sequences[1], {}}};
      Sampled out[2];
      if (!sampler.sample({batch.data(), DType::float32, 2, row.size()}, rows, out).ok()) return std::vector<TokenId>{};
      tokens.push_back(out[0].token);
      tokens.push_back(out[1].token);
    }
    return tokens;
  };
  std::vector<std::vector<TokenId>> alone, together(kCallers);
  for (std::uint32_t c = 0; c < kCallers; ++c) alone.push_back(speak(c));
  std::vector<std::thread> threads;
  for (std::uint32_t c = 0; c < kCallers; ++c) threads.emplace_back([&, c] { together[c] = speak(c); });
  for (std::thread& thread : threads) thread.join();
  CHECK(together == alone);
  CHECK(alone[0] != alone[1]);
}

TEST_CASE("a sequence: coin, history, forks and tokens of the engine's own") {
  const std::vector<float> row(5000);
  Sampler sampler = make(profiles::standard_2026_11(), 5000);
  const core::KeyWords coin = core::key_words(keys().coin.expose_secret().data());
  Sequence sequence = sampler.begin(request(1), std::vector<TokenId>{1, 2, 3, 4, 5});
  std::vector<TokenId> text = {1, 2, 3, 4, 5};
  std::set<std::pair<TokenId, TokenId>> history;
  int marked = 0, repeated = 0;
  for (int step = 0; step < 400; ++step) {
    REQUIRE(sequence.position() == text.size() - 5);
    const std::pair<TokenId, TokenId> window{text[text.size() - 2], text.back()};
    const bool expected = core::coin_is_window(coin, core::Context{{core::kPad, core::kPad, window.first, window.second}}, 1ull << 31) && !history.contains(window);
    if (step % 5 == 1) {  // rows that mark nothing leave the history alone
      Sequence fork = sequence;
      CHECK(one(sampler, fork, row, {.temperature = 0}).status == RowStatus::unmarked);
      CHECK(one(sampler, fork, row, {.mode = Mode::off}).status == RowStatus::unmarked);
      CHECK(one(sampler, fork, row, {.mode = Mode::issuance}).status == RowStatus::issued);
    }
    Sequence fork = sequence;
    const Sampled out = one(sampler, sequence, row), again = one(sampler, fork, row);
    REQUIRE(out.token == again.token);
    REQUIRE((out.status == RowStatus::marked) == expected);
    REQUIRE((out.status == RowStatus::issued) == !expected);
    marked += expected ? 1 : 0;
    repeated += history.contains(window) ? 1 : 0;
    if (expected) history.insert(window);
    text.push_back(out.token);
    if (step % 3 == 0) {  // the engine forces the text back to an old window, whose second time is issuance
      const std::size_t old = 1 + static_cast<std::size_t>(step) % (text.size() - 2);
      for (const TokenId token : {text[old], text[old + 1]}) {
        sequence.accept(token);
        text.push_back(token);
      }
    }
  }
  CHECK(repeated > 20);
  CHECK(marked > 50);
  CHECK(marked < 300);
  CHECK(sequence.request_id() == request(1));
}

TEST_CASE("the prompt makes the first window, padded when short") {
  const std::vector<float> row(4096);
  Sampler sampler = make(profiles::window_only_2026_11(), 4096);
  const auto first = [&](std::vector<TokenId> prompt, std::uint32_t id) {
    Sequence sequence = sampler.begin(request(id), prompt);
    return one(sampler, sequence, row).token;
  };
  CHECK(first({7, 8}, 1) == first({1, 2, 3, 7, 8}, 2));    // only the last two tokens matter, and the request id does not
  CHECK(first({8}, 1) == first({kNoToken, 8}, 1));
  CHECK(first({}, 1) == first({kNoToken, kNoToken}, 2));
  CHECK(first({7, 8}, 1) != first({8, 7}, 1));
  Sampler issuance = make(profiles::issuance_only_2026_11(), 4096);
  Sequence a = issuance.begin(request(1), std::vector<TokenId>{7, 8}), b = issuance.begin(request(1), std::vector<TokenId>{9}),
           c = issuance.begin(request(2), std::vector<TokenId>{7, 8}), d = issuance.begin(request(1), std::vector<TokenId>{7, 8}, 1);
  const TokenId token = one(issuance, a, row).token;
  CHECK(token == one(issuance, b, row).token);  // the text does not matter, id and account do
  CHECK(token != one(issuance, c, row).token);
  CHECK(token != one(issuance, d, row).token);
}

TEST_CASE("mode off draws with a key of the sampler's own") {
  const std::vector<float> row(5000);
  Sampler a = make(profiles::window_only_2026_11(), 5000), b = make(profiles::window_only_2026_11(), 5000);
  Sequence sa = a.begin(request(1), {}), sb = b.begin(request(1), {});
  std::vector<TokenId> ta, tb;
  for (int i = 0; i < 20; ++i) {
    ta.push_back(one(a, sa, row, {.mode = Mode::off}).token);
    tb.push_back(one(b, sb, row, {.mode = Mode::off}).token);
  }
  CHECK(ta != tb);  // equal with probability 5000^-20
}

#if defined(__x86_64__)
TEST_CASE("flushed denormals and another rounding mode of the engine's change nothing, and stay as they were") {
  Random random(20261143);
  const std::vector<std::vector<float>> rows = {make_row(random, Shape::denormals, 3000), make_row(random, Shape::flat, 3000), make_row(random, Shape::language, 3000)};
  const auto run = [&] {
    Sampler sampler = make(profiles::standard_2026_11(), 3000);
    Sequence sequence = sampler.begin(request(1), {});
    std::vector<TokenId> tokens;
    for (int step = 0; step < 60; ++step)
      tokens.push_back(one(sampler, sequence, rows[static_cast<std::size_t>(step) % 3], {.temperature = step % 2 == 0 ? 0.0f : 0.8f, .top_p = step % 5 == 0 ? 0.9f : 1.0f}).token);
    return tokens;
  };
  const auto expected = run();
  const unsigned before = _mm_getcsr();
  constexpr unsigned kStrange = 0x1F80 | 0x8040 | 0x6000;  // flush to zero, denormals are zero, round towards zero
  _mm_setcsr(kStrange);
  const auto tokens = run();
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  CHECK(tokens == expected);
  CHECK((after & 0xFFC0u) == kStrange);
}
#endif
