// Bulk scoring: the block algorithm by the serial executor, and the launcher on a device that is the CPU, against the CPU's own path.
#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <heirmark/detect.hpp>
#include <random>
#include <thread>

#include "core/context.hpp"
#include "marks/score.hpp"
#include "scoring/bulk.hpp"
#include "scoring/family.hpp"
#include "serial_score.hpp"

using namespace heirmark;
using namespace heirmark::scoring;
using test::SerialDevice;

namespace {
using Random = std::mt19937_64;

const Profile* const kProfiles[] = {&profiles::standard_2026_11(), &profiles::greenlist_2026_11(), &profiles::tournament_2026_11()};

WindowKeys keys_of(std::uint64_t member) {
  Random random(member * 7919 + 1);
  WindowKeys out{};
  for (auto& key : out.by_class)
    for (auto& word : key.w) word = static_cast<std::uint32_t>(random());
  return out;
}

enum class Weights : std::uint8_t { none, counts, both_signs, extreme };

PairSet pairs_of(Random& random, std::size_t count, int h, Weights weights, std::uint32_t classes = core::kClasses) {
  PairSet set;
  set.weighted = weights != Weights::none;
  for (std::size_t i = 0; i < count; ++i) {
    Pair pair{{core::kPad, core::kPad, core::kPad, core::kPad}, static_cast<std::uint16_t>(random() % core::kBins), 0, 1};
    for (std::size_t k = static_cast<std::size_t>(4 - h); k < 4; ++k) pair.window[k] = static_cast<std::uint32_t>(random());
    pair.window_class = static_cast<std::uint8_t>(random() % classes);
    switch (weights) {
      case Weights::none: break;
      case Weights::counts: pair.weight = static_cast<std::int64_t>(random() % 4000) + 256; break;
      case Weights::both_signs: pair.weight = static_cast<std::int64_t>(random() % 65536) + 1; break;
      case Weights::extreme: pair.weight = (std::int64_t{1} << 31) - 1 - static_cast<std::int64_t>(random() % 3); break;
    }
    if (weights >= Weights::both_signs && random() % 2 == 0) pair.weight = -pair.weight;
    set.pairs.push_back(pair);
  }
  set.positions = count;
  return set;
}

/// The sums by class of members 0 .. keys - 1, each alone on the device.
std::vector<MemberStatistic> bulk(SerialDevice& device, const WordRule& rule, const PairColumns& columns, std::uint64_t keys, const BulkLimits& limits) {
  std::vector<MemberStatistic> out;
  for (std::uint64_t k = 0; k < keys; ++k) {
    auto one = evaluate_growth(device, rule, columns, keys_of(k), {}, {}, limits);
    REQUIRE(one.ok());
    out.push_back(one->statistic);
  }
  return out;
}

void compare_decoys(const WordRule& rule, const PairColumns& columns, std::uint64_t keys, const BulkLimits& limits, std::uint64_t seed) {
  const std::uint64_t size = keys + 3, first = seed % size;
  const Derive derive = [](std::uint32_t member) { return keys_of(member); };
  const MemberStatistic live = evaluate(best_kernel(), rule, columns, keys_of(first + size - 1));
  const auto expected = evaluate_decoys(best_kernel(), rule, columns, derive, first, keys, size, live, 1, {});
  REQUIRE(expected.ok());
  SerialDevice device(seed);
  const auto got = evaluate_decoys(device, rule, columns, derive, first, keys, size, live, 2, {}, limits);
  REQUIRE(got.ok());
  CHECK(got->totals == expected->totals);
  CHECK(got->ge == expected->ge);
  CHECK(device.held() == 0);
}
}  // namespace

