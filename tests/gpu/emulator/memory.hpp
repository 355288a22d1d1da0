// Memory of the emulated device, and who touched it: what compute-sanitizer's memcheck, initcheck and racecheck look for.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <vector>

namespace heirmark::emulator {

/// What a kernel must not do. The executor adds who did it, and where.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A thread at a point of its execution. A phase ends at a barrier of the block and is of one block alone; inside it a warp's own barriers part its
/// `warp_phase`s, and barriers of some warps the `group_phase`s of these.
struct Actor {
  std::uint32_t block, thread, phase, warp_phase, group_phase;
  std::uint32_t group;  ///< a bit for each warp that was at the last barrier of some
  [[nodiscard]] bool same_warp(std::uint32_t other) const { return thread / 32 == other / 32; }
};

/// Who read and wrote a place last, in as much as it can disturb others of the same phase.
class Trace {
 public:
  void read(const Actor& actor);
  void write(const Actor& actor, bool atomic);

 private:
  struct Access {
    std::uint32_t phase = 0, warp_phase = 0, group_phase = 0, thread = 0;
    bool several = false;        ///< threads of the warp, in its phase
    bool several_warps = false;
  };
  [[nodiscard]] static bool disturbs(const Access& earlier, const Actor& actor);
  static void note(Access& last, const Actor& actor);
  Access read_, written_, atomic_;
};

/// A block's shared memory: a window of all variables of the module, in which the kernel's own may be touched.
class SharedMemory {
 public:
  void resize(std::size_t bytes);
  void clear();                                            ///< nobody may touch anything, and all of it has other contents
  void add(std::uint32_t offset, std::uint32_t bytes);     ///< a variable of this kernel
  std::byte* touch(std::uint32_t offset, std::uint32_t bytes, const Actor& actor, bool write, bool atomic);
  [[nodiscard]] const std::byte* begin() const { return memory_.data(); }
  [[nodiscard]] std::size_t size() const { return memory_.size(); }

 private:
  std::vector<std::byte> memory_;
  std::vector<Trace> traces_;
  std::vector<std::uint16_t> owner_;  ///< of each byte, a variable's number from 1; 0: nobody's
  std::uint16_t variables_ = 0;
};

/// What cudaMalloc and cudaMallocHost gave out.
class GlobalMemory {
 public:
  enum class Owner : std::uint8_t { device, host };
  /// Null if there is too little.
  void* allocate(std::size_t bytes, Owner owner);
  /// False if it is none that was given out.
  bool release(void* memory, Owner owner);
  [[nodiscard]] std::size_t in_use() const { return in_use_; }

  /// Does [memory, memory + bytes) lie in one allocation? Then it is defined by the host from here on.
  bool define(const void* memory, std::size_t bytes);
  [[nodiscard]] bool owns(const void* memory, std::size_t bytes);
  [[nodiscard]] bool pinned(const void* memory);

  // ---- For a kernel
  void begin_launch();
  std::byte* read(std::uint64_t address, std::uint32_t bytes, const Actor& actor, bool read_only_cache);
  std::byte* write(std::uint64_t address, std::uint32_t bytes, const Actor& actor);
  std::byte* atomic(std::uint64_t address, std::uint32_t bytes, const Actor& actor);
  void fence(const Actor& actor);
  void begin_block();

 private:
  struct Region {
    std::unique_ptr<std::byte[]> memory;
    std::byte* begin;
    std::size_t bytes;
    Owner owner;
    std::vector<std::uint8_t> defined;
    bool written = false;  ///< by the kernel that runs
  };
  /// What a block published: all that it wrote in earlier phases, and what this thread of it wrote in this one.
  struct Release { std::uint32_t phase, thread; };
  using Known = std::unordered_map<std::uint32_t, Release>;
  struct Written {
    std::uint32_t block = 0, phase = 0, thread = 0;  ///< phase 0: nobody wrote it
    bool atomic = false;  ///< every time
    Trace trace;
  };
  Region* find(std::uint64_t address, std::size_t bytes);
  Region& touched(std::uint64_t address, std::uint32_t bytes);
  void check_order(const Written& earlier, const Actor& actor, const char* what) const;
  void note(std::uint64_t address, std::uint32_t bytes, const Actor& actor, bool atomic);
  void note(Written& place, const Actor& actor, bool atomic) const;

  std::map<std::uint64_t, Region> regions_;
  Region* last_ = nullptr;
  std::size_t in_use_ = 0;
  // Of the launch
  std::unordered_map<std::uint64_t, std::array<Written, 4>> written_;  ///< by the word; each of its bytes
  std::unordered_map<std::uint64_t, Known> released_;  ///< by the address of the atomic operation
  // Of the block
  std::unordered_map<std::uint32_t, std::uint32_t> fenced_;  ///< thread: phase of its last fence
  Known pending_, known_;
};

}  // namespace heirmark::emulator
