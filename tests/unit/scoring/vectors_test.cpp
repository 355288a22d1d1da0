// specs/vectors/detect.json: everything that an independent implementation found.
#include <catch2/catch.hpp>
#include <fstream>
#include <heirmark/keys.hpp>
#include <sstream>

#include "json/value.hpp"
#include "marks/score.hpp"
#include "naive.hpp"
#include "opening.hpp"

using namespace heirmark;

namespace {
const json::Value& at(const json::Value& value, const char* name) {
  const json::Value* found = value.find(name);
  if (found == nullptr) throw std::runtime_error(std::string("no member ") + name);
  return *found;
}
std::int64_t number(const json::Value& value) { return *value.if_integer(); }
std::int64_t number(const json::Value& value, const char* name) { return number(at(value, name)); }
const std::string& text(const json::Value& value, const char* name) { return *at(value, name).if_string(); }
const json::Array& list(const json::Value& value, const char* name) { return *at(value, name).if_array(); }
double real(const json::Value& value, const char* name) { return std::stod(text(value, name)); }

json::Value parse(const std::string& bytes) {
  auto value = json::parse(bytes);
  if (!value) throw std::runtime_error(value.error().message);
  return *value;
}
const json::Value& vectors() {
  static const json::Value value = [] {
    std::ifstream file(HEIRMARK_SOURCE_DIR "/specs/vectors/detect.json");
    std::stringstream bytes;
    bytes << file.rdbuf();
    return parse(bytes.str());
  }();
  return value;
}
std::string decimal(Integer x) { return std::to_string(static_cast<long long>(x)); }  // every statistic here is small

std::vector<TokenId> tokens(const json::Value& line, const char* name) {
  std::vector<TokenId> out;
  for (const auto& token : list(line, name)) out.push_back(static_cast<TokenId>(number(token)));
  return out;
}
std::vector<IssuedToken> distribution(const json::Value& value) {
  std::vector<IssuedToken> out;
  for (const auto& entry : *value.if_array())
    out.push_back({static_cast<TokenId>(number((*entry.if_array())[0])),
                   static_cast<std::uint32_t>(number((*entry.if_array())[1]))});
  return out;
}
std::size_t prompt_tokens(const json::Value& line) {
  const json::Value* found = line.find("prompt_tokens");
  return found == nullptr ? 0 : static_cast<std::size_t>(number(*found));
}

/// Relative 1e-9 in a logarithm, absolute 1e-11 near zero.
void close(double got, double expected) { CHECK(std::fabs(got - expected) <= 1e-9 * std::fabs(expected) + 1e-11); }

void compare(const json::Value& expected, const Opening& opening, const PairSet& set) {
  CHECK(set.positions == static_cast<std::uint64_t>(number(expected, "positions")));
  CHECK(set.tainted == static_cast<std::uint64_t>(number(expected, "tainted")));
  CHECK(set.off_coin == static_cast<std::uint64_t>(number(expected, "off_coin")));
  CHECK(set.repeats == static_cast<std::uint64_t>(number(expected, "repeats")));
  const json::Array& pairs = list(expected, "pairs");
  REQUIRE(set.pairs.size() == pairs.size());
  const auto keys = test::window_keys(opening, opening.live_index());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(number(list(pairs[i], "window")[k]) == std::int64_t{set.pairs[i].window[k]});
    CHECK(number(pairs[i], "bin") == std::int64_t{set.pairs[i].bin});
    CHECK(number(pairs[i], "class") == std::int64_t{set.pairs[i].window_class});
    CHECK(number(pairs[i], "weight") == set.pairs[i].weight);
    CHECK(number(pairs[i], "x") == naive::integer(opening.profile(), keys, set.pairs[i]));
  }
  DetectOptions options;
  options.decoys = static_cast<std::uint64_t>(number(expected, "decoys"));
  options.growth_points = list(expected, "growth").size();
  const Detection got = detect(opening, set, options).value();
  CHECK(got.n == static_cast<std::uint64_t>(number(expected, "n")));
  CHECK(decimal(got.statistic) == text(expected, "statistic"));
  close(got.log_p_prf, real(expected, "log_p_prf"));
  close(got.log_e, real(expected, "log_e"));
  close(got.log_p, real(expected, "log_p"));
  close(*got.log_p_rank, real(expected, "log_p_rank"));
  REQUIRE(got.growth.size() == list(expected, "growth").size());
  for (std::size_t i = 0; i < got.growth.size(); ++i) {
    const json::Value& point = list(expected, "growth")[i];
    CHECK(got.growth[i].n == static_cast<std::uint64_t>(number(point, "n")));
    close(got.growth[i].log_p, real(point, "log_p"));
    close(got.growth[i].log_e, real(point, "log_e"));
  }
  REQUIRE(got.classes.size() == list(expected, "classes").size());
  for (std::size_t i = 0; i < got.classes.size(); ++i) {
    const json::Value& one = list(expected, "classes")[i];
    CHECK(number(one, "class") == std::int64_t{got.classes[i].window_class});
    CHECK(number(one, "pairs") == static_cast<std::int64_t>(got.classes[i].pairs));
    CHECK(number(one, "ge") == static_cast<std::int64_t>(got.classes[i].ge));
    CHECK(text(one, "statistic") == decimal(got.classes[i].statistic));
  }
  const json::Value& histogram = at(expected, "histogram");
  CHECK(text(histogram, "low") == decimal(got.histogram.low));
  CHECK(text(histogram, "width") == decimal(got.histogram.width));
  CHECK(decimal(got.histogram.live) == text(expected, "statistic"));
  for (std::size_t k = 0; k < 64; ++k)
    CHECK(number(list(histogram, "counts")[k]) == static_cast<std::int64_t>(got.histogram.counts[k]));
}
}  // namespace

