// C1: the live statistic, its exact tail or bound, its e-value, and its rank among decoys (specs/statistics.md).
#include <algorithm>
#include <cmath>
#include <heirmark/stats.hpp>
#include <map>

#include "marks/score.hpp"
#include "scoring/bulk.hpp"
#include "scoring/family.hpp"

namespace heirmark::scoring {
namespace {

constexpr std::size_t kHistogramBins = 64;
constexpr std::uint64_t kMaxGrowth = 64;

/// The greatest double that is not above x: a rounded statistic must not gain from rounding.
double double_below(Integer x) {
  const double rounded = static_cast<double>(x);
  return static_cast<Integer>(rounded) > x ? std::nextafter(rounded, -HUGE_VAL) : rounded;
}

struct Evidence {
  double log_p = 0, log_saddlepoint = 0, log_e = 0;
};

/// p and e of a statistic over n pairs, the weights of which are `weights` when there are any.
class Tail {
 public:
  Tail(const Profile& profile, int weight_bits) : profile_(profile), unit_bits_(weight_bits) {
    if (profile.scheme == Scheme::gumbel) unit_bits_ += static_cast<int>(marks::kScoreBits);
    weight_unit_ = std::ldexp(1.0, -weight_bits);
  }
  [[nodiscard]] double natural(Integer x) const { return std::ldexp(double_below(x), -unit_bits_); }

  [[nodiscard]] Evidence plain(std::uint64_t n, Integer x) const {
    if (n == 0) return {};
    const auto count = static_cast<std::uint64_t>(x);
    const double gamma = std::ldexp(static_cast<double>(profile_.gamma_q32), -32);
    switch (profile_.scheme) {
      case Scheme::gumbel:
        return {stats::log_gamma_tail(n, natural(x)), 0, stats::log_e_exponential(n, natural(x))};
      case Scheme::greenlist:
        return {stats::log_binomial_tail(n, gamma, count), 0, stats::log_e_bernoulli(n, gamma, count)};
      case Scheme::tournament: {
        const std::uint64_t bits = n * static_cast<std::uint64_t>(profile_.layers);
        return {stats::log_binomial_tail(bits, 0.5, count), 0, stats::log_e_fair_bits(bits, count)};
      }
    }
    return {};
  }
  [[nodiscard]] Evidence weighted(const std::map<std::int64_t, std::uint64_t>& groups, Integer x) const {
    if (groups.empty()) return {};
    std::vector<stats::WeightGroup> weights;
    weights.reserve(groups.size());
    for (const auto& [weight, count] : groups) weights.push_back({static_cast<double>(weight) * weight_unit_, count});
    stats::TermKind kind;
    if (profile_.scheme == Scheme::greenlist)
      kind = {stats::Term::bernoulli, std::ldexp(static_cast<double>(profile_.gamma_q32), -32), 1};
    if (profile_.scheme == Scheme::tournament) kind = {stats::Term::fair_bits, 0.5, profile_.layers};
    const auto tail = stats::weighted_tail(kind, weights, natural(x));
    return {tail.log_chernoff, tail.log_saddlepoint, stats::log_e_weighted(kind, weights, natural(x))};
  }

 private:
  Profile profile_;
  int unit_bits_ = 0;
  double weight_unit_ = 1;
};

Histogram histogram_of(std::span<const Integer> totals, Integer live) {
  Histogram out;
  out.live = live;
  if (totals.empty()) return out;
  const auto [least, most] = std::minmax_element(totals.begin(), totals.end());
  out.low = std::min(*least, live);
  out.width = (std::max(*most, live) - out.low) / static_cast<Integer>(kHistogramBins) + 1;
  out.counts.assign(kHistogramBins, 0);
  for (const Integer x : totals) ++out.counts[static_cast<std::size_t>((x - out.low) / out.width)];
  return out;
}

std::vector<std::uint64_t> checkpoints_of(std::uint64_t n, std::uint64_t points) {
  const std::uint64_t k = std::min(points, n);
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 1; i <= k; ++i) out.push_back(n * i / k);  // n < 2^32
  return out;
}
}  // namespace

