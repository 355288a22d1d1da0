#include "memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

namespace heirmark::emulator {
namespace {
constexpr std::size_t kDeviceBytes = std::size_t{8} << 30, kAlignment = 256;
constexpr std::byte kOther{0xA5};  ///< what lies in memory that nobody wrote

std::string hex(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}
}  // namespace

// ---- Races

bool Trace::disturbs(const Access& earlier, const Actor& actor) {
  if (earlier.phase != actor.phase) return false;
  if (actor.group_phase > earlier.group_phase && !earlier.several_warps && (actor.group >> earlier.thread / 32 & 1) != 0) return false;
  if (earlier.several_warps || !actor.same_warp(earlier.thread)) return true;
  return earlier.warp_phase == actor.warp_phase && (earlier.several || earlier.thread != actor.thread);
}

void Trace::note(Access& last, const Actor& actor) {
  if (last.phase != actor.phase) {
    last = {actor.phase, actor.warp_phase, actor.group_phase, actor.thread, false, false};
  } else if (!disturbs(last, actor)) {
    last = {actor.phase, actor.warp_phase, actor.group_phase, actor.thread, false, false};
  } else if (!actor.same_warp(last.thread)) {
    last.several_warps = true;
  } else if (last.warp_phase != actor.warp_phase) {
    last.warp_phase = actor.warp_phase;
    last.group_phase = actor.group_phase;
    last.thread = actor.thread;
    last.several = false;
  } else if (last.thread != actor.thread) {
    last.several = true;
  }
}

void Trace::read(const Actor& actor) {
  for (const Access* const earlier : {&written_, &atomic_})
    if (disturbs(*earlier, actor)) throw Fault("race: it reads what thread " + std::to_string(earlier->thread) + " wrote, with no barrier between");
  note(read_, actor);
}

void Trace::write(const Actor& actor, bool atomic) {
  for (const Access* const earlier : {&written_, &atomic_})
    if (!(atomic && earlier == &atomic_) && disturbs(*earlier, actor)) throw Fault("race: it writes where thread " + std::to_string(earlier->thread) + " wrote, with no barrier between");
  if (disturbs(read_, actor)) throw Fault("race: it writes what thread " + std::to_string(read_.thread) + " read, with no barrier between");
  note(atomic ? atomic_ : written_, actor);
}

// ---- Shared memory

void SharedMemory::resize(std::size_t bytes) {
  if (bytes <= memory_.size()) return;
  memory_.resize(bytes);
  traces_.resize(bytes);
  owner_.resize(bytes);
}

void SharedMemory::clear() {
  std::memset(memory_.data(), static_cast<int>(kOther), memory_.size());
  std::memset(owner_.data(), 0, owner_.size() * sizeof owner_[0]);
  variables_ = 0;
}

void SharedMemory::add(std::uint32_t offset, std::uint32_t bytes) {
  ++variables_;
  for (std::uint32_t i = 0; i < bytes; ++i) owner_[offset + i] = variables_;
}

std::byte* SharedMemory::touch(std::uint32_t offset, std::uint32_t bytes, const Actor& actor, bool write, bool atomic) {
  if (offset > memory_.size() || bytes > memory_.size() - offset || owner_[offset] == 0 || owner_[offset] != owner_[offset + bytes - 1])
    throw Fault("shared memory at " + hex(offset) + " is of no variable");
  if (offset % bytes != 0) throw Fault("shared memory at " + hex(offset) + " is not aligned to " + std::to_string(bytes) + " bytes");
  for (std::uint32_t i = 0; i < bytes; ++i) {
    if (write) traces_[offset + i].write(actor, atomic);
    else traces_[offset + i].read(actor);
  }
  return memory_.data() + offset;
}

// ---- Global memory

void* GlobalMemory::allocate(std::size_t bytes, Owner owner) {
  if (bytes == 0 || bytes > kDeviceBytes - in_use_) return nullptr;
  // To the byte: what lies behind is nobody's.
  Region region{std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[bytes + 2 * kAlignment]), nullptr, bytes, owner, {}, false};
  if (region.memory == nullptr) return nullptr;
  const auto address = reinterpret_cast<std::uint64_t>(region.memory.get());
  region.begin = region.memory.get() + (kAlignment - address % kAlignment);
  std::memset(region.begin, static_cast<int>(kOther), bytes);
  region.defined.assign(bytes, owner == Owner::host ? 1 : 0);
  void* const begin = region.begin;
  in_use_ += bytes;
  regions_.emplace(reinterpret_cast<std::uint64_t>(begin), std::move(region));
  last_ = nullptr;
  return begin;
}

bool GlobalMemory::release(void* memory, Owner owner) {
  const auto found = regions_.find(reinterpret_cast<std::uint64_t>(memory));
  if (found == regions_.end() || found->second.owner != owner) return false;
  in_use_ -= found->second.bytes;
  regions_.erase(found);
  last_ = nullptr;
  return true;
}

GlobalMemory::Region* GlobalMemory::find(std::uint64_t address, std::size_t bytes) {
  const auto holds = [&](const Region& region) {
    const auto begin = reinterpret_cast<std::uint64_t>(region.begin);
    return address >= begin && address - begin < region.bytes && bytes <= region.bytes - (address - begin);
  };
  if (last_ != nullptr && holds(*last_)) return last_;
  auto after = regions_.upper_bound(address);
  if (after == regions_.begin()) return nullptr;
  Region& region = (--after)->second;
  return holds(region) ? last_ = &region : nullptr;
}

