#include "block.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "clock.hpp"
#include "operations.hpp"

namespace heirmark::emulator {
namespace {
constexpr std::uint32_t kMaxShared = 48 * 1024;  ///< without an attribute, on every architecture

template <class F>
void for_lanes(std::uint32_t lanes, const F& f) {
  for (; lanes != 0; lanes &= lanes - 1) f(static_cast<unsigned>(std::countr_zero(lanes)));
}

std::string readable(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

}  // namespace

std::string place_of(const Module& module, std::uint32_t pc) {
  for (std::uint32_t i = pc + 1; i-- > 0;) {
    const auto file = module.files.find(module.code[i].file);
    if (file != module.files.end() && file->second.find("/targets/") == std::string::npos) return file->second + ":" + std::to_string(module.code[i].source_line);
  }
  return "nowhere";
}

// ---- Memory

std::uint64_t Executor::generic_local(const Warp& warp, unsigned lane) const {
  return reinterpret_cast<std::uint64_t>(local_.data()) + std::uint64_t{warp.number * kLanes + lane} * kLocalBytes;
}

std::byte* Executor::touch(Step& step, unsigned lane, bool write, bool atomic) {
  faulting_lane_ = lane;
  const Instruction& instruction = step.instruction;
  const std::uint32_t bytes = std::uint32_t{instruction.width} * instruction.count;
  std::uint64_t address = static_cast<std::uint64_t>(instruction.offset);
  if (instruction.address != kNone) address += step.slot(instruction.address)[lane];
  else if (instruction.space == Space::shared) address += kSharedBias;
  else if (instruction.space == Space::param) address += kParamBias;
  else if (instruction.space == Space::local) address += kLocalBias + step.frame.local_base;
  Space space = instruction.space;
  if (space == Space::frame) return step.frame.param(lane, static_cast<std::uint32_t>(address));
  const auto within = [&](std::uint64_t begin, std::uint64_t size) { return address - begin < size; };
  if (space == Space::generic) {
    const std::uint64_t local = reinterpret_cast<std::uint64_t>(local_.data());
    if (within(generic_shared(), shared_.size())) {
      space = Space::shared;
      address -= generic_shared();
    } else if (within(local, local_.size())) {
      space = Space::local;
      if (!within(generic_local(step.warp, lane), kLocalBytes)) throw Fault("it uses the local memory of another thread");
      address -= generic_local(step.warp, lane);
    } else if (within(generic_params(), launch_->params.size())) {
      space = Space::param;
      address -= generic_params();
    } else {
      space = Space::global;
    }
  }
  switch (space) {
    case Space::shared: return shared_.touch(static_cast<std::uint32_t>(std::min<std::uint64_t>(address, ~std::uint32_t{0})), bytes, actor(step.warp, lane), write, atomic);
    case Space::local: {
      const std::uint64_t end = kLocalBias + step.frame.local_base + step.frame.function->local_bytes;
      if (address < kLocalBias || address + bytes > end || address % bytes != 0) throw Fault("it uses local memory that is of no variable, or not aligned");
      return local_.data() + std::size_t{step.warp.number * kLanes + lane} * kLocalBytes + address;
    }
    case Space::param:
      if (write) throw Fault("it writes to its parameters");
      if (address < kParamBias || address - kParamBias + bytes > launch_->params.size() - kParamBias || address % bytes != 0) throw Fault("it reads behind its parameters, or not aligned");
      return const_cast<std::byte*>(launch_->params.data()) + address;
    default: break;
  }
  if (atomic) return memory_.atomic(address, bytes, actor(step.warp, lane));
  return write ? memory_.write(address, bytes, actor(step.warp, lane)) : memory_.read(address, bytes, actor(step.warp, lane), instruction.read_only_cache);
}

// ---- Frames

Frame* Executor::new_frame(const Function& function) {
  auto& pool = free_[&function];
  if (pool.empty()) {
    frames_.push_back(std::make_unique<Frame>());
    Frame& made = *frames_.back();
    made.function = &function;
    made.registers.resize(function.registers);
    made.params.resize(std::size_t{function.frame_bytes} * kLanes);
    return &made;
  }
  Frame* const frame = pool.back();
  pool.pop_back();
  return frame;
}

void Executor::free_frame(Frame* frame) { free_[frame->function].push_back(frame); }

void Executor::call(Warp& warp, const Instruction& instruction, Frame& frame, std::uint32_t lanes, std::uint32_t pc) {
  const Call& what = launch_->module->calls[instruction.target];
  const Function& function = launch_->module->functions[what.callee];
  if (function.begin == kNone) throw Fault("it calls a function that is only declared: " + readable(function.name));
  if (function.params.size() != what.params.size() || function.returned.size() != what.returned.size()) throw Fault("a call with another number of parameters");
  Frame& callee = *new_frame(function);
  callee.parent = &frame;
  callee.return_to = pc + 1;
  callee.depth = frame.depth + 1;
  callee.lanes = lanes;
  callee.call = &what;
  callee.local_base = frame.local_base + frame.function->local_bytes;
  if (kLocalBias + callee.local_base + function.local_bytes > kLocalBytes) throw Fault("more local memory than the emulator has");
  for_lanes(lanes, [&](unsigned lane) {
    for (std::size_t i = 0; i < what.params.size(); ++i) std::memcpy(callee.param(lane, function.params[i].first), frame.param(lane, what.params[i]), function.params[i].second);
    warp.frame[lane] = &callee;
    warp.pc[lane] = function.begin;
  });
}

void Executor::leave(Warp& warp, std::uint32_t lanes) {
  Frame& frame = *warp.frame[static_cast<unsigned>(std::countr_zero(lanes))];
  for_lanes(lanes, [&](unsigned lane) {
    if (frame.parent == nullptr) {
      warp.left |= 1u << lane;
      return;
    }
    for (std::size_t i = 0; i < frame.function->returned.size(); ++i) {
      const auto& [offset, bytes] = frame.function->returned[i];
      std::memcpy(frame.parent->param(lane, frame.call->returned[i]), frame.param(lane, offset), bytes);
    }
    warp.frame[lane] = frame.parent;
    warp.pc[lane] = frame.return_to;
  });
  frame.lanes &= ~lanes;
  if (frame.lanes == 0) free_frame(&frame);
}

// ---- Warps

void Executor::branch(Warp& warp, const Instruction& instruction, std::uint32_t lanes, std::uint32_t taken) {
  for_lanes(lanes, [&](unsigned lane) { warp.pc[lane] = (taken >> lane & 1) != 0 ? instruction.target : warp.pc[lane] + 1; });
}

/// What lanes of a warp do together: once all lanes that the mask names are there.
void Executor::warp_operation(Warp& warp, std::uint32_t pc) {
  const Instruction& instruction = launch_->module->code[pc];
  std::uint32_t there = 0;
  for_lanes(warp.at_warp, [&](unsigned lane) {
    if (warp.pc[lane] == pc) there |= 1u << lane;
  });
  const auto first = static_cast<unsigned>(std::countr_zero(there));
  Frame& frame = *warp.frame[first];
  Step step{instruction, frame, there, warp, *this};
  const unsigned mask_operand = instruction.kind == Kind::shuffle || instruction.kind == Kind::shuffle_up ? 3 : instruction.kind == Kind::warp_barrier ? 0 : 1;
  const auto mask = static_cast<std::uint32_t>(step.from(mask_operand)[first]);
  for_lanes(there, [&](unsigned lane) {
    faulting_lane_ = lane;
    if (warp.frame[lane] != &frame || static_cast<std::uint32_t>(step.from(mask_operand)[lane]) != mask) throw Fault("lanes of a warp meet with different masks or in different calls");
  });
  if ((mask >> first & 1) == 0) throw Fault("a lane that its own mask does not name");
  if ((mask & ~warp.present) != 0 || (mask & warp.left) != 0) throw Fault("a mask that names lanes that are not there");
  if ((there & mask) != mask) return;
  if (instruction.kind == Kind::warp_barrier) {
    if (mask == (warp.present & ~warp.left)) ++warp.phase;  // one of some lanes orders them alone: not followed here
  } else if (instruction.kind != Kind::shuffle && instruction.kind != Kind::shuffle_up) {
    std::uint32_t all = instruction.kind == Kind::least ? ~0u : 0;
    for_lanes(mask, [&](unsigned lane) {
      const auto given = static_cast<std::uint32_t>(step.from(0)[lane]);
      switch (instruction.kind) {
        case Kind::sum: all += given; break;
        case Kind::greatest: all = std::max(all, given); break;
        case Kind::least: all = std::min(all, given); break;
        default: all |= given; break;
      }
    });
    for_lanes(mask, [&](unsigned lane) { step.to(0)[lane] = all; });
  } else {
    const std::array<std::uint64_t, kLanes> given = *reinterpret_cast<const std::array<std::uint64_t, kLanes>*>(step.from(0));
    for_lanes(mask, [&](unsigned lane) {
      // Operand 2 packs the segment's mask (bits 8 .. 12) and the greatest lane (bits 0 .. 4); going up, lanes end at the segment's first.
      const auto flip = static_cast<std::uint32_t>(step.from(1)[lane]), packed = static_cast<std::uint32_t>(step.from(2)[lane]);
      const std::uint32_t segment = packed >> 8 & 31, greatest = (lane & segment) | (packed & 31 & ~segment);
      const bool up = instruction.kind == Kind::shuffle_up;
      std::uint32_t other = up ? lane - (flip & 31) : lane ^ (flip & 31);
      const bool within = up ? other <= lane && other >= (lane & segment) : other <= greatest;
      if (!within) other = lane;
      if ((mask >> other & 1) == 0) {
        faulting_lane_ = lane;
        throw Fault("a lane asks for the value of lane " + std::to_string(other) + ", which its mask does not name");
      }
      step.to(0)[lane] = given[other];
      if (step.to(1) != nullptr) step.to(1)[lane] = within ? 1 : 0;
    });
  }
  for_lanes(mask, [&](unsigned lane) { ++warp.pc[lane]; });
  warp.at_warp &= ~mask;
}

void Executor::tell_clock(Warp& warp, Frame& frame, std::uint32_t pc, std::uint32_t lanes) {
  const Instruction& instruction = launch_->module->code[pc];
  addresses_.clear();
  if ((instruction.to[0] != kNone || instruction.prefetch) && instruction.address != kNone && (instruction.space == Space::global || instruction.space == Space::generic)) {
    Step step{instruction, frame, lanes, warp, *this};
    for_lanes(lanes, [&](unsigned lane) {
      const std::uint64_t address = step.slot(instruction.address)[lane] + static_cast<std::uint64_t>(instruction.offset);
      const auto within = [&](const std::byte* begin, std::size_t bytes) { return address - reinterpret_cast<std::uint64_t>(begin) < bytes; };
      if (!within(shared_.begin(), shared_.size()) && !within(local_.data(), local_.size()) && !within(launch_->params.data(), launch_->params.size())) addresses_.push_back(address);
    });
  }
  clock_->issue(warp, frame, pc, addresses_);
}

/// Runs lanes that stand at the same place until they part, wait, leave, or come to where others stand.
void Executor::run_lanes(Warp& warp, std::uint32_t lanes) {
  const auto first = static_cast<unsigned>(std::countr_zero(lanes));
  Frame& frame = *warp.frame[first];
  std::uint32_t pc = warp.pc[first], meets = kNone;
  for_lanes(warp.ready() & ~lanes, [&](unsigned lane) {
    if (warp.frame[lane] == &frame) meets = std::min(meets, warp.pc[lane]);
  });
  const auto stand = [&](std::uint32_t where) { for_lanes(lanes, [&](unsigned lane) { warp.pc[lane] = where; }); };
  const Instruction* const code = launch_->module->code.data();
  while (true) {
    const Instruction& instruction = code[pc];
    faulting_pc_ = pc;
    std::uint32_t active = lanes;
    if (instruction.guard != kNone) {
      const auto& predicate = frame.registers[instruction.guard];
      for_lanes(lanes, [&](unsigned lane) {
        if (((predicate[lane] & 1) != 0) == instruction.guard_negated) active &= ~(1u << lane);
      });
    }
    switch (instruction.kind) {
      case Kind::plain:
        if (clock_ != nullptr) tell_clock(warp, frame, pc, active);
        if (active != 0) {
          Step step{instruction, frame, active, warp, *this};
          faulting_lane_ = static_cast<std::uint32_t>(std::countr_zero(active));
          instruction.execute(step);
        }
        ++pc;
        break;
      case Kind::branch:
        if (clock_ != nullptr) tell_clock(warp, frame, pc, active);
        if (active == 0) {
          ++pc;
        } else if (active == lanes) {
          pc = instruction.target;
        } else {
          stand(pc);
          return branch(warp, instruction, lanes, active);
        }
        break;
      default:
        if (clock_ != nullptr) tell_clock(warp, frame, pc, active);
        if (active == 0) {
          ++pc;
          break;
        }
        for_lanes(lanes, [&](unsigned lane) { warp.pc[lane] = (active >> lane & 1) != 0 ? pc : pc + 1; });
        if (instruction.kind == Kind::call) return call(warp, instruction, frame, active, pc);
        if (instruction.kind == Kind::leave) return leave(warp, active);
        if (instruction.kind == Kind::barrier) {
          warp.at_barrier |= active;
          return;
        }
        warp.at_warp |= active;
        return warp_operation(warp, pc);
    }
    if (pc >= meets) return stand(pc);
  }
}

/// As far as it comes. Returns whether it moved.
bool Executor::run_warp(Warp& warp) {
  bool moved = false;
  while (warp.ready() != 0) {
    std::uint32_t chosen = 0;
    const Frame* frame = nullptr;
    std::uint32_t pc = 0;
    for_lanes(warp.ready(), [&](unsigned lane) {
      const Frame* const own = warp.frame[lane];
      if (frame == nullptr || own->depth > frame->depth || (own->depth == frame->depth && warp.pc[lane] < pc)) {
        chosen = 0;
        frame = own;
        pc = warp.pc[lane];
      }
      if (own == frame && warp.pc[lane] == pc) chosen |= 1u << lane;
    });
    faulting_warp_ = &warp;
    run_lanes(warp, chosen);
    moved = true;
  }
  return moved;
}

// ---- Blocks

/// Lets the block's threads go on if all of them wait at one barrier.
bool Executor::release_barrier() {
  std::uint32_t pc = kNone;
  for (Warp& warp : warps_) {
    if ((warp.present & ~(warp.at_barrier | warp.left)) != 0 || warp.at_barrier == 0) return false;
    if (launch_->module->code[warp.pc[static_cast<unsigned>(std::countr_zero(warp.at_barrier))]].from[1] != kNone) return false;  // a barrier of some
    faulting_warp_ = &warp;
    for_lanes(warp.at_barrier, [&](unsigned lane) {
      faulting_lane_ = lane;
      if (pc == kNone) faulting_pc_ = pc = warp.pc[lane];
      if (warp.pc[lane] != pc) throw Fault("threads of a block wait at different barriers");
    });
    if (warp.left != 0) throw Fault("a thread has left; the others wait for it at a barrier");
  }
  for (Warp& warp : warps_) {
    for_lanes(warp.at_barrier, [&](unsigned lane) { ++warp.pc[lane]; });
    warp.at_barrier = 0;
  }
  ++phase_;
  if (clock_ != nullptr) clock_->barrier();
  return true;
}

/// The same for a barrier of a number of threads: whole warps, which no other barrier holds.
bool Executor::release_some() {
  std::uint32_t pc = kNone, waiting = 0, group = 0;
  std::uint64_t count = 0;
  for (Warp& warp : warps_) {
    if (warp.at_barrier == 0) continue;
    const std::uint32_t at = warp.pc[static_cast<unsigned>(std::countr_zero(warp.at_barrier))];
    if (launch_->module->code[at].from[1] == kNone) continue;
    bool together = warp.at_barrier == warp.present;
    for_lanes(warp.at_barrier, [&](unsigned lane) { together = together && warp.pc[lane] == at; });
    if (!together) continue;  // some of its lanes are not there yet
    if (pc == kNone) {
      pc = at;
      const Frame& frame = *warp.frame[static_cast<unsigned>(std::countr_zero(warp.at_barrier))];
      count = frame.function->constants[launch_->module->code[at].from[1] - kConstant][0];
    }
    if (at != pc) {
      faulting_warp_ = &warp;
      faulting_pc_ = at;
      throw Fault("warps wait for some of the others at different barriers");
    }
    waiting += kLanes;
    group |= 1u << warp.number;
  }
  if (pc == kNone) return false;
  if (waiting != count) return false;
  for (Warp& warp : warps_) {
    if ((group >> warp.number & 1) == 0) continue;
    for_lanes(warp.at_barrier, [&](unsigned lane) { ++warp.pc[lane]; });
    warp.at_barrier = 0;
    ++warp.group_phase;
  }
  group_ = group;
  return true;
}

void Executor::run_block() {
  ++phase_;
  group_ = 0;
  memory_.begin_block();
  shared_.clear();
  for (const Variable& variable : launch_->entry->shared) shared_.add(kSharedBias + variable.offset, variable.bytes);
  warps_.assign((launch_->threads + kLanes - 1) / kLanes, {});
  for (std::uint32_t w = 0; w < warps_.size(); ++w) {
    Warp& warp = warps_[w];
    warp.number = w;
    const std::uint32_t lanes = std::min(kLanes, launch_->threads - w * kLanes);
    warp.present = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    Frame& frame = *new_frame(*launch_->entry);
    frame.parent = nullptr;
    frame.depth = 0;
    frame.lanes = warp.present;
    frame.local_base = 0;
    warp.frame.fill(&frame);
    warp.pc.fill(launch_->entry->begin);
  }
  std::vector<std::uint32_t> order(warps_.size());
  std::iota(order.begin(), order.end(), 0);
  while (true) {
    std::shuffle(order.begin(), order.end(), random_);
    bool moved = false;
    for (const std::uint32_t w : order) moved = run_warp(warps_[w]) || moved;
    if (std::all_of(warps_.begin(), warps_.end(), [](const Warp& warp) { return warp.left == warp.present; })) break;
    if (release_some() || release_barrier() || moved) continue;
    for (const Warp& warp : warps_) {
      if ((warp.at_barrier | warp.at_warp) == 0) continue;
      faulting_warp_ = &warp;
      faulting_lane_ = static_cast<std::uint32_t>(std::countr_zero(warp.at_barrier | warp.at_warp));
      faulting_pc_ = warp.pc[faulting_lane_];
      throw Fault("it waits for threads that never come");
    }
  }
}

void Executor::run(const Launch& launch) {
  launch_ = &launch;
  const Function& entry = *launch.entry;
  std::uint32_t shared = 0;
  for (const Variable& variable : entry.shared) shared += variable.bytes;
  try {
    if (entry.max_threads != 0 && launch.threads > entry.max_threads) throw Fault("more threads in a block than the kernel was compiled for");
    if (shared > kMaxShared) throw Fault("more than 48 KiB of shared memory");
    shared_.resize(kSharedBias + launch.module->shared_bytes);
    local_.resize(std::size_t{(launch.threads + kLanes - 1) / kLanes} * kLanes * kLocalBytes);
    memory_.begin_launch();
    if (clock_ != nullptr) clock_->begin_launch(launch);
    std::vector<std::uint32_t> order(launch.blocks);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    for (const std::uint32_t block : order) {
      block_ = block;
      if (clock_ != nullptr) clock_->begin_block();
      run_block();
      if (clock_ != nullptr) clock_->end_block();
    }
  } catch (const Fault& fault) {
    std::string where = readable(entry.name);
    if (faulting_warp_ != nullptr) {
      const Instruction& instruction = launch.module->code[faulting_pc_];
      where += ", block " + std::to_string(block_) + ", thread " + std::to_string(faulting_warp_->number * kLanes + faulting_lane_);
      where += ", " + place_of(*launch.module, faulting_pc_);
      where += " (PTX line " + std::to_string(instruction.line) + ")";
    }
    faulting_warp_ = nullptr;
    free_.clear();
    frames_.clear();
    throw Fault(where + ": " + fault.what());
  }
  faulting_warp_ = nullptr;
}

}  // namespace heirmark::emulator
