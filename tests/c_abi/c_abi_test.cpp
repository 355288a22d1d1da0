// What the C library does: the same tokens as the C++ API, errors by code and line, ownership, threads.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <heirmark.h>

#include <heirmark/sampler.hpp>
#include <heirmark/subkeys.hpp>

#include "subkeys.hpp"

namespace {
constexpr std::uint32_t kVocab = 5003;

heirmark::SubkeysFile file_of(const heirmark::Profile& profile) {
  heirmark::SubkeysFile file;
  file.path = heirmark::KeyPath::parse("acme-70b/2026-11").value();
  file.key_id = "0123456789abcdef";
  file.profile = profile;
  file.accounts = {"acme", "birch", "cedar"};
  file.subkeys = heirmark::test::keys(1, 3);
  return file;
}

struct Keys {
  heirmark_keys* keys = nullptr;
  explicit Keys(const heirmark::Profile& profile = heirmark::profiles::standard_2026_11()) {
    const std::string bytes = file_of(profile).bytes();
    REQUIRE(heirmark_keys_parse(bytes.data(), bytes.size(), &keys) == HEIRMARK_OK);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() { heirmark_keys_free(keys); }
};

struct Sampler {
  heirmark_sampler* sampler = nullptr;
  explicit Sampler(const Keys& keys, std::uint32_t threads = 1, bool log_probs = false) {
    heirmark_sampler_options options;
    heirmark_sampler_options_init(&options);
    options.vocab_size = kVocab;
    options.max_rows = 64;
    options.backend = HEIRMARK_BACKEND_CPU;
    options.threads = threads;
    options.log_probs = log_probs ? 1 : 0;
    REQUIRE(heirmark_sampler_create(keys.keys, &options, &sampler) == HEIRMARK_OK);
  }
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  ~Sampler() { heirmark_sampler_free(sampler); }
};

std::array<std::uint8_t, 12> request(std::uint8_t n) { return {n, 1, 2, 3}; }

heirmark_sequence* begin(const Sampler& sampler, std::uint8_t n, std::uint32_t account = 0) {
  const std::uint32_t prompt[] = {7, 8, n};
  heirmark_sequence* sequence = nullptr;
  REQUIRE(heirmark_sequence_begin(sampler.sampler, request(n).data(), prompt, 3, account, &sequence) == HEIRMARK_OK);
  return sequence;
}

std::vector<float> logits_of(std::uint64_t seed, std::size_t rows) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> out(rows * kVocab);
  for (float& x : out) x = normal(random);
  return out;
}

heirmark_params params_of(std::size_t row, std::size_t step) {
  heirmark_params params;
  heirmark_params_init(&params);
  params.temperature = 0.6f + 0.1f * static_cast<float>(row);
  if (row == 1) params.top_p = 0.9f;
  if (row == 2) params.top_k = 40;
  if (row == 3) params.mode = HEIRMARK_ISSUANCE;
  if (row == 4 && step % 3 == 0) params.temperature = 0;
  return params;
}

/// Tokens of `rows` responses, `steps` each, by the C library.
std::vector<std::uint32_t> by_c(const Sampler& sampler, std::uint8_t first, std::size_t rows, std::size_t steps) {
  std::vector<heirmark_sequence*> sequences;
  for (std::size_t i = 0; i < rows; ++i) sequences.push_back(begin(sampler, static_cast<std::uint8_t>(first + i), static_cast<std::uint32_t>(i % 3)));
  std::vector<std::uint32_t> tokens;
  for (std::size_t step = 0; step < steps; ++step) {
    const std::vector<float> data = logits_of(1000 * first + step, rows);
    const heirmark_logits logits{data.data(), HEIRMARK_FLOAT32, static_cast<std::uint32_t>(rows), kVocab};
    std::vector<heirmark_params> params;
    for (std::size_t i = 0; i < rows; ++i) params.push_back(params_of(i, step));
    std::vector<heirmark_sampled> sampled(rows);
    if (heirmark_sample_sequences(sampler.sampler, &logits, sequences.data(), params.data(), sampled.data()) != HEIRMARK_OK) return {};
    for (const heirmark_sampled& out : sampled) tokens.push_back(out.token);
  }
  for (heirmark_sequence* sequence : sequences) heirmark_sequence_free(sequence);
  return tokens;
}

std::string error() { return heirmark_last_error(); }
}  // namespace

