// Tournaments by bounds (Kernel::near, Kernel::play_near): no mass is further off than its error, and errors stay small where rows are like a language model's.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "rows.hpp"
#include "sampler/kernel.hpp"

using namespace heirmark;
using namespace heirmark::test;
using sampler::Kernel;

namespace {
using Words = std::vector<std::uint32_t>;

template <class Check>
void with_each_set(const Check& check) {
  for (const core::InstructionSet set : core::kInstructionSets) {
    if (!core::can_run(set)) continue;
    INFO(core::name(set));
    check(sampler::kernel(set));
  }
}

struct Near {
  alignas(64) std::array<float, core::kBins> masses, errors, upper;
  double rest = sampler::kNearRest;
};

/// The reference's tournament in long double, from masses of any sum.
std::vector<long double> played(std::vector<long double> p, const Words& words, int layers) {
  long double total = 0;
  for (const long double mass : p) total += mass;
  for (long double& mass : p) mass /= total;
  for (int layer = 1; layer <= layers; ++layer) {
    const auto is_green = [&](std::size_t b) { return (words[b] >> (32 - layer) & 1) != 0; };
    long double green = 0, red = 0;  // each by itself, so that red masses stay what they are where green ones are nearly all
    for (std::size_t b = 0; b < p.size(); ++b) (is_green(b) ? green : red) += p[b];
    for (std::size_t b = 0; b < p.size(); ++b) p[b] *= is_green(b) ? 1 + red : red;
  }
  return p;
}

/// Plays layers on masses that are as far off as errors allow: `side` says which bins are too great. Returns how much of its error a mass used up at most, once the
/// common factor is chosen that suits all best; nothing if bounds were given up.
double farthest(const Kernel& kernel, const std::vector<long double>& exact, const Words& words, int layers, double error, const std::vector<bool>& side) {
  Near near;
  long double total = 0;
  for (const long double mass : exact) total += mass;
  for (std::size_t b = 0; b < core::kBins; ++b) {
    near.masses[b] = static_cast<float>(exact[b] / total * (side[b] ? 1 + (error - 0x1p-24) : 1 - (error - 0x1p-24)));
    near.errors[b] = static_cast<float>(error * (1 + 1e-6) + (error > 0.1 ? 0.1 : 0));
  }
  if (!kernel.play_near(near.masses.data(), near.errors.data(), words.data(), layers, near.rest, near.upper.data())) return -1;
  const std::vector<long double> p = played(exact, words, layers);
  const auto own = [&](std::size_t b) { return static_cast<long double>(near.masses[b]); };
  const auto off = [&](std::size_t b) { return own(b) * static_cast<long double>(near.errors[b]) + static_cast<long double>(near.rest); };
  long double least = 0, most = 1e30L;
  std::size_t low_upper = 0;
  for (std::size_t b = 0; b < core::kBins; ++b) {
    if (static_cast<long double>(near.upper[b]) * (1 + 0x1p-22L) < own(b) + off(b) || !(own(b) > 0)) ++low_upper;
    if (p[b] > 0) least = std::max(least, (own(b) - off(b)) / p[b]);
    if (p[b] > 0) most = std::min(most, (own(b) + off(b)) / p[b]);
  }
  REQUIRE(low_upper == 0);
  REQUIRE(least <= most);
  const long double factor = (least + most) / 2;
  double used = 0;
  for (std::size_t b = 0; b < core::kBins; ++b)
    if (p[b] > 1e-9L) used = std::max(used, static_cast<double>(std::abs(own(b) - p[b] * factor) / off(b)));
  return used;
}
}  // namespace

TEST_CASE("sums of bins are nearly right, by what their errors say") {
  Random random(20261127);
  constexpr Shape kShapes[] = {Shape::language, Shape::flat, Shape::one, Shape::two_bins, Shape::masked, Shape::nans, Shape::denormals, Shape::descending, Shape::offset, Shape::spike};
  double used = 0, widest = 0;
  for (const std::uint32_t vocab : {1u, 700u, 2048u, 2049u, 17000u, 40001u, 128256u})
    for (const Shape shape : kShapes) {
      const std::vector<float> row = make_row(random, shape, vocab);
      const double temperature = std::exp(3 * uniform(random) - 1.5);
      INFO(shape_name(shape) << ", V = " << vocab << ", T = " << temperature);
      const sampler::RowView view{reinterpret_cast<const std::byte*>(row.data()), DType::float32, vocab};
      with_each_set([&](const Kernel& kernel) {
        for (const float reference : {kernel.greatest(view), kernel.glance(view)}) {
          const sampler::Scale scale{reference, static_cast<float>(1.4426950408889634 / temperature)};
          Near near;
          const sampler::Pass pass = std::isfinite(reference) ? kernel.sums(view, scale, near.upper.data()) : sampler::Pass{};
          if (!std::isfinite(reference) || static_cast<double>(pass.greatest - reference) > sampler::kReach * temperature) continue;
          kernel.near(near.upper.data(), vocab, (pass.greatest - reference) * scale.per_logit, pass.total, near.masses.data(), near.errors.data());
          std::vector<long double> exact(core::kBins);
          for (std::uint32_t v = 0; v < vocab; ++v)
            if (!std::isnan(row[v])) exact[v % core::kBins] += std::exp((static_cast<long double>(row[v]) - static_cast<long double>(reference)) / static_cast<long double>(temperature));
          std::size_t outside = 0;
          for (std::uint32_t b = 0; b < core::kBins; ++b) {
            const long double mass = exact[b] / static_cast<long double>(pass.total), own = static_cast<long double>(near.masses[b]);
            const long double off = own * static_cast<long double>(near.errors[b]) + 0x1p-111L;  // kNearRest has room for kLeastNear besides
            if (!(std::abs(own - mass) <= off)) ++outside;
            if (mass > 1e-9L) used = std::max(used, static_cast<double>(std::abs(own - mass) / off));
            if (mass > 1e-9L) widest = std::max(widest, static_cast<double>(near.errors[b]));
          }
          REQUIRE(outside == 0);
        }
      });
    }
  WARN("used of an error: " << used << "; the widest: " << widest);
  CHECK(used > 0.1);  // the bounds are not so wide that this test says nothing
  CHECK(widest < 2e-5);
}

