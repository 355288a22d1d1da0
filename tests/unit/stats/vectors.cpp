// specs/vectors/statistics.json: every function against 60-digit values of an independent oracle.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <heirmark/stats.hpp>
#include <limits>
#include <map>
#include <sstream>

namespace json = boost::json;
using namespace heirmark::stats;

namespace {

const json::object& vectors() {
  static const json::object document = [] {
    std::ifstream file(HEIRMARK_SOURCE_DIR "/specs/vectors/statistics.json");
    std::stringstream text;
    text << file.rdbuf();
    return json::parse(text.str()).as_object();
  }();
  return document;
}

const json::array& section(const char* name) {
  const json::array& cases = vectors().at(name).as_array();
  REQUIRE_FALSE(cases.empty());
  return cases;
}

double real(const json::value& v) {
  const std::string text(v.as_string());
  return text == "-inf" ? -std::numeric_limits<double>::infinity()
                        : std::strtod(text.c_str(), nullptr);  // not stod: it throws on underflow
}
std::uint64_t whole(const json::value& v) { return v.to_number<std::uint64_t>(); }
std::string id(const json::object& c) { return std::string(c.at("id").as_string()); }

// Relative error in the logarithm; values below the smallest normal double count as 0.
bool near(double value, double truth, double relative) {
  if (std::isinf(truth)) return value == truth;
  return std::fabs(value - truth) <= relative * std::fabs(truth) + std::numeric_limits<double>::min();
}

// What is printed has the same bytes as the oracle's, is never below the truth, and within one unit of its last place.
void check_printed_p(double value, double truth, const json::value& expected) {
  CHECK(log10_p_string(value) == expected.as_string());
  const double printed = std::stod(log10_p_string(value)), exact = truth / std::log(10.0);
  CHECK(printed >= exact);
  CHECK(printed <= exact + 1.1e-4 + 1e-10 * std::fabs(exact));
}

TermKind term_kind(const json::object& c) {
  static const std::map<std::string, Term> kTerms{
      {"exponential", Term::exponential}, {"bernoulli", Term::bernoulli}, {"fair_bits", Term::fair_bits}};
  return {kTerms.at(std::string(c.at("term").as_string())), real(c.at("q")), static_cast<int>(whole(c.at("bits")))};
}

std::vector<WeightGroup> groups(const json::object& c) {
  std::vector<WeightGroup> list;
  for (const json::value& g : c.at("groups").as_array()) list.push_back({real(g.at(0)), whole(g.at(1))});
  return list;
}

}  // namespace

TEST_CASE("gamma tails match the oracle down to 10^-10000 and below") {
  double lowest = 0;
  for (const json::value& v : section("gamma_tail")) {
    const json::object& c = v.as_object();
    const double truth = real(c.at("log_p"));
    const double value = log_gamma_tail(whole(c.at("n")), real(c.at("t")));
    INFO(id(c) << " n=" << whole(c.at("n")) << " t=" << real(c.at("t")) << " error " << value / truth - 1);
    CHECK(near(value, truth, 1e-12));
    check_printed_p(value, truth, c.at("printed"));
    lowest = std::min(lowest, truth);
  }
  CHECK(lowest < -23025.85);
}

TEST_CASE("binomial tails match the oracle down to 10^-10000 and below") {
  double lowest = 0;
  for (const json::value& v : section("binomial_tail")) {
    const json::object& c = v.as_object();
    const double truth = real(c.at("log_p"));
    const double value = log_binomial_tail(whole(c.at("n")), real(c.at("q")), whole(c.at("k")));
    INFO(id(c) << " n=" << whole(c.at("n")) << " q=" << real(c.at("q")) << " k=" << whole(c.at("k")) << " error "
               << value / truth - 1);
    CHECK(near(value, truth, 1e-12));
    check_printed_p(value, truth, c.at("printed"));
    lowest = std::min(lowest, truth);
  }
  CHECK(lowest < -23025.85);
}

TEST_CASE("normal tails and quantiles match the oracle") {
  for (const json::value& v : section("normal_tail")) {
    const json::object& c = v.as_object();
    const double truth = real(c.at("log_p")), z = real(c.at("z"));
    const double value = log_normal_tail(z);
    INFO(id(c) << " z=" << z << " error " << value / truth - 1);
    CHECK(near(value, truth, 1e-13));
    if (std::fabs(truth) > 1e-300) {
      // Near p = 1 the quantile is as good as the logarithm that it is given: one ulp of it, and of z.
      const double slope = std::exp(-0.5 * z * z - 0.9189385332046727 - truth);
      CHECK(std::fabs(normal_quantile_from_log_tail(truth) - z) <=
            1e-15 * (4 * std::fabs(z) + std::fabs(truth) / slope) + 1e-16);
    }
  }
}

