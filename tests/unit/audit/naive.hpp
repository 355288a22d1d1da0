// C2 and C3 once more, straight from specs/statistics.md with the standard library and long double, sharing no code with the SDK:
// every outcome is summed, every exponential taken, nothing is precomputed.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

namespace naive {
using Real = long double;
struct Entry { std::uint32_t token; std::uint64_t p; };       // p in 2^-32
struct Listed { std::uint32_t token; std::uint64_t nlp; };    // 10^-6 nats
struct Position {
  std::vector<Entry> log;
  std::vector<Listed> top;
  std::vector<std::uint32_t> samples;
  int choice;  // index into log, -1: rest
  bool window = false;
};

inline std::vector<Real> y_of(const Position& x) {
  Real least = 0;
  for (const Listed& entry : x.top) least = std::min(least, -static_cast<Real>(entry.nlp) / 1e6L);
  std::vector<Real> y;
  for (const Entry& v : x.log) {
    Real value = least;
    for (const Listed& entry : x.top)
      if (entry.token == v.token) value = -static_cast<Real>(entry.nlp) / 1e6L;
    y.push_back(value);
  }
  return y;
}
inline Real rest_of(const Position& x) {
  Real sum = 0;
  for (const Entry& v : x.log) sum += static_cast<Real>(v.p);
  return 4294967296.0L - sum;
}

/// alpha of the baseline, not yet rounded.
inline Real fit(const std::vector<Position>& positions) {
  Real top = 0, bottom = 0;
  for (const Position& position : positions) {
    const auto y = y_of(position);
    Real total = 0, mx = 0, my = 0;
    for (const Entry& v : position.log) total += static_cast<Real>(v.p);
    for (std::size_t i = 0; i < y.size(); ++i) {
      mx += static_cast<Real>(position.log[i].p) / total * std::log(static_cast<Real>(position.log[i].p) / 4294967296.0L);
      my += static_cast<Real>(position.log[i].p) / total * y[i];
    }
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Real w = static_cast<Real>(position.log[i].p) / total;
      const Real x = std::log(static_cast<Real>(position.log[i].p) / 4294967296.0L);
      top += w * (x - mx) * (y[i] - my);
      bottom += w * (x - mx) * (x - mx);
    }
  }
  return bottom > 0 ? top / bottom : 1.0L;
}

/// L of every outcome (listed tokens, then the rest if it has mass) and the outcomes' probabilities.
struct Payoffs { std::vector<Real> p; std::vector<std::vector<Real>> l; };  // l[g][outcome]
inline Payoffs c3(const Position& x, Real alpha) {
  const auto y = y_of(x);
  std::vector<Real> d, p;
  Real q = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    p.push_back(static_cast<Real>(x.log[i].p) / 4294967296.0L);
    d.push_back(y[i] - alpha * std::log(p[i]));
    q += std::exp(y[i]);
  }
  std::vector<Real> sorted = d;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  const Real median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  if (const Real r = rest_of(x); r > 0) {
    p.push_back(r / 4294967296.0L);
    d.push_back(std::log(std::max(1 - q, 1e-6L)) - alpha * std::log(p.back()));
  }
  Payoffs out{p, {}};
  for (const Real l : {.005L, .01L, .02L, .05L, .1L, .2L, .4L, .8L, 1.6L, 3.2L})
    for (const Real c : {.5L, 2.0L, 5.0L}) {
      std::vector<Real> row;
      for (const Real value : d) row.push_back(std::exp(l * std::max(-c, std::min(c, value - median))));
      out.l.push_back(row);
    }
  return out;
}
inline Payoffs c2(const Position& x) {
  Payoffs out;
  std::vector<int> counts(x.log.size(), 0);
  int outside = 0;
  for (const std::uint32_t token : x.samples) {
    bool found = false;
    for (std::size_t i = 0; i < x.log.size(); ++i)
      if (x.log[i].token == token) { ++counts[i]; found = true; }
    outside += !found;
  }
  for (const Entry& v : x.log) out.p.push_back(static_cast<Real>(v.p) / 4294967296.0L);
  if (const Real r = rest_of(x); r > 0) { out.p.push_back(r / 4294967296.0L); counts.push_back(outside); }
  for (const Real l : {.05L, .15L, .4L, .8L})
    for (const Real k : {1.0L, 4.0L, 16.0L, 64.0L, 256.0L}) {
      std::vector<Real> row;
      for (std::size_t i = 0; i < out.p.size(); ++i) row.push_back(std::pow(1 + static_cast<Real>(counts[i]) / (k * out.p[i]), l));
      out.l.push_back(row);
    }
  return out;
}
inline Real bet(const Payoffs& payoffs, std::size_t g, int choice) {
  Real norm = 0;
  for (std::size_t i = 0; i < payoffs.p.size(); ++i) norm += payoffs.p[i] * payoffs.l[g][i];
  return (choice < 0 ? payoffs.l[g].back() : payoffs.l[g][static_cast<std::size_t>(choice)]) / norm;
}

/// Bets on documents: e itself, as a logarithm. documents[d][position][g] are the bets.
inline Real documents(const std::vector<std::vector<std::vector<Real>>>& bets, std::size_t parameters) {
  Real total = 0;
  std::vector<Real> logs;
  for (std::size_t g = 0; g < parameters; ++g)
    for (const Real f : {1.0L, .3L, .1L, .03L, .01L, .003L}) {
      Real log_m = 0;
      for (const auto& document : bets) {
        Real log_e = 0;
        for (const auto& position : document) log_e += std::log(position[g]);
        log_m += std::log((1 - f) + f * std::exp(log_e));
      }
      logs.push_back(log_m);
    }
  const Real top = *std::max_element(logs.begin(), logs.end());
  for (const Real value : logs) total += std::exp(value - top);
  return top + std::log(total / static_cast<Real>(logs.size()));
}
}  // namespace naive
