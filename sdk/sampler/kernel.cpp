#include "sampler/kernel.hpp"

namespace heirmark::sampler {

const Kernel& kernel(core::InstructionSet set) noexcept {
#if defined(__x86_64__)
  if (set == core::InstructionSet::avx512) return kKernelAvx512;
  if (set == core::InstructionSet::avx2) return kKernelAvx2;
#endif
  static_cast<void>(set);
  return kKernelPortable;
}

}  // namespace heirmark::sampler
