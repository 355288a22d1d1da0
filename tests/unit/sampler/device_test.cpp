// DeviceSampler on its cpu backend: the same tokens as Sampler, top tokens as the reference counts them, drafts, and what it refuses.
// The cuda backend is compared with this one on a machine with a GPU (tests/gpu).
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <cmath>

#include <heirmark/device_sampler.hpp>

#include "core/dispatch.hpp"
#include "kernels/device.hpp"
#include "marks/reference.hpp"
#include "rows.hpp"
#include "subkeys.hpp"

using namespace heirmark;
using namespace heirmark::test;

namespace {
DeviceSampler make(const Profile& profile, std::uint32_t vocab, DeviceSampler::Options options = {}) {
  options.vocab_size = vocab;
  options.max_rows = 64;
  options.backend = DeviceSampler::Backend::cpu;
  return DeviceSampler::create(profile, keys(), options).value();
}
Sampled one(const DeviceSampler& sampler, const std::vector<float>& logits, const DeviceRow& row, TopTokens* top = nullptr) {
  Sampled out;
  REQUIRE(sampler.sample({logits.data(), DType::float32, 1, logits.size()}, &row, &out, top, {}, nullptr).ok());
  return out;
}
const std::vector<SamplingParams>& parameters() {
  static const std::vector<SamplingParams> all = {{}, {.temperature = 0.7f}, {.temperature = 0}, {.top_k = 40}, {.top_p = 0.9f}, {.min_p = 0.05f},
                                                  {.temperature = 1.5f, .min_p = 0.001f, .top_k = 100, .top_p = 0.8f}, {.mode = Mode::greedy}, {.mode = Mode::issuance}};
  return all;
}
}  // namespace

TEST_CASE("device sampler: rows and settled sequences give what Sampler gives") {
  Random random(7);
  for (const Profile* profile : {&profiles::standard_2026_11(), &profiles::greenlist_2026_11(), &profiles::tournament_2026_11()}) {
    constexpr std::uint32_t kVocab = 3001;
    auto plain = Sampler::create(*profile, keys(), {.vocab_size = kVocab}).value();
    const DeviceSampler device = make(*profile, kVocab, {.threads = 3});
    CHECK(device.backend() == DeviceSampler::Backend::cpu);
    CHECK(device.workspace_bytes() == 0);
    std::vector<Sequence> a, b;
    const std::vector<TokenId> prompt{5, 9, 7};
    for (std::uint32_t i = 0; i < 9; ++i) {
      a.push_back(plain.begin(request(i), prompt, i % 2));
      b.push_back(device.begin(request(i), prompt, i % 2));
    }
    for (int step = 0; step < 60; ++step) {
      std::vector<float> logits;
      for (std::size_t i = 0; i < a.size(); ++i) {
        // Few likely tokens, so that windows repeat.
        std::vector<float> row = make_row(random, i % 5 == 4 ? Shape::nans : Shape::language, kVocab);
        for (std::uint32_t v = 0; v < 6; ++v) row[v] = 14.0f + 0.1f * static_cast<float>(v);
        logits.insert(logits.end(), row.begin(), row.end());
      }
      std::vector<Row> rows;
      std::vector<DeviceRow> device_rows;
      for (std::size_t i = 0; i < a.size(); ++i) {
        rows.push_back({&a[i], parameters()[i]});
        device_rows.push_back(device.row(b[i], parameters()[i]));
      }
      std::vector<Sampled> from_a(a.size()), from_b(a.size());
      REQUIRE(plain.sample({logits.data(), DType::float32, a.size(), kVocab}, rows, from_a).ok());
      REQUIRE(device.sample({logits.data(), DType::float32, a.size(), kVocab}, device_rows.data(), from_b.data(), nullptr, {}, nullptr).ok());
      for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("step " << step << " row " << i);
        REQUIRE(from_a[i].token == from_b[i].token);
        REQUIRE(from_a[i].status == from_b[i].status);
        device.settle(b[i], device_rows[i], from_b[i]);
        REQUIRE(a[i].position() == b[i].position());
      }
    }
  }
}

