// The peers over lanes, included by a file for each instruction set.
#pragma once
#include <cmath>
#include <limits>

#include "peers.hpp"

namespace heirmark::bench {
namespace {
constexpr float kNothing = -std::numeric_limits<float>::infinity();
#define HEIRMARK_PEER inline __attribute__((always_inline))

/// The greatest of each 4,096 logits, then the place of the greatest: one pass at the speed of the loads.
template <class L, DType D>
HEIRMARK_PEER std::uint32_t argmax_of(const sampler::RowView& row) {
  using F = typename L::F;
  constexpr std::uint32_t kPart = 4096, kN = L::kLanes;
  float best = kNothing;
  std::uint32_t where = 0;
  for (std::uint32_t v = 0; v < row.vocab; v += kPart) {
    const std::uint32_t end = row.vocab - v < kPart ? row.vocab : v + kPart;
    F part[4] = {L::set(kNothing), L::set(kNothing), L::set(kNothing), L::set(kNothing)};
    for (std::uint32_t i = v; i < end; i += 4 * kN)
      for (std::uint32_t k = 0; k < 4; ++k) part[k] = L::max(part[k], L::template logits<D>(row.data, i + k * kN));
    const float most = L::greatest(L::max(L::max(part[0], part[1]), L::max(part[2], part[3])));
    if (most > best) { best = most; where = v; }
  }
  while (sampler::logit_at({row.data, D, row.vocab}, where) != best) ++where;
  return where;
}

/// The exponential race, where E >= u and the integer image of the exponential leave a handful of logits that need a logarithm.
template <class L, DType D>
HEIRMARK_PEER std::uint32_t gumbel_of(const sampler::RowView& row, float reference, Noise& noise) {
  using F = typename L::F;
  constexpr std::uint32_t kN = L::kLanes;
  constexpr float kSlope = 0x1p23f * 1.4426950f;
  const F slope = L::set(kSlope), offset = L::set(127 * 0x1p23f - reference * kSlope + 4096);
  float best = std::numeric_limits<float>::infinity();
  std::uint32_t token = 0;
  F limit = L::set(1e30f);
  typename L::I g[4];  // four, so that none waits for itself
  for (std::uint32_t k = 0; k < 4; ++k) g[k] = L::load(noise.state + k * kN);
  for (std::uint32_t v = 0; v < row.vocab; v += 4 * kN) {
    F u[4], x[4];
    std::uint32_t mask[4], any = 0;
    for (std::uint32_t k = 0; k < 4; ++k) {
      g[k] = L::step(g[k]);
      u[k] = L::mul(L::unit_bits(g[k]), L::set(0x1p-24f));
      x[k] = L::template logits<D>(row.data, v + k * kN);
      any |= mask[k] = L::not_greater(u[k], L::mul(L::image(L::mul_add(x[k], slope, offset)), limit));
    }
    if (any == 0) continue;
    for (std::uint32_t k = 0; k < 4; ++k) {
      float values[kN], units[kN];
      L::store(values, x[k]);
      L::store(units, u[k]);
      for (std::uint32_t m = mask[k]; m != 0; m &= m - 1) {
        const auto i = static_cast<std::uint32_t>(__builtin_ctz(m));
        const float time = -std::log1p(-units[i]) * std::exp(reference - values[i]);
        if (time < best) { best = time; token = v + k * kN + i; }
      }
    }
    limit = L::set(best);
  }
  for (std::uint32_t k = 0; k < 4; ++k) L::store(noise.state + k * kN, g[k]);
  return token;
}

/// Greatest logit, exponentials with their sum, and a walk over blocks of 1,024 to where the draw falls.
template <class L, DType D>
HEIRMARK_PEER std::uint32_t softmax_of(const sampler::RowView& row, Noise& noise, float* scratch) {
  using F = typename L::F;
  constexpr std::uint32_t kN = L::kLanes, kBlock = 1024, kBlocks = kMaxVocab / kBlock;
  const float top = sampler::logit_at({row.data, D, row.vocab}, argmax_of<L, D>(row));
  const F greatest = L::set(top), slope = L::set(1.4426950f), shift = L::set(0x1.8p23f), least = L::set(-87.0f);
  static thread_local float sums[kBlocks];
  float total = 0;
  std::uint32_t blocks = 0;
  for (std::uint32_t from = 0; from < row.vocab; from += kBlock, ++blocks) {
    const std::uint32_t end = row.vocab - from < kBlock ? row.vocab : from + kBlock;
    F sum[2] = {L::set(0), L::set(0)};
    for (std::uint32_t v = from; v < end; v += 2 * kN)
      for (std::uint32_t k = 0; k < 2; ++k) {
        const F z = L::max(L::sub(L::template logits<D>(row.data, v + k * kN), greatest), least), shifted = L::mul_add(z, slope, shift);
        const F f = L::mul_add(z, slope, L::sub(shift, shifted));
        F p = L::set(1.3276472e-3f);
        for (const float c : {9.6755413e-3f, 5.5507133e-2f, 2.4022120e-1f, 6.9314697e-1f, 1.0f}) p = L::mul_add(p, f, L::set(c));
        p = L::scale(p, shifted);
        L::store(scratch + v + k * kN, p);
        sum[k] = L::add(sum[k], p);
      }
    total += sums[blocks] = L::total(L::add(sum[0], sum[1]));
  }
  std::uint32_t& state = noise.state[0];
  state ^= state << 13; state ^= state >> 17; state ^= state << 5;
  float left = static_cast<float>(state >> 8) * 0x1p-24f * total;
  std::uint32_t block = 0;
  while (block + 1 < blocks && left >= sums[block]) left -= sums[block++];
  std::uint32_t v = block * kBlock;
  while (v + 1 < row.vocab && left >= scratch[v]) left -= scratch[v++];
  return v;
}

#define HEIRMARK_PEER_BY_DTYPE(call)                                                        \
  switch (row.dtype) {                                                                      \
    case DType::bfloat16: { constexpr DType D = DType::bfloat16; return call; }             \
    case DType::float16: { constexpr DType D = DType::float16; return call; }               \
    default: { constexpr DType D = DType::float32; return call; }                           \
  }
template <class L> std::uint32_t argmax(const sampler::RowView& row) { HEIRMARK_PEER_BY_DTYPE((argmax_of<L, D>(row))) }
template <class L> std::uint32_t gumbel(const sampler::RowView& row, float reference, Noise& noise) { HEIRMARK_PEER_BY_DTYPE((gumbel_of<L, D>(row, reference, noise))) }
template <class L> std::uint32_t softmax(const sampler::RowView& row, Noise& noise, float* scratch) { HEIRMARK_PEER_BY_DTYPE((softmax_of<L, D>(row, noise, scratch))) }
#undef HEIRMARK_PEER_BY_DTYPE
template <class L> constexpr Peers make_peers() { return {argmax<L>, gumbel<L>, softmax<L>}; }

}  // namespace
}  // namespace heirmark::bench
