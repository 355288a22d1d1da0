// specs/vectors/prf.json: scores of words.
#include <boost/json/src.hpp>
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include "marks/score.hpp"

TEST_CASE("vectors: scores of words") {
  std::ifstream in(HEIRMARK_SOURCE_DIR "/specs/vectors/prf.json");
  std::stringstream text;
  text << in.rdbuf();
  const auto scores = boost::json::parse(text.str()).at("scores").as_array();
  REQUIRE(scores.size() > 0);
  for (const auto& pair : scores) {
    const auto word = pair.at(0).to_number<std::uint32_t>();
    INFO(word);
    CHECK(heirmark::marks::score(word) == pair.at(1).to_number<std::uint32_t>());
    CHECK(heirmark::marks::score_exact(word) == pair.at(1).to_number<std::uint32_t>());
  }
}