TEST_CASE("device sampler: top tokens are the reference's with every instruction set") {
  Random random(11);
  std::size_t listed = 0;
  for (const core::InstructionSet set : core::kInstructionSets) {
    if (!core::can_run(set)) continue;
    core::force_instruction_set(set);
    for (int shape = 0; shape < static_cast<int>(Shape::kCount); ++shape)
      for (const std::uint32_t vocab : {1u, 15u, 17u, 2049u, 40001u}) {
        const DeviceSampler device = make(profiles::standard_2026_11(), vocab);
        const std::vector<float> logits = make_row(random, static_cast<Shape>(shape), vocab);
        const bool finite = std::any_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }),
                   infinite = std::any_of(logits.begin(), logits.end(), [](float x) { return x == kInf; });
        for (const SamplingParams& params : parameters()) {
          const DeviceRow row = device.row(device.begin(request(3), {}), params);
          TopTokens top;
          for (auto& entry : top.token) entry = {1234, 5678};
          const Sampled out = one(device, logits, row, &top);
          std::vector<marks::Share> want;
          if (infinite || params.temperature == 0 || params.mode == Mode::greedy) {
            if (out.token != kNoToken) want = {{out.token, 0xFFFFFFFFu}};
          } else if (finite) {
            want = marks::reference_top(logits, {params.temperature, params.min_p, params.top_k, params.top_p}, TopTokens::kCount);
          }
          want.resize(TopTokens::kCount, {kNoToken, 0});
          INFO(core::name(set) << " " << shape_name(static_cast<Shape>(shape)) << " V=" << vocab << " T=" << params.temperature << " k=" << params.top_k << " p=" << params.top_p);
          for (std::size_t i = 0; i < want.size(); ++i) {
            REQUIRE(top.token[i].token == want[i].token);
            REQUIRE(top.token[i].p == want[i].p);
            listed += want[i].p != 0;
          }
        }
      }
    core::force_instruction_set(std::nullopt);
  }
  CHECK(listed > 1000);
}

TEST_CASE("device sampler: a draft changes what is computed, never what comes out") {
  // The same 200 tokens, drawn one by one and by drafts of 0 to 5 tokens that are right, half right or nonsense.
  constexpr std::uint32_t kVocab = 500;
  const auto logits_at = [](std::uint32_t position) {
    Random random(1000 + position);
    std::vector<float> row = make_row(random, Shape::language, kVocab);
    for (std::uint32_t v = 0; v < 5; ++v) row[v] = 12.0f;  // windows repeat
    if (position % 41 == 40) row[77] = kInf;
    return row;
  };
  for (const Profile* profile : {&profiles::standard_2026_11(), &profiles::window_only_2026_11(), &profiles::greenlist_2026_11(), &profiles::tournament_2026_11()}) {
    const DeviceSampler device = make(*profile, kVocab);
    for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.temperature = 0}, SamplingParams{.top_k = 20}}) {
      std::vector<Sampled> plain;
      Sequence sequence = device.begin(request(9), std::vector<TokenId>{3, 4});
      while (plain.size() < 200) {
        const DeviceRow row = device.row(sequence, params);
        plain.push_back(one(device, logits_at(sequence.position()), row));
        device.settle(sequence, row, plain.back());
      }
      Random random(5);
      Sequence drafted = device.begin(request(9), std::vector<TokenId>{3, 4});
      std::size_t confirmed = 0, refused = 0;
      while (drafted.position() < 195) {
        const std::uint32_t at = drafted.position();
        std::vector<TokenId> draft(random() % 6);
        for (std::size_t i = 0; i < draft.size(); ++i) draft[i] = random() % 4 == 0 ? static_cast<TokenId>(random() % 3 == 0 ? 0xFFFFFFF0u : random() % kVocab) : plain[at + i].token;
        std::vector<DeviceRow> rows(draft.size() + 1);
        device.draft_rows(drafted, params, draft, rows);
        std::vector<float> logits;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          const auto row = logits_at(at + static_cast<std::uint32_t>(i));
          logits.insert(logits.end(), row.begin(), row.end());
        }
        std::vector<Sampled> out(rows.size());
        REQUIRE(device.sample({logits.data(), DType::float32, rows.size(), kVocab}, rows.data(), out.data(), nullptr, {}, nullptr).ok());
        const std::uint32_t first[] = {0, static_cast<std::uint32_t>(rows.size())};
        std::uint32_t counted = 99;
        REQUIRE(device.count_taken(first, draft.data(), out.data(), &counted, 1, nullptr).ok());
        const std::size_t taken = device.settle_draft(drafted, rows, draft, out);
        REQUIRE(taken == counted);
        REQUIRE(taken >= 1);
        for (std::size_t i = 0; i < taken; ++i) {
          INFO("position " << at + i);
          REQUIRE(out[i].token == plain[at + i].token);
          REQUIRE(out[i].status == plain[at + i].status);
        }
        confirmed += taken - 1;
        refused += taken <= draft.size();
      }
      CHECK(confirmed > 20);
      CHECK(refused > 5);
    }
  }
}

