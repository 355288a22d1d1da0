// What instructions do to registers and memory, by PTX's names.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ptx.hpp"

namespace heirmark::emulator {

/// Where the windows of shared, local and .param space begin: no variable has the address 0.
inline constexpr std::uint32_t kSharedBias = 0x100, kLocalBias = 0x100, kParamBias = 0x100;

struct Operation {
  Kind kind = Kind::plain;
  Execute execute = nullptr;  ///< null for a plain instruction: not understood
  std::uint8_t operands = 0;  ///< that it reads
  Contraction contraction = Contraction::none;
};

/// By the whole name, "setp.lt.u32"; a vector among the operands adds ".pack2" or ".unpack2" to it.
[[nodiscard]] Operation operation(const std::string& name);
/// A sum or difference with an exact product in it.
[[nodiscard]] Execute fused(Contraction how, bool product_first, unsigned width);
/// Of ld, st, atom, red; null: not understood.
[[nodiscard]] Execute access(const std::vector<std::string_view>& parts, bool atomic);
/// mov of a special register, "%tid.x"; null: not understood.
[[nodiscard]] Execute special(std::string_view name);
/// mov of a local variable's address: Instruction::offset in the frame.
[[nodiscard]] Execute address_of_local();

}  // namespace heirmark::emulator
