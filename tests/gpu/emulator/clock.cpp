#include "clock.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>

namespace heirmark::emulator {
namespace {
constexpr double kBarrier = 20;        ///< cycles from the last arrival to the first instruction behind it
constexpr double kFromMemory = 650;    ///< cycles of a load of logits
constexpr double kFromCache = 270;     ///< of one that the second cache answers
constexpr std::uint64_t kLine = 128;
constexpr unsigned kProcessors = 132;
/// Cycles that a warp's instruction takes of a scheduler's pipe: 32 lanes over its width on an H100. Adders of integers stand beside the multipliers too.
constexpr double kCycles[] = {0, 1.5, 1, 2, 8, 4};

bool starts(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }
bool ends(std::string_view text, std::string_view with) { return text.size() >= with.size() && text.substr(text.size() - with.size()) == with; }
}  // namespace

Cost cost_of(std::string_view name) {
  const bool wide = ends(name, "64") && !ends(name, "f64"), twice = ends(name, "f64");
  const auto simple = [&](Pipe pipe) { return Cost{pipe, static_cast<std::uint8_t>(wide ? 2 : 1), static_cast<std::uint16_t>(wide ? 7 : 4)}; };
  // What ptxas leaves out, or does beside something else.
  if (starts(name, "mov") || starts(name, "cvta") || starts(name, "cvt.u64.u32") || starts(name, "cvt.u32.u64") || starts(name, "cvt.u32.u16") || starts(name, "cvt.u16.u32")) return {Pipe::none, 0, 0};
  if (starts(name, "ld.param") || starts(name, "st.param")) return {Pipe::none, 0, 0};
  if (starts(name, "ld")) return {Pipe::memory, 1, 33};  // from the first cache
  if (starts(name, "st")) return {Pipe::memory, 1, 0};
  if (starts(name, "atom.shared")) return {Pipe::memory, 2, 60};
  if (starts(name, "atom") || starts(name, "red.")) return {Pipe::memory, 2, 500};
  if (starts(name, "membar")) return {Pipe::memory, 1, 500};
  if (starts(name, "shfl")) return {Pipe::memory, 1, 24};
  if (starts(name, "redux")) return {Pipe::integer, 2, 20};
  if (starts(name, "ex2") || starts(name, "lg2") || starts(name, "rcp.approx")) return {Pipe::special, 1, 22};
  if (starts(name, "div.rn.f64") || starts(name, "rcp.rn.f64") || starts(name, "sqrt.rn.f64")) return {Pipe::wide_float, 12, 150};
  if (starts(name, "div.rn.f32") || starts(name, "rcp.rn.f32") || starts(name, "sqrt.rn.f32")) return {Pipe::single_float, 10, 60};
  if (starts(name, "div.u32") || starts(name, "rem.u32") || starts(name, "div.s32") || starts(name, "rem.s32")) return {Pipe::integer, 16, 90};
  if (starts(name, "div") || starts(name, "rem")) return {Pipe::integer, 70, 400};
  if (starts(name, "cvt")) return {Pipe::special, 1, 14};
  if (starts(name, "mul.lo.s64") || starts(name, "mul.lo.u64")) return {Pipe::integer, 4, 18};
  if (starts(name, "mul.hi.u64")) return {Pipe::integer, 8, 30};
  if (twice && (starts(name, "add") || starts(name, "sub") || starts(name, "mul") || starts(name, "fma") || starts(name, "setp"))) return {Pipe::wide_float, 1, 8};
  if (starts(name, "fma") || starts(name, "mul.f") || starts(name, "mul.rn.f") || starts(name, "add.f") || starts(name, "add.rn.f") || starts(name, "sub.f")) return {Pipe::single_float, 1, 4};
  if (starts(name, "mul") || starts(name, "mad")) return simple(Pipe::single_float);  // the multipliers of integers sit there
  if (starts(name, "bra") || starts(name, "ret") || starts(name, "call")) return {Pipe::none, 1, 8};
  if (starts(name, "bar")) return {Pipe::none, 1, 0};
  return simple(Pipe::integer);
}

void Clock::begin_launch(const Launch& launch) {
  launch_ = &launch;
  estimate_ = {};
  estimate_.kernel = launch.entry->name;
  longest_by_pc_.clear();
  durations_.clear();
}

void Clock::begin_block() {
  warps_.assign((launch_->threads + kLanes - 1) / kLanes, {});
  now_ = 0;
  work_ = {};
  lines_.clear();
  asked_.clear();
  barriers_ = 0;
  block_by_pc_.clear();
}

void Clock::issue(const Warp& warp, const Frame& frame, std::uint32_t pc, const std::vector<std::uint64_t>& addresses) {
  const Instruction& instruction = launch_->module->code[pc];
  Progress& progress = warps_[warp.number];
  ++estimate_.instructions;
  double start = progress.at;
  const auto wait_for = [&](std::uint32_t slot) {
    if (slot == kNone || slot >= kConstant) return;
    const auto found = progress.ready.find({&frame, slot});
    if (found == progress.ready.end()) return;
    start = std::max(start, found->second);
  };
  wait_for(instruction.guard);
  wait_for(instruction.address);
  for (const std::uint32_t slot : instruction.from) wait_for(slot);
  const Cost& cost = instruction.cost;
  double latency = cost.latency;
  for (const std::uint64_t address : addresses) {
    if (instruction.prefetch) {
      asked_.try_emplace(address / kLine, now_ + start + kFromMemory);
      continue;
    }
    estimate_.bytes += std::uint64_t{instruction.width} * instruction.count;
    if (instruction.read_only_cache) {
      const auto asked = asked_.find(address / kLine);
      const double left = asked == asked_.end() ? kFromMemory : std::max(kFromCache, asked->second - now_ - start);
      latency = std::max(latency, left);
    }
    if (!instruction.read_only_cache && lines_.insert(address / kLine).second) latency = std::max(latency, kFromCache);
  }
  progress.pipes[static_cast<unsigned>(cost.pipe)] += cost.issue * kCycles[static_cast<unsigned>(cost.pipe)];
  progress.slots += cost.issue;
  progress.issued += cost.issue;
  for (const std::uint32_t slot : instruction.to)
    if (slot != kNone) progress.ready[{&frame, slot}] = start + latency;
  progress.last = std::max(progress.last, start);
  const double end = std::max(progress.at + progress.issued, start + latency);
  if (end > progress.reached) {
    progress.by_pc[pc] += end - progress.reached;
    progress.reached = end;
  }
  if (instruction.kind == Kind::plain) return;
  // A branch, a call, a meeting of lanes: what comes behind it cannot be moved before it.
  progress.at = std::max(progress.at + progress.issued, start);
  progress.issued = 0;
}

void Clock::end_phase() {
  const Progress* slowest = nullptr;
  std::array<double, kSchedulers> slots{};
  std::array<std::array<double, kPipes>, kSchedulers> pipes{};
  double longest = 0;
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const Progress& progress = warps_[w];
    const double end = std::max(progress.at + progress.issued, progress.last);
    if (slowest == nullptr || end > longest) longest = end, slowest = &progress;
    slots[w % kSchedulers] += progress.slots;
    for (unsigned p = 0; p < kPipes; ++p) pipes[w % kSchedulers][p] += progress.pipes[p];
  }
  double busiest = 0;
  for (unsigned s = 0; s < kSchedulers; ++s) {
    busiest = std::max(busiest, slots[s]);
    work_[kPipes] += slots[s] / kSchedulers;
    for (unsigned p = 0; p < kPipes; ++p) {
      busiest = std::max(busiest, pipes[s][p]);
      work_[p] += pipes[s][p] / kSchedulers;
    }
  }
  const double whole = std::max(longest, busiest);
  if (slowest != nullptr && longest > 0)
    for (const auto& [pc, cycles] : slowest->by_pc) block_by_pc_[pc] += cycles * whole / longest;
  now_ += whole;
  // What was on its way stays so.
  for (Progress& progress : warps_) {
    std::erase_if(progress.ready, [&](const auto& entry) { return entry.second <= whole; });
    for (auto& [slot, when] : progress.ready) when -= whole;
    progress.at = progress.issued = progress.last = progress.reached = 0;
    progress.pipes = {};
    progress.slots = 0;
    progress.by_pc.clear();
  }
}

