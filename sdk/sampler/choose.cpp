// The race without summing every bin: bounds say which bins can still win, and only those are summed as the reference sums them. A
// tournament is played with bounds as well, and exactly only where they leave it open.
#include "sampler/choose.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/dmath.hpp"
#include "marks/greenlist/greenlist.hpp"
#include "marks/gumbel/gumbel.hpp"
#include "sampler/kernel.hpp"
#include "sampler/truncate.hpp"

namespace heirmark::sampler {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLog2E = 1.4426950408889634;

/// The state of one row's choice.
class Choice {
 public:
  Choice(const RowTask& task, const Kernel& kernel, Workspace& workspace) : task_(task), row_(task.logits), kernel_(kernel), w_(workspace) {}
  RowResult run();

 private:
  struct Bounded { Pass pass; Scale scale; };

  Bounded bound(bool closely);
  static RowResult nothing();
  std::optional<RowResult> unusual(float greatest) const;
  [[nodiscard]] std::uint32_t greedy(float greatest);
  [[nodiscard]] std::optional<std::uint32_t> bounded_race(const Bounded& bounded, float greatest, const Band& band);
  [[nodiscard]] std::uint32_t dense_tournament(const Bounded& bounded);
  [[nodiscard]] std::uint32_t truncated_race(const Bounded& bounded, float greatest, bool only_min_p);

  void read_words(const core::KeyWords& key, std::array<std::uint32_t, core::kBins>& words) const { kernel_.blocks(key, core::kBinsCoarse, 0, core::kRowBlocks, words.data()); }
  [[nodiscard]] double time_of(std::uint32_t bin, double mass) const;
  [[nodiscard]] std::uint32_t exact_race() const;
  template <class Exact>
  [[nodiscard]] std::uint32_t tournament(const Exact& exact);
  void near_of_exact();
  void near_of_band(float greatest, const Band& band);
  [[nodiscard]] std::optional<std::uint32_t> near_tournament();
  [[nodiscard]] std::optional<std::uint32_t> band_tournament(float greatest, const Band& band);
  [[nodiscard]] std::optional<std::uint32_t> near_race(double rest);
  [[nodiscard]] std::uint32_t inner(std::uint32_t bin, std::uint32_t count);
  [[nodiscard]] std::uint32_t inner_of_whole_bin(std::uint32_t bin, float greatest);
  [[nodiscard]] std::optional<std::uint32_t> fill_inside(std::uint32_t bin, float greatest, const Band& band);
  [[nodiscard]] float log_prob(std::uint32_t token, const Bounded& bounded, double temperature) const;

  const RowTask& task_;
  const RowView row_;
  const Kernel& kernel_;
  Workspace& w_;
};

/// A pass of bounds over the row, `closely` of real sums, from a reference near enough to the greatest logit. The first look is at a few logits only.
Choice::Bounded Choice::bound(bool closely) {
  const double temperature = task_.greedy ? 1.0 : task_.filter.temperature;
  Bounded out;
  out.scale.per_logit = static_cast<float>(kLog2E / temperature);
  out.scale.reference = kernel_.glance(row_);
  for (bool again = false;; again = true) {
    if (!std::isfinite(out.scale.reference)) {
      if (!again) out.scale.reference = kernel_.greatest(row_);
      again = true;
      if (!std::isfinite(out.scale.reference)) {
        out.pass.greatest = out.scale.reference;
        return out;
      }
    }
    out.pass = (closely ? kernel_.sums : kernel_.bounds)(row_, out.scale, w_.upper.data());
    const double reach = (static_cast<double>(out.pass.greatest) - static_cast<double>(out.scale.reference)) / temperature;
    if (again || !std::isfinite(out.pass.greatest) || reach <= kReach) return out;
    out.scale.reference = out.pass.greatest;
  }
}

/// No token: none is finite, or somebody else writes into the row and what was found in it is there no more.
RowResult Choice::nothing() {
  RowResult result;
  result.log_prob = std::numeric_limits<float>::quiet_NaN();
  return result;
}

std::optional<RowResult> Choice::unusual(float greatest) const {
  if (std::isfinite(greatest)) return std::nullopt;
  RowResult result = nothing();
  if (greatest > 0) {
    const std::uint32_t token = kernel_.find(row_, greatest);
    if (token >= row_.vocab) return result;
    result.kind = RowResult::Kind::infinite_logit;
    result.token = token;
    if (task_.top != nullptr) task_.top->token[0] = {result.token, 0xFFFFFFFFu};
  }
  return result;
}

/// Argmax; under a greenlist, of logit + delta on green bins: only logits within delta of the greatest can be it.
std::uint32_t Choice::greedy(float greatest) {
  if (task_.rule.kind != marks::RuleKind::greenlist) return kernel_.find(row_, greatest);
  read_words(task_.keys.mark, w_.mark);
  // The slack is far more than the rounding of logit + delta, which can make equals of unequal logits.
  const double low = static_cast<double>(greatest) - task_.rule.delta - 1e-6 * (std::fabs(static_cast<double>(greatest)) + task_.rule.delta);
  const float threshold = std::nextafter(static_cast<float>(std::max(low, -static_cast<double>(std::numeric_limits<float>::max()))), -std::numeric_limits<float>::infinity());
  const std::uint32_t count = kernel_.collect(row_, threshold, static_cast<float>(kInfinity), kMaxVocab, w_.ids.data(), w_.logits.data());
  std::uint32_t token = 0;
  double best = -kInfinity;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto x = static_cast<double>(w_.logits[i]);
    const bool green = marks::greenlist::is_green(w_.mark[core::bin_of(w_.ids[i])], task_.rule.gamma);
    const double value = green ? core::d_add(x, task_.rule.delta) : x;
    if (value > best) { best = value; token = w_.ids[i]; }
  }
  return token;
}

