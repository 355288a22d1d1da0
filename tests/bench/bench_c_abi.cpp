// What a call through the C library adds to a row, beside the same rows through the C++ API in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <heirmark.h>

#include <heirmark/sampler.hpp>
#include <heirmark/subkeys.hpp>

namespace {
using Clock = std::chrono::steady_clock;

heirmark::SubkeysFile keys() {
  heirmark::SubkeysFile file;
  file.path = heirmark::KeyPath::parse("bench/2026-11").value();
  file.key_id = "0123456789abcdef";
  file.profile = heirmark::profiles::standard_2026_11();
  file.accounts = {"default"};
  file.subkeys.issuance.emplace_back();
  return file;
}

/// Arguments: vocabulary, rows. A step is a token of every row.
void step(benchmark::State& state) {
  const auto vocab = static_cast<std::uint32_t>(state.range(0));
  const auto rows = static_cast<std::size_t>(state.range(1));
  std::vector<float> logits(rows * vocab);
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0, 3);
  for (float& x : logits) x = normal(random);

  const std::string bytes = keys().bytes();
  heirmark_keys* c_keys = nullptr;
  heirmark_sampler* c_sampler = nullptr;
  heirmark_sampler_options options;
  heirmark_sampler_options_init(&options);
  options.vocab_size = vocab;
  options.max_rows = static_cast<std::uint32_t>(rows);
  options.backend = HEIRMARK_BACKEND_CPU;
  if (heirmark_keys_parse(bytes.data(), bytes.size(), &c_keys) != HEIRMARK_OK || heirmark_sampler_create(c_keys, &options, &c_sampler) != HEIRMARK_OK) {
    state.SkipWithError(heirmark_last_error());
    return;
  }
  auto sampler = heirmark::Sampler::create(keys().profile, keys().subkeys.clone(), {.vocab_size = vocab, .max_rows = rows}).value();

  std::vector<double> by_c, by_cpp;
  const heirmark_logits batch{logits.data(), HEIRMARK_FLOAT32, static_cast<std::uint32_t>(rows), vocab};
  heirmark_params params;
  heirmark_params_init(&params);
  const std::vector<heirmark_params> all(rows, params);
  std::vector<heirmark_sampled> c_out(rows);
  std::vector<heirmark::Sampled> out(rows);
  std::vector<heirmark_sequence*> c_sequences(rows);
  std::vector<heirmark::Sequence> sequences;
  std::vector<heirmark::Row> cpp_rows(rows);
  std::uint32_t request = 0;
  const auto begin = [&] {  // responses of 256 tokens: the same on both sides, so the same work
    for (heirmark_sequence* sequence : c_sequences) heirmark_sequence_free(sequence);
    sequences.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      heirmark::RequestId id;
      std::memcpy(id.bytes.data(), &++request, sizeof request);
      heirmark_sequence_begin(c_sampler, id.bytes.data(), nullptr, 0, 0, &c_sequences[i]);
      sequences.push_back(sampler.begin(id, {}));
    }
    for (std::size_t i = 0; i < rows; ++i) cpp_rows[i] = {&sequences[i], {}};
  };
  std::uint32_t tokens = 0;
  for (auto _ : state) {
    if (tokens++ % 256 == 0) begin();
    const auto a = Clock::now();
    heirmark_sample_sequences(c_sampler, &batch, c_sequences.data(), all.data(), c_out.data());
    const auto b = Clock::now();
    const bool done = sampler.sample({logits.data(), heirmark::DType::float32, rows, vocab}, cpp_rows, out).ok();
    const auto c = Clock::now();
    if (!done || c_out[0].token != out[0].token) {
      state.SkipWithError("the two do not agree");
      break;
    }
    by_c.push_back(std::chrono::duration<double, std::micro>(b - a).count());
    by_cpp.push_back(std::chrono::duration<double, std::micro>(c - b).count());
    state.SetIterationTime(by_c.back() * 1e-6);
  }
  for (heirmark_sequence* sequence : c_sequences) heirmark_sequence_free(sequence);
  heirmark_sampler_free(c_sampler);
  heirmark_keys_free(c_keys);
  const auto median = [](std::vector<double>& values) {
    if (values.empty()) return 0.0;
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
  };
  const double c = median(by_c), cpp = median(by_cpp);
  state.counters["c_us"] = c;
  state.counters["cpp_us"] = cpp;
  state.counters["added_us_a_row"] = (c - cpp) / static_cast<double>(rows);
}
}  // namespace

BENCHMARK(step)->ArgsProduct({{32, 128256}, {1, 32}})->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_MAIN();