TEST_CASE("errors of a tournament hold whatever the masses and the bits, or bounds are given up") {
  Random random(20261128);
  std::size_t given_up = 0, all = 0;
  double used = 0;
  for (int masses = 0; masses < 7; ++masses)
    for (int bits = 0; bits < 7; ++bits)
      for (const double error : {1e-6, 1e-4, 6e-3, 0.5})
        for (const int layers : {0, 1, 2, 3, 17, 29, 30}) {
          std::vector<long double> exact(core::kBins);
          Words words(core::kBins);
          const std::size_t first = random() % core::kBins, second = random() % core::kBins;
          const auto common = static_cast<std::uint32_t>(random());
          for (std::size_t b = 0; b < core::kBins; ++b) {
            const bool chosen = b == first || b == second;
            const double of[] = {1.0, b == first ? 1.0 : 1e-6 / core::kBins, chosen ? 1.0 : 1e-9, chosen ? 1.0 : 0.0, std::exp2(-0.05 * static_cast<double>(b)),
                                 std::exp2(-static_cast<double>(random() % 60)), b == first ? 1.0 : std::exp2(-30.0 - static_cast<double>(random() % 60))};
            exact[b] = static_cast<long double>(of[masses]);
            const auto any = static_cast<std::uint32_t>(random());
            const std::uint32_t with[] = {any, common, (any >> 31) != 0 ? ~0u : 0u, b == first ? 0u : ~0u, b == first ? 0xAAAAAAAAu : b == second ? 0x55555555u : any,
                                          any % 100 != 0 ? common : ~common, b == first ? ~0u : any};
            words[b] = with[bits];
          }
          // Too great: bins by one bit, by the parity of some, or anyhow.
          std::vector<bool> side(core::kBins);
          const std::uint32_t some = random() % 3 == 0 ? 1u << (2 + random() % 30) : static_cast<std::uint32_t>(random());
          const bool anyhow = random() % 4 == 0;
          for (std::size_t b = 0; b < core::kBins; ++b) side[b] = anyhow ? random() % 2 == 0 : __builtin_parity(words[b] & some) != 0;
          INFO("masses " << masses << ", bits " << bits << ", error " << error << ", " << layers << " layers");
          with_each_set([&](const Kernel& kernel) {
            ++all;
            const double part = farthest(kernel, exact, words, layers, error, side);
            if (part < 0) ++given_up;
            if (layers > 10) used = std::max(used, part);
          });
        }
  WARN("used of an error: " << used << "; " << given_up << " of " << all << " given up");
  CHECK(used > 0.4);
  CHECK(given_up < all / 2);
}

TEST_CASE("thirty layers make errors a hundred times as great") {
  Random random(20261129);
  constexpr std::size_t kRows = 40;
  std::vector<double> growth;
  for (std::size_t n = 0; n < kRows; ++n) {
    Near near;
    Words words(core::kBins);
    double total = 0;
    for (std::size_t b = 0; b < core::kBins; ++b) {
      words[b] = static_cast<std::uint32_t>(random());
      near.masses[b] = static_cast<float>(std::exp(0.02 * static_cast<double>(n) * static_cast<double>(normal(random))));
      total += static_cast<double>(near.masses[b]);
    }
    for (float& mass : near.masses) mass = static_cast<float>(static_cast<double>(mass) / total);
    near.errors.fill(1e-5f);
    REQUIRE(sampler::kernel(core::instruction_set()).play_near(near.masses.data(), near.errors.data(), words.data(), 30, near.rest, near.upper.data()));
    double after = 0;
    for (std::size_t b = 0; b < core::kBins; ++b) after += static_cast<double>(near.masses[b]) * static_cast<double>(near.errors[b]);
    growth.push_back(after / 1e-5);
  }
  std::sort(growth.begin(), growth.end());
  WARN("errors after thirty layers over errors before: " << growth.front() << " to " << growth.back());
  CHECK(growth[kRows / 2] < 130);
}