TEST_CASE("device sampler: several drafts are counted at once") {
  const DeviceSampler device = make(profiles::standard_2026_11(), 100);
  const auto token = [](TokenId t, RowStatus status = RowStatus::issued) { return Sampled{t, status, 0}; };
  // Draft 0: confirmed whole. Draft 1: no draft at all. Draft 2: refused at once. Draft 3: no token. Draft 4: ends at an infinite logit. Draft 5: no row.
  const std::vector<Sampled> sampled{token(1), token(2), token(3), token(9), token(4), token(5), token(kNoToken, RowStatus::no_finite_logit), token(7),
                                     token(8, RowStatus::infinite_logit), token(6)};
  const std::uint32_t first[] = {0, 3, 4, 6, 8, 10, 10};
  const TokenId draft[] = {1, 2, 99, 5, 8};
  std::uint32_t taken[6];
  REQUIRE(device.count_taken(first, draft, sampled.data(), taken, 6, nullptr).ok());
  const std::uint32_t want[] = {3, 1, 1, 0, 1, 0};
  for (int d = 0; d < 6; ++d) CHECK(taken[d] == want[d]);
  CHECK(device.count_taken(nullptr, draft, sampled.data(), taken, 6, nullptr).error().code == ErrorCode::usage);
  CHECK(device.count_taken(first, nullptr, sampled.data(), taken, 6, nullptr).error().message == "draft is null");
  // A status without a token has none, whatever stands beside it.
  const std::vector<Sampled> contradictory{token(1), token(2, RowStatus::bad_parameter), token(3)};
  const std::uint32_t one_draft[] = {0, 3};
  REQUIRE(device.count_taken(one_draft, draft, contradictory.data(), taken, 1, nullptr).ok());
  CHECK(taken[0] == 1);
  Sequence sequence = device.begin(request(1), {});
  const std::vector<DeviceRow> rows(3, device.row(sequence, {}));
  CHECK(device.settle_draft(sequence, rows, std::span(draft, 2), contradictory) == 1);
  CHECK(sequence.position() == 1);
  for (const RowStatus status : {RowStatus::no_finite_logit, RowStatus::bad_parameter, RowStatus::needs_all_logits}) device.settle(sequence, rows[0], token(7, status));
  CHECK(sequence.position() == 1);
  device.settle(sequence, rows[0], token(7, RowStatus::infinite_logit));
  CHECK(sequence.position() == 2);
  CHECK(device.count_taken(first, draft, sampled.data(), taken, 0, nullptr).ok());
}

