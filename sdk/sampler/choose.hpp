// From a row to its token: the same token whichever instruction set does it (specs/marks.md).
#pragma once
#include "core/dispatch.hpp"
#include "sampler/row.hpp"
#include "sampler/workspace.hpp"

namespace heirmark::sampler {

[[nodiscard]] RowResult choose(const RowTask& task, core::InstructionSet set, Workspace& workspace);

}  // namespace heirmark::sampler
