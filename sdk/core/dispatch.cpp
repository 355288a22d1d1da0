#include "core/dispatch.hpp"

#include <atomic>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace heirmark::core {
namespace {
#if defined(__x86_64__)
/// clang 14's __builtin_cpu_supports does not know "f16c".
bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

constexpr int kNotForced = -1;
std::atomic<int> forced{kNotForced};
}  // namespace

bool can_run(InstructionSet set) noexcept {
  switch (set) {
    case InstructionSet::portable: return true;
#if defined(__x86_64__)
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
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