TEST_CASE("a term's word is the stream's word at its bin, whatever its column and row") {
  Random random(5);
  const core::KeyWords key = keys_of(1).by_class[3];
  const kernels::score_detail::Row sigma{{core::kSigma[0], core::kSigma[1], core::kSigma[2], core::kSigma[3]}};
  std::size_t wrong = 0;
  std::array<std::size_t, 4> rotations{};
  for (std::uint32_t bin = 0; bin < core::kBins; ++bin) {
    const core::Context window{{static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()), core::kPad, static_cast<std::uint32_t>(random())}};
    const std::uint32_t by = kernels::score_rotation(bin);
    ++rotations[by];
    using kernels::score_detail::rotate;
    const auto turned = rotate({{window.w[0], window.w[1], window.w[2], window.w[3]}}, by);
    const kernels::score_detail::Frame frame{rotate(sigma, by),
                                             {rotate({{key.w[0], key.w[1], key.w[2], key.w[3]}}, by), rotate({{key.w[4], key.w[5], key.w[6], key.w[7]}}, by)},
                                             rotate({{0xFFFFFFFFu, 0, 0, 0}}, by),
                                             rotate({{0, 0, core::kBinsCoarse.w[0], core::kBinsCoarse.w[1]}}, by)};
    const std::uint32_t got = kernels::score_detail::word_of(frame, {{turned.w[0], turned.w[1], turned.w[2], turned.w[3]}}, kernels::score_place(bin));
    wrong += got != core::stream_word(core::hchacha20(key, window), core::kBinsCoarse, bin) ? 1u : 0u;
  }
  CHECK(wrong == 0);
  CHECK(rotations == std::array<std::size_t, 4>{512, 512, 512, 512});
}

TEST_CASE("the device's integer of a word is the CPU's, where the approximation cannot tell too") {
  std::vector<std::uint32_t> words{0, 1, 2, 0x7FFFFFFEu, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFDu, 0xFFFFFFFEu, 0xFFFFFFFFu};
  // All words whose approximation has another whole part than the score (a search over all 2^32; each lies one above).
  const std::vector<std::uint32_t> deceptive{0x85DC92A0u, 0x0FEEAA08u, 0x156B2C32u, 0xAAA5DBDDu, 0x4053A0EFu, 0xCB0F8E64u, 0x583368FDu};
  for (const std::uint32_t word : deceptive) {
    CHECK(static_cast<std::uint32_t>(marks::score_approximation(word)) == marks::score_exact(word) + 1);
    words.push_back(word);
    words.push_back(word + 1);
  }
  std::size_t undecided = 0;
  for (const std::uint32_t from : {0x10000000u, 0xC0000000u})
    for (std::uint32_t c = from; c - from < 1u << 22; ++c) {
      std::uint32_t score = 0;
      if (marks::score_decided(c, score)) continue;
      ++undecided;
      words.push_back(c);
      words.push_back(c + 1);
    }
  REQUIRE(undecided >= 2);
  const kernels::ScoreRule rule{Scheme::gumbel, 0, 0, true}, green{Scheme::greenlist, 0x80000000u, 0, true}, bits{Scheme::tournament, 0, 0xFFFFFFFCu, true};
  using kernels::score_detail::integer_of;
  for (const std::uint32_t word : words) {
    INFO(word);
    CHECK(integer_of<Scheme::gumbel, test::SerialBlock>(word, rule, false) == marks::score_exact(word));
    CHECK(integer_of<Scheme::gumbel, test::SerialBlock>(word, rule, true) == (word == 0 ? 1u << 30 : marks::score_exact(word - 1) + 1));
    CHECK(integer_of<Scheme::greenlist, test::SerialBlock>(word, green, true) == (word < 0x80000000u ? 1u : 0u));
    CHECK(integer_of<Scheme::tournament, test::SerialBlock>(word, bits, false) == static_cast<std::uint32_t>(__builtin_popcount(word & 0xFFFFFFFCu)));
  }
}

