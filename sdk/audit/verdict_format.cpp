// verdict.json to and from values (specs/formats.md, "Verdict").
#include <heirmark/audit.hpp>

#include "suspect/fields.hpp"

namespace heirmark {
namespace {
using fields::Fields;
using json::Value;
constexpr std::uint64_t kMax = (1ull << 53) - 1;
constexpr std::size_t kMaxAccounts = 10'000'000;

Value growth_value(const std::vector<VerdictGrowth>& growth) {
  std::vector<Value> out;
  for (const VerdictGrowth& point : growth)
    out.push_back(fields::object({{"n", fields::number(point.n)}, {"log10_p", fields::text(point.log10_p)}, {"log10_e", fields::text(point.log10_e)}}));
  return fields::array(std::move(out));
}

Value channel_value(const VerdictChannel& channel) {
  std::vector<std::pair<std::string, Value>> out{{"channel", fields::text(channel_name(channel.channel))},
                                                 {"weight", fields::number(channel.weight)},
                                                 {"n", fields::number(channel.n)},
                                                 {"log10_p", fields::text(channel.log10_p)},
                                                 {"log10_e", fields::text(channel.log10_e)},
                                                 {"growth", growth_value(channel.growth)},
                                                 {"tainted", fields::number(channel.tainted)}};
  const auto add = [&out](const char* name, Value value) { out.emplace_back(name, std::move(value)); };
  if (channel.channel == Channel::c1) {
    add("statistic", fields::text(channel.statistic));
    add("positions", fields::number(channel.positions));
    add("repeats", fields::number(channel.repeats));
    add("off_coin", fields::number(channel.off_coin));
    add("scheme", fields::text(channel.scheme));
    add("countRule", fields::text(channel.count_rule));
    add("decoys", fields::number(channel.decoys));
    add("log10_p_prf", fields::text(channel.log10_p_prf));
    add("log10_p_saddlepoint", fields::text(channel.log10_p_saddlepoint));
    add("log10_p_rank", fields::text(channel.log10_p_rank));
    std::vector<Value> classes, counts;
    for (const VerdictClass& one : channel.classes)
      classes.push_back(fields::object({{"class", fields::number(one.window_class)}, {"pairs", fields::number(one.pairs)}, {"ge", fields::number(one.ge)},
                                        {"statistic", fields::text(one.statistic)}}));
    for (const std::uint64_t count : channel.histogram.counts) counts.push_back(fields::number(count));
    add("classes", fields::array(std::move(classes)));
    add("histogram", fields::object({{"low", fields::text(channel.histogram.low)}, {"width", fields::text(channel.histogram.width)},
                                     {"live", fields::text(channel.histogram.live)}, {"counts", fields::array(std::move(counts))}}));
  } else {
    add("responses", fields::number(channel.responses));
    add("issuance", fields::number(channel.issuance));
    add("window", fields::number(channel.window));
    std::vector<Value> accounts;
    for (const VerdictAccount& one : channel.accounts)
      accounts.push_back(fields::object({{"account", fields::text(one.account)}, {"responses", fields::number(one.responses)},
                                         {"log10_e", fields::text(one.log10_e)}, {"named", fields::boolean(one.named)}}));
    add("accounts", fields::array(std::move(accounts)));
  }
  if (channel.channel == Channel::c3) {
    add("alpha", fields::text(channel.alpha));
    add("beta", fields::text(channel.beta));
  }
  return fields::object(std::move(out));
}

Result<VerdictChannel> parse_channel(const Value& value) {
  Fields in(value, "verdict: channels");
  VerdictChannel out;
  const std::string name = in.text("channel");
  if (name == "c1") out.channel = Channel::c1;
  else if (name == "c2") out.channel = Channel::c2;
  else if (name == "c3") out.channel = Channel::c3;
  else in.fail("unknown channel");
  out.weight = static_cast<std::uint32_t>(in.number("weight", 1, 1'000'000));
  out.n = in.number("n", 0, kMax);
  out.log10_p = in.decimal("log10_p");
  out.log10_e = in.decimal("log10_e");
  out.tainted = in.number("tainted", 0, kMax);
  for (const Value* item : in.list("growth", 0, 64)) {
    Fields point(*item, "verdict: growth");
    out.growth.push_back({point.number("n", 0, kMax), point.decimal("log10_p"), point.decimal("log10_e")});
    in.merge(point.finish());
  }
  if (out.channel == Channel::c1) {
    out.statistic = in.text("statistic");
    out.positions = in.number("positions", 0, kMax);
    out.repeats = in.number("repeats", 0, kMax);
    out.off_coin = in.number("off_coin", 0, kMax);
    out.scheme = in.text("scheme");
    out.count_rule = in.text("countRule");
    out.decoys = in.number("decoys", 0, kMax);
    out.log10_p_prf = in.decimal("log10_p_prf");
    out.log10_p_saddlepoint = in.decimal_or_empty("log10_p_saddlepoint");
    out.log10_p_rank = in.decimal_or_empty("log10_p_rank");
    for (const Value* item : in.list("classes", 0, 16)) {
      Fields one(*item, "verdict: classes");
      VerdictClass entry;
      entry.window_class = static_cast<std::uint32_t>(one.number("class", 0, 15));
      entry.pairs = one.number("pairs", 0, kMax);
      entry.ge = one.number("ge", 0, kMax);
      entry.statistic = one.text("statistic");
      in.merge(one.finish());
      out.classes.push_back(std::move(entry));
    }
    Fields histogram = in.object("histogram");
    out.histogram.low = histogram.text("low");
    out.histogram.width = histogram.text("width");
    out.histogram.live = histogram.text("live");
    for (const Value* item : histogram.list("counts", 0, 1024)) {
      const auto count = fields::integer(*item, kMax);
      if (!count) in.fail("histogram: counts: not an integer");
      out.histogram.counts.push_back(count.value_or(std::uint64_t{0}));
    }
    in.merge(histogram.finish());
  } else {
    out.responses = in.number("responses", 0, kMax);
    out.issuance = in.number("issuance", 0, kMax);
    out.window = in.number("window", 0, kMax);
    for (const Value* item : in.list("accounts", 0, kMaxAccounts)) {
      Fields one(*item, "verdict: accounts");
      VerdictAccount entry;
      entry.account = one.name("account");
      entry.responses = one.number("responses", 0, kMax);
      entry.log10_e = one.decimal("log10_e");
      entry.named = one.boolean("named");
      in.merge(one.finish());
      out.accounts.push_back(std::move(entry));
    }
  }
  if (out.channel == Channel::c3) {
    out.alpha = in.decimal("alpha");
    out.beta = in.decimal("beta");
  }
  if (auto done = in.finish(); !done) return done.error();
  return out;
}
}  // namespace

std::string_view outcome_name(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::supports: return "supports";
    case Outcome::inconclusive: return "inconclusive";
    case Outcome::does_not_support: return "does-not-support";
  }
  return "?";
}

