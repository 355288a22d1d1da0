#include "scoring/kernel.hpp"

#include <array>

namespace heirmark::scoring {

std::span<const Kernel* const> kernels() noexcept {
  struct Choice {
    std::array<const Kernel*, 3> list{&kPortableKernel, nullptr, nullptr};
    std::size_t count = 1;
  };
  static const Choice choice = [] {
    Choice out;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) out.list[out.count++] = &kAvx2Kernel;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
      out.list[out.count++] = &kAvx512Kernel;
#endif
    return out;
  }();
  return {choice.list.data(), choice.count};
}

const Kernel& best_kernel() noexcept { return *kernels().back(); }

}  // namespace heirmark::scoring
