// Bulk scoring on a device: the exact integer statistic of many keys over many pairs (specs/scoring.md, "Integers per pair"). Host code; no
// CUDA type appears.
//
//   Terms (pairs, packed by scoring) go to the device in chunks, keys in batches; Scorer keeps the memory and cuts the work into launches.
//   ScoreDevice is what it needs of a machine: the GPU's is opened by open_score_device(), the tests have one that runs on the CPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <heirmark/profile.hpp>
#include <heirmark/result.hpp>

#include "core/context.hpp"
#include "core/hd.hpp"
#include "kernels/block.hpp"

namespace heirmark::kernels {

inline constexpr std::uint32_t kKeyLanes = 32;        ///< most keys of a block: a warp, so that it works on one term at a time
inline constexpr std::uint32_t kTermsOfThread = 64;   ///< most terms that one thread of a block scores
inline constexpr std::uint32_t kScoreLaunch = 1u << 16;  ///< blocks of a launch: 2^30 sums at most, a fifth of a second of an H100

/// How a word becomes an integer.
struct ScoreRule {
  heirmark::Scheme scheme = heirmark::Scheme::gumbel;
  std::uint32_t gamma = 0;  ///< greenlist: 1 below it
  std::uint32_t mask = 0;   ///< tournament: the bits that count
  bool weighted = false;    ///< do terms have weights? Else each counts once
};

/// What the word of a pair's bin needs beside its window: block of the stream << 2 | row of the block; and the weight.
struct ScoreTerm {
  std::uint32_t place = 0;
  std::int32_t weight = 1;
};

/// Terms that follow one another and have a class, a sign, a rotation and a slot in common.
struct ScoreTile {
  std::uint32_t first = 0, count = 0;
  std::uint32_t slot = 0;  ///< which sum they are added to
  std::uint16_t window_class = 0;
  std::uint8_t rotation = 0;  ///< see score_tile.hpp
  std::uint8_t negative = 0;  ///< weights are below zero, so scores round up
};

/// Where the word of a bin comes out of a block of the stream: 4 * row + column, and the rotation that brings it onto the first diagonal.
[[nodiscard]] constexpr std::uint32_t score_rotation(std::uint32_t bin) { return (bin % 4 - bin / 4 % 4) & 3; }
[[nodiscard]] constexpr std::uint32_t score_place(std::uint32_t bin) { return bin / 16 << 2 | bin / 4 % 4; }

/// A sum of up to 2^32 terms: high * 2^32 + low. Both parts are plain sums, so the order of additions changes neither.
struct ScoreSum {
  std::uint64_t low = 0;
  std::int64_t high = 0;
  [[nodiscard]] __int128 value() const noexcept { return static_cast<__int128>(high) * (std::int64_t{1} << 32) + low; }
};

/// Keys of one block: a power of two up to 32, and no more than there are keys, so that one key occupies a whole block too.
[[nodiscard]] constexpr std::uint32_t score_key_lanes(std::uint32_t keys) {
  std::uint32_t lanes = 1;
  while (lanes < keys && lanes < kKeyLanes) lanes *= 2;
  return lanes;
}
/// Most terms of a tile, which the threads of a block share.
[[nodiscard]] constexpr std::uint32_t score_tile_terms(std::uint32_t key_lanes) { return kTermsOfThread * (kThreads / key_lanes); }

/// What a launch is given. All pointers are memory of the device.
struct ScoreBatch {
  const Packet* window = nullptr;  ///< of each term, rotated
  const ScoreTerm* term = nullptr;
  const ScoreTile* tile = nullptr;
  const std::uint32_t* key = nullptr;  ///< word w of key k's subkey for class c: key[(8 c + w) * keys + k]
  std::uint64_t* low = nullptr;        ///< of slot s and key k: low[s * keys + k]
  std::uint64_t* high = nullptr;       ///< the same, two's complement; only if the rule has weights
  std::uint32_t keys = 0, key_lanes = 1;
  std::uint32_t first = 0;  ///< block; block = tile * key tiles + key tile
  ScoreRule rule;
  [[nodiscard]] HEIRMARK_HD_INLINE std::uint32_t key_tiles() const { return (keys + key_lanes - 1) / key_lanes; }
};

/// A chunk of pairs as a device reads it.
struct ScoreTerms {
  std::vector<Packet> window;
  std::vector<ScoreTerm> term;
  std::vector<ScoreTile> tile;
};

/// Memory, copies and launches of one device, carried out in the order of the calls. Errors are `io` and say what failed.
class ScoreDevice {
 public:
  ScoreDevice() = default;
  ScoreDevice(const ScoreDevice&) = delete;
  ScoreDevice& operator=(const ScoreDevice&) = delete;
  virtual ~ScoreDevice() = default;

