// Strict parsing and the canonical form (specs/formats.md, "Canonical JSON").
#include <catch2/catch.hpp>

#include <string>

#include "json/value.hpp"

using namespace heirmark;
using json::Value;

namespace {
std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }
constexpr const char* kSmiley = "\xF0\x9F\x98\x80";
}  // namespace

TEST_CASE("canonical files are read and written back byte for byte", "[json]") {
  const std::string good[] = {
      "null\n", "true\n", "0\n", "-1\n", "9007199254740991\n", "-9007199254740991\n", "\"\"\n", "[]\n", "{}\n",
      "{\"a\":1,\"b\":[1,2,{\"c\":null}]}\n",
      "{\"\":0,\"A\":1,\"a\":2,\"aa\":3}\n",
      "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0000\\u001f\x7f\"\n",
      "\"\xC3\xA9 \xE2\x82\xAC " + std::string(kSmiley) + "\"\n",
      nested(32) + "\n",
  };
  for (const std::string& text : good) {
    CAPTURE(text);
    const auto value = json::parse_canonical(text);
    REQUIRE(value.ok());
    CHECK(json::canonical(*value) + "\n" == text);
    CHECK(json::parse_canonical(text.substr(0, text.size() - 1), false).ok());
  }
}

TEST_CASE("every other way of writing a value is not canonical", "[json]") {
  const std::string bad[] = {
      "", "\n", "{}", "{}\n\n", " {}\n", "{} \n", "{}\r\n", "{ }\n", "[1, 2]\n", "[1 ,2]\n", "{\"a\" :1}\n",
      "{\"b\":1,\"a\":2}\n", "{\"a\":1,\"a\":2}\n", "{\"a\":1,\"a\":1}\n", "{\"a\":{\"b\":1,\"b\":1}}\n", "{\"\\u0061\":1}\n",
      "1.0\n", "1e3\n", "1E3\n", "10e-1\n", "-0\n", "0.0\n", "-0.0\n", "01\n", "-01\n", "+1\n", ".5\n", "1.\n", "0x10\n", "NaN\n", "Infinity\n",
      "9007199254740992\n", "-9007199254740992\n", "9223372036854775807\n", "9223372036854775808\n", "18446744073709551616\n",
      "100000000000000000000000000000000000000000\n",
      "\"\\/\"\n", "\"\\u0041\"\n", "\"\\u000a\"\n", "\"\\u001F\"\n", "\"\\u00e9\"\n", "\"\\ud83d\\ude00\"\n",
      "{\"\xC3\xA9\":1}\n", "True\n", "nul\n", "'a'\n", "[1,]\n", "[,1]\n", "{\"a\":1,}\n", "{a:1}\n", "// x\n1\n", "[1] [2]\n", "1 2\n",
      "\xEF\xBB\xBF{}\n",
  };
  for (const std::string& text : bad) {
    CAPTURE(text);
    const auto value = json::parse_canonical(text);
    REQUIRE_FALSE(value.ok());
    CHECK(value.error().code == ErrorCode::bad_input);
    CHECK_FALSE(value.error().message.empty());
  }
}

