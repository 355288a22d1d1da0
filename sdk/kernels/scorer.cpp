// The device memory of bulk scoring, and its launches.
#include <algorithm>
#include <utility>

#include "kernels/score.hpp"

namespace heirmark::kernels {

Result<ScoreMemory> ScoreMemory::allocate(ScoreDevice& device, std::size_t bytes, Holds holds) {
  auto memory = device.allocate(bytes);
  if (!memory) return memory.error();
  ScoreMemory out;
  out.device_ = &device;
  out.memory_ = *memory;
  out.bytes_ = bytes;
  out.holds_ = holds;
  return out;
}

ScoreMemory::ScoreMemory(ScoreMemory&& other) noexcept
    : device_(other.device_), memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_), holds_(other.holds_) {}

ScoreMemory& ScoreMemory::operator=(ScoreMemory&& other) noexcept {
  if (this == &other) return *this;
  reset();
  device_ = other.device_;
  memory_ = std::exchange(other.memory_, nullptr);
  bytes_ = other.bytes_;
  holds_ = other.holds_;
  return *this;
}

void ScoreMemory::reset() noexcept {
  if (memory_ == nullptr) return;
  // A device that can no longer clear its memory has failed as a whole, and its driver takes the memory back.
  if (holds_ == Holds::keys) static_cast<void>(device_->zero(memory_, bytes_));
  device_->release(std::exchange(memory_, nullptr));
}

namespace {
struct Sizes {
  std::uint64_t window, term, tile, key, low, high;
};
Sizes sizes_of(const Scorer::Limits& limits, bool weighted) noexcept {
  const std::uint64_t sums = std::uint64_t{limits.keys} * limits.slots * sizeof(std::uint64_t);
  return {limits.terms * sizeof(Packet), limits.terms * sizeof(ScoreTerm), limits.tiles * sizeof(ScoreTile),
          std::uint64_t{limits.keys} * core::kClasses * sizeof(core::KeyWords), sums, weighted ? sums : 0};
}
}  // namespace

std::uint64_t Scorer::bytes(const Limits& limits, bool weighted) noexcept {
  const Sizes sizes = sizes_of(limits, weighted);
  return sizes.window + sizes.term + sizes.tile + sizes.key + sizes.low + sizes.high;
}

Result<Scorer> Scorer::create(ScoreDevice& device, const ScoreRule& rule, const Limits& limits) {
  const Sizes sizes = sizes_of(limits, rule.weighted);
  Scorer out;
  out.device_ = &device;
  out.limits_ = limits;
  for (const auto& [memory, bytes, holds] : {std::tuple{&out.window_, sizes.window, ScoreMemory::Holds::data},
                                             {&out.term_, sizes.term, ScoreMemory::Holds::data},
                                             {&out.tile_, sizes.tile, ScoreMemory::Holds::data},
                                             {&out.key_, sizes.key, ScoreMemory::Holds::keys},
                                             {&out.low_, sizes.low, ScoreMemory::Holds::data},
                                             {&out.high_, sizes.high, ScoreMemory::Holds::data}}) {
    if (bytes == 0) continue;
    auto allocated = ScoreMemory::allocate(device, bytes, holds);
    if (!allocated) return allocated.error();
    *memory = std::move(allocated).value();
  }
  out.batch_.window = out.window_.as<Packet>();
  out.batch_.term = out.term_.as<ScoreTerm>();
  out.batch_.tile = out.tile_.as<ScoreTile>();
  out.batch_.key = out.key_.as<std::uint32_t>();
  out.batch_.low = out.low_.as<std::uint64_t>();
  out.batch_.high = out.high_.as<std::uint64_t>();
  out.batch_.key_lanes = out.key_lanes();
  out.batch_.rule = rule;
  return out;
}

Result<void> Scorer::begin(std::span<const std::uint32_t> keys, std::uint32_t count) {
  if (count == 0 || count > limits_.keys || keys.size() != std::size_t{count} * core::kClasses * 8)
    return Error{ErrorCode::usage, "a batch of " + std::to_string(count) + " keys where " + std::to_string(limits_.keys) + " fit"};
  batch_.keys = count;
  if (auto ok = device_->put(key_.as<void>(), keys.data(), keys.size_bytes()); !ok) return ok;
  for (const ScoreMemory* memory : {&low_, &high_})
    if (memory->bytes() != 0)
      if (auto ok = device_->zero(memory->as<void>(), std::size_t{count} * limits_.slots * sizeof(std::uint64_t)); !ok) return ok;
  return {};
}

Result<void> Scorer::load(const ScoreTerms& terms) {
  if (terms.term.size() > limits_.terms || terms.window.size() != terms.term.size() || terms.tile.size() > limits_.tiles)
    return Error{ErrorCode::usage, "a chunk of " + std::to_string(terms.term.size()) + " terms where " + std::to_string(limits_.terms) + " fit"};
  tiles_ = 0;
  if (terms.term.empty()) return {};
  if (auto ok = device_->put(window_.as<void>(), terms.window.data(), terms.window.size() * sizeof(Packet)); !ok) return ok;
  if (auto ok = device_->put(term_.as<void>(), terms.term.data(), terms.term.size() * sizeof(ScoreTerm)); !ok) return ok;
  if (auto ok = device_->put(tile_.as<void>(), terms.tile.data(), terms.tile.size() * sizeof(ScoreTile)); !ok) return ok;
  tiles_ = static_cast<std::uint32_t>(terms.tile.size());
  return {};
}

Result<void> Scorer::run(const std::function<bool(double)>& during) {
  const std::uint32_t blocks = tiles_ * batch_.key_tiles();
  for (std::uint32_t first = 0; first < blocks;) {
    const std::uint32_t now = std::min(kScoreLaunch, blocks - first);
    batch_.first = first;
    if (auto ok = device_->launch(batch_, now); !ok) return ok;
    const bool on = !during || during(static_cast<double>(first) / blocks);
    if (auto ok = device_->wait(); !ok) return ok;
    if (!on) return Error{ErrorCode::stopped, "stopped"};
    first += now;
  }
  return {};
}

Result<void> Scorer::sums(std::span<ScoreSum> out) {
  const std::size_t count = std::size_t{batch_.keys} * limits_.slots;
  if (out.size() != count) return Error{ErrorCode::usage, "room for " + std::to_string(out.size()) + " sums of " + std::to_string(count)};
  std::vector<std::uint64_t> part(count);
  if (auto ok = device_->get(part.data(), low_.as<void>(), count * sizeof part[0]); !ok) return ok;
  for (std::size_t i = 0; i < count; ++i) out[i] = {part[i], 0};
  if (!batch_.rule.weighted) return {};
  if (auto ok = device_->get(part.data(), high_.as<void>(), count * sizeof part[0]); !ok) return ok;
  for (std::size_t i = 0; i < count; ++i) out[i].high = static_cast<std::int64_t>(part[i]);
  return {};
}

}  // namespace heirmark::kernels
