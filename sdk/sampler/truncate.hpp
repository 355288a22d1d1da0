// min-p, top-k and top-p without sorting the vocabulary (specs/marks.md, "Order of operations").
#pragma once
#include <cstdint>

#include "sampler/kernel.hpp"
#include "sampler/workspace.hpp"

namespace heirmark::sampler {

/// A place in the order of truncation.
struct Place {
  float logit;
  std::uint32_t id;
  /// Does a token stand here or before?
  [[nodiscard]] bool reaches(float x, std::uint32_t v) const { return x > logit || (x == logit && v <= id); }
};

/// The tokens that stay, without a list: those with e_v >= least, up to `stays` surely and up to `may_stay` perhaps.
struct Band {
  double least = 0;
  bool whole = true;  ///< the two places are not looked at
  Place stays{}, may_stay{};
  [[nodiscard]] bool truncates() const { return least > 0 || !whole; }
};

struct Truncation {
  bool listed = true;
  std::uint32_t count = 0;  ///< listed: at least one
  Band band;                ///< not listed
};

/// The surviving tokens: in workspace.ids (ascending), .logits and .e (their e_v), or, if a band will do and there are very many of them, as
/// a band. `greatest` is the row's greatest logit, finite.
[[nodiscard]] Truncation truncate(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, bool band_will_do, Workspace& workspace);

/// The likeliest of the tokens that stay, with their shares of the masses (specs/marks.md, "Top tokens").
void top_tokens(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, Workspace& workspace, TopTokens& out);

}  // namespace heirmark::sampler
