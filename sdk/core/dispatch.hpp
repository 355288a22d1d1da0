// Which instruction set runs: decided here and nowhere else.
#pragma once
#include <cstdint>
#include <optional>

namespace heirmark::core {

enum class InstructionSet : std::uint8_t { portable = 0, avx2 = 1, avx512 = 2 };
inline constexpr InstructionSet kInstructionSets[] = {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512};

/// Can this machine, and this build, run that code? avx2 means AVX2, FMA and F16C; avx512 also F, BW, DQ and VL.
[[nodiscard]] bool can_run(InstructionSet set) noexcept;
/// The best one that can run, unless a test has forced another.
[[nodiscard]] InstructionSet instruction_set() noexcept;
/// "portable", "avx2" or "avx512".
[[nodiscard]] const char* name(InstructionSet set) noexcept;
/// For tests, which compare all paths: what instruction_set() gives from now on; nothing gives the machine's best again. Objects
/// made before keep what they chose. Forcing what cannot run is ignored.
void force_instruction_set(std::optional<InstructionSet> set) noexcept;

}  // namespace heirmark::core
