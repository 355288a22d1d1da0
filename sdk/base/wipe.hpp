// Overwriting text that held a secret.
#pragma once
#include <string.h>  // explicit_bzero: glibc and the BSDs

#include <string>

namespace heirmark {

/// Overwrites and empties, in a way that the compiler keeps. Only this string: copies that it made when it grew are not reached.
inline void wipe(std::string& text) noexcept {
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace heirmark
