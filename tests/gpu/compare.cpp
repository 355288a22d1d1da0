#include "compare.hpp"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

namespace heirmark::gpu {
namespace {
constexpr double kLogProbError = 1e-5;   ///< specs/marks.md, "Log-probability"
constexpr double kFloatError = 0x1p-22;  ///< relative, of a float32 that far from 0

double exact_log_prob(const Batch& batch, std::size_t index, std::uint32_t token) {
  const double temperature = greedy(batch.rows[index]) ? 1.0 : static_cast<double>(batch.rows[index].temperature);
  double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::uint32_t v = 0; v < batch.vocab; ++v)
    if (const float x = batch.at(index, v); std::isfinite(x)) greatest = std::max(greatest, static_cast<double>(x));
  for (std::uint32_t v = 0; v < batch.vocab; ++v)
    if (const float x = batch.at(index, v); std::isfinite(x)) sum += std::exp((static_cast<double>(x) - greatest) / temperature);
  return (static_cast<double>(batch.at(index, token)) - greatest) / temperature - std::log(sum);
}

/// Could specs/marks.md's steps 1 to 6 have left this token? Asked with a slack of 1e-9 for the doubles of this function.
bool may_be_drawn(const Batch& batch, std::size_t index, std::uint32_t token) {
  constexpr double kSlack = 1e-9;
  if (token >= batch.vocab || !std::isfinite(batch.at(index, token))) return false;
  const DeviceRow& row = batch.rows[index];
  const auto value = [&](std::uint32_t v) { return static_cast<double>(batch.at(index, v)); };
  double greatest = -std::numeric_limits<double>::infinity();
  for (std::uint32_t v = 0; v < batch.vocab; ++v)
    if (std::isfinite(value(v))) greatest = std::max(greatest, value(v));
  const auto e = [&](double x) { return std::exp((x - greatest) / static_cast<double>(row.temperature)); };
  const double least = static_cast<double>(row.min_p) * (1 - kSlack);
  if (e(value(token)) < least) return false;
  std::size_t before = 0;
  double mass_before = 0;
  std::vector<double> kept;
  for (std::uint32_t v = 0; v < batch.vocab; ++v) {
    const double x = value(v);
    if (!std::isfinite(x) || e(x) < least) continue;
    kept.push_back(x);
    if (x < value(token) || (x == value(token) && v >= token)) continue;
    ++before;
    mass_before += std::floor(e(x) * 0x1p40);
  }
  if (row.top_k != 0 && before >= row.top_k) return false;
  if (row.top_k != 0 && row.top_k < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + row.top_k, kept.end(), std::greater<>());
    kept.resize(row.top_k);
  }
  double total = 0;
  for (const double x : kept) total += std::floor(e(x) * 0x1p40);
  return row.top_p >= 1 || mass_before == 0 || mass_before < static_cast<double>(row.top_p) * total * (1 + kSlack);
}

/// Empty: what the device gave is right.
std::string difference(const Batch& batch, std::size_t index, const Sampled& got, const TopTokens* got_top, const Sampled& want, const TopTokens& want_top, bool log_probs) {
  if (got.status != want.status) return "status";
  if (nobodys(batch.rows[index]) && chosen(got.status)) {
    if (!may_be_drawn(batch, index, got.token)) return "token that cannot be drawn";
  } else if (got.token != want.token) {
    return "token";
  }
  if (!log_probs || !chosen(got.status)) {
    if (!std::isnan(got.log_prob)) return "log_prob where none is due";
  } else {
    const double exact = exact_log_prob(batch, index, got.token);
    const bool beyond = exact < -static_cast<double>(test::kMax);
    if (!(beyond || std::abs(static_cast<double>(got.log_prob) - exact) <= std::max(kLogProbError, kFloatError * std::abs(exact)))) return format("log_prob, exactly %.12g", exact);
  }
  if (got_top != nullptr)
    for (std::size_t i = 0; i < TopTokens::kCount; ++i)
      if (const TopToken a = got_top->token[i], b = want_top.token[i]; a.token != b.token || a.p != b.p)
        return format("top token %zu: (%" PRIu32 ", %" PRIu32 ") and on the CPU (%" PRIu32 ", %" PRIu32 ")", i, a.token, a.p, b.token, b.p);
  return {};
}
}  // namespace

