// Microseconds a row at V = 128,256, one thread, beside what any sampler must pay (argmax) and what an unmarked one pays (a Gumbel draw with a
// fast generator of no cryptographic strength). "cache" samples one row again and again, "memory" goes through 280 MB of rows.
//
//   bench_sampler --benchmark_repetitions=5 --benchmark_report_aggregates_only
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <heirmark/sampler.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined parts of its own intrinsics for variables.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "core/words.hpp"

using namespace heirmark;

namespace {
constexpr std::uint32_t kVocab = 128256;
constexpr std::size_t kMemoryRows = 546;  // 280 MB of float32

/// Rows like a language model's: a crowd and some tokens far above.
const std::vector<float>& rows() {
  static const std::vector<float> all = [] {
    std::vector<float> out(kVocab * kMemoryRows);
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal(0, 2.5f);
    std::vector<float> pool(1 << 20);
    for (float& x : pool) x = normal(random);
    for (std::size_t r = 0; r < kMemoryRows; ++r) {
      float* row = out.data() + r * kVocab;
      const std::size_t start = random() % (pool.size() - kVocab);
      std::memcpy(row, pool.data() + start, kVocab * sizeof *row);
      for (int k = 0; k < 60; ++k) row[random() % kVocab] += 18.0f * static_cast<float>(random() % 1000) / 1000.0f;
    }
    return out;
  }();
  return all;
}

/// The rows in another type, truncated (bfloat16) or rounded by the hardware's table of bits (float16 through float32's fields).
const std::vector<std::uint16_t>& rows16(DType dtype) {
  static const auto make = [](DType type) {
    std::vector<std::uint16_t> out(rows().size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::uint32_t bits = 0;
      const float x = rows()[i];
      std::memcpy(&bits, &x, sizeof bits);
      if (type == DType::bfloat16) {
        out[i] = static_cast<std::uint16_t>(bits >> 16);
      } else {
        const float a = std::fabs(x) < 0x1p-14f ? 0x1p-14f : std::fabs(x);
        std::uint32_t magnitude = 0;
        std::memcpy(&magnitude, &a, sizeof magnitude);
        out[i] = static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | ((magnitude - 0x38000000u) >> 13));
      }
    }
    return out;
  };
  static const std::vector<std::uint16_t> bfloat = make(DType::bfloat16), half = make(DType::float16);
  return dtype == DType::bfloat16 ? bfloat : half;
}

Subkeys subkeys() {
  Subkeys keys;
  std::mt19937_64 random(2);
  const auto secret = [&] {
    std::array<std::uint8_t, 32> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return Secret32(bytes);
  };
  for (auto& key : keys.window) key = secret();
  keys.coin = secret();
  keys.issuance.push_back(secret());
  return keys;
}

std::size_t next_row(std::size_t row, bool memory) { return memory ? (row + 1) % kMemoryRows : 0; }

/// Rows through the public API.
void sample(benchmark::State& state, const Profile& profile, SamplingParams params, bool memory, DType dtype = DType::float32, bool log_probs = false) {
  auto sampler = Sampler::create(profile, subkeys(), {.vocab_size = kVocab, .max_rows = 1, .log_probs = log_probs}).value();
  const bool wide = dtype == DType::float32;
  const std::byte* data = wide ? reinterpret_cast<const std::byte*>(rows().data()) : reinterpret_cast<const std::byte*>(rows16(dtype).data());
  const std::size_t row_bytes = kVocab * (wide ? sizeof(float) : sizeof(std::uint16_t));
  std::vector<Sequence> sequences(64, sampler.begin({}, {}));
  std::size_t row = 0, steps = 0;
  std::uint32_t id = 0;
  for (auto& sequence : sequences) {
    RequestId request;
    std::memcpy(request.bytes.data(), &++id, sizeof id);
    sequence = sampler.begin(request, {});
  }
  for (auto _ : state) {
    Row request{&sequences[steps++ % sequences.size()], params};
    Sampled out;
    if (!sampler.sample({data + row * row_bytes, dtype, 1, kVocab}, {&request, 1}, {&out, 1}).ok()) std::abort();
    benchmark::DoNotOptimize(out.token);
    row = next_row(row, memory);
  }
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(sampler.instruction_set());
}

