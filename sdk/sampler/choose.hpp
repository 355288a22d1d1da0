// From a row to its token: the same token whichever instruction set does it (specs/marks.md).
#pragma once
#include "core/dispatch.hpp"
#include "sampler/row.hpp"
#include "sampler/workspace.hpp"

namespace heirmark::sampler {

/// The workspace was made for a vocabulary at least as large as the row's.
[[nodiscard]] RowResult choose(const RowTask& task, core::InstructionSet set, Workspace& workspace);

}  // namespace heirmark::sampler
