#include "audit/bets.hpp"

#include <algorithm>
#include <cmath>

#include "core/dmath.hpp"

namespace heirmark::audit {
namespace {
constexpr double kUnit = 0x1p-32;
constexpr std::uint64_t kWhole = 1ull << 32;

std::uint64_t rest_mass(std::span<const IssuedToken> phat) {
  std::uint64_t sum = 0;
  for (const IssuedToken& entry : phat) sum += entry.p;
  return kWhole - sum;
}

// The suspect's log-probability of each listed token of the log; where it listed nothing of the kind, the smallest
// that it listed: its true value is at most that.
void suspect_logs(std::span<const IssuedToken> phat, const ScoredPosition& asked, std::vector<double>& y) {
  std::uint32_t floor = 0;
  for (const ScoredToken& entry : asked.top) floor = std::max(floor, entry.nlp);
  y.clear();
  for (const IssuedToken& issued : phat) {
    std::uint32_t nlp = floor;
    for (const ScoredToken& entry : asked.top)
      if (entry.token == issued.token) { nlp = entry.nlp; break; }
    y.push_back(-static_cast<double>(nlp) / 1e6);
  }
}

double median(std::vector<double> values) {
  const std::size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half), values.end());
  const double upper = values[half];
  if (values.size() % 2 == 1) return upper;
  return (*std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half)) + upper) / 2;
}

// exp(l d) for the ten l from two exponentials: .01 and .02 are doublings of .005, and .1 .. 3.2 of .05.
std::array<double, 10> powers(double d) {
  std::array<double, 10> out{};
  out[0] = core::dexp(kC3Lambda[0] * d);
  out[1] = out[0] * out[0];
  out[2] = out[1] * out[1];
  out[3] = core::dexp(kC3Lambda[3] * d);
  for (std::size_t i = 4; i < out.size(); ++i) out[i] = out[i - 1] * out[i - 1];
  return out;
}
}  // namespace

void Baseline::add(std::span<const IssuedToken> phat, const ScoredPosition& asked) {
  std::vector<double> y;
  suspect_logs(phat, asked, y);
  const double total = static_cast<double>(kWhole - rest_mass(phat));
  double mean_x = 0, mean_y = 0;
  std::vector<double> x;
  for (std::size_t i = 0; i < phat.size(); ++i) {
    x.push_back(core::dlog(phat[i].p * kUnit));
    const double weight = phat[i].p / total;
    mean_x += weight * x[i];
    mean_y += weight * y[i];
  }
  for (std::size_t i = 0; i < phat.size(); ++i) {
    const double weight = phat[i].p / total;
    sxx_ += weight * (x[i] - mean_x) * (x[i] - mean_x);
    raw_xx_ += weight * x[i] * x[i];
    sxy_ += weight * (x[i] - mean_x) * (y[i] - mean_y);
  }
}

std::int64_t Baseline::alpha_micro() const {
  if (!(sxx_ > 1e-12 * raw_xx_)) return 1'000'000;  // what is less than that is rounding, and so would the slope be
  return std::llround(std::clamp(sxy_ / sxx_, -1000.0, 1000.0) * 1e6);
}

void LogprobBets::set(std::span<const IssuedToken> phat, const ScoredPosition& asked, double alpha) {
  suspect_logs(phat, asked, payoff_);
  double listed = 0;
  for (std::size_t i = 0; i < phat.size(); ++i) {
    listed += core::dexp(payoff_[i]);
    payoff_[i] -= alpha * core::dlog(phat[i].p * kUnit);
  }
  const double centre = median(payoff_);
  const std::uint64_t rest = rest_mass(phat);
  if (rest > 0) payoff_.push_back(core::dlog(std::max(1 - listed, 1e-6)) - alpha * core::dlog(static_cast<double>(rest) * kUnit));
  for (double& value : payoff_) value -= centre;

  std::array<double, kC3Parameters> norm{};
  for (std::size_t i = 0; i < payoff_.size(); ++i) {
    const double mass = static_cast<double>(i < phat.size() ? phat[i].p : rest) * kUnit;
    std::array<double, 10> power{};
    double computed = 0;
    for (std::size_t c = 0; c < kC3Clip.size(); ++c) {
      const double clipped = std::clamp(payoff_[i], -kC3Clip[c], kC3Clip[c]);
      if (c == 0 || clipped != computed) { power = powers(clipped); computed = clipped; }
      for (std::size_t l = 0; l < kC3Lambda.size(); ++l) norm[l * kC3Clip.size() + c] += mass * power[l];
    }
  }
  for (std::size_t g = 0; g < kC3Parameters; ++g) log_norm_[g] = core::dlog(norm[g]);
}

