// Many blocks of one row's stream at once: the 2,048 coarse words of a row are 128 blocks.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/context.hpp"
#include "core/dispatch.hpp"
#include "core/stream.hpp"

namespace heirmark::core {

inline constexpr std::uint32_t kBlockWords = 16;
inline constexpr std::uint32_t kRowBlocks = kBins / kBlockWords;  ///< blocks of hm-bins1 in a row: 128

/// Blocks first .. first + count - 1 of a row's stream in a domain, 16 words each, to `out`.
using BlocksFunction = void (*)(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out);
[[nodiscard]] BlocksFunction blocks_function(InstructionSet set) noexcept;

namespace detail {
void blocks_portable(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out);
void blocks_avx2(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out);
void blocks_avx512(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out);
}  // namespace detail

}  // namespace heirmark::core