TEST_CASE("the C library gives the C++ API's tokens, on any number of threads") {
  constexpr std::size_t kRows = 6, kSteps = 40;
  for (const heirmark::Profile* profile : {&heirmark::profiles::standard_2026_11(), &heirmark::profiles::greenlist_2026_11(), &heirmark::profiles::tournament_2026_11()}) {
    const Keys keys(*profile);
    const Sampler sampler(keys), threads(keys, 3);
    const std::vector<std::uint32_t> tokens = by_c(sampler, 20, kRows, kSteps);
    REQUIRE(tokens.size() == kRows * kSteps);
    CHECK(by_c(threads, 20, kRows, kSteps) == tokens);

    auto same = heirmark::Sampler::create(*profile, file_of(*profile).subkeys.clone(), {.vocab_size = kVocab, .max_rows = 64}).value();
    std::vector<heirmark::Sequence> sequences;
    for (std::size_t i = 0; i < kRows; ++i) {
      const std::vector<heirmark::TokenId> prompt = {7, 8, static_cast<heirmark::TokenId>(20 + i)};
      sequences.push_back(same.begin({request(static_cast<std::uint8_t>(20 + i))}, prompt, static_cast<std::uint32_t>(i % 3)));
    }
    std::vector<std::uint32_t> expected;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const std::vector<float> data = logits_of(20000 + step, kRows);
      std::vector<heirmark::Row> rows;
      for (std::size_t i = 0; i < kRows; ++i) {
        const heirmark_params p = params_of(i, step);
        rows.push_back({&sequences[i], {p.temperature, p.min_p, p.top_k, p.top_p, static_cast<heirmark::Mode>(p.mode)}});
      }
      std::vector<heirmark::Sampled> out(kRows);
      REQUIRE(same.sample({data.data(), heirmark::DType::float32, kRows, kVocab}, rows, out).ok());
      for (const heirmark::Sampled& one : out) expected.push_back(one.token);
    }
    CHECK(tokens == expected);
  }
}

TEST_CASE("many threads sample with one handle") {
  const Keys keys;
  const Sampler sampler(keys, 2);
  constexpr std::size_t kThreads = 6, kRows = 5, kSteps = 25;
  std::vector<std::vector<std::uint32_t>> alone, together(kThreads);
  for (std::size_t i = 0; i < kThreads; ++i) alone.push_back(by_c(sampler, static_cast<std::uint8_t>(10 * i), kRows, kSteps));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { together[i] = by_c(sampler, static_cast<std::uint8_t>(10 * i), kRows, kSteps); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kThreads; ++i) {
    REQUIRE(alone[i].size() == kRows * kSteps);
    CHECK(together[i] == alone[i]);
  }
  CHECK(alone[0] != alone[1]);
}

TEST_CASE("rows, samples and settling one by one are the same as in one call, with top tokens and log-probabilities") {
  const Keys keys;
  const Sampler sampler(keys, 1, true);
  CHECK(heirmark_sampler_backend(sampler.sampler) == HEIRMARK_BACKEND_CPU);
  CHECK(heirmark_sampler_workspace_bytes(sampler.sampler, 8) == 0);
  heirmark_sequence* whole = begin(sampler, 1);
  heirmark_sequence* parts = nullptr;
  REQUIRE(heirmark_sequence_clone(whole, &parts) == HEIRMARK_OK);
  for (std::uint32_t step = 0; step < 50; ++step) {
    const std::vector<float> data = logits_of(step, 1);
    const heirmark_logits logits{data.data(), HEIRMARK_FLOAT32, 1, kVocab};
    heirmark_params params = params_of(step % 3, 1);
    heirmark_sampled one{}, other{};
    REQUIRE(heirmark_sample_sequences(sampler.sampler, &logits, &whole, &params, &one) == HEIRMARK_OK);
    heirmark_row row;
    heirmark_top_tokens top;
    REQUIRE(heirmark_sequence_row(sampler.sampler, parts, &params, &row) == HEIRMARK_OK);
    REQUIRE(heirmark_sample(sampler.sampler, &logits, &row, &other, &top, {nullptr, 0}, nullptr) == HEIRMARK_OK);
    REQUIRE(heirmark_sequence_settle(sampler.sampler, parts, &row, &other) == HEIRMARK_OK);
    REQUIRE(one.token == other.token);
    REQUIRE(one.status == other.status);
    REQUIRE(one.log_prob < 0);
    REQUIRE(heirmark_sequence_position(parts) == step + 1);
    REQUIRE(top.token[0].p >= top.token[1].p);
    REQUIRE(top.token[0].token < kVocab);
    // Settled once: a second time is for another position.
    REQUIRE(heirmark_sequence_settle(sampler.sampler, parts, &row, &other) == HEIRMARK_USAGE);
    REQUIRE(error().find("another position") != std::string::npos);
    REQUIRE(heirmark_sequence_position(parts) == step + 1);
  }
  heirmark_sequence_free(whole);
  heirmark_sequence_free(parts);
}

