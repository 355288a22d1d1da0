// The twenty rounds over lanes, one state a lane, written once for the vector instruction sets. L gives the vector type V and
// add, exclusive_or, rotate<N>. Everything has internal linkage, since each file that includes this is compiled for another
// instruction set.
#pragma once
#include "core/hd.hpp"

namespace heirmark::core {
namespace {

/// Two quarter rounds side by side: one waits for its results while the other issues, and their eight words stay in registers
/// where there are only sixteen (four at once do not; AVX2 loses 10 %).
template <class L, class V = typename L::V>
HEIRMARK_HD_INLINE void lane_quarters(V& a, V& b, V& c, V& d, V& e, V& f, V& g, V& h) {
  a = L::add(a, b);
  e = L::add(e, f);
  d = L::template rotate<16>(L::exclusive_or(d, a));
  h = L::template rotate<16>(L::exclusive_or(h, e));
  c = L::add(c, d);
  g = L::add(g, h);
  b = L::template rotate<12>(L::exclusive_or(b, c));
  f = L::template rotate<12>(L::exclusive_or(f, g));
  a = L::add(a, b);
  e = L::add(e, f);
  d = L::template rotate<8>(L::exclusive_or(d, a));
  h = L::template rotate<8>(L::exclusive_or(h, e));
  c = L::add(c, d);
  g = L::add(g, h);
  b = L::template rotate<7>(L::exclusive_or(b, c));
  f = L::template rotate<7>(L::exclusive_or(f, g));
}

/// RFC 8439 section 2.3, without the final addition. The pairs are in an order in which each next one finds words of the last.
template <class L>
HEIRMARK_HD_INLINE void lane_rounds(typename L::V (&x)[16]) {
  for (int round = 0; round < 10; ++round) {
    lane_quarters<L>(x[0], x[4], x[8], x[12], x[1], x[5], x[9], x[13]);
    lane_quarters<L>(x[2], x[6], x[10], x[14], x[3], x[7], x[11], x[15]);
    lane_quarters<L>(x[2], x[7], x[8], x[13], x[3], x[4], x[9], x[14]);
    lane_quarters<L>(x[0], x[5], x[10], x[15], x[1], x[6], x[11], x[12]);
  }
}

}  // namespace
}  // namespace heirmark::core