TEST_CASE("device sampler: shards by the public calls") {
  constexpr std::uint32_t kVocab = 9001, kRows = 6;
  const DeviceSampler device = make(profiles::standard_2026_11(), kVocab);
  Random random(8);
  std::vector<float> logits;
  std::vector<DeviceRow> rows;
  for (std::uint32_t i = 0; i < kRows; ++i) {
    const auto row = make_row(random, Shape::language, kVocab);
    logits.insert(logits.end(), row.begin(), row.end());
    rows.push_back(device.row(device.begin(request(i), {}), parameters()[i % 3]));
  }
  std::vector<Sampled> whole(kRows), sharded(kRows);
  REQUIRE(device.sample({logits.data(), DType::float32, kRows, kVocab}, rows.data(), whole.data(), nullptr, {}, nullptr).ok());
  const std::uint32_t cuts[] = {0, 4000, 9001};
  const auto plan = [&](std::uint32_t r) { return ShardPlan{cuts[r], cuts[r + 1] - cuts[r], 2, 5001}; };
  const std::size_t sums_bytes = DeviceSampler::shard_sums_bytes(kRows), picks_bytes = DeviceSampler::shard_picks_bytes(kRows, plan(0));
  std::vector<std::max_align_t> sums(2 * sums_bytes / sizeof(std::max_align_t) + 1), picks(2 * picks_bytes / sizeof(std::max_align_t) + 1);
  auto* const all_sums = reinterpret_cast<std::byte*>(sums.data());
  auto* const all_picks = reinterpret_cast<std::byte*>(picks.data());
  // The ranks' columns lie in one buffer here; a rank sees its own through the stride.
  for (std::uint32_t r = 0; r < 2; ++r)
    REQUIRE(device.shard_sum({logits.data() + cuts[r], DType::float32, kRows, kVocab}, plan(r), rows.data(), all_sums + r * sums_bytes, nullptr).ok());
  for (std::uint32_t r = 0; r < 2; ++r)
    REQUIRE(device.shard_pick({logits.data() + cuts[r], DType::float32, kRows, kVocab}, plan(r), rows.data(), all_sums, all_picks + r * picks_bytes, nullptr).ok());
  REQUIRE(device.shard_draw(kRows, plan(1), rows.data(), all_sums, all_picks, sharded.data(), nullptr).ok());
  for (std::uint32_t i = 0; i < kRows; ++i) {
    CHECK(sharded[i].token == whole[i].token);
    CHECK(sharded[i].status == whole[i].status);
    CHECK(std::isnan(sharded[i].log_prob));
  }
  const auto refused = [](const Result<void>& result) { return !result.ok() && result.error().code == ErrorCode::usage; };
  const Logits own{logits.data(), DType::float32, kRows, kVocab};
  CHECK(refused(device.shard_sum(own, {0, 0, 2, 5001}, rows.data(), all_sums, nullptr)));
  CHECK(refused(device.shard_sum(own, {0, 5002, 2, 5001}, rows.data(), all_sums, nullptr)));
  CHECK(refused(device.shard_sum(own, {4001, 5001, 2, 5001}, rows.data(), all_sums, nullptr)));
  CHECK(refused(device.shard_sum(own, {0, 4000, 0, 5001}, rows.data(), all_sums, nullptr)));
  CHECK(refused(device.shard_sum({logits.data(), DType::float32, kRows, 3999}, plan(0), rows.data(), all_sums, nullptr)));
  CHECK(refused(device.shard_sum(own, plan(0), nullptr, all_sums, nullptr)));
  CHECK(refused(device.shard_pick(own, plan(0), rows.data(), nullptr, all_picks, nullptr)));
  CHECK(refused(device.shard_draw(kRows, plan(0), rows.data(), all_sums, nullptr, sharded.data(), nullptr)));
  CHECK(refused(device.shard_draw(65, plan(0), rows.data(), all_sums, all_picks, sharded.data(), nullptr)));
  // Misaligned.
  CHECK(refused(device.shard_sum(own, plan(0), rows.data(), all_sums + 8, nullptr)));
  CHECK(refused(device.shard_pick(own, plan(0), rows.data(), all_sums + 4, all_picks, nullptr)));
  CHECK(refused(device.shard_pick(own, plan(0), rows.data(), all_sums, all_picks + 4, nullptr)));
  CHECK(refused(device.shard_draw(kRows, plan(0), rows.data(), all_sums, all_picks + 8, sharded.data(), nullptr)));
  CHECK(DeviceSampler::shard_picks_bytes(1, {0, 1, 1, 0xFFFFFFFFu}) == 32 + 16 * (std::uint64_t{1} << 21));
}

