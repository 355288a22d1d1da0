// Tournaments by bounds (kernels/near.hpp, layers.hpp): they decide nearly all rows, rightly, and no mass is further off than its error.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "expected.hpp"

using namespace heirmark;
using namespace heirmark::test;

TEST_CASE("a tournament is mostly decided by bounds, and then rightly") {
  Random random(20261203);
  constexpr std::uint32_t kVocab = 17000;
  constexpr std::size_t kRows = 400;
  std::size_t decided = 0, at_once = 0;
  for (std::size_t n = 0; n < kRows; ++n) {
    const std::vector<float> logits = make_row(random, Shape::language, kVocab);
    const double temperature = static_cast<double>(0.5f + 0.1f * static_cast<float>(n % 10)), top = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    std::vector<double> exact(core::kBins);
    for (std::uint32_t v = 0; v < kVocab; ++v) exact[core::bin_of(v)] += std::exp((static_cast<double>(logits[v]) - top) / temperature);
    // As wrong as the pass may be at the least, each bin in another direction. In every fifth row the sums are of no use, so the row is read again.
    const bool useless = n % 5 == 0;
    std::vector<float> sums(core::kBins);
    for (std::uint32_t b = 0; b < core::kBins; ++b) {
      const double direction = n % 3 == 0 ? -1 : n % 3 == 1 ? 1 : static_cast<double>(random() % 2001) / 1000 - 1;
      sums[b] = static_cast<float>(exact[b] * (1 + (useless ? 0 : 2.5e-6 * direction)));
    }
    marks::RowKeys keys;
    keys.mark = random_key(random);
    keys.noise = random_key(random);
    SerialBlock x(random(), static_cast<SerialBlock::Bend>(n % 4));
    std::vector<std::uint32_t> mark(core::kBins), noise(core::kBins);
    kernels::make_words(x, keys.mark, core::kBinsCoarse, 0, kernels::kRowBlocks, mark.data());
    kernels::make_words(x, keys.noise, core::kBinsCoarse, 0, kernels::kRowBlocks, noise.data());
    // 2^24 chunks would make errors of the sums that decide nothing.
    const kernels::Shape shape{0, useless ? 1u << 24 : 3};
    const kernels::RowData<DType::float32> row{reinterpret_cast<const std::byte*>(logits.data()), kVocab};
    const auto sum_of = [&](std::uint32_t b) { return sums[b]; };
    bool again = false;
    kernels::NearMemory memory;
    const std::uint32_t bin = kernels::near_tournament(x, row, shape, kernels::Exponential(static_cast<float>(temperature), static_cast<float>(top)), static_cast<float>(top),
                                                       kernels::kLog2E / static_cast<float>(temperature), 30, mark.data(), noise.data(), sum_of, memory, &again);
    REQUIRE((again || !useless));
    if (!again) ++at_once;
    if (bin == kernels::kUndecided) continue;
    ++decided;
    marks::Rule rule;
    rule.kind = marks::RuleKind::tournament;
    rule.layers = 30;
    REQUIRE(bin == marks::reference_draw(logits, {temperature, 0, 0, 1}, rule, keys).bin);
  }
  WARN(at_once << " of " << kRows * 4 / 5 << " tournaments decided by the pass's sums, " << decided << " of " << kRows << " in all");
  CHECK(at_once >= kRows * 4 / 5 - 4);  // one or two in a thousand are not
  CHECK(decided >= kRows - 2);
}

