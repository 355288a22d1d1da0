// The inner loops of scoring, once for each instruction set. All of them give the same integers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/context.hpp"
#include "core/stream.hpp"

namespace heirmark::scoring {

/// Every kernel works on whole groups of this many windows; columns and outputs are padded to it.
inline constexpr std::size_t kGroup = 16;
constexpr std::size_t padded(std::size_t count) { return (count + kGroup - 1) / kGroup * kGroup; }
/// A word whose score is 0, whose score is not near an integer, for the padding.
inline constexpr std::uint32_t kPadWord = 0xFFFFFFFEu;

/// Windows as columns: window[k][i] is word k of window i. A null column stands for 0xFFFFFFFF everywhere.
struct Columns {
  const std::uint32_t* window[core::kMaxWindow] = {};
  const std::uint32_t* word = nullptr;  ///< which u32 of the stream; null: the first
  [[nodiscard]] Columns from(std::size_t first) const {
    Columns out;
    for (int k = 0; k < core::kMaxWindow; ++k) out.window[k] = window[k] == nullptr ? nullptr : window[k] + first;
    out.word = word == nullptr ? nullptr : word + first;
    return out;
  }
};

struct Kernel {
  std::string_view name;
  /// out[i] = u32 at byte 4 * word[i] of stream(key, window i, domain), for i < count, a multiple of kGroup. Each key
  /// works alone.
  void (*words)(const core::KeyWords& key, core::Domain domain, const Columns& columns, std::size_t count,
                std::uint32_t* out);
  /// Sum of score(words[i]), count a multiple of kGroup, at most 2^32.
  std::uint64_t (*sum_scores)(const std::uint32_t* words, std::size_t count);
  /// out[i] = score(words[i]), count a multiple of kGroup. out may be words.
  void (*scores)(const std::uint32_t* words, std::size_t count, std::uint32_t* out);
  /// How many words are below the limit. Any count.
  std::uint64_t (*count_below)(const std::uint32_t* words, std::size_t count, std::uint32_t limit);
  /// How many one bits the words have under the mask. Any count.
  std::uint64_t (*count_ones)(const std::uint32_t* words, std::size_t count, std::uint32_t mask);
};

/// The kernels that this machine can run, slowest first.
[[nodiscard]] std::span<const Kernel* const> kernels() noexcept;
/// The one for core::instruction_set(), which decides for every room.
[[nodiscard]] const Kernel& best_kernel() noexcept;

extern const Kernel kPortableKernel;
extern const Kernel kAvx2Kernel;    ///< defined on x86-64 only
extern const Kernel kAvx512Kernel;  ///< defined on x86-64 only

/// score_exact, compiled once: a file of one instruction set must not carry shared inline functions.
[[nodiscard]] std::uint32_t exact_score(std::uint32_t word) noexcept;

}  // namespace heirmark::scoring
