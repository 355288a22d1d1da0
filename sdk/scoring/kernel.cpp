#include "scoring/kernel.hpp"

#include <array>

#include "core/dispatch.hpp"

namespace heirmark::scoring {
namespace {

const Kernel& kernel_of(core::InstructionSet set) noexcept {
#if defined(__x86_64__)
  if (set == core::InstructionSet::avx512) return kAvx512Kernel;
  if (set == core::InstructionSet::avx2) return kAvx2Kernel;
#endif
  static_cast<void>(set);
  return kPortableKernel;
}

}  // namespace

std::span<const Kernel* const> kernels() noexcept {
  struct List {
    std::array<const Kernel*, 3> items{};
    std::size_t count = 0;
  };
  static const List list = [] {
    List out;
    for (const core::InstructionSet set : core::kInstructionSets)
      if (core::can_run(set)) out.items[out.count++] = &kernel_of(set);
    return out;
  }();
  return {list.items.data(), list.count};
}

const Kernel& best_kernel() noexcept { return kernel_of(core::instruction_set()); }

}  // namespace heirmark::scoring