double Choice::time_of(std::uint32_t bin, double mass) const {
  const std::uint32_t fine = core::stream_word(task_.keys.noise, core::kBinsFine, bin);
  return core::d_div(marks::gumbel::bin_time(w_.coarse[bin], fine), mass);
}

/// The inner draw among w_.inside[0 .. count).
std::uint32_t Choice::inner(std::uint32_t bin, std::uint32_t count) {
  kernel_.blocks(task_.keys.noise, core::kInner, 0, (2 * count + core::kBlockWords - 1) / core::kBlockWords, w_.inner.data());
  std::array<std::uint64_t, kMaxPerBin> words;
  for (std::uint32_t j = 0; j < count; ++j) words[j] = static_cast<std::uint64_t>(w_.inner[2 * j + 1]) << 32 | w_.inner[2 * j];
  return bin + core::kBins * marks::gumbel::inner_draw(w_.inside.data(), words.data(), count);
}

std::uint32_t Choice::inner_of_whole_bin(std::uint32_t bin, float greatest) {
  return inner(bin, kernel_.exact_bin(row_, task_.filter.temperature, greatest, bin, w_.inside.data()));
}

/// The masses of a bin's tokens that stay, to w_.inside. Nothing if the band leaves one of them open.
std::optional<std::uint32_t> Choice::fill_inside(std::uint32_t bin, float greatest, const Band& band) {
  const std::uint32_t count = kernel_.exact_bin(row_, task_.filter.temperature, greatest, bin, w_.inside.data());
  if (band.least > 0)
    for (std::uint32_t j = 0; j < count; ++j)
      if (w_.inside[j] < band.least) w_.inside[j] = 0;
  if (!band.whole)
    for (std::uint32_t j = 0; j < count; ++j) {
      const std::uint32_t id = bin + j * core::kBins;
      const float x = logit_at(row_, id);
      if (band.stays.reaches(x, id)) continue;
      if (band.may_stay.reaches(x, id)) return std::nullopt;
      w_.inside[j] = 0;
    }
  return count;
}

