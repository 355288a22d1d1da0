// audit suspect, audit plan: what is fixed before the first query.
#include <heirmark/audit.hpp>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <system_error>

#include "case_check.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
namespace fs = std::filesystem;

struct SuspectArguments {
  std::vector<std::string> command;
  std::string name, released, weights, output = "suspect.json";
  std::uint64_t vocab = 0;
};

/// Text that suspect.json, which is JSON, can hold: asked of the reader itself.
bool is_json_text(const std::string& text) { return SuspectInfo::parse(SuspectInfo{"x", 1, {text}, "", ""}.bytes()).ok(); }

Result<void> check_texts(const SuspectArguments& arguments) {
  const auto bad = [](const std::string& what) { return Error{ErrorCode::usage, "audit suspect: " + what + " is not text in UTF-8, and suspect.json holds no other"}; };
  for (const auto& [option, text] : {std::pair<const char*, const std::string&>{"--name", arguments.name}, {"--released", arguments.released}, {"--weights", arguments.weights}}) {
    if (!is_json_text(text)) return bad(option);
  }
  for (std::size_t i = 0; i < arguments.command.size(); ++i) {
    if (!is_json_text(arguments.command[i])) return bad(i == 0 ? "COMMAND" : "argument " + std::to_string(i) + " of COMMAND");
  }
  return {};
}

Result<int> run_suspect(const SuspectArguments& arguments) {
  if (auto good = check_texts(arguments); !good) return good.error();
  SuspectInfo info{arguments.name, static_cast<std::uint32_t>(arguments.vocab), arguments.command, arguments.released, arguments.weights};
  if (info.name.empty() || info.vocab == 0 || info.weights.empty()) {
    tell("asking the suspect what it is");
    ProcessSuspect::Options options;
    options.stop = interrupted;
    auto suspect = ProcessSuspect::start(arguments.command, options);
    if (!suspect) return suspect.error();
    const auto hello = (*suspect)->hello();
    if (!hello) return hello.error();
    if (info.name.empty()) info.name = hello->name;
    if (info.vocab == 0) info.vocab = hello->vocab;
    if (info.weights.empty()) info.weights = hello->weights_digest;
  }
  const std::string bytes = info.bytes();
  if (const auto good = SuspectInfo::parse(bytes); !good) return good.error();
  if (auto done = write_file(arguments.output, bytes); !done) return done.error();
  if (arguments.output != "-") inform("wrote      " + arguments.output + ": " + info.name + ", vocabulary " + std::to_string(info.vocab));
  return 0;
}

struct PlanArguments {
  StoreOptions store;
  std::string commitment, suspect, prompts, ledger, statements, provider_key, alpha = "0.000001", output, signer = "auditor", count_rule = "distinct";
  std::vector<std::string> channels;
  std::uint64_t attempt = 1, multiplicity = 0, texts = 500, tokens = 128, decoys = 4095, temperature_milli = 1000, samples = 4, top = 16, controls = 4;
  std::uint64_t fit = kUnset;
  bool decoys_given = false;
  static constexpr std::uint64_t kUnset = std::numeric_limits<std::uint64_t>::max();
};

/// "1e-6" -> "0.000001"; a decimal stays what it is. Exact: no double is involved.
Result<std::string> decimal_alpha(const std::string& given) {
  const Error bad{ErrorCode::usage, "audit plan: --alpha \"" + given + "\" is not a number between 0 and 1 such as 0.000001 or 1e-6"};
  const std::size_t e = given.find_first_of("eE");
  std::string mantissa = given.substr(0, e);
  long exponent = 0;
  if (e != std::string::npos) {
    const std::string digits = given.substr(e + 1);
    if (digits.size() < 2 || digits.size() > 3 || digits.front() != '-') return bad;
    for (const char c : digits.substr(1)) {
      if (std::isdigit(static_cast<unsigned char>(c)) == 0) return bad;
      exponent = exponent * 10 + (c - '0');
    }
  }
  const std::size_t point = mantissa.find('.');
  std::string whole = mantissa.substr(0, point), fraction = point == std::string::npos ? "" : mantissa.substr(point + 1);
  for (const char c : whole + fraction) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return bad;
  }
  if (whole.empty() && fraction.empty()) return bad;
  std::string digits = whole + fraction;
  long after = static_cast<long>(fraction.size()) + exponent;  // digits after the point
  if (after < static_cast<long>(digits.size())) {
    // Something would stand before the point: allowed only if it is zeros.
    const auto before = digits.size() - static_cast<std::size_t>(after);
    if (digits.find_first_not_of('0') < before) return bad;
    digits.erase(0, before);
  }
  digits.insert(0, static_cast<std::size_t>(after) - digits.size(), '0');
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  if (digits.empty() || digits.size() > 38) return bad;
  return "0." + digits;
}

