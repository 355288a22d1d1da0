// What a launch is given: the batch, the keys, the memory between blocks; and how a row is cut into slices.
#pragma once
#include <cstddef>
#include <cstdint>

#include <heirmark/device_sampler.hpp>

#include "core/context.hpp"
#include "core/stream.hpp"
#include "kernels/block.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kBinBits = 3, kBinsPerThread = 1u << kBinBits;
inline constexpr std::uint32_t kLaneBits = 8, kLanes = 1u << kLaneBits;  ///< threads that a row's bins occupy
static_assert(kLanes * kBinsPerThread == core::kBins);
inline constexpr std::uint32_t kChunk = 4;                             ///< strides of 2,048 tokens that a thread reads at once
inline constexpr std::uint32_t kChunkTokens = kChunk * kBinsPerThread; ///< tokens behind one delegate: 32
inline constexpr std::uint32_t kMaxSlices = 64;
inline constexpr std::uint32_t kMaxCandidates = 4;
inline constexpr std::uint32_t kMaxStrides = 512;                      ///< strides of 2,048 tokens in the longest row
inline constexpr std::uint32_t kWordsPerBlock = 16, kRowBlocks = core::kBins / kWordsPerBlock;  ///< words of a block of the key stream, blocks of a row's bins

/// The keys of a sampler, in memory of the device. Slots of accounts follow one another in `issuance`.
struct KeyTable {
  core::KeyWords window[core::kClasses];
  core::KeyWords coin;
  core::KeyWords nobodys;  ///< of mode off
  std::uint32_t accounts = 0;
  const core::KeyWords* issuance = nullptr;
};

/// The profile's part.
struct Scheme {
  heirmark::Scheme kind = heirmark::Scheme::gumbel;
  std::uint64_t share_q32 = 0;
  std::uint32_t gamma = 0;
  double delta = 0, boost = 1;  ///< greenlist: nats, and e^delta as marks::greenlist::boost gives it
  int layers = 0;
};

/// A bin that may win the race of its slice: bounds of its time E_b / S_b, S_b in units of e^(greatest logit of the slice / T).
struct Candidate { std::uint32_t bin; float low, high; };

/// What a block found out about its slice of a row.
struct SliceResult {
  float greatest;       ///< greatest logit; -FLT_MAX also when none is finite
  float total;          ///< sum of its bins, in the units above
  std::uint32_t first;  ///< smallest id with the greatest logit, where somebody asks
  std::uint32_t count;  ///< candidates; more than kMaxCandidates: they did not fit
  Candidate candidates[kMaxCandidates];
};

/// How a row is cut. Slices are ranges of bins, so that no sum crosses a slice; inside a slice `groups` of `lanes` threads share its strides.
struct Shape {
  std::uint32_t halvings = 0;  ///< 0 .. 6: slices are a power of two, so that nothing has to be divided
  std::uint32_t chunks = 0;    ///< chunks of a row: ceil(ceil(vocab / 2048) / 4)
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t slices() const { return 1u << halvings; }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t bins() const { return core::kBins >> halvings; }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t lanes() const { return kLanes >> halvings; }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t groups() const { return (kThreads / kLanes) << halvings; }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t delegates() const { return chunks * kLanes; }
  /// Of thread t: its lane, and its group. Of a bin of the row: its slice.
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t lane_of(std::uint32_t t) const { return t & (lanes() - 1); }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t group_of(std::uint32_t t) const { return t >> (kLaneBits - halvings); }
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t slice_of(std::uint32_t bin) const { return bin >> (kLaneBits + kBinBits - halvings); }
};

/// Two blocks to each of `processors` at most, but no more groups than there are chunks to read: every block makes keys and has an end of its own, which
/// costs as much as reading a few chunks, and two of them keep enough reads under way. Tokens do not depend on it.
[[nodiscard]] inline Shape shape_for(std::uint32_t rows, std::uint32_t vocab, std::uint32_t processors) {
  constexpr std::uint32_t kBlocksPerProcessor = 2;
  const std::uint32_t strides = (vocab + core::kBins - 1) / core::kBins;
  Shape shape{0, (strides + kChunk - 1) / kChunk};
  while (shape.slices() < kMaxSlices && 2 * rows * shape.slices() <= kBlocksPerProcessor * processors && 2 * shape.slices() <= shape.chunks) ++shape.halvings;
  return shape;
}

/// What a row's tournament needs of all slices: sums in units of their slice's greatest logit, and the coarse words of the mark's and the race's keys.
struct PlayMemory {
  float sums[core::kBins];
  std::uint32_t mark[core::kBins], noise[core::kBins];
};

/// Memory between blocks, all in global memory. Tickets are 0 before a launch and after it.
struct Workspace {
  std::uint32_t* tickets = nullptr;  ///< one a row
  SliceResult* slices = nullptr;     ///< kMaxSlices a row
  PlayMemory* plays = nullptr;       ///< one a row; null if the scheme is no tournament
  float* delegates = nullptr;        ///< shape.delegates() a row; may be null if no row truncates and nobody wants top tokens
};

struct Batch {
  const std::byte* logits = nullptr;
  std::uint64_t row_bytes = 0;  ///< from one row to the next
  std::uint32_t rows = 0, vocab = 0;
  const DeviceRow* row = nullptr;
  const KeyTable* keys = nullptr;
  Scheme scheme;
  Shape shape;
  bool log_probs = false;
  bool truncation = true;  ///< false: a row that asks for min-p, top-k or top-p is `bad_parameter`
  Workspace workspace;
  Sampled* out = nullptr;
  TopTokens* top = nullptr;  ///< null: nobody wants them; else every row has delegates

  /// Which program the batch needs: row.hpp, kFull.
  [[nodiscard]] bool needs_full() const { return truncation || top != nullptr || scheme.kind == heirmark::Scheme::tournament; }
};

}  // namespace heirmark::kernels
