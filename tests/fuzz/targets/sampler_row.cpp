// A row of any bytes as logits, any parameters: the reference's token, or a status.
#include <cmath>

#include <heirmark/sampler.hpp>

#include "core/dispatch.hpp"
#include "fuzz.hpp"
#include "marks/reference.hpp"
#include "sampler/choose.hpp"

using namespace heirmark;
using sampler::RowResult;

namespace {
constexpr std::uint32_t kLargest = 6200;  // three rounds over the 2,048 bins, and a rest

bool good(const SamplingParams& p) {
  return (p.temperature == 0 || (p.temperature >= 1e-3f && p.temperature <= 1e3f)) && p.min_p >= 0 && p.min_p <= 1 && p.top_p > 0 && p.top_p <= 1 && p.mode <= Mode::issuance;
}

/// A parameter: mostly one that is in range, sometimes any bits.
float real(fuzz::Input& input, float low, float high) {
  const std::uint8_t kind = input.byte();
  if (kind >= 0xF0) return input.real();
  return low + (high - low) * (static_cast<float>(kind) / 239.0f);
}

Subkeys keys() {
  std::array<std::uint8_t, 32> bytes{};
  std::uint8_t next = 1;
  const auto secret = [&] { bytes.fill(next++); return Secret32(bytes); };
  Subkeys out;
  for (auto& window : out.window) window = secret();
  out.coin = secret();
  out.issuance.push_back(secret());
  return out;
}

core::KeyWords key(std::uint32_t seed) {
  core::KeyWords out{};
  for (auto& word : out.w) word = seed = seed * 1664525u + 1013904223u;
  return out;
}

RowResult plain(const sampler::RowTask& task, const std::vector<float>& values) {
  RowResult out;
  bool finite = false;
  for (std::uint32_t v = 0; v < values.size(); ++v) {
    if (values[v] == std::numeric_limits<float>::infinity()) return {RowResult::Kind::infinite_logit, v, 0};
    finite = finite || std::isfinite(values[v]);
  }
  if (!finite) return out;
  out.kind = RowResult::Kind::drawn;
  out.token = task.greedy ? marks::reference_greedy(values, task.rule, task.keys.mark) : marks::reference_draw(values, task.filter, task.rule, task.keys).token;
  return out;
}
}  // namespace

FUZZ_TARGET(sampler_row) {
  static sampler::Workspace workspace(kLargest);
  const auto dtype = static_cast<DType>(input.byte() % 3);
  const std::uint32_t vocab = 1 + input.word() % kLargest, seed = input.word();
  SamplingParams params;
  params.temperature = real(input, 0, 2);
  params.min_p = real(input, 0, 0.5f);
  params.top_k = input.byte();
  if (params.top_k >= 0xF0) params.top_k = input.word();
  params.top_p = real(input, 0, 1);
  params.mode = static_cast<Mode>(input.byte() % 5);
  const std::uint8_t scheme = input.byte(), shift = input.byte() % 4;

  // The bytes that are left, again and again, with the element's number mixed into one bit of some: rows that repeat, but not quite.
  const std::string_view pattern = input.rest();
  const std::size_t size = sampler::bytes_per_logit(dtype);
  std::vector<std::byte> row(shift + size * vocab);
  for (std::size_t i = 0; i < size * vocab && !pattern.empty(); ++i) row[shift + i] = static_cast<std::byte>(pattern[i % pattern.size()]);
  if ((scheme & 0x80) != 0)
    for (std::uint32_t v = 0; v < vocab; ++v) row[shift + size * v] ^= static_cast<std::byte>(v % 251);

  const sampler::RowView view{row.data() + shift, dtype, vocab};
  if (good(params)) {
    sampler::RowTask task;
    task.logits = view;
    task.filter = {params.temperature, params.min_p, params.top_k, params.top_p};
    task.greedy = params.temperature == 0;
    task.log_prob = (scheme & 0x40) != 0;
    task.keys = {key(seed), key(~seed)};
    if (scheme % 4 == 1) task.rule = {marks::RuleKind::greenlist, seed, (seed % 101u) * 1.0, 0};
    if (scheme % 4 == 2) task.rule = {marks::RuleKind::tournament, 0, 0, static_cast<int>(1 + seed % 30)};
    std::vector<float> values(vocab);
    for (std::uint32_t v = 0; v < vocab; ++v) values[v] = sampler::logit_at(view, v);
    const RowResult want = plain(task, values);
    for (const core::InstructionSet set : core::kInstructionSets) {
      if (!core::can_run(set)) continue;
      const RowResult got = sampler::choose(task, set, workspace);
      fuzz::require(got.kind == want.kind && got.token == want.token, "the reference's token", core::name(set));
      if (!task.log_prob || want.kind != RowResult::Kind::drawn) continue;
      const double log_prob = marks::reference_log_prob(values, task.greedy ? 1.0 : task.filter.temperature, got.token);
      // Within 1e-5, or float32's own rounding of a large number; a logarithm beyond float32 is infinite.
      fuzz::require(static_cast<double>(got.log_prob) == static_cast<double>(static_cast<float>(log_prob)) ||
                        std::fabs(got.log_prob - log_prob) <= std::fmax(1e-5, std::fabs(log_prob) * 0x1p-22),
                    "the reference's log-probability", core::name(set));
    }
  }

  auto sampler = Sampler::create(profiles::all()[seed % profiles::all().size()], keys(), {.vocab_size = vocab, .max_rows = 1, .log_probs = true}).value();
  Sequence sequence = sampler.begin({}, {});
  const Row request{&sequence, params};
  for (std::uint32_t step = 0; step < 3; ++step) {
    Sampled out;
    fuzz::require(sampler.sample({view.data, dtype, 1, vocab}, {&request, 1}, {&out, 1}).ok(), "a call that makes sense is served");
    const bool token = out.status != RowStatus::bad_parameter && out.status != RowStatus::no_finite_logit;
    fuzz::require(token == good(params) || out.status == RowStatus::no_finite_logit, "parameters out of range are told");
    fuzz::require(token ? out.token < vocab : out.token == kNoToken, "a token in range, or none");
    if (!token) return fuzz::require(sequence.position() == 0, "a refused row leaves the sequence alone");
    fuzz::require(sequence.position() == step + 1, "a token is accepted");
  }
}
