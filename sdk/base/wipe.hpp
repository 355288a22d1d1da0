// Overwriting what held a secret.
#pragma once
#include <string.h>  // explicit_bzero: glibc and the BSDs

#include <cstddef>
#include <string>

namespace heirmark {

/// Overwrites in a way that the compiler keeps.
inline void wipe(void* memory, std::size_t bytes) noexcept {
  if (bytes != 0) explicit_bzero(memory, bytes);
}

/// Overwrites and empties, in a way that the compiler keeps. Only this string: copies that it made when it grew are not reached.
inline void wipe(std::string& text) noexcept {
  wipe(text.data(), text.size());
  text.clear();
}

}  // namespace heirmark
