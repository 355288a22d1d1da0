#include <heirmark/audit.hpp>

#include "audit/plan.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(plan) {
  const std::string_view bytes = input.rest();
  fuzz::round_trip<Plan>(bytes, "plan");
  const auto plan = Plan::parse(bytes);
  if (!plan) return;
  fuzz::require(plan->digest() == audit::digest(bytes), "the digest is that of the bytes");
  std::uint64_t weights = 0;
  for (const ChannelPlan& channel : plan->channels) weights += channel.weight;
  fuzz::require(weights == 1'000'000 && plan->fit_responses <= plan->ledger_responses, "an accepted plan can be followed");
  fuzz::require(audit::query_seed(audit::plan_seed(plan->digest()), "c1", 0) < 1ull << 48, "a seed is below 2^48");
}