/// gumbel or greenlist where the tokens that stay need no list. upper[b] bounds S_b * e^((greatest - reference) / T), of all tokens: truncation only
/// takes away. Nothing if the band leaves the outcome open, or so much was taken away that very many bins would have to be looked at.
std::optional<std::uint32_t> Choice::bounded_race(const Bounded& bounded, float greatest, const Band& band) {
  constexpr std::uint32_t kMany = 128;
  const double temperature = task_.filter.temperature;
  read_words(task_.keys.noise, w_.coarse);
  double boost = 1;
  if (task_.rule.kind == marks::RuleKind::greenlist) {
    boost = marks::greenlist::boost(task_.rule.delta);
    read_words(task_.keys.mark, w_.mark);
    kernel_.boost(w_.upper.data(), w_.mark.data(), task_.rule.gamma, static_cast<float>(boost * (1 + kUpperSlack)));
  }
  std::uint32_t inside_bin = core::kBins, inside_count = 0;  // the bin whose masses are in w_.inside
  const auto time = [&](std::uint32_t bin) -> std::optional<double> {
    const auto filled = fill_inside(bin, greatest, band);
    if (!filled) return std::nullopt;
    inside_count = *filled;
    inside_bin = bin;
    double mass = 0;
    for (std::uint32_t j = 0; j < inside_count; ++j) mass = core::d_add(mass, w_.inside[j]);
    if (task_.rule.kind == marks::RuleKind::greenlist && marks::greenlist::is_green(w_.mark[bin], task_.rule.gamma)) mass = core::d_mul(mass, boost);
    return mass > 0 ? time_of(bin, mass) : kInfinity;
  };
  const std::uint32_t first = kernel_.front_runner(w_.coarse.data(), w_.upper.data());
  std::uint32_t winner = first;
  std::optional<double> t = time(winner);
  if (!t) return std::nullopt;
  double best = *t;
  // E_b <= best * S_b <= limit * upper[b] for whoever still wins. The slack covers the roundings of float32 and of this line.
  const double distance = (static_cast<double>(greatest) - static_cast<double>(bounded.scale.reference)) / temperature;
  const double limit = best * core::exp_neg(-std::max(distance, 0.0)) * (1 + 4 * kUpperSlack);
  const auto limit_f = static_cast<float>(std::min(std::max(limit, 0x1p-120), 0x1p120));
  const std::uint32_t count = kernel_.contenders(w_.coarse.data(), w_.upper.data(), limit_f, w_.bins.data());
  if (band.truncates() && count > kMany) return std::nullopt;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t bin = w_.bins[i];
    if (bin == first) continue;
    t = time(bin);
    if (!t) return std::nullopt;
    if (*t < best || (*t == best && bin < winner)) { best = *t; winner = bin; }
  }
  if (inside_bin != winner) inside_count = fill_inside(winner, greatest, band).value_or(0);
  return inner(winner, inside_count);
}

/// The race with the exact masses w_.masses.
std::uint32_t Choice::exact_race() const {
  std::uint32_t count = 0;
  for (std::uint32_t b = 0; b < core::kBins; ++b)
    if (w_.masses[b] > 0) w_.bins[count++] = static_cast<std::uint16_t>(b);
  // A bin's time is at least its coarse word's; whoever leads by that bound is looked at first and excludes most others.
  const auto bound = [&](std::uint32_t bin) { return core::unit_below(static_cast<std::uint64_t>(w_.coarse[bin]) << 32) / w_.masses[bin]; };
  std::uint32_t winner = w_.bins[0];
  double least = bound(winner);
  for (std::uint32_t i = 1; i < count; ++i)
    if (const double b = bound(w_.bins[i]); b < least) { least = b; winner = w_.bins[i]; }
  double best = time_of(winner, w_.masses[winner]);
  const std::uint32_t first = winner;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t bin = w_.bins[i];
    if (bin == first || bound(bin) * (1 - 0x1p-40) > best) continue;
    const double t = time_of(bin, w_.masses[bin]);
    if (t < best || (t == best && bin < winner)) { best = t; winner = bin; }
  }
  return winner;
}

/// The race where the masses are w_.near to within their w_.errors and `rest`, and none above w_.upper: the bin that wins whatever they are. Nothing if there is none.
std::optional<std::uint32_t> Choice::near_race(double rest) {
  constexpr double kRounding = 0x1p-40;  // far more than a quotient may lose
  const auto most = [&](std::uint32_t bin) { return static_cast<double>(w_.near[bin]) * (1 + static_cast<double>(w_.errors[bin])) + rest; };
  const auto least = [&](std::uint32_t bin) { return static_cast<double>(w_.near[bin]) * (1 - static_cast<double>(w_.errors[bin])) - rest; };
  std::uint32_t winner = kernel_.front_runner(w_.coarse.data(), w_.upper.data());
  if (!(least(winner) > 0)) return std::nullopt;
  double last = time_of(winner, least(winner)) * (1 + kRounding);  // it has rung by then
  const auto limit = static_cast<float>(std::min(last * (1 + 1e-5), 0x1p120));  // more than float32 loses of a time's bound, of `upper` and of this
  const std::uint32_t count = kernel_.contenders(w_.coarse.data(), w_.upper.data(), limit, w_.bins.data());
  for (std::uint32_t i = 0; i < count; ++i)
    if (const std::uint32_t bin = w_.bins[i]; bin != winner && least(bin) > 0)
      if (const double t = time_of(bin, least(bin)) * (1 + kRounding); t < last) { last = t; winner = bin; }
  for (std::uint32_t i = 0; i < count; ++i)
    if (const std::uint32_t bin = w_.bins[i]; bin != winner && time_of(bin, most(bin)) * (1 - kRounding) <= last) return std::nullopt;
  return winner;
}

