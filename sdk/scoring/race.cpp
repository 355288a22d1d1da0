#include "scoring/race.hpp"

#include <algorithm>
#include <limits>

#include "core/context.hpp"
#include "core/dmath.hpp"

namespace heirmark::scoring {
namespace {

constexpr std::uint64_t kWhole = std::uint64_t{1} << 32;

/// Bounds that hold whatever the last bits of a double do.
constexpr double kSlack = 1e-9;

}  // namespace

const char* distribution_fault(std::span<const IssuedToken> phat, std::vector<TokenId>& scratch) {
  if (phat.empty()) return "an empty distribution";
  std::uint64_t sum = 0;
  scratch.clear();
  for (std::size_t i = 0; i < phat.size(); ++i) {
    if (phat[i].token >= kMaxVocab) return "a token id out of range";
    if (phat[i].p == 0) return "a probability of 0";
    if (i > 0 && (phat[i].p > phat[i - 1].p || (phat[i].p == phat[i - 1].p && phat[i].token <= phat[i - 1].token)))
      return "entries not sorted by probability, then by token";
    sum += phat[i].p;
    scratch.push_back(phat[i].token);
  }
  if (sum > kWhole) return "probabilities sum to more than 1";
  std::sort(scratch.begin(), scratch.end());
  if (std::adjacent_find(scratch.begin(), scratch.end()) != scratch.end()) return "a token twice";
  return nullptr;
}

std::int32_t Race::choose(const core::KeyWords& row, std::span<const IssuedToken> phat) {
  runners_.clear();
  std::uint64_t sum = 0;
  for (const IssuedToken& entry : phat) {
    runners_.push_back({core::bin_of(entry.token), entry.p});
    sum += entry.p;
  }
  std::sort(runners_.begin(), runners_.end(), [](const Runner& a, const Runner& b) { return a.bin < b.bin; });
  std::size_t count = 0;
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    if (count > 0 && runners_[count - 1].bin == runners_[i].bin) runners_[count - 1].mass += runners_[i].mass;
    else runners_[count++] = runners_[i];
  }
  runners_.resize(count);

  // Coarse words bound every runner's time: E / mass lies between those of (c, fine 0) and (c, fine 2^32 - 1).
  coarse_.resize(count);
  std::uint32_t block[16] = {};
  std::uint32_t have = 0xFFFFFFFFu;
  double reach = std::numeric_limits<double>::infinity();  // somebody arrives no later
  for (std::size_t i = 0; i < count; ++i) {
    if (runners_[i].bin / 16 != have) core::stream_block(row, core::kBinsCoarse, have = runners_[i].bin / 16, block);
    coarse_[i] = block[runners_[i].bin % 16];
    reach = std::min(reach, core::neg_log1m(static_cast<std::uint64_t>(coarse_[i]) << 32 | 0xFFFFFFFFu) /
                                static_cast<double>(runners_[i].mass));
  }
  reach *= 1 + kSlack;
  double best = std::numeric_limits<double>::infinity();
  std::uint32_t winner = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto mass = static_cast<double>(runners_[i].mass);
    const std::uint64_t high = static_cast<std::uint64_t>(coarse_[i]) << 32;
    if (core::neg_log1m(high) / mass > reach) continue;
    const double time = core::neg_log1m(high | core::stream_word(row, core::kBinsFine, runners_[i].bin)) / mass;
    if (time < best) {
      best = time;
      winner = runners_[i].bin;
    }
  }
  if (sum < kWhole &&
      core::neg_log1m(core::stream_word64(row, core::kRest, 0)) / static_cast<double>(kWhole - sum) < best)
    return -1;

  std::int32_t choice = -1;
  double first = std::numeric_limits<double>::infinity();
  TokenId id = 0;
  std::size_t inside = 0;
  for (std::size_t i = 0; i < phat.size(); ++i) inside += core::bin_of(phat[i].token) == winner ? 1u : 0u;
  for (std::size_t i = 0; i < phat.size(); ++i) {
    if (core::bin_of(phat[i].token) != winner) continue;
    if (inside == 1) return static_cast<std::int32_t>(i);
    const double time = core::neg_log1m(core::stream_word64(row, core::kInner, phat[i].token / core::kBins)) /
                        static_cast<double>(phat[i].p);
    if (time < first || (time == first && phat[i].token < id)) {
      first = time;
      choice = static_cast<std::int32_t>(i);
      id = phat[i].token;
    }
  }
  return choice;
}

}  // namespace heirmark::scoring