void Clock::barrier() {
  end_phase();
  now_ += kBarrier;
  ++barriers_;
}

void Clock::end_block() {
  end_phase();
  ++estimate_.blocks;
  estimate_.mean += now_;
  estimate_.work += *std::max_element(work_.begin(), work_.end());
  durations_.push_back(now_);
  if (now_ <= estimate_.longest) return;
  estimate_.longest = now_;
  estimate_.barriers = barriers_;
  longest_by_pc_ = block_by_pc_;
}

Estimate Clock::end_launch() {
  estimate_.mean /= static_cast<double>(estimate_.blocks);
  estimate_.work /= static_cast<double>(estimate_.blocks);
  // Blocks start in order, each where one has ended.
  estimate_.resident = std::max(1u, launch_->entry->resident);
  std::priority_queue<double, std::vector<double>, std::greater<>> ends;
  for (const double duration : durations_) {
    const bool full = ends.size() >= std::size_t{kProcessors} * estimate_.resident;
    const double start = full ? ends.top() : 0;
    if (full) ends.pop();
    ends.push(start + duration);
    estimate_.makespan = std::max(estimate_.makespan, start + duration);
  }
  std::map<std::string, double> lines;
  for (const auto& [pc, cycles] : longest_by_pc_) lines[place_of(*launch_->module, pc)] += cycles;
  estimate_.lines.assign(lines.begin(), lines.end());
  std::sort(estimate_.lines.begin(), estimate_.lines.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return estimate_;
}

}  // namespace heirmark::emulator