/// Plays the tournament from w_.near and w_.errors. Nothing if they leave the winner open.
std::optional<std::uint32_t> Choice::near_tournament() {
  read_words(task_.keys.noise, w_.coarse);
  read_words(task_.keys.mark, w_.mark);
  double rest = kNearRest;
  if (!kernel_.play_near(w_.near.data(), w_.errors.data(), w_.mark.data(), task_.rule.layers, rest, w_.upper.data())) return std::nullopt;
  return near_race(rest);
}

/// The same, and exactly if that does not tell: exact() puts the exact masses to w_.masses.
template <class Exact>
std::uint32_t Choice::tournament(const Exact& exact) {
  if (const auto winner = near_tournament()) return *winner;
  exact();
  kernel_.play(w_.masses.data(), w_.mark.data(), task_.rule.layers, w_.scratch.data());
  return exact_race();
}

/// w_.near from the exact w_.masses.
void Choice::near_of_exact() {
  double total = 0;
  for (const double mass : w_.masses) total += mass;
  const double scale = 1 / total;
  for (std::uint32_t b = 0; b < core::kBins; ++b) {
    w_.near[b] = static_cast<float>(w_.masses[b] * scale);
    w_.errors[b] = 0x1.2p-24f;
  }
}

/// No truncation: the bins are summed in float32 first, and exactly where that does not tell.
std::uint32_t Choice::dense_tournament(const Bounded& bounded) {
  const double temperature = task_.filter.temperature;
  const float greatest = bounded.pass.greatest;
  const auto exact = [&] { kernel_.exact_masses(row_, temperature, greatest, w_.masses.data()); };
  if (std::fabs(static_cast<double>(greatest)) <= kExactRange * temperature) {
    const float above = (greatest - bounded.scale.reference) * bounded.scale.per_logit;
    kernel_.near(w_.upper.data(), row_.vocab, above, bounded.pass.total, w_.near.data(), w_.errors.data());
  } else {
    exact();
    near_of_exact();
  }
  return inner_of_whole_bin(tournament(exact), greatest);
}

/// w_.near of the tokens that stay, summed in float32: those that the band leaves open count half, give or take a half.
void Choice::near_of_band(float greatest, const Band& band) {
  const double temperature = task_.filter.temperature;
  const double total = kernel_.total_from(row_, {greatest, static_cast<float>(kLog2E / temperature)}, band.may_stay.logit, w_.upper.data());
  kernel_.near(w_.upper.data(), row_.vocab, 0, total, w_.near.data(), w_.errors.data());
  const float end = std::nextafter(band.stays.logit, static_cast<float>(kInfinity));
  const std::uint32_t count = kernel_.collect(row_, band.may_stay.logit, end, kMaxVocab, w_.ids.data(), w_.logits.data());
  if (w_.e.size() < count) w_.e.resize(count);
  kernel_.exact_values(w_.logits.data(), count, temperature, greatest, w_.e.data());
  for (std::uint32_t i = 0; i < count; ++i) {
    if (band.stays.reaches(w_.logits[i], w_.ids[i])) continue;
    const std::uint32_t bin = core::bin_of(w_.ids[i]);
    const double near = w_.near[bin], error = w_.errors[bin], most = near * (1 + error), least = near * (1 - error) - w_.e[i] / total * (1 + 1e-6);
    const double middle = (most + std::max(least, 0.0)) / 2;
    if (!(middle > 0)) continue;  // below what a mass may be off by anyhow
    w_.near[bin] = static_cast<float>(middle);
    w_.errors[bin] = static_cast<float>((most - middle) / middle * (1 + 1e-6) + 0x1p-23);
  }
}

std::optional<std::uint32_t> Choice::band_tournament(float greatest, const Band& band) {
  near_of_band(greatest, band);
  const auto winner = near_tournament();
  if (!winner) return std::nullopt;
  const auto count = fill_inside(*winner, greatest, band);
  if (!count) return std::nullopt;
  return inner(*winner, *count);
}

