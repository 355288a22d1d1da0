// compute_verdict: a pure function of bytes (specs/statistics.md "Verdict", specs/formats.md).
#include <algorithm>
#include <cmath>
#include <limits>

#include <heirmark/audit.hpp>
#include <heirmark/keys.hpp>
#include <heirmark/stats.hpp>

#include "audit/bets.hpp"
#include "audit/case.hpp"
#include "audit/issued.hpp"
#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "core/dmath.hpp"
#include "suspect/fields.hpp"

namespace heirmark {
namespace {
Error unbound(const std::string& what) { return {ErrorCode::invalid_evidence, what}; }

std::string text_of(Integer value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  std::string out;
  for (; value != 0; value /= 10) {
    const int digit = static_cast<int>(value % 10);
    out += static_cast<char>('0' + (digit < 0 ? -digit : digit));
  }
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

// What a key reached on one channel, in natural logarithms.
struct Reached { double log_p = 0, log_e = 0; };
Reached from_e(double log_e) { return {std::min(0.0, -log_e), log_e}; }

struct Headline { std::string log10_p, log10_e; };
Headline headline(const Plan& plan, const std::vector<Reached>& channels) {
  const double log_m = core::dlog(static_cast<double>(plan.multiplicity));
  double least = std::numeric_limits<double>::infinity();
  std::vector<double> weighted;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const double log_weight = core::dlog(plan.channels[i].weight / 1e6);
    least = std::min(least, channels[i].log_p - log_weight);
    weighted.push_back(channels[i].log_e + log_weight);
  }
  return {stats::log10_p_string(std::min(0.0, least + log_m)), stats::log10_e_string(stats::log_sum_exp(weighted) - log_m)};
}

struct Case {
  Plan plan;
  Transcript transcript;
  SuspectInfo suspect;
  Opening opening;
  Profile profile;
  std::vector<TokenText> texts;
  std::vector<IssuedResponse> ledger;
  std::vector<std::vector<ScoredPosition>> answers;
};

Result<Case> read_case(const VerdictInputs& in) {
  auto plan = Plan::parse(in.plan);
  if (!plan) return plan.error().at("plan.json");
  auto transcript = Transcript::parse(in.transcript);
  if (!transcript) return transcript.error().at("transcript.json");
  auto suspect = SuspectInfo::parse(in.suspect);
  if (!suspect) return suspect.error().at("suspect.json");
  const auto commitment = Commitment::parse(in.commitment);
  if (!commitment) return commitment.error().at("commitment.json");
  auto opening = Opening::parse(in.opening);
  if (!opening) return opening.error().at("opening.json");
  auto profile = profiles::find(plan->profile);
  if (!profile) return profile.error();

  if (audit::digest(in.commitment) != plan->commitment) return unbound("commitment.json is not the one that the plan names");
  if (audit::digest(in.suspect) != plan->suspect) return unbound("suspect.json is not the one that the plan names");
  if (!plan->prompts.empty() && audit::digest(in.prompts) != plan->prompts) return unbound("prompts.jsonl is not the one that the plan names");
  if (!plan->ledger.empty() && audit::digest(in.ledger) != plan->ledger) return unbound("ledger.jsonl is not the one that the plan names");
  if (audit::digest(in.opening) != plan->opening) return unbound("the opening is not the one that the plan's commitment binds");
  if (commitment->digest != plan->opening) return unbound("the plan names another opening than the commitment");
  if (auto bound = audit::check_opening(*opening, *commitment); !bound) return bound.error();
  if (auto bound = audit::check_commitment(*plan, *commitment); !bound) return bound.error();
  if (transcript->plan != plan->digest()) return unbound("transcript.json belongs to another plan");
  if (auto bound = audit::check_files(*transcript, *plan, in.c1, in.issued); !bound) return bound.error();
  if (auto bound = audit::check_hello(transcript->hello, *suspect); !bound) return bound.error();

  Case out{std::move(plan).value(), std::move(transcript).value(), std::move(suspect).value(), std::move(opening).value(), *profile, {}, {}, {}};
  if (!out.plan.prompts.empty()) {
    const auto prompts = audit::parse_prompts(in.prompts, out.suspect.vocab);
    if (!prompts) return prompts.error();
    auto texts = audit::parse_texts(in.c1, out.plan, *prompts, out.suspect.vocab);
    if (!texts) return texts.error();
    out.texts = std::move(texts).value();
  }
  if (!out.plan.ledger.empty()) {
    auto ledger = parse_ledger(in.ledger, out.suspect.vocab);
    if (!ledger) return ledger.error();
    if (ledger->size() != out.plan.ledger_responses) return unbound("ledger.jsonl does not have the plan's number of responses");
    auto answers = audit::parse_answers(in.issued, out.plan, *ledger, out.transcript.hello.context, out.suspect.vocab);
    if (!answers) return answers.error();
    out.ledger = std::move(ledger).value();
    out.answers = std::move(answers).value();
  }
  return out;
}

// The live member, then the controls L - 1, L - 2, ...
std::vector<std::uint32_t> members(const Case& c) {
  std::vector<std::uint32_t> out;
  for (std::uint64_t j = 0; j <= c.plan.controls; ++j)
    out.push_back(static_cast<std::uint32_t>((std::uint64_t{c.opening.live_index()} + c.opening.family_size() - j) % c.opening.family_size()));
  return out;
}

using Reach = std::vector<std::vector<Reached>>;  // [member][channel of the plan]

Result<void> text_channel(const Case& c, const ChannelPlan& plan, const VerdictOptions& options, double from, double to, Reach& reach, VerdictChannel& out) {
  const auto pairs = collect_pairs(c.profile, c.opening.coin(), c.texts, plan.count_rule);
  if (!pairs) return pairs.error();
  const auto keys = members(c);
  for (std::size_t key = 0; key < keys.size(); ++key) {
    DetectOptions detect_options;
    detect_options.count_rule = plan.count_rule;
    detect_options.decoys = plan.decoys;
    detect_options.device = options.device;
    detect_options.threads = options.threads;
    detect_options.growth_points = key == 0 ? 64 : 0;
    if (options.progress)
      detect_options.progress = [&, key](double share) {
        return options.progress(from + (to - from) * (static_cast<double>(key) + share) / static_cast<double>(keys.size()));
      };
    const auto found = detect(c.opening, *pairs, detect_options, keys[key]);
    if (!found) return found.error();
    reach[key].push_back({found->log_p, found->log_e});
    if (key > 0) continue;
    out.n = found->n;
    out.log10_p = stats::log10_p_string(found->log_p);
    out.log10_e = stats::log10_e_string(found->log_e);
    out.statistic = text_of(found->statistic);
    out.positions = found->positions;
    out.repeats = found->repeats;
    out.tainted = found->tainted;
    out.off_coin = found->off_coin;
    out.scheme = scheme_name(found->scheme);
    out.count_rule = count_rule_name(plan.count_rule);
    out.decoys = plan.decoys;
    out.log10_p_prf = stats::log10_p_string(found->log_p_prf);
    out.log10_p_saddlepoint = found->log_p_saddlepoint ? stats::log10_p_string(*found->log_p_saddlepoint) : "";
    out.log10_p_rank = found->log_p_rank ? stats::log10_p_string(*found->log_p_rank) : "";
    for (const ClassResult& one : found->classes)
      if (one.pairs > 0) out.classes.push_back({one.window_class, one.pairs, one.ge, text_of(one.statistic)});
    out.histogram = {text_of(found->histogram.low), text_of(found->histogram.width), text_of(found->statistic), found->histogram.counts};
    for (const GrowthPoint& point : found->growth)
      out.growth.push_back({point.n, stats::log10_p_string(point.log_p), stats::log10_e_string(point.log_e)});
  }
  return {};
}

void fill_issued(const Case& c, const audit::IssuedAnswer& answer, const audit::ChannelBets& bets, Reach& reach, VerdictChannel& out) {
  const Reached live = from_e(bets.log_e);
  reach[0].push_back(live);
  for (std::size_t key = 0; key < bets.controls.size(); ++key) reach[key + 1].push_back(from_e(bets.controls[key]));
  out.n = answer.issuance + answer.window;
  out.log10_p = stats::log10_p_string(live.log_p);
  out.log10_e = stats::log10_e_string(live.log_e);
  out.responses = answer.responses;
  out.issuance = answer.issuance;
  out.window = answer.window;
  out.tainted = answer.tainted;
  for (const audit::IssuedGrowth& point : bets.growth)
    out.growth.push_back({point.n, stats::log10_p_string(std::min(0.0, -point.log_e)), stats::log10_e_string(point.log_e)});
  for (const audit::AccountBets& account : bets.accounts) {
    VerdictAccount entry{account.account, account.responses, stats::log10_e_string(account.log_e), false};
    entry.named = audit::names_account(entry.log10_e, bets.accounts.size(), c.plan.alpha);
    out.accounts.push_back(std::move(entry));
  }
  if (out.channel == Channel::c3) {
    out.alpha = audit::micro_string(answer.alpha_micro);
    out.beta = audit::micro_string(0);
  }
}

Result<audit::IssuedAnswer> issued_channels(const Case& c, const VerdictOptions& options, double from) {
  std::vector<std::vector<IssuedChoice>> keys;
  for (const std::uint32_t member : members(c)) {
    auto choices = issued_choices(c.opening, c.ledger, member);
    if (!choices) return choices.error();
    keys.push_back(std::move(choices).value());
    if (options.progress && !options.progress(from + (1 - from) * 0.5 * static_cast<double>(keys.size()) / (c.plan.controls + 1.0)))
      return Error{ErrorCode::stopped, "stopped while recomputing the key's choices"};
  }
  std::vector<std::vector<TokenId>> prompts;
  for (const TokenText& text : c.texts) prompts.emplace_back(text.tokens.begin(), text.tokens.begin() + static_cast<std::ptrdiff_t>(text.prompt_tokens));
  audit::IssuedQuestion question;
  question.ledger = c.ledger;
  question.asked = c.answers;
  question.keys = keys;
  question.other_prompts = prompts;
  question.fit_responses = c.plan.fit_responses;
  question.window = c.profile.window;
  question.c2 = c.plan.find(Channel::c2) != nullptr;
  question.c3 = c.plan.find(Channel::c3) != nullptr;
  question.threads = options.threads;
  if (options.progress) question.progress = [&options, from](double share) { return options.progress(from + (1 - from) * (0.5 + 0.5 * share)); };
  return audit::answer_issued(question);
}
}  // namespace

Result<Verdict> compute_verdict(const VerdictInputs& inputs, std::string_view date, const VerdictOptions& options) {
  if (!text::is_time(date)) return Error{ErrorCode::usage, "the verdict's date \"" + std::string(date) + "\" is not a time such as 2026-11-01T12:00:00Z"};
  const auto read = read_case(inputs);
  if (!read) return read.error();
  const Case& c = *read;

  Verdict out;
  out.date = date;
  out.plan = c.plan.digest();
  out.transcript = audit::digest(inputs.transcript);
  out.opening = c.plan.opening;
  out.commitment = c.plan.commitment;
  out.ledger = c.plan.ledger;
  out.suspect = c.plan.suspect;
  out.alpha = c.plan.alpha;
  out.multiplicity = c.plan.multiplicity;

  Reach reach(c.plan.controls + 1);
  const bool issued = !c.plan.ledger.empty();
  const double text_end = issued ? 0.5 : 1.0;
  std::optional<audit::IssuedAnswer> answer;
  for (const ChannelPlan& plan : c.plan.channels) {
    VerdictChannel& channel = out.channels.emplace_back();
    channel.channel = plan.channel;
    channel.weight = plan.weight;
    if (plan.channel == Channel::c1) {
      if (auto done = text_channel(c, plan, options, 0, text_end, reach, channel); !done) return done.error();
      continue;
    }
    if (!answer) {
      auto computed = issued_channels(c, options, c.texts.empty() ? 0 : text_end);
      if (!computed) return computed.error();
      answer = std::move(computed).value();
    }
    fill_issued(c, *answer, plan.channel == Channel::c2 ? *answer->c2 : *answer->c3, reach, channel);
  }

  const Headline live = headline(c.plan, reach[0]);
  out.log10_p = live.log10_p;
  out.log10_e = live.log10_e;
  bool control_reaches = false;
  for (std::size_t j = 1; j < reach.size(); ++j) {
    const Headline control = headline(c.plan, reach[j]);
    out.controls.push_back({"control-" + std::to_string(j), control.log10_p, control.log10_e});
    control_reaches = control_reaches || audit::reaches_alpha(control.log10_p, c.plan.alpha);
  }
  if (audit::reaches_alpha(out.log10_p, c.plan.alpha)) out.outcome = control_reaches ? Outcome::does_not_support : Outcome::supports;
  return out;
}

}  // namespace heirmark
