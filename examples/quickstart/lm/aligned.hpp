// Float vectors that start on a cache line. Vectorised sums take the elements before the first aligned one apart, so
// with any other allocation the last bits of a result could change from run to run.
#pragma once
#include <cstddef>
#include <new>
#include <vector>

namespace quickstart {

inline constexpr std::size_t kAlignment = 64;
inline constexpr std::size_t kAlignedFloats = kAlignment / sizeof(float);

template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(kAlignment))); }
  void deallocate(T* p, std::size_t) noexcept { ::operator delete(p, std::align_val_t(kAlignment)); }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

using Floats = std::vector<float, AlignedAllocator<float>>;

}  // namespace quickstart