bool GlobalMemory::define(const void* memory, std::size_t bytes) {
  if (bytes == 0) return true;
  Region* const region = find(reinterpret_cast<std::uint64_t>(memory), bytes);
  if (region == nullptr) return false;
  std::memset(region->defined.data() + (static_cast<const std::byte*>(memory) - region->begin), 1, bytes);
  return true;
}

bool GlobalMemory::owns(const void* memory, std::size_t bytes) { return bytes == 0 || find(reinterpret_cast<std::uint64_t>(memory), bytes) != nullptr; }

bool GlobalMemory::pinned(const void* memory) {
  const Region* const region = find(reinterpret_cast<std::uint64_t>(memory), 1);
  return region != nullptr && region->owner == Owner::host;
}

void GlobalMemory::begin_launch() {
  written_.clear();
  released_.clear();
  for (auto& [begin, region] : regions_) region.written = false;
}

void GlobalMemory::begin_block() {
  fenced_.clear();
  pending_.clear();
  known_.clear();
}

GlobalMemory::Region& GlobalMemory::touched(std::uint64_t address, std::uint32_t bytes) {
  if (address % bytes != 0) throw Fault("memory at " + hex(address) + " is not aligned to " + std::to_string(bytes) + " bytes");
  Region* const region = find(address, bytes);
  if (region == nullptr) throw Fault(std::to_string(bytes) + " bytes at " + hex(address) + " are in no allocation");
  return *region;
}

void GlobalMemory::check_order(const Written& earlier, const Actor& actor, const char* what) const {
  if (earlier.block == actor.block) return;
  const auto known = known_.find(earlier.block);
  if (known != known_.end() && (earlier.phase < known->second.phase || (earlier.phase == known->second.phase && earlier.thread == known->second.thread))) return;
  throw Fault("race: it " + std::string(what) + " what block " + std::to_string(earlier.block) + " wrote, with no fence and atomic operation between");
}

std::byte* GlobalMemory::read(std::uint64_t address, std::uint32_t bytes, const Actor& actor, bool read_only_cache) {
  Region& region = touched(address, bytes);
  const std::size_t offset = address - reinterpret_cast<std::uint64_t>(region.begin);
  if (std::memchr(region.defined.data() + offset, 0, bytes) != nullptr) throw Fault("memory at " + hex(address) + " is read before anybody wrote it");
  if (region.written) {
    for (std::uint64_t at = address; at < address + bytes;) {
      const auto found = written_.find(at / 4);
      const std::uint64_t end = std::min(address + bytes, at / 4 * 4 + 4);
      if (found == written_.end()) at = end;
      for (; at < end; ++at) {
        Written& earlier = found->second[at % 4];
        if (earlier.phase == 0) continue;
        if (read_only_cache) throw Fault("memory at " + hex(address) + " was written by this launch and is read through the cache for constants");
        check_order(earlier, actor, "reads");
        if (earlier.block == actor.block) earlier.trace.read(actor);
      }
    }
  }
  return region.begin + offset;
}

void GlobalMemory::note(std::uint64_t address, std::uint32_t bytes, const Actor& actor, bool atomic) {
  for (std::uint64_t at = address; at < address + bytes;) {
    auto& word = written_[at / 4];
    for (const std::uint64_t end = std::min(address + bytes, at / 4 * 4 + 4); at < end; ++at) note(word[at % 4], actor, atomic);
  }
}

void GlobalMemory::note(Written& place, const Actor& actor, bool atomic) const {
  if (place.phase != 0 && !(atomic && place.atomic)) check_order(place, actor, "overwrites");
  if (place.block != actor.block) place.trace = {};
  place.trace.write(actor, atomic);
  place.atomic = atomic && (place.phase == 0 || place.atomic);
  place.block = actor.block;
  place.phase = actor.phase;
  place.thread = actor.thread;
}

std::byte* GlobalMemory::write(std::uint64_t address, std::uint32_t bytes, const Actor& actor) {
  Region& region = touched(address, bytes);
  const std::size_t offset = address - reinterpret_cast<std::uint64_t>(region.begin);
  region.written = true;
  std::memset(region.defined.data() + offset, 1, bytes);
  note(address, bytes, actor, false);
  return region.begin + offset;
}

std::byte* GlobalMemory::atomic(std::uint64_t address, std::uint32_t bytes, const Actor& actor) {
  Region& region = touched(address, bytes);
  const std::size_t offset = address - reinterpret_cast<std::uint64_t>(region.begin);
  if (std::memchr(region.defined.data() + offset, 0, bytes) != nullptr) throw Fault("memory at " + hex(address) + " is read before anybody wrote it");
  region.written = true;
  note(address, bytes, actor, true);
  // An atomic operation behind a fence publishes; one before a fence learns (PTX ISA 9, "Memory consistency model": release and acquire patterns).
  Known& released = released_[address];
  for (const auto& [block, what] : released)
    if (block != actor.block) pending_.insert_or_assign(block, what);
  if (const auto fence = fenced_.find(actor.thread); fence != fenced_.end()) released.insert_or_assign(actor.block, Release{fence->second, actor.thread});
  return region.begin + offset;
}

void GlobalMemory::fence(const Actor& actor) {
  fenced_.insert_or_assign(actor.thread, actor.phase);
  for (const auto& [block, what] : pending_) known_.insert_or_assign(block, what);
}

}  // namespace heirmark::emulator
