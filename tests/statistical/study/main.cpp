// The validation study: whole simulated audits of suspects that never met the text (specs/studies).
//
//   study_audits run FROM TO FILE      audits of seeds FROM .. TO-1, one line each; goes on where FILE ends
//   study_audits guilty FROM TO FILE   the positive control of the same seeds
//   study_audits table FILE..          the study's record as canonical JSON: rates, bounds, digests of the files
#include <boost/math/special_functions/beta.hpp>
#include <cstdio>
#include <iostream>
#include <map>
#include <set>

#include "base/files.hpp"
#include "crypto/sha256.hpp"
#include "json/value.hpp"
#include "audit.hpp"

namespace {
using study::kKinds;
using study::must;

/// The levels that are counted. The plans register the first; what each audit gives at the others follows from its printed numbers.
struct Level { const char* alpha; double log10; };
constexpr std::array<Level, 4> kLevels{{{"0.01", -2}, {"0.001", -3}, {"0.0001", -4}, {"0.000001", -6}}};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string field; std::getline(in, field, '\t');) out.push_back(field);
  return out;
}

int collect(std::uint64_t from, std::uint64_t to, const std::string& file, bool guilty) {
  std::string kept;
  if (std::filesystem::exists(file)) kept = must(heirmark::files::read(file), "results");
  kept.resize(kept.rfind('\n') == std::string::npos ? 0 : kept.rfind('\n') + 1);  // a line that a kill cut off is made again
  std::uint64_t next = from;
  std::istringstream lines(kept);
  std::string line;
  if (kept.empty()) kept = study::Row::kHeader;
  else if (!std::getline(lines, line) || line + "\n" != study::Row::kHeader) throw std::runtime_error(file + ": not a file of this study");
  while (std::getline(lines, line))
    if (std::stoull(split(line).at(0)) != next++) throw std::runtime_error(file + ": seed " + std::to_string(next - 1) + " is not where it should be");
  std::ofstream out(file, std::ios::binary);
  out << kept << std::flush;
  const study::Folder folder;
  for (; next < to; ++next) {
    out << study::run(next, folder.path(), guilty).line();
    if (next % 50 == 49) out.flush();
  }
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
  return 0;
}

/// Clopper-Pearson: the ends of the 95 % interval, and the one-sided 95 % upper bound.
struct Bounds { double low, high, upper; };
Bounds bounds(std::uint64_t n, std::uint64_t x) {
  const auto a = static_cast<double>(x), b = static_cast<double>(n - x);
  const auto high = [&](double tail) { return x == n ? 1.0 : boost::math::ibeta_inv(a + 1, b, 1 - tail); };
  return {x == 0 ? 0.0 : boost::math::ibeta_inv(a, b + 1, 0.025), high(0.025), high(0.05)};
}
std::string scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", value);
  return text;
}
/// A bound is never rounded down.
std::string rounded_up(double value) { return scientific(value * (1 + 0.005)); }

struct Tally {
  std::uint64_t audits = 0, supports = 0, pairs = 0, contexts = 0, tainted = 0;
  std::array<std::uint64_t, kLevels.size()> reached{}, supported{};
  std::map<std::string, std::array<std::uint64_t, kLevels.size()>> channels;  ///< p of the channel alone
  double log10_e = -1e300, log10_p = 0;
  std::string most_e, least_p;
};

heirmark::json::Value value_of(const Tally& tally) {
  using namespace heirmark::json;
  Array levels;
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const Bounds b = bounds(tally.audits, tally.reached[i]);
    Object channels;
    for (const auto& [name, counts] : tally.channels) channels.emplace(name, counts[i]);
    levels.push_back(Object{{"alpha", kLevels[i].alpha},
                            {"reached", tally.reached[i]},
                            {"supports", tally.supported[i]},
                            {"channels", std::move(channels)},
                            {"low95", scientific(b.low)},
                            {"high95", rounded_up(b.high)},
                            {"upper95", rounded_up(b.upper)}});
  }
  return Object{{"audits", tally.audits}, {"levels", std::move(levels)},           {"largestLog10E", tally.most_e},
                {"leastLog10P", tally.least_p},                      {"meanPairs", tally.pairs / std::max<std::uint64_t>(1, tally.audits)},
                {"meanContexts", tally.contexts / std::max<std::uint64_t>(1, tally.audits)},
                {"meanTainted", tally.tainted / std::max<std::uint64_t>(1, tally.audits)}};
}