TEST_CASE("bulk sums equal the CPU's: every scheme, weight, window and size") {
  Random random(20261125);
  for (const Profile* profile : kProfiles)
    for (const Weights weights : {Weights::none, Weights::counts, Weights::both_signs, Weights::extreme})
      for (const std::size_t count : {1u, 2u, 31u, 257u, 3000u}) {
        const int h = 1 + static_cast<int>(random() % 4);
        const PairSet set = pairs_of(random, count, h, weights, 1 + static_cast<std::uint32_t>(random() % 16));
        const auto columns = PairColumns::make(set, false);
        REQUIRE(columns.ok());
        const WordRule rule = WordRule::of(*profile);
        // Batches and chunks that divide nothing, and one that holds everything.
        for (const BulkLimits limits : {BulkLimits{}, BulkLimits{5, 37}, BulkLimits{33, 1000}}) {
          if (count / limits.terms > 50) continue;
          const std::uint64_t keys = count > 1000 ? 3 : std::array<std::uint64_t, 5>{1, 2, 7, 32, 70}[random() % 5];
          INFO(profile->name << " weights " << static_cast<int>(weights) << " pairs " << count << " h " << h << " keys " << keys << " batch " << limits.keys << " chunk " << limits.terms);
          compare_decoys(rule, *columns, keys, limits, random());
        }
        SerialDevice device(count);
        const auto got = bulk(device, rule, *columns, 2, {});
        for (std::uint64_t k = 0; k < got.size(); ++k) CHECK(got[k].by_class == evaluate(best_kernel(), rule, *columns, keys_of(k)).by_class);
      }
}

TEST_CASE("a key more or less than the lanes of a block") {
  Random random(3);
  const PairSet set = pairs_of(random, 40, 2, Weights::both_signs, 3);
  const auto columns = PairColumns::make(set, false);
  for (const std::uint64_t keys : {31u, 32u, 33u, 63u, 65u, 130u}) {
    INFO(keys);
    compare_decoys(WordRule::of(profiles::standard_2026_11()), *columns, keys, {}, keys);
  }
}

TEST_CASE("prefixes by the device are the CPU's") {
  Random random(17);
  for (const Profile* profile : kProfiles)
    for (const Weights weights : {Weights::none, Weights::both_signs}) {
      const PairSet set = pairs_of(random, 2500, profile->window, weights);
      const auto columns = PairColumns::make(set, true);
      REQUIRE(columns.ok());
      const std::vector<std::uint64_t> checkpoints{1, 2, 2, 77, 1400, 2499, 2500};
      const WordRule rule = WordRule::of(*profile);
      const auto expected = evaluate_growth(best_kernel(), rule, *columns, keys_of(4), checkpoints, 1, {});
      for (const BulkLimits limits : {BulkLimits{}, BulkLimits{1, 700}}) {
        SerialDevice device;
        const auto got = evaluate_growth(device, rule, *columns, keys_of(4), checkpoints, {}, limits);
        REQUIRE(got.ok());
        CHECK(got->statistic.by_class == expected->statistic.by_class);
        CHECK(got->prefix == expected->prefix);
      }
    }
}

TEST_CASE("detection on a device gives the same numbers, and with it the same bytes") {
  Random random(8);
  for (const Profile* profile : kProfiles)
    for (const bool weighted : {false, true}) {
      PairSet set = pairs_of(random, 600, profile->window, weighted ? Weights::counts : Weights::none);
      set.weight_bits = weighted ? 8 : 0;
      const Family family{*profile, 64, 60, [](std::uint32_t member) { return keys_of(member); }};
      DetectOptions options;
      options.decoys = 40;
      options.growth_points = 64;
      const Detection a = detect_family(family, set, options, best_kernel()).value();
      SerialDevice device;
      options.threads = 3;
      const Detection b = detect_family(family, set, options, best_kernel(), &device).value();
      CHECK(device.launches >= 2);
      CHECK(a.statistic == b.statistic);
      CHECK(a.log_p == b.log_p);
      CHECK(a.log_p_prf == b.log_p_prf);
      CHECK(a.log_p_rank == b.log_p_rank);
      CHECK(a.log_p_saddlepoint == b.log_p_saddlepoint);
      CHECK(a.log_e == b.log_e);
      CHECK(a.histogram.low == b.histogram.low);
      CHECK(a.histogram.width == b.histogram.width);
      CHECK(a.histogram.counts == b.histogram.counts);
      REQUIRE(a.classes.size() == b.classes.size());
      for (std::size_t i = 0; i < a.classes.size(); ++i) CHECK((a.classes[i].ge == b.classes[i].ge && a.classes[i].statistic == b.classes[i].statistic));
      REQUIRE(a.growth.size() == 64);
      REQUIRE(b.growth.size() == 64);
      for (std::size_t i = 0; i < 64; ++i) CHECK((a.growth[i].log_p == b.growth[i].log_p && a.growth[i].log_e == b.growth[i].log_e));
    }
}

