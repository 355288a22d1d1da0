// Bulk scoring as the work of one block: up to 32 keys over the terms of one tile. Each thread takes one key and every n-th term.
//
// The word of a pair is one of the sixteen of a ChaCha20 block. ChaCha's rounds do not notice when the columns of the state are rotated: the
// output is rotated by as much. So a tile holds terms whose words lie on one diagonal, and all four rows of the state are rotated until that
// is the first one (HChaCha20 too, whose output is the key of the block). Only the first quarter round of the last diagonal round is left
// then, and the compiler drops what does not lead there.
#pragma once
#include <cstdint>

#include "core/hd.hpp"
#include "core/stream.hpp"
#include "kernels/block.hpp"
#include "kernels/score.hpp"
#include "marks/greenlist/greenlist.hpp"
#include "marks/score.hpp"

namespace heirmark::kernels {

struct ScoreShared {
  std::uint64_t low[kKeyLanes], high[kKeyLanes];
};

namespace score_detail {
/// A row of the state.
struct Row { std::uint32_t w[4]; };

HEIRMARK_HD_INLINE Row rotate(const Row& row, std::uint32_t by) {
  Row out = row;
  if ((by & 1) != 0) out = {{out.w[1], out.w[2], out.w[3], out.w[0]}};
  if ((by & 2) != 0) out = {{out.w[2], out.w[3], out.w[0], out.w[1]}};
  return out;
}

/// What does not change from term to term: the rotated rows of the constants, the key, and of counter (a mask for it), 0 and domain.
struct Frame { Row sigma, key[2], counter, tail; };

HEIRMARK_HD_INLINE void put(std::uint32_t (&x)[16], const Row& sigma, const Row& first, const Row& second, const Row& last) {
  for (int k = 0; k < 4; ++k) {
    x[k] = sigma.w[k];
    x[4 + k] = first.w[k];
    x[8 + k] = second.w[k];
    x[12 + k] = last.w[k];
  }
}

/// Nineteen rounds. Three double rounds at a time: the loop's own instructions do not count then, and the code stays in the cache.
HEIRMARK_HD_INLINE void rounds_but_last(std::uint32_t (&x)[16]) {
  using core::quarter_round;
  HEIRMARK_UNROLL(3)
  for (int i = 0; i < 9; ++i) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  quarter_round(x[0], x[4], x[8], x[12]);
  quarter_round(x[1], x[5], x[9], x[13]);
  quarter_round(x[2], x[6], x[10], x[14]);
  quarter_round(x[3], x[7], x[11], x[15]);
}

/// The word at `place` of the window's stream.
HEIRMARK_HD_INLINE std::uint32_t word_of(const Frame& frame, const Packet& window, std::uint32_t place) {
  using core::quarter_round;
  std::uint32_t x[16];
  put(x, frame.sigma, frame.key[0], frame.key[1], {{window.w[0], window.w[1], window.w[2], window.w[3]}});
  rounds_but_last(x);
  quarter_round(x[0], x[5], x[10], x[15]);
  quarter_round(x[1], x[6], x[11], x[12]);
  quarter_round(x[2], x[7], x[8], x[13]);
  quarter_round(x[3], x[4], x[9], x[14]);
  const Row first{{x[0], x[1], x[2], x[3]}}, second{{x[12], x[13], x[14], x[15]}};
  Row last = frame.tail;
  for (int k = 0; k < 4; ++k) last.w[k] |= frame.counter.w[k] & place >> 2;
  put(x, frame.sigma, first, second, last);
  rounds_but_last(x);
  quarter_round(x[0], x[5], x[10], x[15]);
  const std::uint32_t low = (place & 1) == 0 ? x[0] + frame.sigma.w[0] : x[5] + first.w[1];
  const std::uint32_t high = (place & 1) == 0 ? x[10] + second.w[2] : x[15] + last.w[3];
  return (place & 2) == 0 ? low : high;
}

/// One word in 2^20 comes here.
template <class X>
HEIRMARK_HD_COLD std::uint32_t exact_score(std::uint32_t word) { return marks::score_exact(word); }

template <class X>
HEIRMARK_HD_INLINE std::uint32_t score(std::uint32_t word) {
  std::uint32_t out = 0;
  if (!marks::score_decided(word, out)) out = exact_score<X>(word);
  return out;
}

HEIRMARK_HD_INLINE std::uint32_t ones(std::uint32_t x) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(x));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(x));
#endif
}