namespace {
/// Plays layers on masses that are as far off as errors allow, and together: the bins with the bit `together` one way, the others the other way. Returns how much of
/// its error a mass used up at most; `given_up` counts rows on which bounds said nothing.
template <class Real>
double farthest(SerialBlock& x, const std::vector<double>& exact, const std::vector<std::uint32_t>& words, int layers, int together, double way, double error, std::size_t& given_up) {
  const auto bin_of = [](unsigned t, std::uint32_t i) { return kernels::Bins<DType::float32>::local(kernels::Shape{}, t, i); };
  SerialBlock::State<kernels::Near<Real>> near;
  for (unsigned t = 0; t < kernels::kThreads; ++t)
    for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i) {
      const std::uint32_t b = bin_of(t, i);
      near[t].m[i] = static_cast<float>(exact[b] * error) + 0x1p-100f;
      near[t].p[i] = static_cast<Real>(exact[b] * (1 + ((words[b] >> together & 1) != 0 ? way : -way) * (error - static_cast<double>(kernels::Units<Real>::kRounding) / 2)));
    }
  kernels::LayersMemory<Real> memory;
  const float errors = kernels::near_normalise<Real>(x, near);
  SerialBlock::State<kernels::NearWords> mark;
  kernels::own_words<DType::float32>(x, words.data(), mark);
  if (!kernels::play_layers<Real>(x, layers, errors, mark, near, memory)) {
    ++given_up;
    return 0;
  }
  std::vector<double> p(exact);
  double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& mass : p) mass /= total;
  for (int layer = 1; layer <= layers; ++layer) {
    double green = 0;
    for (std::uint32_t b = 0; b < core::kBins; ++b) green += (words[b] >> (32 - layer) & 1) != 0 ? p[b] : 0;
    for (std::uint32_t b = 0; b < core::kBins; ++b) p[b] *= 1 + ((words[b] >> (32 - layer) & 1) != 0 ? 1 : 0) - green;
  }
  // Up to a common factor: there must be one that puts every true mass within its error.
  std::size_t negative = 0;
  double least = 0, most = 1e30, used = 0;
  for (unsigned t = 0; t < kernels::kThreads; ++t)
    for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i) {
      const double mass = p[bin_of(t, i)], own = static_cast<double>(near[t].p[i]), off = static_cast<double>(near[t].m[i]);
      if (!(own >= 0 && off >= 0)) ++negative;
      if (!(mass > 0)) continue;
      least = std::max(least, (own - off) / mass);
      most = std::min(most, (own + off) / mass);
    }
  REQUIRE(negative == 0);
  REQUIRE(least <= most);
  const double factor = (least + most) / 2;
  for (unsigned t = 0; t < kernels::kThreads; ++t)
    for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i)
      if (const double mass = p[bin_of(t, i)]; mass > 1e-6) used = std::max(used, std::abs(static_cast<double>(near[t].p[i]) - mass * factor) / static_cast<double>(near[t].m[i]));
  return used;
}
}  // namespace

TEST_CASE("a tournament's masses are never further off than their errors say") {
  Random random(20261204);
  constexpr std::uint32_t kVocab = 17000;
  double closest = 0, closest_again = 0;  // how much of its error a mass used up
  std::size_t given_up = 0, played = 0;
  for (std::size_t n = 0; n < 24; ++n) {
    const std::vector<float> logits = make_row(random, n % 4 == 3 ? Shape::flat : n % 8 == 5 ? Shape::spike : Shape::language, kVocab);
    const double top = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    std::vector<double> exact(core::kBins);
    for (std::uint32_t v = 0; v < kVocab; ++v) exact[core::bin_of(v)] += std::exp(static_cast<double>(logits[v]) - top);
    SerialBlock x(random(), static_cast<SerialBlock::Bend>(n % 4));
    const core::KeyWords key = random_key(random);
    std::vector<std::uint32_t> words(core::kBins);
    kernels::make_words(x, key, core::kBinsCoarse, 0, kernels::kRowBlocks, words.data());
    for (const int layers : {0, 1, 2, 3, 5, 6, 12, 29, 30}) {
      const int together = 31 - static_cast<int>(random() % (n % 2 == 0 ? 4 : 30));
      const double way = n % 3 == 0 ? -1 : 1;
      INFO("row " << n << ", " << layers << " layers");
      played += 2;
      closest = std::max(closest, farthest<float>(x, exact, words, layers, together, way, 110 * 0x1p-24, given_up));
      closest_again = std::max(closest_again, farthest<double>(x, exact, words, layers, together, way, 0x1p-30, given_up));
    }
  }
  WARN("used of an error: " << closest << " at most in float32, " << closest_again << " in double");
  CHECK(closest > 0.4);  // the bounds are not so wide that this test says nothing
  CHECK(closest_again > 0.4);
  CHECK(given_up * 100 <= played);
}

