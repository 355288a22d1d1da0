// audit power: how many tokens or contexts an audit needs. An estimate for planning; no verdict rests on it.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include <heirmark/profile.hpp>
#include <heirmark/stats.hpp>

#include "commands.hpp"
#include "json_writer.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
struct Power {
  std::string channel = "c1", profile = "standard-2026-11", entropy = "1.1";
  double share = 0.1, alpha = 1e-6, power = 0.9, inheritance = 0.4355, gain = 0, price = 0;
  std::uint64_t response_tokens = 112;
  bool json = false;
};

struct Answer {
  double scored = 0;     ///< pairs or contexts
  double tokens = 0;     ///< that the suspect writes or reads
  double responses = 0;  ///< c2 and c3
};

/// Information per scored token (specs/statistics.md, "Planning").
double kappa(Scheme scheme, const std::string& entropy) {
  const std::size_t column = entropy == "1.7" ? 0 : entropy == "1.1" ? 1 : 2;
  switch (scheme) {
    case Scheme::gumbel: return std::array{2.35, 0.87, 0.24}[column];
    case Scheme::tournament: return std::array{0.83, 0.37, 0.135}[column];
    case Scheme::greenlist: return std::array{0.30, 0.16, 0.084}[column];
  }
  return 0.24;
}

Result<Answer> text_answer(const Power& options, const Profile& profile) {
  const double shares = static_cast<double>(profile.share_q32) / 0x1p32;
  if (shares <= 0) return Error{ErrorCode::usage, "audit power: profile " + options.profile + " marks no windows, so c1 can see nothing; use c2 or c3"};
  const auto answer = stats::plan_tokens({options.alpha, options.power, kappa(profile.scheme, options.entropy), options.inheritance * options.share});
  if (!answer) return answer.error();
  return Answer{answer->fixed_n, answer->fixed_n / shares, 0};
}

struct Moments { double mean = 0, variance = 0; };

/// Mean and variance of ln(1 - f + f e^X) for X normal, by the trapezoid rule over 8 deviations either side.
Moments bet_moments(double f, double mean, double deviation) {
  double total = 0, first = 0, second = 0;
  for (int i = -400; i <= 400; ++i) {
    const double z = i / 50.0;
    const double weight = std::exp(-z * z / 2);
    const double x = mean + deviation * z;
    const double value = x > 0 ? x + std::log(f + (1 - f) * std::exp(-x)) : std::log1p(f * std::expm1(x));
    total += weight;
    first += weight * value;
    second += weight * value * value;
  }
  first /= total;
  return {first, second / total - first * first};
}

/// Bets on documents: ln E of a used response is about normal with mean g and variance 2 g, g its gain; of another one the mean
/// is -g. The best registered share is the one that needs fewest responses.
Answer ledger_answer(const Power& options) {
  const double response_gain = options.gain * static_cast<double>(options.response_tokens);
  const double deviation = std::sqrt(2 * response_gain);
  const double z = std::max(0.0, stats::normal_quantile_from_log_tail(std::log1p(-options.power)));
  double best = std::numeric_limits<double>::infinity();
  for (const double f : stats::DocumentBets::shares()) {
    // What averaging over the registered shares and parameter pairs costs: ln 6, and about one nat.
    const double goal = -std::log(options.alpha) + std::log(6.0) + 1.0;
    const Moments used = bet_moments(f, response_gain, deviation), other = bet_moments(f, -response_gain, deviation);
    const double q = options.share;
    const double growth = q * used.mean + (1 - q) * other.mean;
    if (growth <= 0) continue;
    const double gap = used.mean - other.mean;
    const double spread = q * used.variance + (1 - q) * other.variance + q * (1 - q) * gap * gap;
    const double root = (z * std::sqrt(spread) + std::sqrt(z * z * spread + 4 * growth * goal)) / (2 * growth);
    best = std::min(best, root * root);
  }
  const double responses = std::ceil(best);
  const double tokens = responses * static_cast<double>(options.response_tokens);
  return {tokens, tokens, responses};
}

