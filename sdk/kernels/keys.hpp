// Which randomness a row uses (specs/marks.md, "Which randomness a position uses"), found on the device.
#pragma once
#include <cstdint>

#include "core/context.hpp"
#include "core/stream.hpp"
#include "kernels/batch.hpp"
#include "marks/rule.hpp"

namespace heirmark::kernels {

/// Row keys of everything that the row might turn out to be. One warp makes them side by side in the time of one; asking first for class
/// and coin would take three times as long.
struct MadeKeys {
  static constexpr std::uint32_t kCoin = core::kClasses, kClass = kCoin + 1, kOther = kCoin + 2, kCount = kCoin + 3;
  core::KeyWords key[kCount];
  std::uint32_t word[2];  ///< the coin's and the class's
};

/// What a row turned out to be.
struct Resolved {
  RowStatus status = RowStatus::bad_parameter;
  bool greedy = false;
  marks::RuleKind rule = marks::RuleKind::race;
  const core::KeyWords* noise = nullptr;  ///< of the race and the inner draw; null: nothing is drawn
  const core::KeyWords* mark = nullptr;   ///< of greenlist and tournament
};

HEIRMARK_HD_INLINE core::Context request_context(const DeviceRow& row) {
  return core::issuance_context(row.request_id.bytes.data(), row.position);
}

/// By the block's last warp; behind it an x.sync(), or x.sync_warp() for that warp alone.
template <class X>
HEIRMARK_HD_INLINE void make_keys(X& x, const KeyTable& table, const DeviceRow& row, MadeKeys& made) {
  constexpr unsigned kWarp = 32, kFirst = kThreads - kWarp;
  static_assert(MadeKeys::kCount <= kWarp);
  x.each([&](unsigned t) {
    const unsigned lane = t - kFirst;
    if (t < kFirst || lane >= MadeKeys::kCount) return;
    core::Context context{{row.window[0], row.window[1], row.window[2], row.window[3]}};
    const core::KeyWords zero{};
    const core::KeyWords* key = lane < core::kClasses ? &table.window[lane] : lane == MadeKeys::kCoin ? &table.coin : &zero;
    if (lane == MadeKeys::kOther) {
      context = request_context(row);
      key = row.mode != static_cast<std::uint32_t>(Mode::off) && row.account_slot < table.accounts ? &table.issuance[row.account_slot] : &table.nobodys;
    }
    made.key[lane] = core::hchacha20(*key, context);
  });
  x.sync_warp();
  x.each([&](unsigned t) {
    if (t < kFirst || t >= kFirst + 2) return;
    const bool coin = t == kFirst;
    const core::Domain coin_domain = core::kCoin, class_domain = core::kClass;  // copies: the device has no address of a constant
    made.word[t - kFirst] = core::stream_word(made.key[coin ? MadeKeys::kCoin : MadeKeys::kClass], coin ? coin_domain : class_domain, 0);
  });
}

HEIRMARK_HD_INLINE bool good_parameters(const DeviceRow& row) {
  const bool temperature = row.temperature == 0 || (row.temperature >= 1e-3f && row.temperature <= 1e3f);
  return temperature && row.min_p >= 0 && row.min_p <= 1 && row.top_p > 0 && row.top_p <= 1 && row.mode <= static_cast<std::uint32_t>(Mode::issuance);
}

HEIRMARK_HD_INLINE Resolved resolve(const Scheme& scheme, const KeyTable& table, const DeviceRow& row, const MadeKeys& made) {
  Resolved out;
  if (!good_parameters(row) || row.account_slot >= table.accounts || row.position == 0xFFFFFFFFu) return out;
  const auto mode = static_cast<Mode>(row.mode);
  const bool gumbel = scheme.kind == heirmark::Scheme::gumbel;
  out.greedy = mode == Mode::greedy || row.temperature == 0;
  const bool may_mark = (mode == Mode::marked || mode == Mode::greedy) && (!out.greedy || scheme.kind == heirmark::Scheme::greenlist);
  const bool marked = may_mark && made.word[0] < scheme.share_q32 && row.window_repeated == 0;
  const core::KeyWords* window = &made.key[made.word[1] % core::kClasses];
  out.status = marked ? RowStatus::marked : out.greedy || mode == Mode::off ? RowStatus::unmarked : RowStatus::issued;
  if (!out.greedy) out.noise = marked && gumbel ? window : &made.key[MadeKeys::kOther];
  if (marked && !gumbel) {
    out.mark = window;
    out.rule = scheme.kind == heirmark::Scheme::greenlist ? marks::RuleKind::greenlist : marks::RuleKind::tournament;
  }
  return out;
}

}  // namespace heirmark::kernels