TEST_CASE("a draft of what plain sampling gives is taken whole, and one wrong token ends it") {
  const Keys keys;
  const Sampler sampler(keys);
  heirmark_sequence* plain = begin(sampler, 9);
  heirmark_sequence* drafted = nullptr;
  REQUIRE(heirmark_sequence_clone(plain, &drafted) == HEIRMARK_OK);
  constexpr std::size_t kDraft = 4;
  const std::vector<float> data = logits_of(77, kDraft + 1);
  heirmark_params params;
  heirmark_params_init(&params);
  std::vector<std::uint32_t> tokens;
  for (std::size_t i = 0; i <= kDraft; ++i) {
    const heirmark_logits logits{data.data() + i * kVocab, HEIRMARK_FLOAT32, 1, kVocab};
    heirmark_sampled out{};
    REQUIRE(heirmark_sample_sequences(sampler.sampler, &logits, &plain, &params, &out) == HEIRMARK_OK);
    tokens.push_back(out.token);
  }
  std::vector<std::uint32_t> draft(tokens.begin(), tokens.end() - 1);
  draft[2] ^= 1;
  std::vector<heirmark_row> rows(kDraft + 1);
  std::vector<heirmark_sampled> sampled(kDraft + 1);
  const heirmark_logits logits{data.data(), HEIRMARK_FLOAT32, kDraft + 1, kVocab};
  REQUIRE(heirmark_draft_rows(sampler.sampler, drafted, &params, draft.data(), kDraft, rows.data()) == HEIRMARK_OK);
  REQUIRE(heirmark_sample(sampler.sampler, &logits, rows.data(), sampled.data(), nullptr, {nullptr, 0}, nullptr) == HEIRMARK_OK);
  const std::uint32_t first[] = {0, kDraft + 1};
  std::uint32_t counted = 0;
  REQUIRE(heirmark_draft_count_taken(sampler.sampler, first, draft.data(), sampled.data(), &counted, 1, nullptr) == HEIRMARK_OK);
  CHECK(heirmark_draft_count_taken(sampler.sampler, first, nullptr, sampled.data(), &counted, 1, nullptr) == HEIRMARK_USAGE);
  std::size_t taken = 0;
  // What the sampler cannot have given, and what was not asked for here, is refused and changes nothing.
  auto wrong = sampled;
  wrong[1].status = 7;
  CHECK(heirmark_draft_settle(sampler.sampler, drafted, rows.data(), draft.data(), kDraft, wrong.data(), &taken) == HEIRMARK_USAGE);
  auto elsewhere = rows;
  elsewhere[1].position += 5;
  CHECK(heirmark_draft_settle(sampler.sampler, drafted, elsewhere.data(), draft.data(), kDraft, sampled.data(), &taken) == HEIRMARK_USAGE);
  auto torn = draft;
  torn[0] = HEIRMARK_NO_TOKEN;
  CHECK(heirmark_draft_rows(sampler.sampler, drafted, &params, torn.data(), kDraft, elsewhere.data()) == HEIRMARK_USAGE);
  wrong[0].token = 7;
  wrong[0].status = HEIRMARK_ROW_BAD_PARAMETER;
  CHECK(heirmark_sequence_settle(sampler.sampler, drafted, rows.data(), wrong.data()) == HEIRMARK_OK);  // no token: nothing
  CHECK(heirmark_sequence_position(drafted) == 0);
  CHECK(heirmark_sequence_settle(sampler.sampler, drafted, rows.data(), &wrong[1]) == HEIRMARK_USAGE);
  const heirmark_logits none{nullptr, HEIRMARK_FLOAT32, 0, kVocab};
  CHECK(heirmark_sample_sequences(sampler.sampler, &none, nullptr, nullptr, nullptr) == HEIRMARK_OK);
  REQUIRE(heirmark_draft_settle(sampler.sampler, drafted, rows.data(), draft.data(), kDraft, sampled.data(), &taken) == HEIRMARK_OK);
  CHECK(taken == 3);
  CHECK(counted == 3);
  for (std::size_t i = 0; i < taken; ++i) CHECK(sampled[i].token == tokens[i]);
  CHECK(heirmark_sequence_position(drafted) == 3);
  heirmark_sequence_free(plain);
  heirmark_sequence_free(drafted);
}