int table(const std::vector<std::string>& files) {
  using namespace heirmark::json;
  std::map<std::string, Tally> kinds;
  Tally all;
  std::set<std::uint64_t> seeds;
  Array sources;
  const auto columns = split(std::string(study::Row::kHeader.substr(0, study::Row::kHeader.size() - 1)));
  const auto column = [&](const char* name) {
    return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
  };
  for (const std::string& file : files) {
    const std::string bytes = must(heirmark::files::read(file), "results");
    sources.push_back(Object{{"file", std::filesystem::path(file).filename().string()}, {"sha256", heirmark::crypto::sha256_hex(bytes)}});
    std::istringstream lines(bytes);
    std::string line;
    if (!std::getline(lines, line) || line + "\n" != study::Row::kHeader) throw std::runtime_error(file + ": not a file of this study");
    while (std::getline(lines, line)) {
      const auto row = split(line);
      const std::string kind = row.at(column("kind")), outcome = row.at(column("outcome"));
      const bool innocent = kind != kKinds[study::kGuilty].name;
      if (innocent && !seeds.insert(std::stoull(row.at(0))).second) throw std::runtime_error(file + ": seed " + row.at(0) + " occurs twice");
      const double log10_p = std::stod(row.at(column("log10_p"))), log10_e = std::stod(row.at(column("log10_e"))),
                   control = std::stod(row.at(column("control_log10_p")));
      // The verdict's own outcome at the registered level must be what the printed numbers give.
      const bool supports = log10_p <= kLevels[0].log10 && control > kLevels[0].log10;
      if (supports != (outcome == "supports")) throw std::runtime_error(file + ": seed " + row.at(0) + ": the outcome does not follow from the numbers");
      std::vector<Tally*> into{&kinds[kind]};
      if (innocent) into.push_back(&all);
      for (Tally* tally : into) {
        ++tally->audits;
        tally->pairs += std::stoull(row.at(column("pairs")));
        tally->contexts += std::stoull(row.at(column("contexts")));
        tally->tainted += std::stoull(row.at(column("tainted")));
        for (std::size_t i = 0; i < kLevels.size(); ++i) {
          const auto reaches = [&](double p) { return p <= kLevels[i].log10 ? 1u : 0u; };
          tally->reached[i] += reaches(log10_p);
          tally->supported[i] += reaches(log10_p) * (1 - reaches(control));
          for (const char* name : {"c1", "c2", "c3"}) tally->channels[name][i] += reaches(std::stod(row.at(column((std::string(name) + "_log10_p").c_str()))));
        }
        if (log10_e > tally->log10_e) tally->log10_e = log10_e, tally->most_e = row.at(column("log10_e"));
        if (log10_p <= tally->log10_p) tally->log10_p = log10_p, tally->least_p = row.at(column("log10_p"));
      }
    }
  }
  if (all.audits == 0) throw std::runtime_error("no audit of an innocent suspect");
  if (*seeds.begin() != 0 || *seeds.rbegin() + 1 != seeds.size()) throw std::runtime_error("seeds are missing: the files are not the whole study");
  Object by_kind;
  for (const auto& [name, tally] : kinds) by_kind.emplace(name, value_of(tally));
  std::cout << canonical(Object{{"type", "heirmark/validation-study/v1"}, {"method", "heirmark-statistics-v1"}, {"simulated", true},
                                {"audits", value_of(all)}, {"kinds", std::move(by_kind)}, {"results", std::move(sources)}})
            << '\n';
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  try {
    if (args.size() == 4 && (args[0] == "run" || args[0] == "guilty")) return collect(std::stoull(args[1]), std::stoull(args[2]), args[3], args[0] == "guilty");
    if (args.size() > 1 && args[0] == "table") return table({args.begin() + 1, args.end()});
  } catch (const std::exception& error) {
    std::cerr << "study_audits: " << error.what() << '\n';
    return 3;
  }
  std::cerr << "usage: study_audits run|guilty FROM TO FILE | table FILE..\n";
  return 2;
}
