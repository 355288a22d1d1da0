// tests/fuzz/bag: a small signed bag, the same in every run, in which a target changes one file.
#pragma once
#include <stdexcept>

#include "evidence/bag.hpp"

namespace heirmark::fuzz {

inline const evidence::Files& base_bag() {
  static const evidence::Files files = [] {
    std::vector<Check> checks;
    auto read = evidence::read_bag(HEIRMARK_FUZZ_BAG, {}, checks);
    if (!read || !checks.empty()) throw std::runtime_error("tests/fuzz/bag is damaged");
    return std::move(read).value();
  }();
  return files;
}

/// The name of the file that `index` selects.
inline const std::string& file_of(std::size_t index) { return std::next(base_bag().begin(), static_cast<std::ptrdiff_t>(index % base_bag().size()))->first; }

}  // namespace heirmark::fuzz
