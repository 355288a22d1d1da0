// How long a block would take on an H100: an estimate from a simple model of a streaming multiprocessor, for finding what a kernel waits for and for
// comparing one version with another. It is no measurement.
//
// Inside a phase, between two barriers, a warp issues the instructions of a basic block as soon as what they read is ready, as if ptxas had found the best
// order, and one a cycle; four schedulers have a quarter of the warps each, and every scheduler's pipes take their time. A phase lasts as long as the longest chain of one warp, or as the busiest pipe, if that
// is longer. The instructions are PTX's: ptxas drops some moves and conversions and turns some operations into several, which costs_of() tries to foresee.
// Latencies: W. Luo et al., "Dissecting the NVIDIA Hopper architecture through microbenchmarking", 2025, and Z. Jia et al., 2018, for what it has not.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "block.hpp"

namespace heirmark::emulator {

/// What blocks of a launch took, by the model.
struct Estimate {
  std::string kernel;
  std::uint64_t blocks = 0;
  double longest = 0, mean = 0;        ///< cycles of a block
  double work = 0;                     ///< cycles for which a block keeps the busiest pipe of a processor of its own busy, mean
  double makespan = 0;                 ///< cycles of the launch if blocks did not disturb each other: `resident` of them on each of 132 processors
  std::uint32_t resident = 1;
  std::uint64_t instructions = 0;      ///< of warps, all blocks
  std::uint64_t barriers = 0;          ///< of the longest block
  std::uint64_t bytes = 0;             ///< read from global memory, all blocks
  /// Cycles of the longest block by source line: what its phases' slowest warps did.
  std::vector<std::pair<std::string, double>> lines;
};

class Clock {
 public:
  void begin_launch(const Launch& launch);
  void begin_block();
  /// Before an instruction is executed by a warp. `addresses`: of what it reads, if it reads memory that is not shared or local.
  void issue(const Warp& warp, const Frame& frame, std::uint32_t pc, const std::vector<std::uint64_t>& addresses);
  void barrier();
  void end_block();
  [[nodiscard]] Estimate end_launch();

 private:
  static constexpr unsigned kSchedulers = 4, kPipes = 6;
  struct Progress {
    double at = 0;       ///< cycle of the phase from which on instructions of the present basic block may issue
    double issued = 0;   ///< of the basic block
    double last = 0;     ///< latest issue
    double reached = 0;  ///< latest result
    std::map<std::pair<const Frame*, std::uint32_t>, double> ready;  ///< of a register that is not ready yet
    std::array<double, kPipes> pipes{};
    double slots = 0;
    std::unordered_map<std::uint32_t, double> by_pc;
  };
  void end_phase();
  const Launch* launch_ = nullptr;
  std::vector<Progress> warps_;
  double now_ = 0;
  std::array<double, kPipes + 1> work_{};      ///< of the block, on all four schedulers; the last one: issuing
  std::unordered_set<std::uint64_t> lines_;    ///< of memory that the first cache has
  std::unordered_map<std::uint64_t, double> asked_;  ///< lines that were asked for: when the second cache has them
  std::vector<double> durations_;
  std::uint64_t barriers_ = 0;
  std::unordered_map<std::uint32_t, double> block_by_pc_, longest_by_pc_;
  Estimate estimate_;
};

}  // namespace heirmark::emulator