Results launch(Worker& worker, const DeviceSampler& sampler, const Batch& batch, const std::byte* logits, const std::byte* rows, std::size_t from, std::size_t count, bool with_top,
               unsigned char poison, bool bare) {
  Results results;
  results.out.resize(count);
  if (with_top) results.top.resize(count);
  const std::size_t out_bytes = count * sizeof(Sampled), top_bytes = with_top ? count * sizeof(TopTokens) : 0;
  const std::size_t workspace_bytes = sampler.workspace_bytes(static_cast<std::uint32_t>(count));
  std::byte* const out = worker.out(out_bytes);
  std::byte* const top = worker.top(top_bytes);
  std::byte* const memory = worker.workspace(workspace_bytes, bare ? std::nullopt : std::optional(poison));
  const DeviceWorkspace workspace{memory, workspace_bytes};
  must(sampler.prepare(workspace, worker.stream()), "prepare");
  must(sampler.sample(batch.logits(logits, from, count), reinterpret_cast<const DeviceRow*>(rows) + from, reinterpret_cast<Sampled*>(out),
                      with_top ? reinterpret_cast<TopTokens*>(top) : nullptr, workspace, worker.stream()),
       "sample");
  worker.fetch(out, results.out.data(), out_bytes, "out");
  worker.fetch(top, results.top.data(), top_bytes, "top");
  worker.fetch(memory, nullptr, workspace_bytes, "workspace");
  return results;
}

Expected expected(const DeviceSampler& sampler, const Batch& batch) {
  const std::size_t count = batch.rows.size();
  Expected want;
  want.out.resize(count);
  want.top.resize(count);
  const Logits logits = batch.logits(batch.bytes.data(), 0, count);
  must(sampler.sample(logits, batch.rows.data(), want.out.data(), want.top.data(), {}, nullptr), "sample on the CPU");
  return want;
}

std::string text_of(const Sampled& s) { return format("token %" PRIu32 " status %d log_prob %.9g", s.token, static_cast<int>(s.status), static_cast<double>(s.log_prob)); }

std::string describe(const Batch& batch, std::size_t index) {
  const DeviceRow& row = batch.rows[index];
  std::uint32_t bits[3] = {};
  std::memcpy(&bits[0], &row.temperature, 4);
  std::memcpy(&bits[1], &row.min_p, 4);
  std::memcpy(&bits[2], &row.top_p, 4);
  std::string id;
  for (const auto byte : row.request_id.bytes) id += format("%02x", byte);
  std::string first;
  for (std::uint32_t v = 0; v < std::min(batch.vocab, 12u); ++v) first += format(" %.9g", static_cast<double>(batch.at(index, v)));
  return format("  row %zu of %zu (%s), %s, V=%" PRIu32 ", stride %zu, first byte %zu\n  temperature %.9g (0x%08x) min_p %.9g (0x%08x) top_p %.9g (0x%08x) top_k %" PRIu32 "\n"
                "  mode %" PRIu32 " account %" PRIu32 " position %" PRIu32 " repeated %" PRIu32 " window %08x %08x %08x %08x request %s\n",
                index, batch.rows.size(), name_of_kind(batch.kinds[index]), name_of(batch.dtype), batch.vocab, batch.stride, batch.first, static_cast<double>(row.temperature), bits[0],
                static_cast<double>(row.min_p), bits[1], static_cast<double>(row.top_p), bits[2], row.top_k, row.mode, row.account_slot, row.position, row.window_repeated, row.window[0],
                row.window[1], row.window[2], row.window[3], id.c_str()) +
         "  logits:" + first + (batch.vocab > 12 ? " ...\n" : "\n");
}

void compare(const Batch& batch, std::size_t from, const Results& got, const Expected& expected, bool log_probs, const char* how) {
  const std::vector<Sampled>& want = expected.out;
  for (std::size_t i = 0; i < got.out.size(); ++i) {
    const std::string what = difference(batch, from + i, got.out[i], got.top.empty() ? nullptr : &got.top[i], want[from + i], expected.top[from + i], log_probs);
    if (what.empty()) continue;
    throw Different(format("%s, slot %zu of %zu: different %s\n", how, i, got.out.size(), what.c_str()) + describe(batch, from + i) + "  device: " + text_of(got.out[i]) +
                    "\n  CPU:    " + text_of(want[from + i]) + "\n");
  }
}

}  // namespace heirmark::gpu