std::uint32_t Choice::truncated_race(const Bounded& bounded, float greatest, bool only_min_p) {
  const marks::Filter& filter = task_.filter;
  const bool tournament_rule = task_.rule.kind == marks::RuleKind::tournament;
  if (only_min_p && !tournament_rule) {
    if (const auto token = bounded_race(bounded, greatest, {.least = filter.min_p})) return *token;
  }
  const Truncation kept = truncate(kernel_, row_, filter, greatest, true, w_);
  if (!kept.listed) {
    if (const auto token = tournament_rule ? band_tournament(greatest, kept.band) : bounded_race(bound(false), greatest, kept.band)) return *token;
  }
  const std::uint32_t count = kept.listed ? kept.count : truncate(kernel_, row_, filter, greatest, false, w_).count;
  const auto sum = [&] {
    std::fill(w_.masses.begin(), w_.masses.end(), 0.0);
    for (std::uint32_t i = 0; i < count; ++i) {
      double& mass = w_.masses[core::bin_of(w_.ids[i])];
      mass = core::d_add(mass, w_.e[i]);
    }
  };
  sum();
  std::uint32_t winner = 0;
  if (tournament_rule) {
    near_of_exact();
    winner = tournament(sum);
  } else {
    read_words(task_.keys.noise, w_.coarse);
    if (task_.rule.kind == marks::RuleKind::greenlist) {
      read_words(task_.keys.mark, w_.mark);
      const double boost = marks::greenlist::boost(task_.rule.delta);
      for (std::uint32_t b = 0; b < core::kBins; ++b)
        if (marks::greenlist::is_green(w_.mark[b], task_.rule.gamma)) w_.masses[b] = core::d_mul(w_.masses[b], boost);
    }
    winner = exact_race();
  }
  const std::uint32_t size = (row_.vocab - winner - 1) / core::kBins + 1;
  std::fill_n(w_.inside.begin(), size, 0.0);
  for (std::uint32_t i = 0; i < count; ++i)
    if (core::bin_of(w_.ids[i]) == winner) w_.inside[w_.ids[i] / core::kBins] = w_.e[i];
  return inner(winner, size);
}

float Choice::log_prob(std::uint32_t token, const Bounded& bounded, double temperature) const {
  const double above = (static_cast<double>(logit_at(row_, token)) - static_cast<double>(bounded.scale.reference)) / temperature;
  return static_cast<float>(above - core::dlog(bounded.pass.total));
}

RowResult Choice::run() {
  const marks::Filter& filter = task_.filter;
  const bool ordered = (filter.top_k != 0 && filter.top_k < row_.vocab) || filter.top_p < 1, truncated = filter.min_p > 0 || ordered;
  const bool tournament = task_.rule.kind == marks::RuleKind::tournament;
  const bool closely = task_.log_prob || (!task_.greedy && tournament && !truncated);
  const bool needs_bounds = closely || (!task_.greedy && !ordered && !tournament);
  const Bounded bounded = needs_bounds ? bound(closely) : Bounded{{kernel_.greatest(row_), 0}, {}};
  const float greatest = bounded.pass.greatest;
  if (const auto result = unusual(greatest)) return *result;
  RowResult result;
  result.kind = RowResult::Kind::drawn;
  const double temperature = task_.greedy ? 1.0 : filter.temperature;
  if (task_.greedy) {
    result.token = greedy(greatest);
  } else if (truncated) {
    result.token = truncated_race(bounded, greatest, !ordered);
  } else {
    result.token = tournament ? dense_tournament(bounded) : *bounded_race(bounded, greatest, {});
  }
  if (result.token >= row_.vocab) return nothing();
  result.log_prob = task_.log_prob ? log_prob(result.token, bounded, temperature) : std::numeric_limits<float>::quiet_NaN();
  if (task_.top != nullptr) {
    if (task_.greedy) task_.top->token[0] = {result.token, 0xFFFFFFFFu};
    else top_tokens(kernel_, row_, filter, greatest, w_, *task_.top);
  }
  return result;
}
}  // namespace

RowResult choose(const RowTask& task, core::InstructionSet set, Workspace& workspace) { return Choice(task, kernel(set), workspace).run(); }

}  // namespace heirmark::sampler
