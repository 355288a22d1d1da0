// audit verdict: the answer sentence; writes verdict.json, statements, bag and report.
#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "case_check.hpp"
#include "commands.hpp"
#include "device.hpp"
#include "explain.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "numbers.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
namespace fs = std::filesystem;

struct VerdictArguments {
  StoreOptions store;
  std::string folder, opening, signer = "auditor", require, device = "cpu";
  std::uint64_t threads = 0;
  bool json = false, explain = false;
};

constexpr const char* kMargin = "           ";

/// Lines of at most 100 columns behind the margin.
void print_wrapped(const std::string& text) {
  constexpr std::size_t kWidth = 89;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.size();
    if (end - at > kWidth) {
      end = text.rfind(' ', at + kWidth);
      if (end == std::string::npos || end <= at) end = std::min(text.find(' ', at), text.size());
    }
    print((at == 0 ? std::string(kMargin) : std::string(kMargin) + "  ") + text.substr(at, end - at) + "\n");
    at = end + 1;
  }
}

std::string channel_words(const VerdictChannel& channel) {
  std::string name(channel_name(channel.channel));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(c == 'c' ? 'C' : c); });
  if (channel.channel == Channel::c1) return grouped(channel.n) + " text pairs (" + name + " log10 p " + short_p(channel.log10_p) + ")";
  return grouped(channel.n) + " issued contexts (" + name + " log10 e " + short_e(channel.log10_e) + ")";
}

/// Accounts that a channel names, and what each such channel says of them.
std::map<std::string, std::string> named_accounts(const Verdict& verdict) {
  std::map<std::string, std::string> named;
  for (const VerdictChannel& channel : verdict.channels) {
    for (const VerdictAccount& account : channel.accounts) {
      if (!account.named) continue;
      std::string& words = named[account.account];
      words += (words.empty() ? "" : ", ") + std::string(channel_name(channel.channel)) + " log10 e " + short_e(account.log10_e);
    }
  }
  return named;
}

/// The control that came nearest to a signal, and where the key stands among its decoys.
std::string control_words(const Verdict& verdict) {
  std::string words;
  if (!verdict.controls.empty()) {
    const auto strongest = std::max_element(verdict.controls.begin(), verdict.controls.end(), [](const VerdictControl& a, const VerdictControl& b) {
      return std::strtod(a.log10_e.c_str(), nullptr) < std::strtod(b.log10_e.c_str(), nullptr);
    });
    words = grouped(verdict.controls.size()) + " other keys, strongest log10 e " + short_e(strongest->log10_e);
  }
  for (const VerdictChannel& channel : verdict.channels) {
    if (channel.classes.empty()) continue;
    const auto first = std::count_if(channel.classes.begin(), channel.classes.end(), [](const VerdictClass& c) { return c.ge == 0; });
    words += (words.empty() ? "" : "; ") + std::string("the key ranks first of ") + grouped(channel.decoys + 1) + " in " + std::to_string(first) + " of " +
             std::to_string(channel.classes.size()) + " classes";
  }
  return words.empty() ? "none were registered" : words;
}

void print_summary(const Verdict& verdict, const Plan& plan, const std::string& suspect, const std::string& report) {
  const std::string numbers = "log10 p = " + verdict.log10_p + ", log10 e = " + verdict.log10_e;
  std::string evidence;
  for (const VerdictChannel& channel : verdict.channels) evidence += (evidence.empty() ? "" : ", ") + channel_words(channel);
  switch (verdict.outcome) {
    case Outcome::supports:
      print(styled(Style::bad, "SUPPORTS") + "   " + printable(suspect) + " was influenced by text made under key " + plan.path + "\n");
      print(kMargin + std::string("chance of this or stronger without that influence: ") + chance_words(verdict.log10_p) + "\n" + kMargin + "(" + numbers + ")\n");
      break;
    case Outcome::inconclusive:
      print(styled(Style::unsure, "INCONCLUSIVE") + "  no reliable signal; this does not show that the model was not distilled\n");
      print(kMargin + numbers + "; the plan asked for log10 p <= log10 " + verdict.alpha + "\n");
      break;
    case Outcome::does_not_support:
      print(styled(Style::unsure, "DOES NOT SUPPORT") + "  a signal is there, but a control key shows it too: it is not this key's\n");
      print(kMargin + numbers + "\n");
      break;
  }
  print_wrapped("evidence: " + evidence);
  print_wrapped("plan " + plan.plan_id + " fixed before the first query, attempt " + std::to_string(plan.attempt));
  print_wrapped("controls: " + control_words(verdict));
  if (verdict.outcome == Outcome::supports) {
    for (const auto& [account, words] : named_accounts(verdict)) print_wrapped("account " + account + ", its responses alone: " + words);
  }
  if (verdict.outcome == Outcome::supports) print(kMargin + std::string("not shown: intent, breach of terms, or that every output was used\n"));
  else if (verdict.outcome == Outcome::inconclusive) print(kMargin + std::string("not shown: anything; a weak, small or removed trace looks the same\n"));
  else print(kMargin + std::string("not shown: influence of this key, intent, or breach of terms\n"));
  print("report     " + report + "\n");
}

