// The validation study in small: whole audits by its own code, so that the study stays able to run and able to fail.
// False failure <= 1e-9 for each test case; n and alpha are stated at each.
#include <catch2/catch.hpp>

#include "kit.hpp"
#include "study/audit.hpp"

namespace {
double log_p(const std::string& log10_p) { return std::stod(log10_p) * std::log(10.0); }
}  // namespace

TEST_CASE("whole audits of every innocent kind of suspect keep their level, in each channel and in the headline") {
  // n = 390 audits, 30 of each kind; alpha = .1, .01
  const study::Folder folder;
  std::vector<kit::Calibration> channels(4, kit::Calibration({.1, .01}, 2.5e-10));
  std::uint64_t tainted = 0;
  for (std::uint64_t seed = 0; seed < 30 * study::kInnocentKinds; ++seed) {
    const study::Row row = study::run(1'000'000 + seed, folder.path());
    REQUIRE(study::kKinds.at(row.kind).innocent);
    channels[0].add(log_p(row.c1_log10_p));
    channels[1].add(log_p(row.c2_log10_p));
    channels[2].add(log_p(row.c3_log10_p));
    channels[3].add(log_p(row.log10_p));
    tainted += row.tainted;
  }
  for (const kit::Calibration& channel : channels) CHECK(channel.too_often() == "");
  CHECK(tainted > 1000);  // there was something to copy
}

TEST_CASE("the study's positive control is convicted, and the kit sees it") {
  // n = 26 audits of suspects that learned the ledger by heart; alpha = .01
  const study::Folder folder;
  kit::Calibration guilty({.01});
  for (std::uint64_t seed = 0; seed < 26; ++seed) {
    const study::Row row = study::run(1'000'000 + seed, folder.path(), true);
    CHECK(row.outcome == "supports");
    guilty.add(log_p(row.log10_p));
  }
  CHECK(guilty.too_often() != "");
}

TEST_CASE("an audit of the study follows from its seed") {
  const study::Folder folder;
  CHECK(study::run(17, folder.path()).line() == study::run(17, folder.path()).line());
  CHECK(study::run(17, folder.path()).line() != study::run(17 + 3 * study::kInnocentKinds, folder.path()).line());
}