TEST_CASE("errors hold whatever the masses and the bits, or bounds are given up") {
  Random random(20261207);
  std::size_t given_up = 0, played = 0;
  for (int masses = 0; masses < 7; ++masses)
    for (int bits = 0; bits < 7; ++bits)
      for (const double error : {4e-6, 5e-4, 6e-3})
        for (const int layers : {4, 17, 30}) {
          std::vector<double> exact(core::kBins);
          std::vector<std::uint32_t> words(core::kBins);
          const std::size_t first = random() % core::kBins, second = random() % core::kBins;
          const auto common = static_cast<std::uint32_t>(random());
          for (std::size_t b = 0; b < core::kBins; ++b) {
            const bool chosen = b == first || b == second;
            const double of[] = {1.0, b == first ? 1.0 : 1e-6 / core::kBins, chosen ? 1.0 : 1e-9, chosen ? 1.0 : 0.0, std::exp2(-0.05 * static_cast<double>(b)), std::exp2(-static_cast<double>(random() % 60)),
                                 b == first ? 1.0 : b == second ? 100 * 0x1p-27 : 0.49 * 0x1p-31};  // the others are nothing in units, and yet grow
            exact[b] = of[masses];
            const auto any = static_cast<std::uint32_t>(random());
            const std::uint32_t with[] = {any, common, (any >> 31) != 0 ? ~0u : 0u, b == first ? 0u : ~0u, b == first ? 0xAAAAAAAAu : b == second ? 0x55555555u : any, any % 100 != 0 ? common : ~common,
                                          b == first ? 0x04002000u : b == second ? 0x03FFDFFCu : b % 2 != 0 ? 0xFC002000u : 0x04FFE000u};
            words[b] = with[bits];
          }
          INFO("masses " << masses << ", bits " << bits << ", error " << error << ", " << layers << " layers");
          SerialBlock x(random(), SerialBlock::Bend::random);
          const int together = 31 - static_cast<int>(random() % 30);
          const double way = random() % 2 == 0 ? 1 : -1;
          played += 2;
          (void)farthest<float>(x, exact, words, layers, together, way, error, given_up);
          (void)farthest<double>(x, exact, words, layers, together, way, error * 0x1p-10, given_up);
        }
  WARN(given_up << " of " << played << " given up");
  CHECK(given_up < played / 4);
}

