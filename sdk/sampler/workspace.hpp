// The memory that one row needs while it is worked on, kept from row to row.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "sampler/kernel.hpp"

namespace heirmark::sampler {

struct Workspace {
  explicit Workspace(std::uint32_t vocab) : ids(vocab + kSpare), logits(vocab + kSpare), order(vocab) {}

  alignas(64) std::array<std::uint32_t, core::kBins> coarse;  ///< words of the race
  alignas(64) std::array<std::uint32_t, core::kBins> mark;    ///< words of the window, for greenlist and tournament
  alignas(64) std::array<float, core::kBins> upper;           ///< bounds of the bins' masses
  alignas(64) std::array<double, core::kBins> masses;         ///< exact masses
  alignas(64) std::array<double, core::kBins> scratch;        ///< of an exact tournament
  alignas(64) std::array<float, core::kBins> near;            ///< masses that are nearly right,
  alignas(64) std::array<float, core::kBins> errors;          ///< and what each may be off by, relative to itself
  std::array<std::uint16_t, core::kBins> bins;                ///< bins to look at
  std::array<double, kMaxPerBin> inside;                      ///< masses of the tokens of one bin
  std::array<std::uint32_t, 2 * kMaxPerBin> inner;            ///< words of the tokens of one bin

  std::vector<std::uint32_t> ids;   ///< tokens that may survive truncation, ascending
  std::vector<float> logits;        ///< their logits
  std::vector<std::uint32_t> order; ///< scratch of selections: indices into them
  std::vector<double> e;            ///< their e_v
};

}  // namespace heirmark::sampler
