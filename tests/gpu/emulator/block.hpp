// Runs kernels: block after block, in an order of its own; in a block warp after warp, each as far as it comes; in a warp lane beside lane.
//
// Lanes that part at a branch wait for each other where they meet again: of those that can go on, the ones deepest in calls go first, and among them the
// ones with the lowest address. So a kernel runs as on a device that diverges; what it may not rely on (PTX ISA 9: the order of threads) follows from a seed.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "memory.hpp"
#include "ptx.hpp"

namespace heirmark::emulator {

/// Registers and parameters of a function that some lanes of a warp are in.
struct Frame {
  const Function* function;
  Frame* parent;
  std::uint32_t return_to, depth, lanes;  ///< lanes: those that have not left it
  std::uint32_t local_base;               ///< of its variables, in the local memory of each thread
  const Call* call;
  std::vector<std::array<std::uint64_t, kLanes>> registers;
  std::vector<std::byte> params;  ///< frame_bytes for each lane
  [[nodiscard]] std::byte* param(unsigned lane, std::uint32_t offset) { return params.data() + std::size_t{lane} * function->frame_bytes + offset; }
};

struct Warp {
  std::uint32_t number = 0;
  std::uint32_t present = 0, left = 0;          ///< lanes that there are; those that are done
  std::uint32_t at_barrier = 0, at_warp = 0;    ///< lanes that wait, for the block or for their warp
  std::uint32_t phase = 0;                      ///< barriers of the warp
  std::uint32_t group_phase = 0;                ///< barriers of some warps that it was at
  std::uint32_t carry = 0;                      ///< the condition code, a bit a lane
  std::array<std::uint32_t, kLanes> pc{};
  std::array<Frame*, kLanes> frame{};
  [[nodiscard]] std::uint32_t ready() const { return present & ~(left | at_barrier | at_warp); }
};

struct Launch {
  const Module* module = nullptr;
  const Function* entry = nullptr;
  std::uint32_t blocks = 0, threads = 0;
  std::vector<std::byte> params;
};

class Clock;
class Executor;

/// "file:line" of an instruction; of what comes from CUDA's own headers, the last place outside them.
[[nodiscard]] std::string place_of(const Module& module, std::uint32_t pc);

/// An instruction about to be executed by some lanes of a warp.
struct Step {
  const Instruction& instruction;
  Frame& frame;
  std::uint32_t lanes;
  Warp& warp;
  Executor& executor;

  [[nodiscard]] std::uint64_t* to(unsigned i) { return instruction.to[i] == kNone ? nullptr : frame.registers[instruction.to[i]].data(); }
  [[nodiscard]] const std::uint64_t* from(unsigned i) { return slot(instruction.from[i]); }
  [[nodiscard]] const std::uint64_t* slot(std::uint32_t s) { return s >= kConstant ? frame.function->constants[s - kConstant].data() : frame.registers[s].data(); }
};

class Executor {
 public:
  explicit Executor(GlobalMemory& memory) : memory_(memory) {}
  /// Of everything that a device leaves open: the order of blocks and warps, the last bits of approximations.
  void seed(std::uint64_t value) { random_.seed(value); }
  /// Estimates what blocks take, from the next launch on; null: nobody does.
  void time(Clock* clock) { clock_ = clock; }
  /// Throws Fault with the kernel, the thread and the place in it.
  void run(const Launch& launch);

  // ---- For instructions
  /// The host's address of a thread's memory, for a vector of `bytes`. Throws Fault.
  std::byte* touch(Step& step, unsigned lane, bool write, bool atomic);
  void fence(Step& step, unsigned lane) { memory_.fence(actor(step.warp, lane)); }
  [[nodiscard]] std::uint64_t generic_shared() const { return reinterpret_cast<std::uint64_t>(shared_.begin()); }
  [[nodiscard]] std::uint64_t generic_local(const Warp& warp, unsigned lane) const;
  [[nodiscard]] std::uint64_t generic_params() const { return reinterpret_cast<std::uint64_t>(launch_->params.data()); }
  [[nodiscard]] const Launch& launch() const { return *launch_; }
  [[nodiscard]] std::uint32_t block() const { return block_; }
  /// Uniform in (-1, 1): how much of its permitted error an approximation makes.
  double bend() { return static_cast<double>(static_cast<std::int64_t>(random_())) * 0x1p-63; }

 private:
  static constexpr std::uint32_t kLocalBytes = 16384;  ///< of a thread
  [[nodiscard]] Actor actor(const Warp& warp, unsigned lane) const { return {block_, warp.number * kLanes + lane, phase_, warp.phase, warp.group_phase, group_}; }
  void run_block();
  bool run_warp(Warp& warp);
  void run_lanes(Warp& warp, std::uint32_t lanes);
  void branch(Warp& warp, const Instruction& instruction, std::uint32_t lanes, std::uint32_t taken);
  void call(Warp& warp, const Instruction& instruction, Frame& frame, std::uint32_t lanes, std::uint32_t pc);
  void leave(Warp& warp, std::uint32_t lanes);
  void warp_operation(Warp& warp, std::uint32_t pc);
  bool release_barrier();
  bool release_some();
  void tell_clock(Warp& warp, Frame& frame, std::uint32_t pc, std::uint32_t lanes);
  Frame* new_frame(const Function& function);
  void free_frame(Frame* frame);

  GlobalMemory& memory_;
  Clock* clock_ = nullptr;
  std::vector<std::uint64_t> addresses_;
  SharedMemory shared_;
  std::vector<std::byte> local_;
  std::mt19937_64 random_{1};
  const Launch* launch_ = nullptr;
  std::uint32_t block_ = 0, phase_ = 1, group_ = 0;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<Frame>> frames_;
  std::unordered_map<const Function*, std::vector<Frame*>> free_;
  std::uint32_t faulting_pc_ = 0, faulting_lane_ = 0;
  const Warp* faulting_warp_ = nullptr;
};

}  // namespace heirmark::emulator
