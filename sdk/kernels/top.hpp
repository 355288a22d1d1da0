// The likeliest tokens of a row with their shares of the masses, by one block (specs/marks.md, "Top tokens").
#pragma once
#include <cstdint>

#include "kernels/truncate.hpp"

namespace heirmark::kernels {

/// From list[0 .. count), sorted.
template <class X>
HEIRMARK_HD_COLD void write_top(X& x, std::uint32_t count, std::uint64_t total, const Exponential& exponential, const ExactMemory& exact, TopTokens& out) {
  x.each([&](unsigned t) {
    if (t >= TopTokens::kCount) return;
    TopToken entry;
    if (t < count)
      if (const std::uint32_t p = marks::share_of(mass_of(exponential(logit_of_key(exact.list[t]))), total); p > 0) entry = {id_of_key(exact.list[t]), p};
    out.token[t] = entry;
  });
  x.sync();
}

/// A row that does not draw: the token it has, if it has one, has all of the mass.
template <class X>
HEIRMARK_HD_INLINE void write_single(X& x, std::uint32_t token, TopTokens& out) {
  x.each([&](unsigned t) {
    if (t >= TopTokens::kCount) return;
    out.token[t] = t == 0 && token != kNoToken ? TopToken{token, 0xFFFFFFFFu} : TopToken{};
  });
}

/// From the row itself. What truncation keeps is a beginning of the order, so the first of the order that are kept are the first of the kept.
template <DType D, class X>
HEIRMARK_HD_COLD void top_of_row(X& x, const RowData<D>& row, const Shape& shape, const float* delegates, const Exponential& exponential, float greatest, const Keep& keep,
                                   ExactMemory& exact, TruncateMemory& memory, TopTokens& out) {
  const std::uint64_t total = total_mass(x, row, exponential, keep);
  Bound bound{greatest};
  if (TopTokens::kCount <= shape.delegates()) bound = bound_of_kth(x, delegates, shape.delegates(), TopTokens::kCount, greatest, exact, memory);
  std::uint32_t count = collect(x, row, shape, delegates, bound, exponential, keep, exact, memory);
  if (count <= kListed) {
    sort(x, exact.list, count);
    return write_top(x, count, total, exponential, exact, out);
  }
  // Very many equals: one after the other.
  std::uint64_t last = ~std::uint64_t{0};
  for (count = 0; count < TopTokens::kCount; ++count) {
    typename X::template State<std::uint64_t> next;
    x.each([&](unsigned t) {
      next[t] = 0;
      for (std::uint32_t v = t; v < row.vocab; v += kThreads) {
        const float logit = row.at(v);
        if (!is_finite(logit)) continue;
        const std::uint64_t key = order_key(logit, v);
        if (key < last && key > next[t] && keep(logit, v, keep.min_p > 0 ? exponential(logit) : 0)) next[t] = key;
      }
    });
    last = x.reduce(next, Largest{});
    if (last == 0) break;
    x.each([&](unsigned t) {
      if (t == 0) exact.list[count] = last;
    });
    x.sync();
  }
  write_top(x, count, total, exponential, exact, out);
}

}  // namespace heirmark::kernels