std::string count(double value) { return value < 1e18 ? grouped(static_cast<std::uint64_t>(std::ceil(value))) : fixed(value, 0); }

Result<int> run_power(Power options) {
  const bool text = options.channel == "c1";
  const auto profile = profiles::find(options.profile);
  if (!profile) return Error{ErrorCode::usage, "audit power: " + profile.error().message};
  if (!text && profile->scheme != Scheme::gumbel) return Error{ErrorCode::usage, "audit power: " + options.channel + " needs a gumbel profile"};
  if (options.gain == 0) options.gain = options.channel == "c3" ? 0.046 : 0.006;
  const auto answer = text ? text_answer(options, *profile) : Result<Answer>(ledger_answer(options));
  if (!answer) return answer.error();
  if (!std::isfinite(answer->tokens)) return Error{ErrorCode::usage, "audit power: no number of tokens would do; give a greater --share or --gain"};
  const double cost = answer->tokens * options.price / 1e6;
  if (options.json) {
    JsonWriter json;
    json.begin_object().member("channel", options.channel).member("alpha", options.alpha).member("power", options.power);
    json.member("share", options.share).member("scored", std::ceil(answer->scored)).member("tokens", std::ceil(answer->tokens));
    json.member("responses", answer->responses).member("cost", cost).end_object();
    return print(json.line()), 0;
  }
  char level[32];
  std::snprintf(level, sizeof level, "%g", options.alpha);
  const std::string chance = fixed(options.power * 100, 0) + " % power at alpha " + level;
  if (text) {
    print("c1         about " + count(answer->scored) + " scored pairs: " + count(answer->tokens) + " tokens that the suspect writes (" + chance + ")\n");
    print("assumes    " + fixed(options.share * 100, 2) + " % of the training text was marked, entropy " + options.entropy + " nats, inheritance " +
          fixed(options.inheritance, 3) + ", " + std::string(scheme_name(profile->scheme)) + "\n");
  } else {
    print(options.channel + "         about " + count(answer->scored) + " contexts in " + count(answer->responses) + " issued responses (" + chance + ")\n");
    print("assumes    " + fixed(options.share * 100, 2) + " % of these responses were used in training, " + fixed(options.gain, 4) +
          " nats for each used context\n");
  }
  if (options.price > 0) print("costs      about " + fixed(cost, 2) + " at " + fixed(options.price, 2) + " per million tokens\n");
  return 0;
}
}  // namespace

void add_audit_power(Command& audit) {
  auto options = std::make_shared<Power>();
  Command& power = audit.add("power", "how many tokens or contexts an audit needs");
  power.choice("--channel", {"c1", "c2", "c3"}, options->channel, "c1 text, c2 issued and sampled, c3 issued with log-probabilities");
  power.real("--share", "F", options->share, 1e-6, 1, "share of the training text that was marked (c1), of the issued responses that were used (c2, c3)");
  power.real("--alpha", "P", options->alpha, 1e-38, 0.5, "level of the verdict [1e-6]");
  power.real("--power", "P", options->power, 0.5, 0.999, "chance to reach it [0.9]");
  power.text("--profile", "NAME", options->profile, "profile of the key [standard-2026-11]");
  power.choice("--entropy", {"0.6", "1.1", "1.7"}, options->entropy, "c1: mean entropy of the text in nats [1.1]");
  power.real("--inheritance", "F", options->inheritance, 1e-3, 1, "c1: how much of the mark a student takes over [0.4355]");
  power.real("--gain", "NATS", options->gain, 1e-5, 10, "c2, c3: evidence of one used context [0.006, 0.046]");
  power.whole("--response-tokens", "N", options->response_tokens, 1, 1u << 20, "c2, c3: tokens of one response [112]");
  power.real("--price", "X", options->price, 0, 1e9, "price of a million tokens, to print the cost");
  power.flag("--json", options->json, "one JSON object");
  power.example("heirmark audit power --channel c3 --share 0.05 --price 3");
  power.run([options] { return run_power(*options); });
}

}  // namespace heirmark::cli
