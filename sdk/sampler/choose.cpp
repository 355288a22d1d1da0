#include "sampler/choose.hpp"

#include <cmath>
#include <limits>

#include "marks/reference.hpp"

namespace heirmark::sampler {

RowResult choose(const RowTask& task, core::InstructionSet, Workspace& workspace) {
  RowResult result;
  result.log_prob = std::numeric_limits<float>::quiet_NaN();
  std::vector<float>& x = workspace.logits;
  x.resize(task.logits.vocab);
  bool finite = false;
  for (std::uint32_t v = 0; v < x.size(); ++v) {
    x[v] = logit_at(task.logits, v);
    if (std::isinf(x[v]) && x[v] > 0) {
      result.kind = RowResult::Kind::infinite_logit;
      result.token = v;
      return result;
    }
    finite = finite || std::isfinite(x[v]);
  }
  if (!finite) return result;
  result.kind = RowResult::Kind::drawn;
  result.token = task.greedy ? marks::reference_greedy(x, task.rule, task.keys.mark)
                             : marks::reference_draw(x, task.filter, task.rule, task.keys).token;
  if (task.log_prob)
    result.log_prob = static_cast<float>(marks::reference_log_prob(x, task.greedy ? 1.0 : task.filter.temperature, result.token));
  return result;
}

}  // namespace heirmark::sampler