/// "c1=200000" or "c1": channel and weight.
Result<ChannelPlan> parse_channel(const std::string& text, const PlanArguments& arguments) {
  ChannelPlan channel;
  const std::string name = text.substr(0, text.find('='));
  if (name == "c1") channel.channel = Channel::c1;
  else if (name == "c2") channel.channel = Channel::c2;
  else if (name == "c3") channel.channel = Channel::c3;
  else return Error{ErrorCode::usage, "audit plan: --channel \"" + text + "\" is not c1, c2 or c3, with =WEIGHT"};
  if (const std::size_t equals = text.find('='); equals != std::string::npos) {
    const std::string digits = text.substr(equals + 1);
    if (digits.empty() || digits.size() > 7 || digits.find_first_not_of("0123456789") != std::string::npos) {
      return Error{ErrorCode::usage, "audit plan: --channel \"" + text + "\": the weight is a whole number, in all 1000000"};
    }
    channel.weight = static_cast<std::uint32_t>(std::stoul(digits));
  } else {
    channel.weight = 0;
  }
  if (channel.channel == Channel::c1) {
    const auto rule = parse_count_rule(arguments.count_rule);
    if (!rule) return rule.error();
    channel.count_rule = *rule;
    channel.texts = static_cast<std::uint32_t>(arguments.texts);
    channel.tokens_per_text = static_cast<std::uint32_t>(arguments.tokens);
    channel.decoys = static_cast<std::uint32_t>(arguments.decoys);
    channel.temperature_milli = static_cast<std::uint32_t>(arguments.temperature_milli);
  }
  if (channel.channel == Channel::c2) channel.samples = static_cast<std::uint32_t>(arguments.samples);
  if (channel.channel == Channel::c3) channel.top = static_cast<std::uint32_t>(arguments.top);
  return channel;
}

/// The channels asked for, or the default ones with this command line's numbers. Weights that nobody gave share what is left.
Result<std::vector<ChannelPlan>> channels_of(const PlanArguments& arguments) {
  std::vector<std::string> asked = arguments.channels;
  const bool defaults = asked.empty();
  if (defaults) {
    for (const ChannelPlan& channel : default_channels(!arguments.prompts.empty(), !arguments.ledger.empty())) {
      asked.push_back(std::string(channel_name(channel.channel)) + "=" + std::to_string(channel.weight));
    }
  }
  std::vector<ChannelPlan> channels;
  std::uint64_t given = 0, open = 0;
  for (const std::string& text : asked) {
    auto channel = parse_channel(text, arguments);
    if (!channel) return channel.error();
    given += channel->weight;
    if (channel->weight == 0) ++open;
    channels.push_back(*channel);
  }
  if (open > 0 && given < 1'000'000) {
    std::uint64_t left = 1'000'000 - given;
    for (ChannelPlan& channel : channels) {
      if (channel.weight != 0) continue;
      channel.weight = static_cast<std::uint32_t>(left / open);
      left -= channel.weight;
      --open;
    }
  }
  std::sort(channels.begin(), channels.end(), [](const ChannelPlan& a, const ChannelPlan& b) { return a.channel < b.channel; });
  return channels;
}

/// What the provider signed lies beside the commitment, as `key commit`, `key sign-ledger` and `stamp` leave it.
fs::path beside(const PlanArguments& arguments, const std::string& file) {
  const fs::path folder = arguments.statements.empty() ? fs::path(arguments.commitment).parent_path() : fs::path(arguments.statements);
  std::error_code error;
  const fs::path path = folder / file;
  return fs::exists(path, error) ? path : fs::path();
}

Result<int> run_plan(const PlanArguments& arguments) {
  if (arguments.prompts.empty() && arguments.ledger.empty()) {
    return Error{ErrorCode::usage, "audit plan: give --prompts for c1, --ledger for c2 and c3, or both"};
  }
  PlanRequest request;
  request.commitment = arguments.commitment;
  request.suspect = arguments.suspect;
  request.prompts = arguments.prompts;
  request.ledger = arguments.ledger;
  request.commitment_statement = beside(arguments, "statements/commitment.dsse.json");
  if (!arguments.ledger.empty()) request.ledger_statement = beside(arguments, "statements/ledger.dsse.json");
  request.provider_key = beside(arguments, "trust/provider.pem");
  for (const Object object : {Object::commitment, Object::ledger})
    for (unsigned slot = 1; slot <= kStampSlots && (object == Object::commitment || !arguments.ledger.empty()); ++slot)
      if (const fs::path stamp = beside(arguments, stamp_file(object, slot)); !stamp.empty()) request.stamps.push_back(stamp);
  const auto alpha = decimal_alpha(arguments.alpha);
  if (!alpha) return alpha.error();
  request.alpha = *alpha;
  request.attempt = arguments.attempt;
  request.multiplicity = arguments.multiplicity;
  auto channels = channels_of(arguments);
  if (!channels) return channels.error();
  request.channels = *std::move(channels);
  request.fit_decoys = !arguments.decoys_given;
  if (arguments.fit != PlanArguments::kUnset) request.fit_responses = arguments.fit;
  request.controls = static_cast<std::uint32_t>(arguments.controls);
  auto store = open_store(arguments.store, Missing::create);
  if (!store) return store.error();
  const auto signer = find_signer(*store, arguments.signer, Missing::create);
  if (!signer) return signer.error();
  request.date = now();
  tell("reading commitment, suspect" + std::string(arguments.prompts.empty() ? "" : ", prompts") + (arguments.ledger.empty() ? "" : ", ledger") + " and fixing the plan");
  // Whatever would make the verdict void is found now, while the suspect has been shown nothing.
  request.sign = [&](const fs::path& folder) -> Result<void> {
    if (auto done = sign_object(folder, Object::plan, now(), *signer); !done) return done;
    return sound(arguments.output, check_case(folder, Stage::planned));
  };
  const auto plan = make_plan(request, arguments.output);
  if (!plan) return plan.error();
  print("plan       " + plan->plan_id + ", attempt " + std::to_string(plan->attempt) + ", fixed " + plan->date + "\n");
  print("tests      key " + plan->path + " (" + plan->key_id + ") at alpha " + plan->alpha + ", multiplicity " + grouped(plan->multiplicity) + "\n");
  for (const ChannelPlan& channel : plan->channels) {
    std::string line = "channel    " + std::string(channel_name(channel.channel)) + " weight " + grouped(channel.weight) + ": ";
    if (channel.channel == Channel::c1) {
      line += grouped(channel.texts) + " texts of " + grouped(channel.tokens_per_text) + " tokens, " + grouped(channel.decoys) + " decoys per class";
    } else {
      line += grouped(plan->ledger_responses - plan->fit_responses) + " issued responses, ";
      line += channel.channel == Channel::c2 ? grouped(channel.samples) + " samples a context" : "top " + grouped(channel.top) + " log-probabilities";
    }
    print(line + "\n");
  }
  print("next       heirmark audit run " + arguments.output + "\n");
  return 0;
}
}  // namespace

