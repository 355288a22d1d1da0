#include "explain.hpp"

#include <cmath>
#include <cstdlib>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
constexpr const char* kMargin = "           ";

void line(const std::string& title, const std::string& text) {
  std::string margin = title;
  margin.resize(11, ' ');
  print(margin + text + "\n");
}

void explain_text(const VerdictChannel& channel, const Profile& profile) {
  line("", grouped(channel.positions) + " positions: " + grouped(channel.off_coin) + " not marked by windows, " + grouped(channel.tainted) +
               " tainted by prompts, " + grouped(channel.repeats) + " repeats; " + grouped(channel.n) + " (window, bin) pairs used");
  line("", "statistic: the exact integer " + channel.statistic);
  line("", "null: the key is independent of the suspect and of the prompts; every pair is scored once");
  line("", null_words(profile, channel.count_rule == "distinct" ? "" : "the weights follow from how often a pair occurs (" + channel.count_rule + ")", channel.n));
  std::string p = "log10 p (PRF) " + channel.log10_p_prf;
  if (!channel.log10_p_rank.empty()) {
    p += "; log10 p (rank among " + grouped(channel.decoys) + " decoys in each of " + std::to_string(channel.classes.size()) + " classes) " + channel.log10_p_rank +
         "; the larger counts";
  }
  line("", p);
  line("", "log10 e " + channel.log10_e + ", a mixture of bets over 40 effect sizes");
}

void explain_issued(const VerdictChannel& channel) {
  line("", grouped(channel.n) + " contexts of " + grouped(channel.responses) + " responses: " + grouped(channel.window) + " window, " + grouped(channel.issuance) +
               " issuance; " + grouped(channel.tainted) + " window contexts left out, a prompt had shown them");
  line("", "null: the key's choice in each context has the logged distribution, whatever the suspect answers");
  if (channel.channel == Channel::c3) {
    line("", "a bet pays L(choice) / mean of L, L = exp(l clip(D, -c, c)), D = ln q of the suspect over the baseline");
    line("", "baseline ln b = alpha ln p + beta ln q_base: alpha = " + channel.alpha + ", beta = " + channel.beta + ", fitted on responses that are never bet on");
  } else {
    line("", "a bet pays L(choice) / mean of L, L = (1 + n / (k p))^l, n how often the suspect drew the token");
  }
  line("", "log10 e " + channel.log10_e + ": mean over " + (channel.channel == Channel::c3 ? "30" : "20") + " pairs of parameters and 6 shares of the product of bets on responses");
  line("", "log10 p " + channel.log10_p + ": p = min(1, 1/e)");
}
}  // namespace

std::string null_words(const Profile& profile, const std::string& weights, std::uint64_t n) {
  const std::string count = grouped(n);
  if (n == 0) return "nothing is scored: p = 1, e = 1";
  if (!weights.empty()) return "p is the Chernoff bound of a weighted sum of " + count + " terms; " + weights;
  switch (profile.scheme) {
    case Scheme::gumbel: return "without the key T is at most Gamma(" + count + ", 1): p = Q(n, T), the upper incomplete gamma function; mean " + count;
    case Scheme::greenlist: {
      const double gamma = static_cast<double>(profile.gamma_q32) / 0x1p32;
      return "without the key X is Binomial(" + count + ", " + fixed(gamma, 4) + "): p = P(Bin >= X); mean " + fixed(gamma * static_cast<double>(n), 1);
    }
    case Scheme::tournament:
      return "without the key X is Binomial(" + grouped(n * static_cast<std::uint64_t>(profile.layers)) + ", 1/2): p = P(Bin >= X); mean " +
             fixed(static_cast<double>(n) * profile.layers / 2, 1);
  }
  return "";
}

void print_explanation(const Verdict& verdict, const Plan& plan) {
  const auto profile = profiles::find(plan.profile);
  for (const VerdictChannel& channel : verdict.channels) {
    line(std::string(channel_name(channel.channel)), "weight " + grouped(channel.weight) + " of 1,000,000; log10 p " + channel.log10_p + ", log10 e " + channel.log10_e);
    if (channel.channel != Channel::c1) explain_issued(channel);
    else if (profile) explain_text(channel, *profile);
  }
  const std::string m = grouped(verdict.multiplicity);
  line("headline", "p = min(1, m x the least p / weight) = 10^" + verdict.log10_p + ", m = " + m + " attempts and keys");
  line("", "e = sum of weight x e, / m = 10^" + verdict.log10_e);
  line("", "supports iff log10 p <= log10 " + verdict.alpha + " = " + fixed(std::log10(std::strtod(verdict.alpha.c_str(), nullptr)), 4) + " and no control reaches it");
  for (const VerdictControl& control : verdict.controls) line("", control.name + ": log10 p " + control.log10_p + ", log10 e " + control.log10_e);
}

}  // namespace heirmark::cli
