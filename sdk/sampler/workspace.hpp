// The memory that one row needs while it is worked on, kept from row to row.
#pragma once
#include <vector>

namespace heirmark::sampler {

struct Workspace {
  std::vector<float> logits;
};

}  // namespace heirmark::sampler