void add_audit_suspect(Command& audit) {
  auto arguments = std::make_shared<SuspectArguments>();
  Command& suspect = audit.add("suspect", "write suspect.json for a program to be audited");
  suspect.arguments("COMMAND", arguments->command, "a program that speaks the suspect protocol, after --");
  suspect.text("--name", "TEXT", arguments->name, "[what the program says]");
  suspect.whole("--vocab", "V", arguments->vocab, 1, kMaxVocab, "[what the program says]");
  suspect.text("--released", "DATE", arguments->released, "day of the first release");
  suspect.text("--weights", "SHA256", arguments->weights, "digest of the weights [what the program says]");
  suspect.text("-o,--output", "FILE", arguments->output, "[suspect.json]");
  suspect.example("heirmark audit suspect -o suspect.json -- ./student model.bin");
  suspect.run([arguments] { return run_suspect(*arguments); });
}

void add_audit_plan(Command& audit) {
  auto arguments = std::make_shared<PlanArguments>();
  Command& plan = audit.add("plan", "fix an audit before the first query, and sign it");
  plan.text("--commitment", "FILE", arguments->commitment, "commitment.json, statements/ and trust/ beside it", Need::required);
  plan.text("--suspect", "FILE", arguments->suspect, "suspect.json", Need::required);
  plan.text("-o,--output", "DIR", arguments->output, "folder of the case, new or empty", Need::required);
  plan.text("--prompts", "FILE", arguments->prompts, "token file, for c1");
  plan.text("--ledger", "FILE", arguments->ledger, "issued ledger, for c2 and c3");
  plan.texts("--channel", "C[=WEIGHT]", arguments->channels, "c1, c2 or c3; again for more [all that can be]");
  plan.text("--alpha", "P", arguments->alpha, "level of the verdict [1e-6]");
  plan.whole("--attempt", "N", arguments->attempt, 1, 1'000'000'000, "which audit of this suspect [1]");
  plan.whole("--multiplicity", "M", arguments->multiplicity, 1, 1'000'000'000, "attempts and keys in all [the attempt]");
  plan.whole("--texts", "N", arguments->texts, 1, 10'000'000, "c1: texts [500]");
  plan.whole("--tokens", "N", arguments->tokens, 1, 1u << 20, "c1: tokens of a text [128]");
  plan.whole("--decoys", "M", arguments->decoys, 0, 1u << 22, "c1: decoys of a class [4095]");
  plan.choice("--count-rule", {"distinct", "sqrt2", "log2"}, arguments->count_rule, "c1 [distinct]");
  plan.whole("--samples", "M", arguments->samples, 1, 1024, "c2: tokens drawn for a context [4]");
  plan.whole("--top", "N", arguments->top, 1, 1024, "c3: log-probabilities of a context [16]");
  plan.whole("--fit", "R", arguments->fit, 0, 1u << 30, "c3: responses for the baseline [a tenth]");
  plan.whole("--controls", "N", arguments->controls, 0, 64, "control keys [4]");
  plan.text("--signer", "NAME", arguments->signer, "signing key, made if there is none [auditor]");
  add_store_options(plan, arguments->store);
  plan.example("heirmark audit plan --commitment commitment.json --suspect suspect.json --prompts p.jsonl -o case/");
  plan.run([arguments, &plan] {
    arguments->decoys_given = plan.was_given("--decoys");
    return run_plan(*arguments);
  });
}

}  // namespace heirmark::cli