TEST_CASE("sharded logits give the tokens of whole rows") {
  const Keys keys;
  const Sampler sampler(keys);
  constexpr std::uint32_t kRows = 3, kRanks = 2, kCut = 2000;
  heirmark_sequence* sequence = begin(sampler, 40);
  heirmark_params params;
  heirmark_params_init(&params);
  std::vector<heirmark_row> rows(kRows);
  for (heirmark_row& row : rows) {
    REQUIRE(heirmark_sequence_row(sampler.sampler, sequence, &params, &row) == HEIRMARK_OK);
    REQUIRE(heirmark_sequence_accept(sequence, 11) == HEIRMARK_OK);
  }
  const std::vector<float> data = logits_of(3, kRows);
  const heirmark_logits whole{data.data(), HEIRMARK_FLOAT32, kRows, kVocab};
  std::vector<heirmark_sampled> want(kRows), got(kRows);
  REQUIRE(heirmark_sample(sampler.sampler, &whole, rows.data(), want.data(), nullptr, {nullptr, 0}, nullptr) == HEIRMARK_OK);
  const heirmark_shard_plan plans[kRanks] = {{0, kCut, kRanks, kVocab - kCut}, {kCut, kVocab - kCut, kRanks, kVocab - kCut}};
  const std::uint64_t sums_bytes = heirmark_shard_sums_bytes(kRows), picks_bytes = heirmark_shard_picks_bytes(kRows, plans[0]);
  struct alignas(16) Unit { std::byte bytes[16]; };
  std::vector<Unit> sums(kRanks * sums_bytes / 16), picks(kRanks * picks_bytes / 16);
  REQUIRE(sums_bytes % 16 == 0);
  REQUIRE(picks_bytes % 16 == 0);
  const auto logits = [&](std::uint32_t r) { return heirmark_logits{data.data() + plans[r].begin, HEIRMARK_FLOAT32, kRows, kVocab}; };
  for (std::uint32_t r = 0; r < kRanks; ++r) {
    const heirmark_logits mine = logits(r);
    REQUIRE(heirmark_shard_sum(sampler.sampler, &mine, plans[r], rows.data(), sums.data() + r * sums_bytes / 16, nullptr) == HEIRMARK_OK);
  }
  for (std::uint32_t r = 0; r < kRanks; ++r) {
    const heirmark_logits mine = logits(r);
    REQUIRE(heirmark_shard_pick(sampler.sampler, &mine, plans[r], rows.data(), sums.data(), picks.data() + r * picks_bytes / 16, nullptr) == HEIRMARK_OK);
  }
  REQUIRE(heirmark_shard_draw(sampler.sampler, kRows, plans[1], rows.data(), sums.data(), picks.data(), got.data(), nullptr) == HEIRMARK_OK);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    CHECK(got[i].token == want[i].token);
    CHECK(got[i].status == want[i].status);
  }
  CHECK(heirmark_shard_draw(sampler.sampler, kRows, {0, 0, 1, 0}, rows.data(), sums.data(), picks.data(), got.data(), nullptr) == HEIRMARK_USAGE);
  heirmark_sequence_free(sequence);
}

