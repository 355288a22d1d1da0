// What a program that is linked to the emulator can ask beyond CUDA's own functions.
#pragma once
#include <string>
#include <vector>

#include "clock.hpp"

namespace heirmark::emulator {

/// What the last kernel that failed did, and where; empty if none did.
[[nodiscard]] std::string last_fault();

/// Estimates launches from here on, or no longer. What was estimated so far is handed over.
void estimate_launches(bool wanted);
[[nodiscard]] std::vector<Estimate> take_estimates();

}  // namespace heirmark::emulator