void print_json(const Verdict& verdict, const Plan& plan, const std::string& suspect, const std::string& report, const std::string& bag) {
  JsonWriter json;
  json.begin_object().member("outcome", outcome_name(verdict.outcome)).key("log10_p").raw(verdict.log10_p).key("log10_e").raw(verdict.log10_e);
  json.member("alpha", verdict.alpha).member("multiplicity", verdict.multiplicity).member("planId", plan.plan_id).member("path", plan.path);
  json.member("keyId", plan.key_id).member("suspect", suspect).key("channels").begin_list();
  for (const VerdictChannel& channel : verdict.channels) {
    json.begin_object().member("channel", channel_name(channel.channel)).member("n", channel.n).key("log10_p").raw(channel.log10_p).key("log10_e").raw(channel.log10_e);
    json.key("accounts").begin_list();
    for (const VerdictAccount& account : channel.accounts) {
      json.begin_object().member("account", account.account).member("responses", account.responses).key("log10_e").raw(account.log10_e);
      json.member("named", account.named).end_object();
    }
    json.end_list().end_object();
  }
  json.end_list().key("controls").begin_list();
  for (const VerdictControl& control : verdict.controls) {
    json.begin_object().member("name", control.name).key("log10_p").raw(control.log10_p).key("log10_e").raw(control.log10_e).end_object();
  }
  json.end_list().member("report", report).member("bag", bag).end_object();
  print(json.line());
}

Result<int> run_verdict(const VerdictArguments& arguments) {
  const auto device = usable_device(arguments.device);
  if (!device) return device.error();
  const fs::path folder(arguments.folder);
  const auto plan_bytes = read_file((folder / "plan.json").string());
  if (!plan_bytes) return plan_bytes.error();
  const auto plan = Plan::parse(*plan_bytes);
  if (!plan) return plan.error().at((folder / "plan.json").string());
  const auto suspect_bytes = read_file((folder / "suspect.json").string());
  if (!suspect_bytes) return suspect_bytes.error();
  const auto suspect = SuspectInfo::parse(*suspect_bytes);
  if (!suspect) return suspect.error().at((folder / "suspect.json").string());
  std::error_code error;
  if (!fs::exists(folder / "transcript.json", error)) {
    return Error{ErrorCode::usage, arguments.folder + ": the transcript is not sealed; first: heirmark audit run " + arguments.folder};
  }
  const auto lock = CaseLock::take(folder);  // until bag and report are there: all of one verdict
  if (!lock) return lock.error();
  auto store = open_store(arguments.store, Missing::fail);
  if (!store) return store.error();
  const auto signer = find_signer(*store, arguments.signer, Missing::fail);
  if (!signer) return signer.error();
  if (!fs::exists(folder / "statements" / "transcript.dsse.json", error)) {
    if (auto done = sign_object(folder, Object::transcript, now(), *signer); !done) return done.error();
  }
  if (auto good = sound(arguments.folder, check_case(folder, Stage::sealed)); !good) return good.error();

  warn_if_exposed(arguments.opening);
  tell("computing the verdict");
  Progress progress("verdict");
  VerdictOptions options;
  options.device = *device;
  options.threads = static_cast<unsigned>(arguments.threads != 0 ? arguments.threads : std::max(1u, std::thread::hardware_concurrency()));
  options.progress = [&progress](double share) { return progress.update(share); };
  const auto verdict = write_verdict(folder, named_input(arguments.opening), now(), options);
  progress.clear();
  if (!verdict) return verdict.error().code == ErrorCode::stopped ? stopped_error("the same command starts again") : verdict.error();
  for (unsigned slot = 1; slot <= kStampSlots; ++slot)
    if (const fs::path stamp = folder / stamp_file(Object::verdict, slot); fs::exists(stamp, error)) inform("note       " + stamp.string() + " is about the verdict before and goes with it; heirmark stamp makes a new one");
  if (auto done = sign_object(folder, Object::verdict, now(), *signer); !done) return done.error();
  if (auto done = pack(folder); !done) return done.error();
  const std::string bag = (folder / "bag").string(), report = (folder / "report.html").string();
  if (arguments.json) print_json(*verdict, *plan, suspect->name, report, bag);
  else print_summary(*verdict, *plan, suspect->name, report);
  if (arguments.explain && !arguments.json) print_explanation(*verdict, *plan);
  return !arguments.require.empty() && outcome_name(verdict->outcome) != arguments.require ? 7 : 0;
}
}  // namespace

void add_audit_verdict(Command& audit) {
  auto arguments = std::make_shared<VerdictArguments>();
  Command& verdict = audit.add("verdict", "compute and sign the verdict; bag and report");
  verdict.argument("CASE", arguments->folder, "folder of the case, its transcript sealed");
  verdict.text("--opening", "FILE", arguments->opening, "opening.json from the provider", Need::required);
  verdict.choice("--require", {"supports", "inconclusive", "does-not-support"}, arguments->require, "exit 7 on another outcome");
  verdict.text("--signer", "NAME", arguments->signer, "signing key of the plan [auditor]");
  add_device_option(verdict, arguments->device);
  verdict.whole("--threads", "N", arguments->threads, 1, 1024, "[one for each core]");
  verdict.flag("--explain", arguments->explain, "print the formulas, the counts and the nulls");
  verdict.flag("--json", arguments->json, "one JSON object");
  add_store_options(verdict, arguments->store);
  verdict.example("heirmark audit verdict case-17/ --opening opening.json");
  verdict.run([arguments] { return run_verdict(*arguments); });
}

}  // namespace heirmark::cli