  /// Bytes that could be allocated now.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes() = 0;
  /// At least 16-byte aligned; bytes > 0.
  [[nodiscard]] virtual Result<void*> allocate(std::size_t bytes) = 0;
  /// Waits for the work under way.
  virtual void release(void* memory) noexcept = 0;
  /// To the device. `from` may be wiped and used again after the call, and nothing on the host keeps a copy.
  [[nodiscard]] virtual Result<void> put(void* to, const void* from, std::size_t bytes) = 0;
  /// From the device, after everything before.
  [[nodiscard]] virtual Result<void> get(void* to, const void* from, std::size_t bytes) = 0;
  [[nodiscard]] virtual Result<void> zero(void* memory, std::size_t bytes) = 0;
  /// Blocks batch.first .. + blocks - 1. Does not wait.
  [[nodiscard]] virtual Result<void> launch(const ScoreBatch& batch, std::uint32_t blocks) = 0;
  /// For everything before.
  [[nodiscard]] virtual Result<void> wait() = 0;
};

/// The first GPU that CUDA shows (CUDA_VISIBLE_DEVICES chooses). `io` if this build has no CUDA, or the machine no driver, no GPU or one that
/// these kernels were not compiled for.
[[nodiscard]] Result<std::unique_ptr<ScoreDevice>> open_score_device();

/// Memory of a device, released at the end of its life; if it holds keys, overwritten with zeros before.
class ScoreMemory {
 public:
  enum class Holds : std::uint8_t { data, keys };
  ScoreMemory() = default;
  [[nodiscard]] static Result<ScoreMemory> allocate(ScoreDevice& device, std::size_t bytes, Holds holds = Holds::data);
  ScoreMemory(ScoreMemory&& other) noexcept;
  ScoreMemory& operator=(ScoreMemory&& other) noexcept;
  ~ScoreMemory() { reset(); }
  template <class T>
  [[nodiscard]] T* as() const noexcept { return static_cast<T*>(memory_); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  void reset() noexcept;
  ScoreDevice* device_ = nullptr;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  Holds holds_ = Holds::data;
};

/// The sums of a batch of keys over chunks of terms: begin, then load and run for each chunk, then sums.
class Scorer {
 public:
  struct Limits {
    std::uint32_t keys = 1;   ///< of a batch
    std::uint32_t terms = 1;  ///< of a chunk
    std::uint32_t tiles = 1;  ///< of a chunk
    std::uint32_t slots = core::kClasses;
  };
  /// Bytes of device memory that create() takes.
  [[nodiscard]] static std::uint64_t bytes(const Limits& limits, bool weighted) noexcept;
  /// The device must outlive the scorer.
  [[nodiscard]] static Result<Scorer> create(ScoreDevice& device, const ScoreRule& rule, const Limits& limits);

  /// Takes the subkeys of `count` keys, laid out as ScoreBatch::key says, and sets their sums to 0.
  [[nodiscard]] Result<void> begin(std::span<const std::uint32_t> keys, std::uint32_t count);
  /// Puts a chunk in the place of the last one. It stays for later batches. Its tiles were cut for key_lanes().
  [[nodiscard]] Result<void> load(const ScoreTerms& terms);
  [[nodiscard]] std::uint32_t key_lanes() const noexcept { return score_key_lanes(limits_.keys); }
  /// Adds the chunk to the sums. While each launch runs, `during` is called with the share of the chunk that is done before it; false ends
  /// the run with `stopped`.
  [[nodiscard]] Result<void> run(const std::function<bool(double)>& during);
  /// out[s * count + k]: sum of slot s and key k.
  [[nodiscard]] Result<void> sums(std::span<ScoreSum> out);

 private:
  Scorer() = default;
  ScoreDevice* device_ = nullptr;
  Limits limits_;
  ScoreBatch batch_;
  std::uint32_t tiles_ = 0;
  ScoreMemory window_, term_, tile_, key_, low_, high_;
};

}  // namespace heirmark::kernels
