#include "core/dispatch.hpp"

#include <atomic>

namespace heirmark::core {
namespace {
constexpr int kNotForced = -1;
std::atomic<int> forced{kNotForced};
}  // namespace

bool can_run(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::portable: return true;
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case InstructionSet::avx512:
      return can_run(InstructionSet::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    default: return false;
#endif
  }
  return false;
}

InstructionSet instruction_set() noexcept {
  if (const int set = forced.load(std::memory_order_relaxed); set != kNotForced) return static_cast<InstructionSet>(set);
  if (can_run(InstructionSet::avx512)) return InstructionSet::avx512;
  return can_run(InstructionSet::avx2) ? InstructionSet::avx2 : InstructionSet::portable;
}

const char* name(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::portable: return "portable";
    case InstructionSet::avx2: return "avx2";
    case InstructionSet::avx512: return "avx512";
  }
  return "?";
}

void force_instruction_set(std::optional<InstructionSet> set) noexcept {
  if (set && !can_run(*set)) return;
  forced.store(set ? static_cast<int>(*set) : kNotForced, std::memory_order_relaxed);
}

}  // namespace heirmark::core
