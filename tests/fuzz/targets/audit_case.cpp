// A case whose maker lies in one file and binds the others to it: what an auditor with keys of his own can hand in. The verdict is computed
// from whatever passes, twice.
#include <utility>

#include <heirmark/keys.hpp>

#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "base_bag.hpp"
#include "fuzz.hpp"

using namespace heirmark;

namespace {
constexpr const char* kFiles[] = {"commitment.json", "ledger.jsonl", "opening.json", "plan.json", "prompts.jsonl", "suspect.json", "transcript.json", "transcript/c1.jsonl",
                                  "transcript/issued.jsonl"};

/// Makes digests, counts and names agree, as far as the objects can be read.
void bind(std::map<std::string, std::string>& files) {
  auto commitment = Commitment::parse(files["commitment.json"]);
  if (commitment) {
    if (const auto opening = Opening::parse(files["opening.json"])) {
      commitment->path = opening->path().text();
      commitment->key_id = opening->key_id();
      commitment->family_size = opening->family_size();
      commitment->profile = opening->profile().name;
      commitment->scheme = scheme_name(opening->profile().scheme);
    }
    commitment->digest = audit::digest(files["opening.json"]);
    files["commitment.json"] = commitment->bytes();
  }
  const auto suspect = SuspectInfo::parse(files["suspect.json"]);
  auto plan = Plan::parse(files["plan.json"]);
  if (plan) {
    if (commitment) {
      plan->opening = commitment->digest;
      plan->path = commitment->path;
      plan->key_id = commitment->key_id;
      plan->family_size = commitment->family_size;
      plan->profile = commitment->profile;
    }
    plan->commitment = audit::digest(files["commitment.json"]);
    plan->suspect = audit::digest(files["suspect.json"]);
    if (!plan->prompts.empty()) plan->prompts = audit::digest(files["prompts.jsonl"]);
    if (!plan->ledger.empty()) {
      plan->ledger = audit::digest(files["ledger.jsonl"]);
      plan->ledger_responses = audit::count_lines(files["ledger.jsonl"]);
    }
    for (ChannelPlan& channel : plan->channels) {
      channel.decoys = std::min(channel.decoys, 64u);  // the cost of decoys is the plan's, and no matter of form
      if (channel.channel == Channel::c1) channel.texts = std::max(1u, static_cast<std::uint32_t>(audit::count_lines(files["transcript/c1.jsonl"])));
    }
    files["plan.json"] = plan->bytes();
  }
  if (auto transcript = Transcript::parse(files["transcript.json"]); transcript.ok()) {
    if (suspect) transcript->hello.vocab = suspect->vocab;
    transcript->plan = audit::digest(files["plan.json"]);
    transcript->files.clear();
    transcript->queries = 0;
    for (const char* name : {"transcript/c1.jsonl", "transcript/issued.jsonl"}) {
      if (plan && (std::string_view(name) == "transcript/c1.jsonl" ? plan->prompts : plan->ledger).empty()) continue;
      const std::uint64_t lines = audit::count_lines(files[name]);
      transcript->files.push_back({name, audit::digest(files[name]), lines});
      transcript->queries += lines;
    }
    files["transcript.json"] = transcript->bytes();
  }
}
}  // namespace

FUZZ_TARGET(audit_case) {
  std::map<std::string, std::string> files;
  for (const char* name : kFiles) files[name] = fuzz::base_bag().at(std::string("data/") + name);
  std::string& lie = files[kFiles[input.byte() % std::size(kFiles)]];
  const std::string before = std::exchange(lie, std::string(input.rest()));
  const bool honest = lie == before;
  bind(files);
  VerdictInputs in;
  in.plan = files["plan.json"];
  in.transcript = files["transcript.json"];
  in.opening = files["opening.json"];
  in.commitment = files["commitment.json"];
  in.suspect = files["suspect.json"];
  in.prompts = files["prompts.jsonl"];
  in.ledger = files["ledger.jsonl"];
  in.c1 = files["transcript/c1.jsonl"];
  in.issued = files["transcript/issued.jsonl"];
  const auto verdict = compute_verdict(in, "2026-12-05T00:00:00Z", {});
  fuzz::require(verdict.ok() || !honest, "an honest case has a verdict", verdict ? "" : verdict.error().message);
  if (!verdict) return fuzz::check_error(verdict.error());
  const std::string bytes = verdict->bytes();
  const auto again = Verdict::parse(bytes);
  fuzz::require(again.ok(), "a verdict that is computed can be read", again ? "" : again.error().message + "\n" + bytes);
  fuzz::require(again->bytes() == bytes, "and comes back");
  const auto twice = compute_verdict(in, "2026-12-05T00:00:00Z", {.threads = 2, .progress = {}});
  fuzz::require(twice.ok() && twice->bytes() == bytes, "threads do not change a verdict");
}
