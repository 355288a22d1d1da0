// verify on a small bag with one file changed, as it is or with the tag files made again.
#include "base_bag.hpp"
#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(bag) {
  evidence::Files files = fuzz::base_bag();
  const std::string& name = fuzz::file_of(input.byte());
  const std::uint8_t mode = input.byte();
  const std::string before = files[name];
  files[name] = input.rest();
  const bool changed = files[name] != before, payload = name.starts_with("data/");
  if (mode % 4 == 1) files.erase(name);
  if (mode % 2 == 0 && payload) {
    std::string day = "2026-12-05", id = "0000000000000000";
    if (const auto verdict = Verdict::parse(files["data/verdict.json"]); verdict.ok()) day = verdict->date.substr(0, 10);
    if (const auto plan = Plan::parse(files["data/plan.json"]); plan.ok()) id = plan->plan_id;
    for (auto& [path, bytes] : evidence::tag_files(files, day, id)) files[path] = bytes;
  }
  VerifyReport report;
  const auto done = evidence::verify_files(files, {}, report);
  if (!done) return fuzz::check_error(done.error());
  const bool whole = !changed && mode % 4 != 1;
  fuzz::require((report.state == BagState::valid) == whole, "a bag is valid exactly if nothing was changed", name);
  for (const Check& check : report.checks) {
    fuzz::require(!check.code.empty(), "a check has a code");
    if (check.level != Level::ok) fuzz::check_error({ErrorCode::invalid_evidence, check.detail});
  }
}