TEST_CASE("vectors: score' and weights") {
  for (const auto& entry : list(vectors(), "score_up"))
    CHECK(marks::score_up(static_cast<std::uint32_t>(number((*entry.if_array())[0]))) ==
          number((*entry.if_array())[1]));
  for (const auto& entry : list(vectors(), "weights")) {
    const auto& row = *entry.if_array();
    CHECK(marks::sqrt_weight(static_cast<std::uint64_t>(number(row[0]))) == number(row[1]));
    CHECK(marks::log_weight(static_cast<std::uint64_t>(number(row[0]))) == number(row[2]));
  }
}

TEST_CASE("vectors: C1 text") {
  for (const auto& expected : list(vectors(), "text")) {
    INFO(text(expected, "id"));
    const Opening opening = Opening::parse(text(expected, "opening")).value();
    std::vector<TokenText> texts;
    for (const auto& line : list(expected, "lines")) {
      const json::Value parsed = parse(*line.if_string());
      texts.push_back({tokens(parsed, "tokens"), prompt_tokens(parsed)});
    }
    compare(
        expected, opening,
        collect_pairs(opening.profile(), opening.coin(), texts, parse_count_rule(text(expected, "count_rule")).value())
            .value());
  }
}

TEST_CASE("vectors: C1 reading") {
  for (const auto& expected : list(vectors(), "reading")) {
    INFO(text(expected, "id"));
    const Opening opening = Opening::parse(text(expected, "opening")).value();
    std::vector<ReadingText> texts;
    for (const auto& line : list(expected, "lines")) {
      const json::Value parsed = parse(*line.if_string());
      ReadingText one{tokens(parsed, "tokens"), prompt_tokens(parsed), {}};
      for (const auto& top : list(parsed, "top")) one.positions.push_back({distribution(top), {}});
      if (const auto* base = parsed.find("base"))
        for (std::size_t t = 0; t < one.positions.size(); ++t)
          one.positions[t].base = distribution((*base->if_array())[t]);
      texts.push_back(std::move(one));
    }
    compare(expected, opening, collect_reading_pairs(opening.profile(), opening.coin(), texts).value());
  }
}

TEST_CASE("vectors: issued choices") {
  for (const auto& expected : list(vectors(), "issued")) {
    INFO(text(expected, "id"));
    const Opening opening = Opening::parse(text(expected, "opening")).value();
    std::vector<IssuedResponse> ledger;
    for (const auto& line : list(expected, "ledger")) {
      const json::Value parsed = parse(*line.if_string());
      IssuedResponse response;
      const std::string& id = text(parsed, "request_id");
      for (std::size_t k = 0; k < 12; ++k)
        response.request_id.bytes[k] = static_cast<std::uint8_t>(std::stoi(id.substr(2 * k, 2), nullptr, 16));
      response.account = text(parsed, "account");
      response.prompt = tokens(parsed, "prompt");
      response.tokens = tokens(parsed, "tokens");
      for (const auto& phat : list(parsed, "phat")) response.phat.push_back(distribution(phat));
      ledger.push_back(std::move(response));
    }
    const auto got = issued_choices(opening, ledger, static_cast<std::uint32_t>(number(expected, "member"))).value();
    const json::Array& choices = list(expected, "choices");
    REQUIRE(got.size() == choices.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const json::Array& row = *choices[i].if_array();
      CHECK((number(row[0]) == got[i].response && number(row[1]) == got[i].position &&
             number(row[2]) == (got[i].window ? 1 : 0) && number(row[3]) == got[i].choice));
    }
  }
}