#if defined(__x86_64__)
#define HEIRMARK_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))

/// The greatest of each 4,096 logits, then the place of the greatest: one pass at the speed of the loads.
HEIRMARK_AVX512 std::uint32_t argmax(const float* x) {
  constexpr std::uint32_t kPart = 4096;
  float best = -INFINITY;
  std::uint32_t where = 0;
  for (std::uint32_t v = 0; v < kVocab; v += kPart) {
    const std::uint32_t end = std::min(v + kPart, kVocab);
    __m512 a = _mm512_set1_ps(-INFINITY), b = a, c = a, d = a;
    std::uint32_t i = v;
    for (; i + 64 <= end; i += 64) {
      a = _mm512_max_ps(a, _mm512_loadu_ps(x + i));
      b = _mm512_max_ps(b, _mm512_loadu_ps(x + i + 16));
      c = _mm512_max_ps(c, _mm512_loadu_ps(x + i + 32));
      d = _mm512_max_ps(d, _mm512_loadu_ps(x + i + 48));
    }
    const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d)));
    if (most > best) { best = most; where = v; }
  }
  while (x[where] != best) ++where;
  return where;
}

/// Logits that can still win are finished here: E / e^x, E = -ln(1 - u).
struct Leader { float best = INFINITY; std::uint32_t token = 0; };
void settle(Leader& leader, std::uint32_t mask, std::uint32_t v, const float* x, const float* u, float reference) {
  for (; mask != 0; mask &= mask - 1) {
    const auto i = static_cast<std::uint32_t>(__builtin_ctz(mask));
    const float time = -std::log1p(-u[i]) * std::exp(reference - x[i]);
    if (time < leader.best) { leader.best = time; leader.token = v + i; }
  }
}

/// The unmarked draw, made as fast as we know: the exponential race with sixteen xorshift generators, where E >= u and the integer image of
/// the exponential leave a handful of logits that need a logarithm. The reference is given, which costs a real sampler something.
HEIRMARK_AVX512 std::uint32_t gumbel_draw(const float* x, __m512i (&generators)[4], float reference) {
  constexpr float kSlope = 0x1p23f * 1.4426950f;
  const __m512 slope = _mm512_set1_ps(kSlope), offset = _mm512_set1_ps(127 * 0x1p23f - reference * kSlope + 4096);
  Leader leader;
  __m512 limit = _mm512_set1_ps(1e30f);
  __m512i g[4] = {generators[0], generators[1], generators[2], generators[3]};  // four, so that none waits for itself
  for (std::uint32_t part = 0; part < kVocab; part += 64) {
    __m512 u[4], logits[4];
    std::uint32_t mask[4];
    for (std::uint32_t i = 0; i < 4; ++i) {
      g[i] = _mm512_xor_si512(g[i], _mm512_slli_epi32(g[i], 13));
      g[i] = _mm512_xor_si512(g[i], _mm512_srli_epi32(g[i], 17));
      g[i] = _mm512_xor_si512(g[i], _mm512_slli_epi32(g[i], 5));
      u[i] = _mm512_mul_ps(_mm512_cvtepu32_ps(g[i]), _mm512_set1_ps(0x1p-32f));
      logits[i] = _mm512_loadu_ps(x + part + 16 * i);
      const __m512i image = _mm512_max_epi32(_mm512_cvtps_epi32(_mm512_fmadd_ps(logits[i], slope, offset)), _mm512_set1_epi32(1 << 23));
      mask[i] = _mm512_cmp_ps_mask(u[i], _mm512_mul_ps(_mm512_castsi512_ps(image), limit), _CMP_LE_OQ);
    }
    if ((mask[0] | mask[1] | mask[2] | mask[3]) == 0) continue;
    for (std::uint32_t i = 0; i < 4; ++i) {
      float values[16], units[16];
      _mm512_storeu_ps(values, logits[i]);
      _mm512_storeu_ps(units, u[i]);
      settle(leader, mask[i], part + 16 * i, values, units, reference);
    }
    limit = _mm512_set1_ps(leader.best);
  }
  for (int i = 0; i < 4; ++i) generators[i] = g[i];
  return leader.token;
}

bool has_avx512() { return core::can_run(core::InstructionSet::avx512); }

