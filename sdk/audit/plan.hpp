// What a plan's digest determines: the order of the prompts and every query's seed (specs/formats.md, "Seed").
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heirmark::audit {

inline constexpr std::uint32_t kMaxDecoys = 1u << 22;
inline constexpr std::uint64_t kMaxFile = 1ull << 33;     ///< bytes of a file of records
inline constexpr std::uint64_t kMaxObject = 1ull << 24;   ///< bytes of a JSON object
inline constexpr std::uint64_t kMaxRecords = 1ull << 31;  ///< lines of a file: indices fit into u32be

/// SHA-256 in lower-case hex.
[[nodiscard]] std::string digest(std::string_view bytes);
[[nodiscard]] std::array<std::uint8_t, 32> plan_seed(std::string_view plan_digest);
/// Indices of the prompts in the order of use; text i uses order[i mod prompts].
[[nodiscard]] std::vector<std::uint32_t> prompt_order(const std::array<std::uint8_t, 32>& seed, std::uint32_t prompts);
/// The seed of query `index`; channel is "c1" or "issued".
[[nodiscard]] std::uint64_t query_seed(const std::array<std::uint8_t, 32>& seed, std::string_view channel, std::uint32_t index);

}  // namespace heirmark::audit