TEST_CASE("device sampler: calls that make no sense are refused, rows that make none have a status") {
  const auto code = [](const Profile& profile, DeviceSampler::Options options, std::size_t accounts = 1) {
    if (!options.backend) options.backend = DeviceSampler::Backend::cpu;
    const auto made = DeviceSampler::create(profile, keys(1, accounts), options);
    return made.ok() ? 0 : static_cast<int>(made.error().code);
  };
  constexpr int kUsage = static_cast<int>(ErrorCode::usage);
  const Profile& standard = profiles::standard_2026_11();
  CHECK(code(standard, {.vocab_size = 0}) == kUsage);
  CHECK(code(standard, {.vocab_size = kMaxVocab + 1}) == kUsage);
  CHECK(code(standard, {.vocab_size = 10, .max_rows = 0}) == kUsage);
  CHECK(code(standard, {.vocab_size = 10, .max_rows = 65537}) == kUsage);
  CHECK(code(standard, {.vocab_size = 10, .threads = 0}) == kUsage);
  CHECK(code(standard, {.vocab_size = 10, .device = -1}) == kUsage);
  CHECK(code(standard, {.vocab_size = 10}, 0) == static_cast<int>(ErrorCode::key));
  CHECK(code(standard, {.vocab_size = 10}) == 0);
  if (kernels::device_refuses(0) != nullptr) CHECK(code(standard, {.vocab_size = 10, .backend = DeviceSampler::Backend::cuda}) == static_cast<int>(ErrorCode::io));

  const DeviceSampler device = make(standard, 10);
  const std::vector<float> logits(30, 1.0f);
  DeviceRow row = device.row(device.begin(request(1), {}), {});
  Sampled out{55, RowStatus::issued, 0};
  const auto call = [&](const Logits& l, const DeviceRow* rows, Sampled* to) {
    const auto result = device.sample(l, rows, to, nullptr, {}, nullptr);
    return result.ok() ? 0 : static_cast<int>(result.error().code);
  };
  CHECK(call({nullptr, DType::float32, 1, 10}, &row, &out) == kUsage);
  CHECK(call({logits.data(), DType::float32, 65, 10}, &row, &out) == kUsage);
  CHECK(call({logits.data(), DType::float32, 1, 9}, &row, &out) == kUsage);
  CHECK(call({logits.data(), static_cast<DType>(3), 1, 10}, &row, &out) == kUsage);
  CHECK(call({reinterpret_cast<const std::byte*>(logits.data()) + 1, DType::float32, 1, 10}, &row, &out) == kUsage);
  CHECK(call({logits.data(), DType::float32, 1, 10}, nullptr, &out) == kUsage);
  CHECK(call({logits.data(), DType::float32, 1, 10}, &row, nullptr) == kUsage);
  const auto odd = [](auto* pointer, std::size_t by) { return reinterpret_cast<decltype(pointer)>(reinterpret_cast<std::uintptr_t>(pointer) + by); };
  CHECK(call({logits.data(), DType::float32, 1, 10}, odd(&row, 2), &out) == kUsage);
  CHECK(call({logits.data(), DType::float32, 1, 10}, &row, odd(&out, 1)) == kUsage);
  CHECK(out.token == 55);
  CHECK(call({logits.data(), DType::float32, 0, 10}, nullptr, nullptr) == 0);

  const auto status = [&](const std::function<void(DeviceRow&)>& change) {
    DeviceRow bad = row;
    change(bad);
    TopTokens top;
    const Sampled got = one(device, std::vector<float>(10, 1.0f), bad, &top);
    CHECK((got.token == kNoToken) == (got.status == RowStatus::bad_parameter));
    CHECK((top.token[0].token == kNoToken) == (got.token == kNoToken));
    return got.status;
  };
  CHECK(status([](DeviceRow&) {}) != RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.temperature = -1; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.temperature = kNan; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.top_p = 0; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.min_p = 2; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.mode = 4; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.account_slot = 2; }) == RowStatus::bad_parameter);
  CHECK(status([](DeviceRow& r) { r.position = 0xFFFFFFFFu; }) == RowStatus::bad_parameter);

  const DeviceSampler whole = make(standard, 10, {.truncation = false});
  const auto refused = [&](const SamplingParams& params) {
    const DeviceRow asks = whole.row(whole.begin(request(1), {}), params);
    TopTokens top;
    const Sampled plain = one(whole, std::vector<float>(10, 1.0f), asks), listed = one(whole, std::vector<float>(10, 1.0f), asks, &top);
    CHECK(plain.status == listed.status);  // whether top tokens are asked for says nothing about the row
    CHECK(plain.token == listed.token);
    if (plain.status == RowStatus::bad_parameter) CHECK(top.token[0].token == kNoToken);
    return plain.status == RowStatus::bad_parameter;
  };
  for (const SamplingParams& params : {SamplingParams{.top_k = 3}, {.top_k = 9}, {.top_p = 0.99999994f}, {.min_p = 1e-30f}}) CHECK(refused(params));
  for (const SamplingParams& params : {SamplingParams{}, {.top_k = 10}, {.temperature = 0, .top_k = 3}, {.top_k = 3, .mode = Mode::greedy}}) CHECK(!refused(params));
}
