// Samplers of llama.cpp with heirmark, candidates, and the same response by the C++ API.
#pragma once
#include <catch2/catch.hpp>

#include <heirmark_llama.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <heirmark/sampler.hpp>
#include <heirmark/subkeys.hpp>

#include "subkeys.hpp"

namespace heirmark::test::llama {
constexpr std::uint32_t kVocab = 5003;
constexpr llama_token kStop = 17;
constexpr float kInf = std::numeric_limits<float>::infinity();

using RequestId = std::array<std::uint8_t, HEIRMARK_REQUEST_ID_BYTES>;
inline RequestId request(std::uint8_t n) { return {n, 4, 5, 6}; }

struct FreeSampler {
  void operator()(heirmark_sampler* sampler) const { heirmark_sampler_free(sampler); }
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};
using LibraryPtr = std::unique_ptr<heirmark_sampler, FreeSampler>;
using MarkPtr = std::unique_ptr<llama_sampler, FreeSampler>;

inline LibraryPtr make_library(const heirmark::Profile& profile = heirmark::profiles::standard_2026_11(), std::uint32_t vocab = kVocab, bool truncation = true) {
  heirmark::SubkeysFile file;
  file.path = heirmark::KeyPath::parse("acme-70b/2026-11").value();
  file.key_id = "0123456789abcdef";
  file.profile = profile;
  file.accounts = {"acme", "birch"};
  file.subkeys = heirmark::test::keys(1, 2);
  const std::string bytes = file.bytes();
  heirmark_keys* keys = nullptr;
  REQUIRE(heirmark_keys_parse(bytes.data(), bytes.size(), &keys) == HEIRMARK_OK);
  heirmark_sampler_options options;
  heirmark_sampler_options_init(&options);
  options.vocab_size = vocab;
  options.max_rows = 1;
  options.truncation = truncation ? 1 : 0;
  options.backend = HEIRMARK_BACKEND_CPU;
  heirmark_sampler* sampler = nullptr;
  REQUIRE(heirmark_sampler_create(keys, &options, &sampler) == HEIRMARK_OK);
  heirmark_keys_free(keys);
  return LibraryPtr(sampler);
}

inline heirmark_llama_options defaults() {
  heirmark_llama_options options;
  heirmark_llama_options_init(&options);
  options.vocab_size = kVocab;
  options.stop_token = kStop;
  return options;
}

inline MarkPtr make_mark(const LibraryPtr& library, const heirmark_llama_options& options, std::uint8_t id) {
  llama_sampler* mark = nullptr;
  REQUIRE(heirmark_llama_init(library.get(), &options, &mark) == HEIRMARK_OK);
  REQUIRE(heirmark_llama_begin(mark, request(id).data()) == HEIRMARK_OK);
  return MarkPtr(mark);
}

inline heirmark_llama_report report_of(const MarkPtr& mark) {
  heirmark_llama_report report;
  REQUIRE(heirmark_llama_get_report(mark.get(), &report) == HEIRMARK_OK);
  return report;
}
inline RequestId id_of(const MarkPtr& mark) {
  const heirmark_llama_report report = report_of(mark);
  RequestId id;
  std::memcpy(id.data(), report.request_id, id.size());
  return id;
}

/// The same response by the C++ API.
struct Reference {
  heirmark::Sampler sampler;
  heirmark::Sequence sequence;
  Reference(const heirmark::Profile& profile, std::uint8_t id, const std::vector<std::uint32_t>& prompt, std::uint32_t account = 0)
      : sampler(heirmark::Sampler::create(profile, heirmark::test::keys(1, 2), {.vocab_size = kVocab, .max_rows = 1}).value()),
        sequence(sampler.begin(id_of(id), prompt, account)) {}
  static heirmark::RequestId id_of(std::uint8_t n) {
    heirmark::RequestId id;
    std::memcpy(id.bytes.data(), request(n).data(), id.bytes.size());
    return id;
  }
  heirmark::Sampled next(const std::vector<float>& logits, const heirmark::SamplingParams& params) {
    const heirmark::Row row{&sequence, params};
    heirmark::Sampled out;
    REQUIRE(sampler.sample({logits.data(), heirmark::DType::float32, 1, kVocab}, {&row, 1}, {&out, 1}).ok());
    return out;
  }
};

/// Logits in which few tokens matter, so that windows repeat within a response.
inline std::vector<float> logits_of(std::uint64_t seed, float scale = 3) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(kVocab);
  for (float& x : out) x = normal(random);
  return out;
}

enum class Order { engine, reversed, shuffled, descending };
struct Candidates {
  std::vector<llama_token_data> data;
  llama_token_data_array array{};
  explicit Candidates(const std::vector<float>& logits, Order order = Order::engine, std::size_t keep = kVocab, std::uint64_t seed = 0) {
    for (std::size_t v = 0; v < logits.size(); ++v) data.push_back({static_cast<llama_token>(v), logits[v], 0});
    const auto greater = [](const llama_token_data& a, const llama_token_data& b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); };
    if (keep < data.size()) {
      std::sort(data.begin(), data.end(), greater);
      data.resize(keep);
    }
    if (order == Order::reversed) std::reverse(data.begin(), data.end());
    if (order == Order::descending) std::sort(data.begin(), data.end(), greater);
    if (order == Order::shuffled) std::shuffle(data.begin(), data.end(), std::mt19937_64(seed));
    array = {data.data(), data.size(), -1, order == Order::descending};
  }
  /// What llama_sampler_sample does before it accepts.
  llama_token drawn_by(llama_sampler* sampler) {
    llama_sampler_apply(sampler, &array);
    REQUIRE(array.selected >= 0);
    REQUIRE(static_cast<std::size_t>(array.selected) < array.size);
    return array.data[array.selected].id;
  }
};
inline llama_token step(const MarkPtr& mark, Candidates candidates) {
  const llama_token token = candidates.drawn_by(mark.get());
  llama_sampler_accept(mark.get(), token);
  return token;
}
inline void accept_all(const MarkPtr& mark, const std::vector<std::uint32_t>& tokens) {
  for (const std::uint32_t token : tokens) llama_sampler_accept(mark.get(), static_cast<llama_token>(token));
}
}  // namespace heirmark::test::llama
