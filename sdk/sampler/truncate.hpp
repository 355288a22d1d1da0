// min-p, top-k and top-p without sorting the vocabulary (specs/marks.md, "Order of operations").
#pragma once
#include <cstdint>

#include "sampler/kernel.hpp"
#include "sampler/workspace.hpp"

namespace heirmark::sampler {

/// Leaves the surviving tokens in workspace.ids (ascending), .logits and .e (their e_v) and returns their number, at least one.
/// `greatest` is the row's greatest logit, finite.
[[nodiscard]] std::uint32_t truncate(const Kernel& kernel, const RowView& row, const marks::Filter& filter, float greatest, Workspace& workspace);

}  // namespace heirmark::sampler