void bench_argmax(benchmark::State& state, bool memory) {
  if (!has_avx512()) return state.SkipWithError("no AVX-512");
  std::size_t row = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(argmax(rows().data() + row * kVocab));
    row = next_row(row, memory);
  }
}

HEIRMARK_AVX512 void bench_gumbel(benchmark::State& state, bool memory) {
  if (!has_avx512()) return state.SkipWithError("no AVX-512");
  __m512i generators[4];
  for (int i = 0; i < 4; ++i)
    generators[i] = _mm512_add_epi32(_mm512_set1_epi32(1 + 1000 * i), _mm512_setr_epi32(0, 7, 17, 27, 37, 47, 57, 67, 77, 87, 97, 107, 117, 127, 137, 147));
  std::size_t row = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(gumbel_draw(rows().data() + row * kVocab, generators, 20.0f));
    row = next_row(row, memory);
  }
}
#endif

void bench_words(benchmark::State& state) {
  const core::BlocksFunction blocks = core::blocks_function(core::instruction_set());
  std::vector<std::uint32_t> words(core::kBins);
  core::KeyWords row{};
  for (auto _ : state) {
    ++row.w[0];
    blocks(row, core::kBinsCoarse, 0, core::kRowBlocks, words.data());
    benchmark::DoNotOptimize(words.data());
    benchmark::ClobberMemory();
  }
}

void register_all() {
  const Profile& standard = profiles::standard_2026_11();
  const auto add = [](const std::string& name, auto function) { benchmark::RegisterBenchmark(name.c_str(), function)->Unit(benchmark::kMicrosecond); };
  for (const bool memory : {false, true}) {
    const std::string where = memory ? "/memory" : "/cache";
#if defined(__x86_64__)
    add("argmax" + where, [=](benchmark::State& s) { bench_argmax(s, memory); });
    add("unmarked_gumbel" + where, [=](benchmark::State& s) { bench_gumbel(s, memory); });
#endif
    add("marked" + where, [=, &standard](benchmark::State& s) { sample(s, standard, {}, memory); });
    add("marked_bf16" + where, [=, &standard](benchmark::State& s) { sample(s, standard, {}, memory, DType::bfloat16); });
    add("marked_fp16" + where, [=, &standard](benchmark::State& s) { sample(s, standard, {}, memory, DType::float16); });
  }
  add("marked_log_prob/cache", [&](benchmark::State& s) { sample(s, standard, {}, false, DType::float32, true); });
  add("marked_temperature_0.6/cache", [&](benchmark::State& s) { sample(s, standard, {.temperature = 0.6f}, false); });
  add("top_k_50/cache", [&](benchmark::State& s) { sample(s, standard, {.top_k = 50}, false); });
  add("top_p_0.95/cache", [&](benchmark::State& s) { sample(s, standard, {.top_p = 0.95f}, false); });
  add("top_p_0.95_temperature_2/cache", [&](benchmark::State& s) { sample(s, standard, {.temperature = 2.0f, .top_p = 0.95f}, false); });
  add("top_k_50_top_p_0.95/cache", [&](benchmark::State& s) { sample(s, standard, {.top_k = 50, .top_p = 0.95f}, false); });
  add("min_p_0.05/cache", [&](benchmark::State& s) { sample(s, standard, {.min_p = 0.05f}, false); });
  add("greedy/cache", [&](benchmark::State& s) { sample(s, standard, {.temperature = 0}, false); });
  add("greenlist/cache", [](benchmark::State& s) { sample(s, profiles::greenlist_2026_11(), {}, false); });
  add("tournament/cache", [](benchmark::State& s) { sample(s, profiles::tournament_2026_11(), {}, false); });
  add("words_of_a_row", bench_words);
  for (const core::InstructionSet set : {core::InstructionSet::avx2, core::InstructionSet::portable}) {
    add(std::string("marked_") + core::name(set) + "/cache", [=, &standard](benchmark::State& s) {
      core::force_instruction_set(set);
      sample(s, standard, {}, false);
      core::force_instruction_set(std::nullopt);
    });
  }
}
}  // namespace

int main(int argc, char** argv) {
  rows();  // made before the clock starts
  rows16(DType::bfloat16);
  register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
