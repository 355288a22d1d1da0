#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>

#include <algorithm>
#include <memory>
#include <thread>

#include "commands.hpp"
#include "device.hpp"
#include "explain.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
struct VerifyArguments {
  std::string bag, require, device = "cpu";
  std::vector<std::string> trust, authorities;
  std::uint64_t threads = 0;
  bool json = false, explain = false;
};

/// A decimal string that is a number in JSON too, as every one that we write is.
bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && (text.size() == 1 || text[0] != '0' || text[1] == '.');
}

void print_json(const VerifyReport& report) {
  JsonWriter json;
  json.begin_object().member("state", bag_state_name(report.state)).member("planId", report.plan_id).member("outcome", report.outcome);
  for (const auto& [name, value] : {std::pair{"log10_p", &report.log10_p}, std::pair{"log10_e", &report.log10_e}}) {
    if (is_json_number(*value)) json.key(name).raw(*value);
    else json.key(name).null();  // the verdict of an invalid bag may write 00.1
  }
  json.key("codes").begin_list();
  for (const Check& check : report.checks) {
    json.begin_object().member("code", check.code).member("level", level_name(check.level)).member("detail", check.detail).end_object();
  }
  json.end_list().end_object();
  print(json.line());
}

void print_person(const VerifyReport& report) {
  std::size_t passed = 0;
  for (const Check& check : report.checks) {
    if (check.level == Level::ok) ++passed;
    if (check.level == Level::ok && !globals().verbose) continue;
    const Style style = check.level == Level::fail ? Style::bad : check.level == Level::note ? Style::unsure : Style::good;
    print(styled(style, level_name(check.level)) + std::string(6 - std::min<std::size_t>(5, level_name(check.level).size()), ' ') + check.code +
          (check.detail.empty() ? "" : "  " + printable(check.detail)) + "\n");
  }
  std::string state(bag_state_name(report.state));
  const Style style = report.state == BagState::valid ? Style::good : report.state == BagState::invalid ? Style::bad : Style::unsure;
  std::transform(state.begin(), state.end(), state.begin(), [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c); });
  print(styled(style, state) + "  " + grouped(passed) + " checks passed");
  if (report.state != BagState::invalid) print("; outcome " + report.outcome + ", log10 p = " + report.log10_p + ", log10 e = " + report.log10_e);
  print("\n");
}

/// The bag is verified: its plan and verdict are what their signatures say.
Result<void> explain_bag(const VerifyArguments& arguments, const VerifyReport& report) {
  const std::string data = arguments.bag + "/data/";
  const auto plan_bytes = read_file(data + "plan.json"), verdict_bytes = read_file(data + "verdict.json");
  if (!plan_bytes) return plan_bytes.error();
  if (!verdict_bytes) return verdict_bytes.error();
  const auto plan = Plan::parse(*plan_bytes);
  const auto verdict = Verdict::parse(*verdict_bytes);
  if (!plan) return plan.error().at(data + "plan.json");
  if (!verdict) return verdict.error().at(data + "verdict.json");
  if (plan->plan_id != report.plan_id || verdict->log10_p != report.log10_p) return Error{ErrorCode::invalid_evidence, arguments.bag + ": changed while it was read"};
  print_explanation(*verdict, *plan);
  return {};
}

Result<int> run_verify(const VerifyArguments& arguments) {
  const auto device = usable_device(arguments.device);
  if (!device) return device.error();
  VerifyOptions options;
  options.device = *device;
  for (std::string path : arguments.trust) {
    std::string role;
    for (const std::string named : {"provider", "auditor"})
      if (path.starts_with(named + "=")) {
        path.erase(0, named.size() + 1);
        role = named;
        break;
      }
    auto pem = read_file(path);
    if (!pem) return pem.error();
    options.trust_roots.emplace_back(*std::move(pem), role, path);
  }
  for (const std::string& path : arguments.authorities) {
    auto pem = read_file(path);
    if (!pem) return pem.error();
    options.stamp_roots.push_back({*std::move(pem), path});
  }
  options.threads = static_cast<unsigned>(arguments.threads != 0 ? arguments.threads : std::max(1u, std::thread::hardware_concurrency()));
  tell("reading " + arguments.bag + " and computing its verdict again");
  Progress progress("verify");
  options.progress = [&progress](double share) { return progress.update(share); };
  const auto report = verify_bag(arguments.bag, options);
  progress.clear();
  if (!report) return report.error().code == ErrorCode::stopped ? stopped_error("the same command starts again") : report.error();
  if (arguments.json) print_json(*report);
  else print_person(*report);
  if (arguments.explain && !arguments.json && report->state != BagState::invalid)
    if (auto done = explain_bag(arguments, *report); !done) return done.error();
  if (report->state != BagState::valid) return 1;
  return !arguments.require.empty() && report->outcome != arguments.require ? 7 : 0;
}
}  // namespace

void add_verify(Command& root) {
  auto arguments = std::make_shared<VerifyArguments>();
  Command& verify = root.add("verify", "recompute a bag: digests, signatures, bindings, the statistic");
  verify.argument("BAG", arguments->bag, "folder of a bag");
  verify.texts("--trust", "[ROLE=]PEM", arguments->trust, "public key that you trust, as provider= or auditor= alone; again for more");
  verify.texts("--trust-authority", "PEM", arguments->authorities, "certificates of time-stamping authorities that you trust, not the system's for TLS; what is signed before the verdict then needs their stamp");
  verify.choice("--require", {"supports", "inconclusive", "does-not-support"}, arguments->require, "exit 7 on a valid bag with another outcome");
  add_device_option(verify, arguments->device);
  verify.whole("--threads", "N", arguments->threads, 1, 1024, "[one for each core]");
  verify.flag("--explain", arguments->explain, "print the formulas, the counts and the nulls");
  verify.flag("--json", arguments->json, "one JSON object with state and codes");
  verify.note("Exit status 0 if the bag is valid, 1 if it is invalid or, with --trust or --trust-authority, signed by others or not stamped by those. -v lists every check.");
  verify.example("heirmark verify case-17/bag --trust provider=provider.pem --trust auditor=auditor.pem");
  verify.run([arguments] { return run_verify(*arguments); });
}

}  // namespace heirmark::cli
