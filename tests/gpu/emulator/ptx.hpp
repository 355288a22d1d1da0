// PTX as nvcc writes it, read into instructions that block.hpp runs. What nvcc does not write for this project is not understood: reading it fails by
// name and line, so nothing is skipped in silence. Source: PTX ISA 9.0.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace heirmark::emulator {

/// Text that is no PTX, or PTX that is not understood.
struct PtxError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr unsigned kLanes = 32;
inline constexpr std::uint32_t kNone = 0xFFFFFFFFu;
inline constexpr std::uint32_t kConstant = 0x80000000u;  ///< added to a slot: not a register of the frame, but a constant of the function

/// `frame` is a variable in .param space of a function that is called, or that calls: it lies in the caller's or the callee's frame.
enum class Space : std::uint8_t { generic, global, shared, local, param, frame };

struct Step;
using Execute = void (*)(Step&);

/// What the executor has to know of an instruction; `plain` ones only change registers and memory.
enum class Kind : std::uint8_t { plain, branch, call, leave, barrier, warp_barrier, shuffle, shuffle_up, sum, greatest, least, any };

/// A multiplication, addition or subtraction that names no rounding: where one uses what the other made, a compiler may leave out the rounding between
/// them (PTX ISA 9, "Floating point instructions": mul, add). What decides a token may not depend on it.
enum class Contraction : std::uint8_t { none, product, sum, difference };

/// Of a processor, for clock.hpp.
enum class Pipe : std::uint8_t { none, integer, single_float, wide_float, special, memory };
struct Cost {
  Pipe pipe = Pipe::none;
  std::uint8_t issue = 1;      ///< instructions that a device makes of it
  std::uint16_t latency = 0;   ///< cycles until its result can be used
};
/// By the whole name of an instruction.
[[nodiscard]] Cost cost_of(std::string_view name);

/// Slots name registers of a frame or constants: 32 values of 64 bits, one a lane.
struct Instruction {
  Execute execute = nullptr;
  Kind kind = Kind::plain;
  Contraction contraction = Contraction::none;
  bool guard_negated = false;
  std::uint32_t guard = kNone;  ///< slot of the predicate without which nothing happens
  std::array<std::uint32_t, 4> to{kNone, kNone, kNone, kNone};
  std::array<std::uint32_t, 5> from{kNone, kNone, kNone, kNone, kNone};
  // Memory: `count` elements of `width` bytes at the value of slot `address`, if there is one, plus `offset`.
  Space space = Space::generic;
  std::uint8_t width = 0, count = 1;
  bool sign = false, read_only_cache = false, prefetch = false;
  std::uint32_t address = kNone;
  std::int64_t offset = 0;
  std::uint32_t target = kNone;  ///< of a branch: an index into Module::code; of a call: into Module::calls
  std::uint32_t line = 0;        ///< of the PTX
  std::uint32_t file = 0, source_line = 0;
  Cost cost;
};

/// Variable in shared memory. Offsets are of the module; between variables lies memory that is nobody's.
struct Variable { std::uint32_t offset, bytes; };

struct Function {
  std::string name;
  bool entry = false;
  std::uint32_t begin = kNone;    ///< into Module::code; kNone: only declared
  std::uint32_t registers = 0;
  std::uint32_t local_bytes = 0;
  std::uint32_t param_bytes = 0;  ///< of a frame: returned values, parameters, then those of what it calls. Of an entry: its parameters
  std::uint32_t frame_bytes = 0;
  std::uint32_t max_threads = 0;  ///< .maxntid; 0: not said
  std::uint32_t resident = 0;     ///< .minnctapersm; 0: not said
  std::vector<std::array<std::uint64_t, kLanes>> constants;
  std::vector<Variable> shared;   ///< of an entry, once read: all that it and what it calls name
  std::vector<std::uint32_t> callees;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> returned, params;  ///< offset and bytes in the frame; of an entry, in its parameters
};

struct Call {
  std::uint32_t callee;
  std::vector<std::uint32_t> returned, params;  ///< offsets in the caller's frame
};

struct Module {
  std::string name;
  std::vector<Instruction> code;
  std::vector<Function> functions;
  std::vector<Call> calls;
  std::unordered_map<std::string, std::uint32_t> function_of;
  std::unordered_map<std::uint32_t, std::string> files;
  std::uint32_t shared_bytes = 0;  ///< all variables of the module
  std::uint32_t contracted = 0;    ///< sums that were fused
};

/// Throws PtxError. `contract`: leave out every rounding that may be left out.
[[nodiscard]] std::unique_ptr<Module> parse(std::string_view text, const std::string& name, bool contract);

}  // namespace heirmark::emulator
