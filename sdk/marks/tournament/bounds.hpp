// A tournament by bounds: what becomes of errors of masses in a layer. With it a tournament is decided from masses that are only nearly right, and rightly.
//
// Let r_b be the reference's masses before a layer, p_b ours, of sum S, and q_b = k r_b for some factor k > 0 that is common to all bins. Nobody needs to know k: the
// race that follows is the same with it. Known is |q_b - p_b| <= m_b; E is the sum of m_b. Bins are green or red by their bit g_b of the layer, and G = sum of p_b g_b / S.
// The reference's green mass is G' = sum of r_b g_b. Since k = sum of q_b if the reference's masses sum to 1, and the sum of p_b (g_b - G) is 0,
//   k (G' - G) = sum of q_b (g_b - G) = sum of (q_b - p_b)(g_b - G),   |G' - G| <= D = ((1 - G) (m of green bins) + G (m of red ones)) / (S - E),
// and more for roundings of either side. The layer multiplies green bins by 2 - G' and red ones by 1 - G', ours by 2 - G and 1 - G. Now k may change from layer to layer:
//   k (2 - G) / (2 - G'):   q of a green bin is multiplied by 2 - G, as ours is; that of a red one by (1 - G)(1 + x), x = -(G' - G) / ((1 - G)(2 - G'))
//   k (1 - G) / (1 - G'):   q of a red bin is multiplied by 1 - G, as ours is; that of a green one by (2 - G)(1 + x), x = (G' - G) / ((2 - G)(1 - G'))
// exactly. So relative errors of one colour stay what they are, and those of the other grow from e to (1 + e)(1 + |x|) - 1. The colour that has more of the mass afterwards is
// spared, green if G (2 - G) >= 1/2. With G = 1/2 and equal errors, D is half of them, |x| two thirds, and a third of the mass has them: a layer adds a sixth to the
// errors, thirty layers make them 100 times as great.
#pragma once
#include "core/hd.hpp"

namespace heirmark::marks::tournament {

/// D from which on bounds say nothing.
template <class Real>
inline constexpr Real kMostDistance = Real{1} / 8;

/// A layer by bounds, red and green: what our masses are multiplied by, and |x|.
template <class Real, class Off>
struct BoundedLayer {
  Real factor[2];
  Off off[2];
};

/// red: 1 - G of some G from which the reference's is `distance` away at most, D; not the one that our masses have, if that were 0 or nearly so: with any other red bins keep a
/// finite relative error. D < kMostDistance, but for D of a red below 0.7, which may be twice as great; red > 0. reciprocal(f): 1 / f within 2^-22.
template <class Real, class Off, class Reciprocal>
HEIRMARK_HD_INLINE BoundedLayer<Real, Off> bound_layer(Real red, Off distance, const Reciprocal& reciprocal) {
  constexpr Off kRoundings = 1 + Off{0x1p-18};  // of this function, also in float32
  const auto r = static_cast<Off>(red);
  const bool green_spared = r < Off{0.7f};
  // |x| is D / (r (1 + r - D)) or D / ((1 + r)(r - D)) at most: D / (r (1 + r)) over 1 - y, where y is D / (1 + r) <= D, or D / r <= D / 0.7; so 1 / (1 - y) <= 1 + 7/4 D.
  // The division does not wait for D, which comes last on a device.
  const Off off = (distance + Off{1.75f} * distance * distance) * (reciprocal(r * (1 + r)) * kRoundings);
  return {{red, 1 + red}, {green_spared ? off : 0, green_spared ? 0 : off}};
}

}  // namespace heirmark::marks::tournament