TEST_CASE("the sums of a row that is read again are within their errors") {
  Random random(20261205);
  for (std::size_t n = 0; n < 12; ++n) {
    const std::uint32_t vocab = 40001;
    const std::vector<float> logits = make_row(random, n % 3 == 2 ? Shape::flat : Shape::language, vocab);
    const float top = *std::max_element(logits.begin(), logits.end()), temperature = 0.5f + 0.25f * static_cast<float>(n % 5);
    SerialBlock x(random(), static_cast<SerialBlock::Bend>(n % 4));
    const kernels::Exponential exponential(temperature, top);
    SerialBlock::State<kernels::Near<double>> again;
    SerialBlock::State<kernels::Near<float>> first;
    const kernels::RowData<DType::float32> row{reinterpret_cast<const std::byte*>(logits.data()), vocab};
    const float slope = kernels::kLog2E / temperature;
    kernels::near_of_row(x, row, exponential, top, slope, again);
    // The pass itself, its unit and its sums in shared memory.
    const kernels::Shape shape{0, (vocab + kernels::kChunk * core::kBins - 1) / (kernels::kChunk * core::kBins)};
    SerialBlock::State<kernels::Partial> partial;
    const float greatest = kernels::pass(x, row, shape, 0, slope, nullptr, partial);
    REQUIRE(greatest == top);
    std::vector<float> sums(core::kBins);
    kernels::gather<DType::float32>(x, shape, greatest, slope, partial, sums.data());
    kernels::near_of_sums<DType::float32>(x, shape, vocab, [&](std::uint32_t b) { return sums[b]; }, first);
    for (unsigned t = 0; t < kernels::kThreads; ++t)
      for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i) {
        double exact = 0;
        for (std::uint32_t v = kernels::Bins<DType::float32>::local(kernels::Shape{}, t, i); v < vocab; v += core::kBins) exact += exponential(logits[v]);
        INFO("row " << n << ", thread " << t << ", bin " << i);
        REQUIRE(std::abs(static_cast<double>(first[t].p[i]) - exact) <= static_cast<double>(first[t].m[i]));
        REQUIRE(std::abs(again[t].p[i] - exact) <= static_cast<double>(again[t].m[i]));
        if (exact < 1e-3) continue;
        REQUIRE(static_cast<double>(first[t].m[i]) <= 1e-5 * exact);  // and no wider than they are said to be
        REQUIRE(static_cast<double>(again[t].m[i]) <= 5e-6 * exact);
      }
  }
}

TEST_CASE("errors of bins that are red in all layers do not vanish with their factor") {
  // Bins of nearly no mass whose errors are great: red masses of others let the last one's grow, while its factor, 2^-35 five times, is nothing in float32.
  SerialBlock x(1, SerialBlock::Bend::none);
  std::vector<double> p(core::kBins, 0x1p-120), m(core::kBins, 0x1p-140);
  std::vector<std::uint32_t> words(core::kBins, ~0u);
  p[0] = 1, m[0] = 0x1p-30;
  for (std::uint32_t b = 1; b <= 6; ++b) {
    p[b] = 0x1p-60, m[b] = 0x1p-10;
    words[b] = b == 6 ? 0 : ~(1u << (32 - b));
  }
  const auto bin_of = [](unsigned t, std::uint32_t i) { return kernels::Bins<DType::float32>::local(kernels::Shape{}, t, i); };
  SerialBlock::State<kernels::Near<double>> near;
  for (unsigned t = 0; t < kernels::kThreads; ++t)
    for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i) near[t].p[i] = p[bin_of(t, i)], near[t].m[i] = static_cast<float>(m[bin_of(t, i)]);
  kernels::LayersMemory<double> memory;
  const float errors = kernels::near_normalise<double>(x, near);
  SerialBlock::State<kernels::NearWords> mark;
  kernels::own_words<DType::float32>(x, words.data(), mark);
  REQUIRE(kernels::play_layers<double>(x, 5, errors, mark, near, memory));
  std::vector<long double> exact(p.begin(), p.end());
  for (std::uint32_t b = 1; b <= 6; ++b) exact[b] += m[b];
  for (int layer = 1; layer <= 5; ++layer) {
    long double all = 0, green = 0;
    for (std::uint32_t b = 0; b < core::kBins; ++b) all += exact[b], green += (words[b] >> (32 - layer) & 1) != 0 ? exact[b] : 0;
    for (std::uint32_t b = 0; b < core::kBins; ++b) exact[b] *= ((words[b] >> (32 - layer) & 1) != 0 ? 1 : 0) + (all - green) / all;
  }
  const auto of = [&](std::uint32_t bin) {
    for (unsigned t = 0; t < kernels::kThreads; ++t)
      for (std::uint32_t i = 0; i < kernels::kBinsPerThread; ++i)
        if (bin_of(t, i) == bin) return std::pair{near[t].p[i], static_cast<double>(near[t].m[i])};
    return std::pair{0.0, 0.0};
  };
  const auto [first, first_error] = of(0);
  const auto [last, last_error] = of(6);
  CHECK(static_cast<double>(exact[6] / exact[0]) <= (last + last_error) / (first - first_error));
}