template <heirmark::Scheme S, class X>
HEIRMARK_HD_INLINE std::uint32_t integer_of(std::uint32_t word, const ScoreRule& rule, bool negative) {
  if constexpr (S == heirmark::Scheme::greenlist) return marks::greenlist::is_green(word, rule.gamma) ? 1 : 0;
  if constexpr (S == heirmark::Scheme::tournament) return ones(word & rule.mask);
  const std::uint32_t up = negative ? 1 : 0;
  const std::uint32_t value = score<X>(word - up) + up;
  return up != 0 && word == 0 ? marks::kScoreUpZero : value;  // score' where the weight is negative
}
}  // namespace score_detail

/// Block `block` of the batch, which counts from 0 and not from batch.first.
template <heirmark::Scheme S, bool kWeighted, class X>
HEIRMARK_HD_INLINE void score_tile(X& x, const ScoreBatch& batch, std::uint32_t block, ScoreShared& shared) {
  using namespace score_detail;
  const std::uint32_t key_tiles = batch.key_tiles(), lanes = batch.key_lanes, keys = batch.keys;
  const ScoreTile tile = batch.tile[block / key_tiles];
  const std::uint32_t first_key = block % key_tiles * lanes;
  x.each([&](unsigned t) {
    if (t < lanes) shared.low[t] = shared.high[t] = 0;
  });
  x.sync();
  x.each([&](unsigned t) {
    const std::uint32_t lane = t & (lanes - 1), key = first_key + lane;
    if (key >= keys) return;
    Frame frame;
    for (std::uint32_t w = 0; w < 8; ++w)
      frame.key[w / 4].w[w % 4] = batch.key[static_cast<std::size_t>(8 * tile.window_class + w / 4 * 4 + ((w + tile.rotation) & 3)) * keys + key];
    frame.sigma = rotate({{core::kSigma[0], core::kSigma[1], core::kSigma[2], core::kSigma[3]}}, tile.rotation);
    frame.counter = rotate({{0xFFFFFFFFu, 0, 0, 0}}, tile.rotation);
    frame.tail = rotate({{0, 0, core::kBinsCoarse.w[0], core::kBinsCoarse.w[1]}}, tile.rotation);
    std::uint64_t low = 0;
    std::int64_t high = 0;
    HEIRMARK_UNROLL(1)
    for (std::uint32_t i = tile.first + t / lanes; i < tile.first + tile.count; i += kThreads / lanes) {
      const ScoreTerm term = batch.term[i];
      const std::uint32_t value = integer_of<S, X>(word_of(frame, batch.window[i], term.place), batch.rule, kWeighted && tile.negative != 0);
      if constexpr (kWeighted) {
        const std::int64_t product = std::int64_t{term.weight} * value;  // below 2^61
        low += static_cast<std::uint32_t>(product);
        high += product >> 32;
      } else {
        low += value;
      }
    }
    x.add(&shared.low[lane], low);
    if constexpr (kWeighted) x.add(&shared.high[lane], static_cast<std::uint64_t>(high));
  });
  x.sync();
  x.each([&](unsigned t) {
    const std::uint32_t key = first_key + t;
    if (t >= lanes || key >= keys) return;
    const std::size_t at = static_cast<std::size_t>(tile.slot) * keys + key;
    x.add(&batch.low[at], shared.low[t]);
    if constexpr (kWeighted) x.add(&batch.high[at], shared.high[t]);
  });
}

}  // namespace heirmark::kernels