TEST_CASE("nothing to score, on a device too") {
  const Family family{profiles::standard_2026_11(), 16, 3, [](std::uint32_t member) { return keys_of(member); }};
  DetectOptions options;
  options.decoys = 15;
  SerialDevice device;
  const auto found = detect_family(family, {}, options, best_kernel(), &device);
  REQUIRE(found.ok());
  CHECK(found->statistic == 0);
  CHECK(found->n == 0);
  CHECK(device.held() == 0);
}

TEST_CASE("whatever call fails, the error says so and no memory stays") {
  Random random(12);
  const PairSet set = pairs_of(random, 90, 2, Weights::counts, 2);
  const auto columns = PairColumns::make(set, false);
  const WordRule rule = WordRule::of(profiles::standard_2026_11());
  const Derive derive = [](std::uint32_t member) { return keys_of(member); };
  const BulkLimits limits{3, 40};
  SerialDevice good;
  REQUIRE(evaluate_decoys(good, rule, *columns, derive, 0, 7, 9, {}, 1, {}, limits).ok());
  REQUIRE(good.calls > 60);
  for (std::uint64_t call = 1; call < good.calls; ++call) {  // the last one clears the keys, which nobody can report
    SerialDevice device;
    device.fail_at = call;
    const auto got = evaluate_decoys(device, rule, *columns, derive, 0, 7, 9, {}, 1, {}, limits);
    INFO("call " << call);
    REQUIRE(!got.ok());
    CHECK(got.error().code == ErrorCode::io);
    CHECK(got.error().message.find("failed") != std::string::npos);
    CHECK(device.held() == 0);
  }
}

TEST_CASE("keys are cleared from the device's memory before it is given back") {
  Random random(13);
  const PairSet set = pairs_of(random, 50, 2, Weights::none, 2);
  const auto columns = PairColumns::make(set, false);
  const Derive derive = [](std::uint32_t member) { return keys_of(member); };
  const auto holds_key = [&](const SerialDevice& device) {
    for (std::uint32_t member = 0; member < 9; ++member)
      for (const core::KeyWords& key : keys_of(member).by_class)
        for (const std::uint32_t word : key.w)
          for (const auto& memory : device.released)
            for (std::size_t at = 0; at + 4 <= memory.size(); at += 4)
              if (std::memcmp(memory.data() + at, &word, 4) == 0) return true;
    return false;
  };
  SerialDevice device;
  REQUIRE(evaluate_decoys(device, WordRule::of(profiles::standard_2026_11()), *columns, derive, 0, 9, 9, {}, 1, {}).ok());
  REQUIRE(!device.released.empty());
  CHECK(!holds_key(device));
  SerialDevice stopped;
  CHECK(!evaluate_decoys(stopped, WordRule::of(profiles::standard_2026_11()), *columns, derive, 0, 9, 9, {}, 1, [&](double) { return stopped.launches == 0; }).ok());
  CHECK(stopped.held() == 0);
  CHECK(!holds_key(stopped));
  SerialDevice broken;  // and the search finds keys where they were not cleared
  broken.fail_from = "zero";
  CHECK(!evaluate_decoys(broken, WordRule::of(profiles::standard_2026_11()), *columns, derive, 0, 9, 9, {}, 1, {}).ok());
  CHECK(holds_key(broken));
}

