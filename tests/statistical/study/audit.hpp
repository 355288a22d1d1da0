// One whole audit of the validation study, from its seed: world, plan, queries, verdict, all by the public calls.
#pragma once
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "suspects.hpp"

namespace study {

namespace fs = std::filesystem;

/// A folder in memory where there is one (audits fsync much), gone with the value.
class Folder {
 public:
  Folder() {
    const fs::path memory = "/dev/shm";
    std::string name = ((access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) / "heirmark-study-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// What one audit was and gave. Decimal strings are the verdict's.
struct Row {
  std::uint64_t seed = 0;
  std::size_t kind = 0;
  Prompts prompts = Prompts::plain;
  std::string profile, count_rule;
  std::uint32_t temperature_milli = 0;
  std::uint64_t multiplicity = 0;
  std::string outcome, log10_p, log10_e, control_log10_p;  ///< the smallest p of the controls
  std::string c1_log10_p, c2_log10_p, c3_log10_p;
  std::uint64_t pairs = 0, contexts = 0, tainted = 0;       ///< C1 pairs; contexts bet on; positions left out by taint

  static constexpr std::string_view kHeader =
      "seed\tkind\tprompts\tprofile\tcount_rule\ttemperature_milli\tmultiplicity\toutcome\tlog10_p\tlog10_e\tcontrol_log10_p\tc1_log10_p\t"
      "c2_log10_p\tc3_log10_p\tpairs\tcontexts\ttainted\n";
  [[nodiscard]] std::string line() const {
    std::ostringstream out;
    out << seed << '\t' << kKinds.at(kind).name << '\t' << kPrompts.at(static_cast<std::size_t>(prompts)) << '\t' << profile << '\t' << count_rule << '\t' << temperature_milli << '\t'
        << multiplicity << '\t' << outcome << '\t' << log10_p << '\t' << log10_e << '\t' << control_log10_p << '\t' << c1_log10_p << '\t' << c2_log10_p
        << '\t' << c3_log10_p << '\t' << pairs << '\t' << contexts << '\t' << tainted << '\n';
    return out.str();
  }
};

inline constexpr const char* kAlpha = "0.01";  ///< registered in every plan
inline constexpr std::uint32_t kControls = 2, kDecoys = 63;

inline void write(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

/// The audit of a seed. Innocent kinds take turns; `guilty` makes the positive control of that seed.
inline Row run(std::uint64_t seed, const fs::path& scratch, bool guilty = false) {
  kit::Rng rng(mixed(seed + 1));
  Row row;
  row.seed = seed;
  row.kind = guilty ? kGuilty : static_cast<std::size_t>(seed % kInnocentKinds);
  row.prompts = static_cast<Prompts>(seed / kInnocentKinds % 3);
  const Profile& profile = rng.below(2) == 0 ? profiles::standard_2026_11() : profiles::window_only_2026_11();
  const CountRule rule = std::array{CountRule::distinct, CountRule::distinct, CountRule::sqrt2, CountRule::log2}[rng.below(4)];
  const World world(rng, profile, row.prompts);
  const auto suspect = make_suspect(row.kind, world, rng);
  row.profile = profile.name;
  row.count_rule = count_rule_name(rule);
  row.temperature_milli = std::array<std::uint32_t, 4>{1000, 1000, 700, 0}[rng.below(4)];

  const fs::path folder = scratch / std::to_string(seed);
  fs::remove_all(folder);
  fs::create_directories(folder);
  write(folder / "commitment.json", make_commitment(world.opening).bytes());
  write(folder / "suspect.json", SuspectInfo{"simulated", kVocab, {"in-process"}, "2026-12-01", ""}.bytes());
  write(folder / "opening.json", world.opening.bytes());
  std::string prompts, ledger;
  for (const Text& prompt : world.prompts) {
    prompts += "{\"tokens\":[";
    for (std::size_t i = 0; i < prompt.size(); ++i) prompts += (i == 0 ? "" : ",") + std::to_string(prompt[i]);
    prompts += "]}\n";
  }
  for (std::size_t d = 0; d < world.ledger.size(); ++d) ledger += must(ledger_line(world.ledger[d], d, "2026-11-02T00:00:00Z"), "ledger");
  write(folder / "prompts.jsonl", prompts);
  write(folder / "ledger.jsonl", ledger);

  PlanRequest request;
  request.commitment = folder / "commitment.json";
  request.suspect = folder / "suspect.json";
  request.prompts = folder / "prompts.jsonl";
  request.ledger = folder / "ledger.jsonl";
  request.date = "2026-12-02T00:00:00Z";
  request.alpha = kAlpha;
  request.attempt = 1 + rng.below(2);
  row.multiplicity = request.multiplicity = request.attempt + rng.below(2);
  request.fit_responses = 1 + rng.below(2);
  request.controls = kControls;
  ChannelPlan c1, c2, c3;
  c1.weight = 200'000;
  c1.texts = 12;
  c1.tokens_per_text = 28;
  c1.count_rule = rule;
  c1.decoys = kDecoys;
  c1.temperature_milli = row.temperature_milli;
  c2.channel = Channel::c2;
  c2.weight = 100'000;
  c2.samples = 2;
  c3.channel = Channel::c3;
  c3.weight = 700'000;
  c3.top = kListed;
  request.channels = {c1, c2, c3};
  const fs::path audit = folder / "case";
  Plan plan = must(make_plan(request, audit), "plan");
  // make_plan draws the id at random; here it follows from the seed, so that every query and every byte of the verdict does.
  constexpr std::string_view kHex = "0123456789abcdef";
  for (char& digit : plan.plan_id) digit = kHex[rng.below(16)];
  write(audit / "plan.json", plan.bytes());

  RunOptions options;
  options.now = [] { return std::string("2026-12-03T00:00:00Z"); };
  must(run_audit(audit, *suspect, options), "run");
  const Verdict verdict = must(write_verdict(audit, folder / "opening.json", "2026-12-05T00:00:00Z", {}), "verdict");
  fs::remove_all(folder);

  row.outcome = outcome_name(verdict.outcome);
  row.log10_p = verdict.log10_p;
  row.log10_e = verdict.log10_e;
  double least = 1;
  for (const VerdictControl& control : verdict.controls)
    if (const double p = std::stod(control.log10_p); p < least) least = p, row.control_log10_p = control.log10_p;
  row.c1_log10_p = verdict.channels[0].log10_p;
  row.c2_log10_p = verdict.channels[1].log10_p;
  row.c3_log10_p = verdict.channels[2].log10_p;
  row.pairs = verdict.channels[0].n;
  row.contexts = verdict.channels[2].n;
  row.tainted = verdict.channels[0].tainted + verdict.channels[2].tainted;
  return row;
}

}  // namespace study