std::string Verdict::bytes() const {
  std::vector<Value> list, control_list;
  for (const VerdictChannel& channel : channels) list.push_back(channel_value(channel));
  for (const VerdictControl& control : controls)
    control_list.push_back(fields::object({{"name", fields::text(control.name)}, {"log10_p", fields::text(control.log10_p)}, {"log10_e", fields::text(control.log10_e)}}));
  return fields::line(fields::object({{"type", fields::text("heirmark/verdict/v1")},
                                      {"date", fields::text(date)},
                                      {"plan", fields::text(plan)},
                                      {"transcript", fields::text(transcript)},
                                      {"opening", fields::text(opening)},
                                      {"commitment", fields::text(commitment)},
                                      {"ledger", fields::text(ledger)},
                                      {"suspect", fields::text(suspect)},
                                      {"outcome", fields::text(outcome_name(outcome))},
                                      {"log10_p", fields::text(log10_p)},
                                      {"log10_e", fields::text(log10_e)},
                                      {"alpha", fields::text(alpha)},
                                      {"multiplicity", fields::number(multiplicity)},
                                      {"method", fields::text("heirmark-statistics-v1")},
                                      {"channels", fields::array(std::move(list))},
                                      {"controls", fields::array(std::move(control_list))}}));
}

Result<Verdict> Verdict::parse(std::string_view bytes) {
  const auto value = fields::parse_canonical(bytes, "verdict");
  if (!value) return value.error();
  Fields in(*value, "verdict");
  Verdict out;
  in.exactly("type", "heirmark/verdict/v1");
  in.exactly("method", "heirmark-statistics-v1");
  out.date = in.time("date");
  out.plan = in.digest("plan");
  out.transcript = in.digest("transcript");
  out.opening = in.digest("opening");
  out.commitment = in.digest("commitment");
  out.ledger = in.digest_or_empty("ledger");
  out.suspect = in.digest("suspect");
  const std::string outcome = in.text("outcome");
  if (outcome == "supports") out.outcome = Outcome::supports;
  else if (outcome == "inconclusive") out.outcome = Outcome::inconclusive;
  else if (outcome == "does-not-support") out.outcome = Outcome::does_not_support;
  else in.fail("unknown outcome");
  out.log10_p = in.decimal("log10_p");
  out.log10_e = in.decimal("log10_e");
  out.alpha = in.text("alpha");
  out.multiplicity = in.number("multiplicity", 1, kMax);
  for (const Value* item : in.list("channels", 1, 3)) {
    auto channel = parse_channel(*item);
    if (!channel) return channel.error();
    out.channels.push_back(std::move(channel).value());
  }
  for (const Value* item : in.list("controls", 0, 64)) {
    Fields one(*item, "verdict: controls");
    VerdictControl control{one.text("name"), one.decimal("log10_p"), one.decimal("log10_e")};
    in.merge(one.finish());
    out.controls.push_back(std::move(control));
  }
  if (auto done = in.finish(); !done) return done.error();
  return out;
}

}  // namespace heirmark