TEST_CASE("a device with little memory gets less at a time") {
  Random random(14);
  const PairSet set = pairs_of(random, 20000, 2, Weights::none);
  const auto columns = PairColumns::make(set, false);
  const WordRule rule = WordRule::of(profiles::standard_2026_11());
  SerialDevice small;
  small.memory = 1u << 19;
  const auto got = evaluate_growth(small, rule, *columns, keys_of(1), {}, {});
  REQUIRE(got.ok());
  CHECK(got->statistic.by_class == evaluate(best_kernel(), rule, *columns, keys_of(1)).by_class);
  CHECK(small.most_bytes <= small.memory / 2);
  CHECK(small.launches > 1);
  SerialDevice tiny;
  tiny.memory = 1u << 14;
  const auto none = evaluate_growth(tiny, rule, *columns, keys_of(1), {}, {});
  REQUIRE(!none.ok());
  CHECK(none.error().code == ErrorCode::io);
  CHECK(tiny.held() == 0);
}

TEST_CASE("a scorer refuses what does not fit it") {
  SerialDevice device;
  auto scorer = kernels::Scorer::create(device, {}, {2, 10, 10, 16});
  REQUIRE(scorer.ok());
  const std::vector<std::uint32_t> keys(3 * 128);
  CHECK(scorer->begin(keys, 3).error().code == ErrorCode::usage);
  CHECK(scorer->begin(keys, 2).error().code == ErrorCode::usage);
  CHECK(scorer->begin({}, 0).error().code == ErrorCode::usage);
  kernels::ScoreTerms terms;
  terms.window.resize(11);
  terms.term.resize(11);
  CHECK(scorer->load(terms).error().code == ErrorCode::usage);
  std::vector<kernels::ScoreSum> sums(31);
  REQUIRE(scorer->begin(std::span(keys).first(2 * 128), 2).ok());
  CHECK(scorer->sums(sums).error().code == ErrorCode::usage);
}

TEST_CASE("progress rises from 0 to 1, and stops the work") {
  Random random(15);
  const PairSet set = pairs_of(random, 300, 2, Weights::none);
  const auto columns = PairColumns::make(set, false);
  const WordRule rule = WordRule::of(profiles::standard_2026_11());
  std::vector<double> shares;
  SerialDevice device;
  const auto note = [&](double share) {
    shares.push_back(share);
    return true;
  };
  const Derive derive = [](std::uint32_t member) { return keys_of(member); };
  REQUIRE(evaluate_decoys(device, rule, *columns, derive, 0, 40, 64, {}, 2, note, {8, 100}).ok());
  CHECK(shares.size() >= 15);
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.front() == 0);
  CHECK(shares.back() > 0.9);
  CHECK(shares.back() <= 1);

  SerialDevice half;
  const auto stopped = evaluate_decoys(half, rule, *columns, derive, 0, 40, 64, {}, 2, [](double share) { return share < 0.5; }, {8, 100});
  REQUIRE(!stopped.ok());
  CHECK(stopped.error().code == ErrorCode::stopped);
  CHECK(half.launches < device.launches);
  CHECK(half.held() == 0);

  // While keys are derived, too: no launch has begun then.
  SerialDevice idle;
  const Derive slow = [](std::uint32_t member) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return keys_of(member);
  };
  const auto early = evaluate_decoys(idle, rule, *columns, slow, 0, 1000, 2000, {}, 1, [](double) { return false; });
  REQUIRE(!early.ok());
  CHECK(early.error().code == ErrorCode::stopped);
  CHECK(idle.launches == 0);
}