TEST_CASE("keys say what they are, and end before what is made of them") {
  heirmark_sampler* sampler = nullptr;
  heirmark_sequence* sequence = nullptr;
  {
    const Keys keys;
    CHECK(std::string(heirmark_keys_path(keys.keys)) == "acme-70b/2026-11");
    CHECK(std::string(heirmark_keys_id(keys.keys)) == "0123456789abcdef");
    CHECK(std::string(heirmark_keys_profile(keys.keys)) == "standard-2026-11");
    CHECK(heirmark_keys_account_count(keys.keys) == 3);
    CHECK(std::string(heirmark_keys_account(keys.keys, 2)) == "cedar");
    CHECK(heirmark_keys_account(keys.keys, 3) == nullptr);
    std::uint32_t slot = 99;
    CHECK(heirmark_keys_find_account(keys.keys, "birch", &slot) == HEIRMARK_OK);
    CHECK(slot == 1);
    CHECK(heirmark_keys_find_account(keys.keys, "delta", &slot) == HEIRMARK_KEY);
    CHECK(error().find("delta") != std::string::npos);
    CHECK(slot == 1);
    heirmark_sampler_options options;
    heirmark_sampler_options_init(&options);
    options.vocab_size = kVocab;
    options.backend = HEIRMARK_BACKEND_CPU;
    REQUIRE(heirmark_sampler_create(keys.keys, &options, &sampler) == HEIRMARK_OK);
  }
  REQUIRE(heirmark_sequence_begin(sampler, request(1).data(), nullptr, 0, 2, &sequence) == HEIRMARK_OK);
  heirmark_sampler_free(sampler);
  CHECK(heirmark_sequence_accept(sequence, 5) == HEIRMARK_OK);
  CHECK(heirmark_sequence_position(sequence) == 1);
  heirmark_sequence_free(sequence);
  heirmark_keys_free(nullptr);
  heirmark_sampler_free(nullptr);
  heirmark_sequence_free(nullptr);
}

TEST_CASE("keys from a file: each fault has its code, and no secret is in the line") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("heirmark-c-abi-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directory(folder);
  const std::string path = (folder / "subkeys.json").string(), bytes = file_of(heirmark::profiles::standard_2026_11()).bytes();
  const auto write = [&](const std::string& text, mode_t mode) {
    std::ofstream(path, std::ios::binary) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
  };
  heirmark_keys* const untouched = reinterpret_cast<heirmark_keys*>(0x10);
  heirmark_keys* keys = untouched;
  CHECK(heirmark_keys_read(path.c_str(), &keys) == HEIRMARK_BAD_INPUT);
  CHECK(error().find(path) == 0);
  write(bytes, 0644);
  CHECK(heirmark_keys_read(path.c_str(), &keys) == HEIRMARK_KEY);
  write(bytes.substr(0, bytes.size() / 2), 0600);
  CHECK(heirmark_keys_read(path.c_str(), &keys) == HEIRMARK_BAD_INPUT);
  CHECK(error().find("0101010101") == std::string::npos);
  CHECK(keys == untouched);
  write(bytes, 0600);
  REQUIRE(heirmark_keys_read(path.c_str(), &keys) == HEIRMARK_OK);
  heirmark_keys_free(keys);
  keys = untouched;
  CHECK(heirmark_keys_parse("{}", 2, &keys) == HEIRMARK_BAD_INPUT);
  CHECK(heirmark_keys_parse(bytes.data(), SIZE_MAX, &keys) == HEIRMARK_BAD_INPUT);
  CHECK(keys == untouched);
  std::filesystem::remove_all(folder);
}