TEST_CASE("hostile bytes are refused whatever the options", "[json]") {
  using namespace std::string_literals;
  const std::string bad[] = {
      "[", "]", "{", "}", "[1", "{\"a\"", "{\"a\":", "\"", "\"a", "tru", "-", "[[[", "[}", "{]", "\"\\", "\"\\u12\"", "\"\\x41\"",
      "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",                      // halves of a pair
      "\"\x80\"", "\"\xC0\xAF\"", "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xF8\x88\x80\x80\x80\"", "\"\xC3\"", "\"\xE2\x82\"",  // not UTF-8
      "\"\x01\"", "\"a\nb\"", "\"a\0b\""s, "[1\0]"s, "\0"s, "1\0"s,
      nested(33), nested(100'000), std::string(1'000'000, '['), std::string(1'000'000, '{'),
      "{\"a\":1,\"a\":2}", "{\"a\":{\"x\":1},\"b\":[{\"k\":1,\"k\":2}]}", "{\"a\":1,\"\\u0061\":2}",
  };
  for (const std::string& text : bad) {
    CAPTURE(text.substr(0, 60), text.size());
    for (const bool floats : {false, true}) {
      json::ParseOptions options;
      options.floats = floats;
      const auto value = json::parse(text, options);
      REQUIRE_FALSE(value.ok());
      CHECK(value.error().code == ErrorCode::bad_input);
    }
  }
  CHECK(json::parse(nested(32)).ok());
}

TEST_CASE("an empty file is told to be empty", "[json]") {
  CHECK(json::parse("").error().message == "it is empty");
  CHECK(json::parse_canonical("").error().message == "it is empty");
  CHECK(json::parse_canonical("\n").error().message != "it is empty");
}

TEST_CASE("an error says where the text stops being JSON, and names what is not UTF-8", "[json]") {
  const std::pair<const char*, const char*> table[] = {
      {"\xEF\xBB\xBF{}", "malformed JSON at byte 0: a byte order mark, and JSON has none"},
      {"\xEF\xBB\xBF", "malformed JSON at byte 0: a byte order mark, and JSON has none"},
      {"\xFF\xFE{", "malformed JSON at byte 0: a byte order mark of UTF-16, and JSON is UTF-8"},
      {"\xFE\xFF{", "malformed JSON at byte 0: a byte order mark of UTF-16, and JSON is UTF-8"},
      {"{\"a\":\"b\xFC\"}", "malformed JSON at byte 7: not UTF-8"},                 // Latin-1
      {"{\"a\":\"b\xE2\x28\xA1\"}", "malformed JSON at byte 7: not UTF-8"},
      {"{\"a\":\"b\xED\xA0\x80\"}", "malformed JSON at byte 7: not UTF-8"},         // half of a surrogate pair
      {"{\"a\":\"b\xE0\x9F\xBF\"}", "malformed JSON at byte 7: not UTF-8"},         // longer than needed
      {"{\"a\":\"b\xF4\x90\x80\x80\"}", "malformed JSON at byte 7: not UTF-8"},     // beyond U+10FFFF
      {"{\"\xC3\"", "malformed JSON at byte 2: not UTF-8"},
      {"[\x80]", "malformed JSON at byte 1: not UTF-8"},
      {"{\"a\":[1, 23.5 ,7]}", "malformed JSON at byte 9: a fraction or exponent where only integers are allowed"},
      {"[1,184467440737095516]x", "malformed JSON at byte 22: extra data after the value"},
      {"[\"]\",18446744073709551615]", "malformed JSON at byte 5: integer out of range"},
      {"[\"\\\"\",1e400]", "malformed JSON at byte 6: a number out of range"},
  };
  for (const auto& [text, expected] : table) {
    CAPTURE(text);
    CHECK(json::parse(text).error().message == expected);
  }
  // Characters where none may stand are UTF-8 all the same.
  for (const char* text : {"{\xC3\xA9:1}", "[\xE2\x82\xAC]", "[\xF0\x9F\x98\x80]"}) CHECK(json::parse(text).error().message.find("UTF-8") == std::string::npos);
}

TEST_CASE("a name that occurs twice is named, escaped and cut to what a line has room for", "[json]") {
  const auto refusal = [](const std::string& text) { return json::parse(text).error().message; };
  CHECK_THAT(refusal("{\"a\":{\"nonce\":1,\"x\":2,\"nonce\":3}}"), Catch::EndsWith("the name \"nonce\" occurs twice"));
  CHECK_THAT(refusal("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}"), Catch::EndsWith("the name \"\\u001b[2J\" occurs twice"));
  const std::string name = '"' + std::string(1000, 'k') + '"';
  CHECK_THAT(refusal('{' + name + ":1," + name + ":2}"), Catch::EndsWith("the name \"" + std::string(60, 'k') + "\"... occurs twice"));
}

TEST_CASE("every truncation and many changes of an object end in an error or a value, never a crash", "[json]") {
  const std::string text = "{\"a\":[1,-2,{\"b\":\"\\u00e9\\n\xE2\x82\xAC\"}],\"c\":{\"d\":null,\"e\":[true,false]},\"f\":9007199254740991}\n";
  REQUIRE(json::parse(text).ok());
  for (std::size_t end = 0; end + 2 < text.size(); ++end) CHECK_FALSE(json::parse(text.substr(0, end)).ok());
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto value = json::parse_canonical(changed);
      if (value) CHECK(json::canonical(*value) + "\n" == changed);
    }
  }
}

TEST_CASE("lenient parsing takes white space, and fractions only when asked", "[json]") {
  const auto value = json::parse(" {\r\n\t\"b\" : [ 1 , -0 ] , \"a\" : \"\\u0041\\ud83d\\ude00\" } \n");
  REQUIRE(value.ok());
  CHECK(*value == Value(json::Object{{"a", std::string("A") + kSmiley}, {"b", json::Array{1, 0}}}));
  CHECK_FALSE(json::parse("[1.5]").ok());
  CHECK_FALSE(json::parse("[1e3]").ok());
  json::ParseOptions options;
  options.floats = true;
  const auto floats = json::parse("[1.5,-2e-3,7]", options);
  REQUIRE(floats.ok());
  const json::Array& items = *floats->if_array();
  CHECK(*items[0].if_double() == 1.5);
  CHECK(*items[1].if_double() == Approx(-2e-3));
  CHECK(*items[2].if_integer() == 7);
  CHECK_FALSE(json::parse("[1e400]", options).ok());
}

TEST_CASE("values tell their type and find their members", "[json]") {
  const Value value = json::Object{{"t", true}, {"n", nullptr}, {"i", -5}, {"s", "x"}, {"a", json::Array{1, "two"}}, {"d", 0.5}};
  CHECK(value.find("n")->is_null());
  CHECK(*value.find("t")->if_bool());
  CHECK(*value.find("i")->if_integer() == -5);
  CHECK(*value.find("s")->if_string() == "x");
  CHECK(value.find("a")->if_array()->size() == 2);
  CHECK(*value.find("d")->if_double() == 0.5);
  CHECK(value.find("missing") == nullptr);
  CHECK(Value(3).find("x") == nullptr);
  CHECK(value.find("t")->if_integer() == nullptr);
  CHECK(value.find("i")->if_bool() == nullptr);
  CHECK_FALSE(json::parse_canonical(json::canonical(Value(~std::uint64_t{0})), false).ok());  // does not become -1
  CHECK_FALSE(json::parse_canonical(json::canonical(Value(0.5)), false).ok());
  Value copy = value;
  CHECK(copy == value);
  (*copy.if_object())["i"] = 6;
  CHECK_FALSE(copy == value);
}