Result<Detection> detect_family(const Family& family, const PairSet& set, const DetectOptions& options,
                                const Kernel& kernel, kernels::ScoreDevice* device) {
  const std::uint64_t decoys = options.decoys;
  if (decoys >= family.size)
    return Error{ErrorCode::usage,
                 std::to_string(decoys) + " decoys need a family of more members than " + std::to_string(family.size)};
  if (options.growth_points > kMaxGrowth) return Error{ErrorCode::usage, "at most 64 growth points"};
  const std::vector<std::uint64_t> checkpoints = checkpoints_of(set.pairs.size(), options.growth_points);
  auto columns = PairColumns::make(set, !checkpoints.empty());
  if (!columns) return columns.error();

  const WordRule rule = WordRule::of(family.profile);
  const double members = static_cast<double>(decoys) + 1;
  const auto share = [&](double first, double count) -> Progress {
    if (!options.progress) return {};
    return
        [&options, first, count, members](double done) { return options.progress((first + count * done) / members); };
  };
  const unsigned threads = std::max(1u, options.threads);
  const WindowKeys live_keys = family.derive(family.member);
  auto live = device == nullptr
                  ? evaluate_growth(kernel, rule, *columns, live_keys, checkpoints, threads, share(0, 1))
                  : evaluate_growth(*device, rule, *columns, live_keys, checkpoints, share(0, 1));
  if (!live) return live.error();

  Detection out;
  out.scheme = family.profile.scheme;
  out.n = set.pairs.size();
  out.positions = set.positions;
  out.repeats = set.repeats;
  out.tainted = set.tainted;
  out.off_coin = set.off_coin;
  out.statistic = live->statistic.total();
  const Tail tail(family.profile, set.weight_bits);
  out.value = tail.natural(out.statistic);

  Evidence evidence;
  if (set.weighted) {
    std::map<std::int64_t, std::uint64_t> groups;
    std::size_t next = 0;
    for (std::size_t i = 0; i < set.pairs.size(); ++i) {
      ++groups[set.pairs[i].weight];
      if (next < checkpoints.size() && i + 1 == checkpoints[next]) {
        evidence = tail.weighted(groups, live->prefix[next]);
        out.growth.push_back({checkpoints[next++], evidence.log_p, evidence.log_e});
      }
    }
    evidence = tail.weighted(groups, out.statistic);
    out.log_p_saddlepoint = evidence.log_saddlepoint;
  } else {
    for (std::size_t i = 0; i < checkpoints.size(); ++i) {
      evidence = tail.plain(checkpoints[i], live->prefix[i]);
      out.growth.push_back({checkpoints[i], evidence.log_p, evidence.log_e});
    }
    evidence = tail.plain(out.n, out.statistic);
  }
  out.log_p_prf = out.log_p = evidence.log_p;
  out.log_e = evidence.log_e;
  out.histogram.live = out.statistic;

  if (decoys > 0) {
    const std::uint64_t first = (family.member + 1) % family.size;
    const Progress rest = share(1, static_cast<double>(decoys));
    auto ranks = device == nullptr ? evaluate_decoys(kernel, rule, *columns, family.derive, first, decoys, family.size,
                                                     live->statistic, threads, rest)
                                   : evaluate_decoys(*device, rule, *columns, family.derive, first, decoys, family.size,
                                                     live->statistic, threads, rest);
    if (!ranks) return ranks.error();
    std::vector<stats::RankClass> classes;
    for (std::uint32_t c = 0; c < core::kClasses; ++c) {
      if (columns->class_pairs(c) == 0) continue;
      out.classes.push_back({c, columns->class_pairs(c), ranks->ge[c], live->statistic.by_class[c]});
      classes.push_back({ranks->ge[c], columns->class_pairs(c)});
    }
    out.log_p_rank = classes.empty() ? 0.0 : stats::stouffer_ranks(classes, decoys).log_p;
    out.log_p = std::max(out.log_p_prf, *out.log_p_rank);
    out.histogram = histogram_of(ranks->totals, out.statistic);
  }
  if (options.progress && !options.progress(1.0)) return Error{ErrorCode::stopped, "stopped"};
  return out;
}

}  // namespace heirmark::scoring