TEST_CASE("senseless calls are usage errors, say why, and change nothing") {
  const Keys keys;
  const Sampler sampler(keys);
  heirmark_sampler_options options;
  heirmark_sampler_options_init(&options);
  options.vocab_size = kVocab;
  heirmark_sampler* made = nullptr;
  const auto refused = [&](auto change, const char* word) {
    heirmark_sampler_options other = options;
    change(other);
    CHECK(heirmark_sampler_create(keys.keys, &other, &made) == HEIRMARK_USAGE);
    INFO(error());
    CHECK(error().find(word) != std::string::npos);
    CHECK(made == nullptr);
  };
  refused([](auto& o) { o.size = 12; }, "size");
  refused([](auto& o) { o.vocab_size = 0; }, "vocab_size");
  refused([](auto& o) { o.vocab_size = (1u << 20) + 1; }, "vocab_size");
  refused([](auto& o) { o.max_rows = 0; }, "max_rows");
  refused([](auto& o) { o.backend = 3; }, "backend");
  refused([](auto& o) { o.truncation = 2; }, "truncation");
  refused([](auto& o) { o.threads = 0; }, "threads");
  CHECK(heirmark_sampler_create(nullptr, &options, &made) == HEIRMARK_USAGE);
  CHECK(heirmark_sampler_create(keys.keys, nullptr, &made) == HEIRMARK_USAGE);
  CHECK(heirmark_sampler_create(keys.keys, &options, nullptr) == HEIRMARK_USAGE);

  heirmark_sequence* sequence = begin(sampler, 3);
  heirmark_sequence* second = begin(sampler, 4);
  heirmark_sequence* none = nullptr;
  CHECK(heirmark_sequence_begin(sampler.sampler, request(1).data(), nullptr, 4, 0, &none) == HEIRMARK_USAGE);
  CHECK(heirmark_sequence_begin(sampler.sampler, request(1).data(), nullptr, 0, 3, &none) == HEIRMARK_KEY);
  CHECK(none == nullptr);
  CHECK(heirmark_sequence_accept(sequence, HEIRMARK_NO_TOKEN) == HEIRMARK_USAGE);
  const std::uint32_t no_prompt[] = {1, HEIRMARK_NO_TOKEN};
  CHECK((heirmark_sequence_begin(sampler.sampler, request(1).data(), no_prompt, 2, 0, &none) == HEIRMARK_USAGE && none == nullptr));

  std::vector<float> data = logits_of(5, 2);
  const heirmark_logits good{data.data(), HEIRMARK_FLOAT32, 2, kVocab};
  heirmark_params params[2] = {params_of(0, 1), params_of(0, 1)};
  heirmark_sampled sampled[2] = {};
  const auto bad = [&](heirmark_logits logits, std::vector<heirmark_sequence*> sequences, const char* word) {
    sampled[0].token = 0xDEAD;
    CHECK(heirmark_sample_sequences(sampler.sampler, &logits, sequences.data(), params, sampled) == HEIRMARK_USAGE);
    INFO(error());
    CHECK(error().find(word) != std::string::npos);
    CHECK(sampled[0].token == 0xDEAD);
    CHECK(heirmark_sequence_position(sequence) == 0);
  };
  bad(good, {sequence, sequence}, "row 1");
  bad(good, {sequence, nullptr}, "row 1: no sequence");
  bad({nullptr, HEIRMARK_FLOAT32, 2, kVocab}, {sequence, second}, "null");
  bad({data.data(), 3, 2, kVocab}, {sequence, second}, "dtype");
  bad({data.data(), HEIRMARK_FLOAT32, 2, kVocab - 1}, {sequence, second}, "row_stride");
  bad({reinterpret_cast<const char*>(data.data()) + 1, HEIRMARK_FLOAT32, 2, kVocab}, {sequence, second}, "aligned");
  bad({data.data(), HEIRMARK_FLOAT32, 65, kVocab}, std::vector<heirmark_sequence*>(65, sequence), "max_rows");
  CHECK(heirmark_sample(sampler.sampler, &good, nullptr, sampled, nullptr, {nullptr, 0}, nullptr) == HEIRMARK_USAGE);
  CHECK(heirmark_sample(nullptr, &good, nullptr, sampled, nullptr, {nullptr, 0}, nullptr) == HEIRMARK_USAGE);

  // What a row asks for is the row's matter, and the others are sampled.
  params[0].temperature = std::nanf("");
  params[1].mode = 1000;
  heirmark_sequence* both[2] = {sequence, second};
  REQUIRE(heirmark_sample_sequences(sampler.sampler, &good, both, params, sampled) == HEIRMARK_OK);
  CHECK(sampled[0].status == HEIRMARK_ROW_BAD_PARAMETER);
  CHECK(sampled[1].status == HEIRMARK_ROW_BAD_PARAMETER);
  CHECK(sampled[0].token == HEIRMARK_NO_TOKEN);
  CHECK(heirmark_sequence_position(sequence) == 0);
  params[1] = params_of(0, 1);
  REQUIRE(heirmark_sample_sequences(sampler.sampler, &good, both, params, sampled) == HEIRMARK_OK);
  CHECK(sampled[1].token < kVocab);
  CHECK(std::string(heirmark_row_status_name(sampled[0].status)) == "bad-parameter");
  CHECK(std::string(heirmark_row_status_name(99)) == "unknown");
  heirmark_sequence_free(sequence);
  heirmark_sequence_free(second);
}

TEST_CASE("the last error is the thread's own") {
  CHECK(heirmark_keys_read(nullptr, nullptr) == HEIRMARK_USAGE);
  const std::string mine = error();
  CHECK(!mine.empty());
  std::string others = "none";
  std::thread([&] { others = error(); }).join();
  CHECK(others.empty());
  CHECK(error() == mine);
  CHECK(heirmark_abi_version() == ((HEIRMARK_ABI_MAJOR << 16) | HEIRMARK_ABI_MINOR));
  CHECK(std::string(heirmark_version()).find('.') != std::string::npos);
}
