// What a program that is linked to the emulator can ask beyond CUDA's own functions.
#pragma once
#include <string>

namespace heirmark::emulator {

/// What the last kernel that failed did, and where; empty if none did.
[[nodiscard]] std::string last_fault();

}  // namespace heirmark::emulator
