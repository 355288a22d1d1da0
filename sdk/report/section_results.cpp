// Section 5: results.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "report/numbers.hpp"
#include "report/sections.hpp"
#include "report/svg.hpp"
#include "report/words.hpp"

namespace heirmark::report {
namespace {

using Align = Table::Align;
constexpr std::size_t kAccountBars = 16, kAccountRows = 40;

/// Numbers the figures of this section; figure 1 is the order of events.
class Figures {
 public:
  Html operator()(const Html& drawing, const Html& caption) {
    return el("figure", {}, drawing, el("figcaption", {}, em("Figure " + std::to_string(next_++) + ". "), caption));
  }

 private:
  int next_ = 2;
};

Html channel_table(const Verdict& verdict) {
  Table table("Results by channel. p is rounded up, e down.",
              {{"Channel"},
               {"n", Align::right},
               {"Statistic", Align::right},
               {"log10 p, generator", Align::right},
               {"log10 p, rank", Align::right},
               {"log10 p", Align::right},
               {"log10 e", Align::right}},
              "keep");
  for (const Channel& channel : verdict.channels)
    table.row({words::channel_title(channel.channel), grouped(channel.n),
               channel.text() ? grouped(std::string_view(channel.statistic)) : "—",
               channel.text() ? minus_sign(channel.log10_p_prf.text) : "—",
               channel.log10_p_rank ? minus_sign(channel.log10_p_rank->text) : "—", minus_sign(channel.log10_p.text),
               minus_sign(channel.log10_e.text)});
  return join(table.html(), el("p", {{"class", "note"}},
                               "n: pairs counted (C1), contexts bet on (C2, C3). The statistic is an exact integer. In "
                               "C2 and C3, p = min(1, 1/e)."));
}

Html headline_steps(const Case& from) {
  const Verdict& verdict = from.verdict;
  const Headline steps = headline(verdict);
  Table table("The headline p, step by step (in log10: dividing is subtracting).",
              {{"Step"}, {"Computation", Align::right}, {"log10 p", Align::right}}, "keep");
  for (const auto& step : steps.steps) {
    const std::string share = grouped(step.channel->weight) + "/1,000,000";
    table.row({step.channel->channel + ": divide p by the channel’s weight " + share,
               minus_sign(step.channel->log10_p.text) + " − (" + fixed(step.log10_share, 4) + ")",
               fixed(step.log10_p_over_share, 4)});
  }
  if (steps.steps.size() > 1)
    table.row({"take the least, that of " + steps.steps[steps.least].channel->channel, "",
               fixed(steps.steps[steps.least].log10_p_over_share, 4)});
  table.row({"multiply by m = " + grouped(verdict.multiplicity) +
                 (steps.steps[steps.least].log10_p_over_share + steps.log10_multiplicity > 0 ? "; at most 1" : ""),
             "+ " + fixed(steps.log10_multiplicity, 4), fixed(steps.log10_p, 4)});
  table.row({"headline p in verdict.json", "", minus_sign(verdict.log10_p.text)}, "total");
  table.row({"threshold alpha = " + verdict.alpha.text, "", fixed(std::log10(verdict.alpha.value), 4)});
  return join(table.html(), el("p", {{"class", "note"}},
                               "The headline e is the weighted mean of the channels’ e, divided by m: log10 e = ",
                               fixed(steps.log10_e, 4), " (", minus_sign(verdict.log10_e.text),
                               " in verdict.json). Last decimals may differ by rounding."));
}

Html controls(const Case& from) {
  Html table;
  if (!from.verdict.controls.empty()) {
    Table rows("The same computation for keys that were never used.",
               {{"Key"}, {"log10 p", Align::right}, {"log10 e", Align::right}, {"Reaches alpha", Align::key}},
               from.verdict.controls.size() <= 12 ? "keep" : "");
    for (const Control& control : from.verdict.controls) {
      const bool reached = control.log10_p.value <= std::log10(from.verdict.alpha.value);
      rows.row(
          {control.name, minus_sign(control.log10_p.text), minus_sign(control.log10_e.text), reached ? "YES" : "no"},
          reached ? "flag" : "");
    }
    rows.row({"key K", minus_sign(from.verdict.log10_p.text), minus_sign(from.verdict.log10_e.text),
              from.verdict.outcome == Outcome::inconclusive ? "no" : "yes"},
             "total");
    table = rows.html();
  }
  return join(h3("Controls"), p(words::control_result(from)), table);
}

Html growth_figure(const Verdict& verdict, const Channel& channel, Figures& number) {
  if (channel.growth.empty()) return {};
  GrowthFigure figure;
  figure.id = "fig-growth-" + channel.channel;
  const std::string unit = channel.text() ? "pairs" : "contexts";
  figure.title = "Growth of evidence in channel " + channel.channel;
  figure.x_label =
      channel.text() ? "pairs counted, in the order of writing" : "contexts bet on, in the order of the ledger";
  for (const Growth& step : channel.growth) {
    figure.minus_log10_p.push_back({static_cast<double>(step.n), -step.log10_p.value});
    figure.log10_e.push_back({static_cast<double>(step.n), step.log10_e.value});
  }
  figure.threshold = channel_threshold(verdict, channel);
  const Growth& last = channel.growth.back();
  const auto crossing = std::find_if(channel.growth.begin(), channel.growth.end(),
                                     [&](const Growth& step) { return -step.log10_p.value >= figure.threshold; });
  const std::string crossed = crossing == channel.growth.end()
                                  ? "The threshold is not reached."
                                  : "The threshold is first reached by " + grouped(crossing->n) + " " + unit + ".";
  figure.description = "After " + grouped(last.n) + " " + unit + ": minus log10 p " + fixed(-last.log10_p.value, 1) +
                       ", log10 e " + fixed(last.log10_e.value, 1) + ", threshold " + fixed(figure.threshold, 1) +
                       ". " + crossed;
  return number(growth_svg(figure), join(words::channel_title(channel.channel), ". Evidence over ", unit,
                                         ": −log10 p (solid line, dots) and log10 e (dashed line, squares). The dotted "
                                         "line is what this channel alone would need, −log10(alpha × weight / m) = ",
                                         fixed(figure.threshold, 2), ". ", crossed,
                                         channel.text() ? " The p drawn here is that of the generator, without ranks."
                                                        : " Above 0 the two lines coincide, for here p = 1/e.",
                                         " The numbers are in section 8."));
}

Html histogram_figure(const Channel& channel, Figures& number) {
  if (channel.histogram.counts.empty()) return {};
  // Statistics are integers in units of 2^-24 of a score (gumbel; another 2^-8 when pairs are weighted), or counts.
  double unit = 1;
  if (channel.scheme == "gumbel") unit *= 16777216.0;
  if (channel.count_rule != "distinct") unit *= 256.0;
  HistogramFigure figure;
  figure.id = "fig-decoys";
  figure.low = std::strtod(channel.histogram.low.c_str(), nullptr) / unit;
  figure.width = std::strtod(channel.histogram.width.c_str(), nullptr) / unit;
  figure.live = std::strtod(channel.histogram.live.c_str(), nullptr) / unit;
  figure.counts = channel.histogram.counts;
  std::uint64_t all = 0;
  std::size_t first = figure.counts.size(), last = 0;
  for (std::size_t i = 0; i < figure.counts.size(); ++i) {
    all += figure.counts[i];
    if (figure.counts[i] > 0) {
      first = std::min(first, i);
      last = i;
    }
  }
  const double from = figure.low + figure.width * static_cast<double>(first),
               to = figure.low + figure.width * static_cast<double>(last + 1);
  const std::string place = figure.live > to     ? "beyond every decoy"
                            : figure.live < from ? "below every decoy"
                                                 : "among the decoys";
  figure.title = "Total statistics of the decoys and of the committed key";
  figure.x_label = channel.scheme == "gumbel" ? "total score of a key" : "total count of a key";
  figure.description = grouped(all) + " decoys lie between " + fixed(from, 0) + " and " + fixed(to, 0) +
                       "; the committed key stands at " + fixed(figure.live, 0) + ", " + place + ".";
  return number(
      histogram_svg(figure),
      join("The statistic of ", grouped(all),
           " decoy keys (hatched) and of the committed key (black line), on the same texts. The committed key stands ",
           place,
           ". A model that never met text of key K gives a black line that falls anywhere among the hatched bars; so does one "
           "whose own texts, this channel, show too little of it."));
}

Html class_table(const Channel& channel) {
  if (channel.classes.empty()) return {};
  const std::vector<WindowClass>& classes = channel.classes;
  Table table("Ranks by window class: decoys that reach the committed key’s statistic, of " + grouped(channel.decoys) +
                  ". p = (1 + reached) / (1 + decoys).",
              {{"Class"},
               {"Pairs", Align::right},
               {"Reached", Align::right},
               {"p", Align::right},
               {"Class"},
               {"Pairs", Align::right},
               {"Reached", Align::right},
               {"p", Align::right}},
              "compact keep");
  const std::size_t half = (classes.size() + 1) / 2;
  const auto cells = [&](const WindowClass& entry, std::vector<Html>& out) {
    out.push_back(grouped(entry.number));
    out.push_back(grouped(entry.pairs));
    out.push_back(grouped(entry.ge));
    out.push_back(from_log10(std::log10(static_cast<double>(entry.ge + 1)) -
                             std::log10(static_cast<double>(channel.decoys + 1))));
  };
  for (std::size_t i = 0; i < half; ++i) {
    std::vector<Html> row;
    cells(classes[i], row);
    if (i + half < classes.size()) cells(classes[i + half], row);
    else row.resize(8);
    table.row(row);
  }
  return table.html();
}

Html accounts(const Verdict& verdict, const Channel& channel, Figures& number) {
  if (channel.accounts.empty()) return {};
  std::vector<const Account*> order;
  for (const Account& account : channel.accounts) order.push_back(&account);
  std::stable_sort(order.begin(), order.end(),
                   [](const Account* a, const Account* b) { return a->log10_e.value > b->log10_e.value; });
  const double threshold = account_threshold(verdict, channel);
  const auto named = static_cast<std::uint64_t>(
      std::count_if(order.begin(), order.end(), [](const Account* account) { return account->named; }));
  const std::string total = grouped(static_cast<std::uint64_t>(order.size()));
  const bool supported = verdict.outcome == Outcome::supports;
  // A channel's threshold knows of its own accounts only, not of other channels, attempts or keys.
  const auto naming = static_cast<std::uint64_t>(std::count_if(verdict.channels.begin(), verdict.channels.end(),
                                                               [](const Channel& c) { return !c.accounts.empty(); }));
  const std::uint64_t chances = naming * verdict.multiplicity;

  BarsFigure figure;
  figure.id = "fig-accounts-" + channel.channel;
  figure.title = "Evidence by account, channel " + channel.channel;
  figure.x_label = "log10 e of the account’s own responses";
  figure.threshold = threshold;
  for (std::size_t i = 0; i < order.size() && i < kAccountBars; ++i)
    figure.bars.push_back({order[i]->name, order[i]->log10_e.value, order[i]->named});
  figure.description =
      "Of " + total + " accounts " + grouped(named) + " reach the threshold of " + fixed(threshold, 1) + ".";

  Table table("Accounts by evidence, channel " + channel.channel + ".",
              {{"Account"}, {"Responses", Align::right}, {"log10 e", Align::right}, {"Named"}}, "compact");
  for (std::size_t i = 0; i < order.size() && i < kAccountRows; ++i)
    table.row({order[i]->name, grouped(order[i]->responses), minus_sign(order[i]->log10_e.text),
               order[i]->named ? "named" : "—"},
              order[i]->named ? "flag" : "");
  return join(
      h3("Accounts (" + channel.channel + ")"),
      p("An account is named if the evidence of its own responses reaches (number of accounts) / alpha, that is log10 "
        "e ≥ ",
        fixed(threshold, 2), " for ", total,
        " accounts: with a chance of at most alpha does this channel, in one attempt with one key, name any account whose "
        "responses had no influence",
        chances > 1 ? "; with " + grouped(naming) + (naming == 1 ? " such channel" : " such channels") + " and a multiplicity of " +
                          grouped(verdict.multiplicity) + ", at most " + grouped(chances) + " times alpha. "
                    : std::string(". "),
        named == 0 ? std::string("No account is named; that clears none.")
                   : grouped(named) + (named == 1 ? " account is named." : " accounts are named."),
        named > 0 && !supported ? " As the headline finding does not support H1, no weight should be put on this." : "",
        " Naming says whose responses had influence, not who passed them on."),
      number(bars_svg(figure),
             join("Evidence by account",
                  order.size() > kAccountBars ? " (the first " + std::to_string(kAccountBars) + ")" : std::string(),
                  ", channel ", channel.channel, ". Black bars: named.")),
      table.html(),
      order.size() > kAccountRows
          ? el("p", {{"class", "note"}}, "The other ", grouped(static_cast<std::uint64_t>(order.size() - kAccountRows)),
               " accounts are in verdict.json.")
          : Html());
}

}  // namespace

Html section_results(const Case& from) {
  const Verdict& verdict = from.verdict;
  Figures number;
  Html figures, decoys, by_account;
  for (const Channel& channel : verdict.channels) figures.add(growth_figure(verdict, channel, number));
  for (const Channel& channel : verdict.channels) {
    const Html histogram = histogram_figure(channel, number);
    if (!histogram.empty()) decoys.add(h3("Decoys")).add(histogram).add(class_table(channel));
  }
  for (const Channel& channel : verdict.channels) by_account.add(accounts(verdict, channel, number));
  return join(h2("s5", "5. Results"), p(words::finding(from), " ", words::answer(from)), channel_table(verdict),
              headline_steps(from), controls(from), h3("Growth of the evidence"), figures, decoys, by_account);
}

}  // namespace heirmark::report
