#include <heirmark/types.hpp>

#include <string.h>  // explicit_bzero: glibc and the BSDs

namespace heirmark {

void Secret32::wipe() noexcept { explicit_bzero(bytes_.data(), bytes_.size()); }

bool Secret32::equals(const Secret32& other) const noexcept {
  volatile std::uint8_t difference = 0;
  for (std::size_t i = 0; i < bytes_.size(); ++i) difference = difference | static_cast<std::uint8_t>(bytes_[i] ^ other.bytes_[i]);
  return difference == 0;
}

Subkeys Subkeys::clone() const {
  Subkeys copy;
  for (std::size_t c = 0; c < kClasses; ++c) copy.window[c] = window[c].clone();
  copy.coin = coin.clone();
  copy.issuance.reserve(issuance.size());
  for (const Secret32& key : issuance) copy.issuance.push_back(key.clone());
  return copy;
}

}  // namespace heirmark
