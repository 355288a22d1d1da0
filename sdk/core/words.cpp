#include "core/words.hpp"

namespace heirmark::core {

void detail::blocks_portable(const KeyWords& row, Domain domain, std::uint64_t first, std::size_t count, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t block[kBlockWords];
    stream_block(row, domain, first + i, block);
    for (std::uint32_t k = 0; k < kBlockWords; ++k) out[kBlockWords * i + k] = block[k];
  }
}

BlocksFunction blocks_function(InstructionSet set) noexcept {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return detail::blocks_avx512;
  if (set == InstructionSet::avx2) return detail::blocks_avx2;
#endif
  static_cast<void>(set);
  return detail::blocks_portable;
}

}  // namespace heirmark::core
