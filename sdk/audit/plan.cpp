#include <algorithm>
#include <array>

#include <heirmark/audit.hpp>

#include "audit/plan.hpp"
#include "crypto/sha256.hpp"
#include "suspect/fields.hpp"

namespace heirmark {
namespace {
using fields::Fields;
using json::Value;

constexpr std::uint64_t kMaxInteger = (1ull << 53) - 1;

Error bad_plan(const std::string& what) { return {ErrorCode::bad_input, "plan: " + what}; }

bool decimal_alpha(std::string_view text) {
  if (text.size() < 3 || text.size() > 40 || text.substr(0, 2) != "0." || text.back() == '0') return false;
  return std::all_of(text.begin() + 2, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Value channel_value(const ChannelPlan& channel) {
  std::vector<std::pair<std::string, Value>> members{{"channel", fields::text(channel_name(channel.channel))},
                                                     {"weight", fields::number(channel.weight)}};
  switch (channel.channel) {
    case Channel::c1:
      members.emplace_back("texts", fields::number(channel.texts));
      members.emplace_back("tokensPerText", fields::number(channel.tokens_per_text));
      members.emplace_back("countRule", fields::text(count_rule_name(channel.count_rule)));
      members.emplace_back("decoys", fields::number(channel.decoys));
      members.emplace_back("temperatureMilli", fields::number(channel.temperature_milli));
      break;
    case Channel::c2: members.emplace_back("samples", fields::number(channel.samples)); break;
    case Channel::c3: members.emplace_back("top", fields::number(channel.top)); break;
  }
  return fields::object(std::move(members));
}

Result<ChannelPlan> parse_channel(const Value& value) {
  Fields in(value, "channel");
  ChannelPlan out;
  const std::string name = in.text("channel");
  out.weight = static_cast<std::uint32_t>(in.number("weight", 1, 1'000'000));
  if (name == "c1") {
    out.channel = Channel::c1;
    out.texts = static_cast<std::uint32_t>(in.number("texts", 1, 10'000'000));
    out.tokens_per_text = static_cast<std::uint32_t>(in.number("tokensPerText", 1, kMaxVocab));
    const auto rule = parse_count_rule(in.text("countRule"));
    if (!rule) return rule.error();
    out.count_rule = *rule;
    out.decoys = static_cast<std::uint32_t>(in.number("decoys", 0, audit::kMaxDecoys));
    out.temperature_milli = static_cast<std::uint32_t>(in.number("temperatureMilli", 0, 100'000));
  } else if (name == "c2") {
    out.channel = Channel::c2;
    out.samples = static_cast<std::uint32_t>(in.number("samples", 1, 1024));
  } else if (name == "c3") {
    out.channel = Channel::c3;
    out.top = static_cast<std::uint32_t>(in.number("top", 1, 1024));
  } else {
    return Error{ErrorCode::bad_input, "unknown channel \"" + name + "\"; known: c1, c2, c3"};
  }
  if (auto done = in.finish(); !done) return done.error();
  return out;
}
}  // namespace

std::string_view channel_name(Channel channel) noexcept {
  switch (channel) {
    case Channel::c1: return "c1";
    case Channel::c2: return "c2";
    case Channel::c3: return "c3";
  }
  return "?";
}

const ChannelPlan* Plan::find(Channel channel) const noexcept {
  for (const ChannelPlan& used : channels)
    if (used.channel == channel) return &used;
  return nullptr;
}

std::string Plan::bytes() const {
  std::vector<Value> list;
  for (const ChannelPlan& channel : channels) list.push_back(channel_value(channel));
  return fields::line(fields::object({{"type", fields::text("heirmark/plan/v1")},
                                      {"planId", fields::text(plan_id)},
                                      {"attempt", fields::number(attempt)},
                                      {"date", fields::text(date)},
                                      {"commitment", fields::text(commitment)},
                                      {"opening", fields::text(opening)},
                                      {"keyId", fields::text(key_id)},
                                      {"path", fields::text(path)},
                                      {"profile", fields::text(profile)},
                                      {"familySize", fields::number(family_size)},
                                      {"ledger", fields::text(ledger)},
                                      {"ledgerResponses", fields::number(ledger_responses)},
                                      {"suspect", fields::text(suspect)},
                                      {"prompts", fields::text(prompts)},
                                      {"alpha", fields::text(alpha)},
                                      {"multiplicity", fields::number(multiplicity)},
                                      {"h1", fields::text(h1)},
                                      {"h2", fields::text(h2)},
                                      {"channels", fields::array(std::move(list))},
                                      {"fitResponses", fields::number(fit_responses)},
                                      {"controls", fields::number(controls)},
                                      {"stop", fields::text("fixed")}}));
}

std::string Plan::digest() const { return audit::digest(bytes()); }

Result<Plan> Plan::parse(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "plan");
  if (!value) return value.error();
  Fields in(*value, "plan");
  Plan out;
  in.exactly("type", "heirmark/plan/v1");
  out.plan_id = in.hex("planId", 16);
  out.attempt = in.number("attempt", 1, kMaxInteger);
  out.date = in.time("date");
  out.commitment = in.digest("commitment");
  out.opening = in.digest("opening");
  out.key_id = in.hex("keyId", 16);
  out.path = in.text("path");
  out.profile = in.text("profile");
  out.family_size = in.number("familySize", 2, 1ull << 24);
  out.ledger = in.digest_or_empty("ledger");
  out.ledger_responses = in.number("ledgerResponses", 0, kMaxInteger);
  out.suspect = in.digest("suspect");
  out.prompts = in.digest_or_empty("prompts");
  out.alpha = in.text("alpha");
  out.multiplicity = in.number("multiplicity", 1, kMaxInteger);
  out.h1 = in.text("h1");
  out.h2 = in.text("h2");
  for (const Value* item : in.list("channels", 1, 3)) {
    const auto channel = parse_channel(*item);
    if (!channel) return channel.error().at("plan");
    out.channels.push_back(*channel);
  }
  out.fit_responses = in.number("fitResponses", 0, kMaxInteger);
  out.controls = static_cast<std::uint32_t>(in.number("controls", 0, 64));
  in.exactly("stop", "fixed");
  if (auto done = in.finish(); !done) return done.error();
  if (auto valid = out.validate(); !valid) return valid.error();
  return out;
}

Result<void> Plan::validate() const {
  if (attempt < 1 || multiplicity < attempt || multiplicity > 1'000'000'000)
    return bad_plan("multiplicity " + std::to_string(multiplicity) + " is not between attempt " + std::to_string(attempt) + " and 10^9");
  if (!decimal_alpha(alpha)) return bad_plan("alpha \"" + alpha + "\" is not a decimal string such as 0.000001");
  for (const auto& [name, text] : {std::pair<const char*, const std::string&>{"h1", h1}, {"h2", h2}, {"path", path}, {"profile", profile}})
    if (!fields::is_ascii_text(text)) return bad_plan(std::string(name) + " is not 1 to 4096 printable ASCII characters");
  if (!text::is_time(date)) return bad_plan("date \"" + date + "\" is not a time such as 2026-11-01T12:00:00Z");
  const auto used_profile = profiles::find(profile);
  if (!used_profile) return used_profile.error().at("plan");
  if (channels.empty()) return bad_plan("no channel");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const ChannelPlan& channel = channels[i];
    if (i > 0 && channels[i - 1].channel >= channel.channel) return bad_plan("channels are not in the order c1, c2, c3");
    if (channel.weight < 1) return bad_plan("a channel has the weight 0");
    sum += channel.weight;
  }
  if (sum != 1'000'000) return bad_plan("the channels' weights sum to " + std::to_string(sum) + ", not to 1000000");
  const ChannelPlan* text = find(Channel::c1);
  const bool issued = find(Channel::c2) != nullptr || find(Channel::c3) != nullptr;
  if ((text != nullptr) != !prompts.empty()) return bad_plan("c1 needs prompts, and only c1 does");
  if (issued != !ledger.empty()) return bad_plan("c2 and c3 need a ledger, and only they do");
  if (issued && used_profile->scheme != Scheme::gumbel) return bad_plan("c2 and c3 need a gumbel profile, and " + profile + " is none");
  if (text != nullptr && used_profile->share_q32 == 0) return bad_plan("c1 has nothing to test under " + profile + ", which marks no window");
  if (issued ? fit_responses >= ledger_responses : fit_responses != 0 || ledger_responses != 0)
    return bad_plan("fitResponses " + std::to_string(fit_responses) + " does not fit ledgerResponses " + std::to_string(ledger_responses));
  if (ledger_responses > audit::kMaxRecords) return bad_plan("ledgerResponses is too large");
  if (controls > 64) return bad_plan("more than 64 controls");
  if (std::uint64_t{controls} + (text != nullptr ? text->decoys : 0) >= family_size)
    return bad_plan("decoys and controls together are not below the family size " + std::to_string(family_size));
  if (text != nullptr) {
    if (text->texts < 1 || text->texts > 10'000'000) return bad_plan("texts is not between 1 and 10000000");
    if (text->tokens_per_text < 1 || text->tokens_per_text > kMaxVocab) return bad_plan("tokensPerText is not between 1 and 1048576");
    if (text->decoys > audit::kMaxDecoys || text->temperature_milli > 100'000) return bad_plan("decoys or temperatureMilli is out of range");
  }
  if (const ChannelPlan* c2 = find(Channel::c2); c2 != nullptr && (c2->samples < 1 || c2->samples > 1024)) return bad_plan("samples is not between 1 and 1024");
  if (const ChannelPlan* c3 = find(Channel::c3); c3 != nullptr && (c3->top < 1 || c3->top > 1024)) return bad_plan("top is not between 1 and 1024");
  return {};
}

std::vector<ChannelPlan> default_channels(bool prompts, bool ledger) {
  const ChannelPlan c1{.channel = Channel::c1, .weight = ledger ? 200'000u : 1'000'000u, .texts = 500, .tokens_per_text = 128,
                       .count_rule = CountRule::distinct, .decoys = 4095, .temperature_milli = 1000, .samples = 0, .top = 0};
  const ChannelPlan c2{.channel = Channel::c2, .weight = prompts ? 100'000u : 200'000u, .texts = 0, .tokens_per_text = 0,
                   .count_rule = CountRule::distinct, .decoys = 0, .temperature_milli = 1000, .samples = 4, .top = 0};
  const ChannelPlan c3{.channel = Channel::c3, .weight = prompts ? 700'000u : 800'000u, .texts = 0, .tokens_per_text = 0,
                   .count_rule = CountRule::distinct, .decoys = 0, .temperature_milli = 1000, .samples = 0, .top = 16};
  if (prompts && ledger) return {c1, c2, c3};
  if (prompts) return {c1};
  if (ledger) return {c2, c3};
  return {};
}

namespace audit {
std::string digest(std::string_view bytes) { return crypto::sha256_hex(bytes); }

std::array<std::uint8_t, 32> plan_seed(std::string_view plan_digest) {
  return crypto::sha256("heirmark/v1/seed" + std::string(plan_digest));
}

namespace {
std::array<std::uint8_t, 32> keyed(const std::array<std::uint8_t, 32>& seed, std::string_view domain, std::uint32_t index) {
  std::string message(seed.begin(), seed.end());
  message += domain;
  for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(index >> shift & 0xFF);
  return crypto::sha256(message);
}
}  // namespace

std::vector<std::uint32_t> prompt_order(const std::array<std::uint8_t, 32>& seed, std::uint32_t prompts) {
  std::vector<std::pair<std::array<std::uint8_t, 32>, std::uint32_t>> keys;
  for (std::uint32_t i = 0; i < prompts; ++i) keys.emplace_back(keyed(seed, "", i), i);
  std::sort(keys.begin(), keys.end());
  std::vector<std::uint32_t> order;
  for (const auto& entry : keys) order.push_back(entry.second);
  return order;
}

std::uint64_t query_seed(const std::array<std::uint8_t, 32>& seed, std::string_view channel, std::uint32_t index) {
  const auto hash = keyed(seed, channel, index);
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 6; ++i) out = out << 8 | hash[i];
  return out;
}
}  // namespace audit
}  // namespace heirmark
