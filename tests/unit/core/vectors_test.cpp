// specs/vectors/prf.json: streams, contexts, classes and coins.
#include <boost/json/src.hpp>
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/context.hpp"
#include "core/words.hpp"

using namespace heirmark::core;
namespace json = boost::json;

namespace {
const json::object& vectors() {
  static const json::object file = [] {
    std::ifstream in(HEIRMARK_SOURCE_DIR "/specs/vectors/prf.json");
    std::stringstream text;
    text << in.rdbuf();
    return json::parse(text.str()).as_object();
  }();
  return file;
}

std::vector<std::uint8_t> bytes(const json::value& hex) {
  const std::string text(hex.as_string());
  std::vector<std::uint8_t> out(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return out;
}

std::vector<std::uint8_t> bytes_of(const std::uint32_t* words, int count) {
  std::vector<std::uint8_t> out;
  for (int i = 0; i < count; ++i)
    for (int k = 0; k < 4; ++k) out.push_back(static_cast<std::uint8_t>(words[i] >> 8 * k));
  return out;
}

Context context_of(const json::value& hex) {
  const auto raw = bytes(hex);
  Context context{};
  for (std::size_t i = 0; i < 16; ++i) context.w[i / 4] |= static_cast<std::uint32_t>(raw[i]) << 8 * (i % 4);
  return context;
}

Domain domain_of(const json::value& name) {
  char text[9] = {};
  const std::string given(name.as_string());
  REQUIRE(given.size() == 8);
  given.copy(text, 8);
  return domain(text);
}
}  // namespace

TEST_CASE("vectors: streams") {
  REQUIRE(vectors().at("streams").as_array().size() > 0);
  for (const auto& value : vectors().at("streams").as_array()) {
    const json::object& c = value.as_object();
    INFO(std::string(c.at("id").as_string()));
    const KeyWords row = hchacha20(key_words(bytes(c.at("subkey")).data()), context_of(c.at("context")));
    const Domain where = domain_of(c.at("domain"));
    std::uint32_t block[16];
    stream_block(row, where, 0, block);
    CHECK(bytes_of(block, 16) == bytes(c.at("first")));
    for (const auto& pair : c.at("u32").as_array())
      CHECK(stream_word(row, where, pair.at(0).to_number<std::uint32_t>()) == pair.at(1).to_number<std::uint32_t>());
    for (const auto& pair : c.at("u64").as_array())
      CHECK(stream_word64(row, where, pair.at(0).to_number<std::uint32_t>()) == pair.at(1).to_number<std::uint64_t>());
  }
}

TEST_CASE("vectors: windows, classes and coins") {
  REQUIRE(vectors().at("windows").as_array().size() > 0);
  for (const auto& value : vectors().at("windows").as_array()) {
    const json::object& c = value.as_object();
    INFO(std::string(c.at("id").as_string()));
    std::vector<std::uint32_t> tokens;
    for (const auto& token : c.at("tokens").as_array()) tokens.push_back(token.to_number<std::uint32_t>());
    const Context window = window_context(tokens.data() + tokens.size(), tokens.size(), c.at("h").to_number<int>());
    CHECK(window == context_of(c.at("context")));
    CHECK(window_class(window) == c.at("class").to_number<std::uint32_t>());
    const KeyWords key = key_words(bytes(c.at("coinSubkey")).data());
    const auto coin = c.at("coin").to_number<std::uint64_t>();
    CHECK_FALSE(coin_is_window(key, window, coin));
    CHECK(coin_is_window(key, window, coin + 1));
  }
}

TEST_CASE("vectors: issuance contexts") {
  REQUIRE(vectors().at("issuance").as_array().size() > 0);
  for (const auto& value : vectors().at("issuance").as_array()) {
    const json::object& c = value.as_object();
    INFO(std::string(c.at("id").as_string()));
    CHECK(issuance_context(bytes(c.at("requestId")).data(), c.at("position").to_number<std::uint32_t>()) == context_of(c.at("context")));
  }
}