TEST_CASE("Chernoff bounds, saddlepoints and weighted e-values match the oracle") {
  for (const json::value& v : section("weighted_tail")) {
    const json::object& c = v.as_object();
    const TermKind kind = term_kind(c);
    const auto weights = groups(c);
    const double x = real(c.at("x"));
    const WeightedTail tail = weighted_tail(kind, weights, x);
    INFO(id(c) << " " << c.at("term").as_string() << " x=" << x << " chernoff " << tail.log_chernoff << " of "
               << real(c.at("log_chernoff")) << ", saddlepoint " << tail.log_saddlepoint << " of "
               << real(c.at("log_saddlepoint")));
    CHECK(near(tail.log_chernoff, real(c.at("log_chernoff")), 1e-11));
    check_printed_p(tail.log_chernoff, real(c.at("log_chernoff")), c.at("printed").at(0));
    CHECK(log10_e_string(log_e_weighted(kind, weights, x)) == c.at("printed").at(1).as_string());
    CHECK(near(tail.log_saddlepoint, real(c.at("log_saddlepoint")), 1e-8));
    CHECK(std::fabs(log_e_weighted(kind, weights, x) - real(c.at("log_e"))) <=
          1e-11 * (1 + std::fabs(real(c.at("log_e")))));
  }
}

TEST_CASE("mixture e-values match the oracle") {
  const json::array& effects = vectors().at("effects").as_array();
  REQUIRE(effects.size() == effect_sizes().size());
  for (std::size_t k = 0; k < effects.size(); ++k) CHECK(effect_sizes()[k] == real(effects[k]));
  for (const json::value& v : section("e_mixture")) {
    const json::object& c = v.as_object();
    const std::string kind(c.at("kind").as_string());
    const double truth = real(c.at("log_e"));
    const double value = kind == "exponential" ? log_e_exponential(whole(c.at("n")), real(c.at("t")))
                         : kind == "bernoulli" ? log_e_bernoulli(whole(c.at("n")), real(c.at("q")), whole(c.at("x")))
                                               : log_e_fair_bits(whole(c.at("n")), whole(c.at("x")));
    INFO(id(c) << " error " << value - truth);
    CHECK(std::fabs(value - truth) <= 1e-12 * (1 + std::fabs(truth)));
    CHECK(log10_e_string(value) == c.at("printed").as_string());
    CHECK(std::stod(log10_e_string(value)) <= truth / std::log(10.0));
    CHECK(std::stod(log10_e_string(value)) >= truth / std::log(10.0) - 1.1e-4 - 1e-10 * std::fabs(truth));
  }
}

TEST_CASE("combined ranks match the oracle") {
  for (const json::value& v : section("ranks")) {
    const json::object& c = v.as_object();
    std::vector<RankClass> classes;
    for (const json::value& r : c.at("classes").as_array()) classes.push_back({whole(r.at(0)), whole(r.at(1))});
    const RankResult result = stouffer_ranks(classes, whole(c.at("decoys")));
    INFO(id(c) << " z=" << result.z << " log p " << result.log_p);
    CHECK(near(result.log_p, real(c.at("log_p")), 1e-12));
    if (std::isinf(real(c.at("z")))) CHECK(result.z == real(c.at("z")));
    else CHECK(std::fabs(result.z - real(c.at("z"))) <= 1e-13 * (1 + std::fabs(result.z)));
    CHECK(result.class_p.size() == classes.size());
  }
}

TEST_CASE("bets on documents match the oracle") {
  for (const json::value& v : section("documents")) {
    const json::object& c = v.as_object();
    DocumentBets bets(whole(c.at("parameters")));
    for (const json::value& document : c.at("documents").as_array()) {
      for (const json::value& position : document.as_array()) {
        std::vector<double> log_e;
        for (const json::value& e : position.as_array()) log_e.push_back(real(e));
        bets.bet(log_e);
      }
      bets.end_document();
    }
    INFO(id(c) << " error " << bets.log_e() - real(c.at("log_e")));
    CHECK(std::fabs(bets.log_e() - real(c.at("log_e"))) <= 1e-13 * (10 + std::fabs(real(c.at("log_e")))));
    CHECK(bets.documents() == c.at("documents").as_array().size());
  }
}

TEST_CASE("decimal strings match the oracle") {
  for (const json::value& v : section("decimal")) {
    const json::object& c = v.as_object();
    const double log = real(c.at("log"));
    INFO(id(c) << " " << log);
    CHECK(log10_p_string(log) == c.at("p").as_string());
    CHECK(log10_e_string(log) == c.at("e").as_string());
    CHECK(log10_e_string(-log) == c.at("minus_e").as_string());
  }
}

TEST_CASE("plans match the oracle") {
  for (const json::value& v : section("plan")) {
    const json::object& c = v.as_object();
    const auto answer =
        plan_tokens({real(c.at("alpha")), real(c.at("power")), real(c.at("kappa")), real(c.at("effect"))});
    REQUIRE(answer.ok());
    CHECK(near(answer->fixed_n, real(c.at("fixed_n")), 1e-12));
    CHECK(near(answer->e_process_mean, real(c.at("e_process_mean")), 1e-12));
    CHECK(near(answer->e_process_quantile, real(c.at("e_process_quantile")), 1e-12));
  }
}