void LogprobBets::log_e(std::int32_t choice, std::span<double, kC3Parameters> out) const {
  const double payoff = choice < 0 ? payoff_.back() : payoff_[static_cast<std::size_t>(choice)];
  for (std::size_t c = 0; c < kC3Clip.size(); ++c) {
    const double clipped = std::clamp(payoff, -kC3Clip[c], kC3Clip[c]);
    for (std::size_t l = 0; l < kC3Lambda.size(); ++l) {
      const std::size_t g = l * kC3Clip.size() + c;
      out[g] = kC3Lambda[l] * clipped - log_norm_[g];
    }
  }
}

void SampleBets::set(std::span<const IssuedToken> phat, const ScoredPosition& asked) {
  seen_.clear();
  std::uint32_t outside = 0;
  std::vector<std::uint32_t> counts(phat.size(), 0);
  for (const TokenId token : asked.samples) {
    const auto found = std::find_if(phat.begin(), phat.end(), [&](const IssuedToken& entry) { return entry.token == token; });
    if (found == phat.end()) ++outside;
    else ++counts[static_cast<std::size_t>(found - phat.begin())];
  }
  // The masses sum to one, so sum p L = 1 + sum over sampled outcomes of p (L - 1): only those need work.
  std::array<double, kC2Parameters> excess{};
  const auto add = [&](std::int32_t outcome, std::uint32_t count, double mass) {
    Seen seen{outcome, {}};
    for (std::size_t k = 0; k < kC2Kappa.size(); ++k) {
      seen.log_odds[k] = core::dlog(1 + count / (kC2Kappa[k] * mass));
      for (std::size_t l = 0; l < kC2Lambda.size(); ++l)
        excess[l * kC2Kappa.size() + k] += mass * (core::dexp(kC2Lambda[l] * seen.log_odds[k]) - 1);
    }
    seen_.push_back(seen);
  };
  for (std::size_t i = 0; i < phat.size(); ++i)
    if (counts[i] > 0) add(static_cast<std::int32_t>(i), counts[i], phat[i].p * kUnit);
  const std::uint64_t rest = rest_mass(phat);
  if (outside > 0 && rest > 0) add(-1, outside, static_cast<double>(rest) * kUnit);
  for (std::size_t g = 0; g < kC2Parameters; ++g) log_norm_[g] = core::dlog(1 + excess[g]);
}

void SampleBets::log_e(std::int32_t choice, std::span<double, kC2Parameters> out) const {
  const auto seen = std::find_if(seen_.begin(), seen_.end(), [&](const Seen& entry) { return entry.outcome == choice; });
  for (std::size_t l = 0; l < kC2Lambda.size(); ++l)
    for (std::size_t k = 0; k < kC2Kappa.size(); ++k) {
      const std::size_t g = l * kC2Kappa.size() + k;
      out[g] = (seen == seen_.end() ? 0 : kC2Lambda[l] * seen->log_odds[k]) - log_norm_[g];
    }
}

std::string micro_string(std::int64_t micro) {
  const std::uint64_t size = micro < 0 ? 0 - static_cast<std::uint64_t>(micro) : static_cast<std::uint64_t>(micro);
  std::string fraction = std::to_string(size % 1'000'000);
  fraction.insert(0, 6 - fraction.size(), '0');
  std::string out = std::to_string(size / 1'000'000);
  out.append(1, '.').append(fraction);
  if (micro < 0) out.insert(out.begin(), '-');
  return out;
}

}  // namespace heirmark::audit
