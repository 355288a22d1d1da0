// Bags that are incomplete, malformed or contradict themselves.
#include <catch2/catch.hpp>
#include <heirmark/report.hpp>

#include "fixture.hpp"

using fixture::Bag;
using fixture::Kind;
using heirmark::ErrorCode;

namespace {

struct Member {
  std::string name, value;
};

/// The members of an object at the top of canonical JSON text.
std::vector<Member> members(const std::string& text) {
  std::vector<Member> out;
  int depth = 0;
  bool quoted = false;
  std::size_t start = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if ((depth == 1 && c == ',') || depth == 0) {
      const std::string member = text.substr(start, i - start);
      const std::size_t colon = member.find("\":");
      out.push_back({member.substr(1, colon - 1), member.substr(colon + 2)});
      start = i + 1;
      if (depth == 0) break;
    }
  }
  return out;
}
std::string with(const std::vector<Member>& all, std::size_t changed, const std::string& value) {
  std::string out = "{";
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == changed && value.empty()) continue;
    out += (out.size() > 1 ? ",\"" : "\"") + all[i].name + "\":" + (i == changed ? value : all[i].value);
  }
  return out + "}\n";
}

void check_error(const Bag& bag, ErrorCode code, const std::string& file, const std::string& field) {
  const auto html = heirmark::render_report(bag.folder());
  INFO(file << " " << field);
  REQUIRE_FALSE(html);
  INFO(html.error().message);
  CHECK(html.error().code == code);
  CHECK_THAT(html.error().message, Catch::StartsWith(file + ": ") && Catch::Contains(field));
}

}  // namespace

TEST_CASE("every member that is missing, or of another type, is named") {
  const Bag bag(Kind::guilty);
  for (const char* file : {"plan.json", "commitment.json", "suspect.json", "transcript.json", "verdict.json"}) {
    const std::string good = bag.read(file);
    const std::vector<Member> all = members(good);
    REQUIRE(all.size() >= 7);
    CHECK(with(all, all.size(), "") == good);
    for (std::size_t i = 0; i < all.size(); ++i)
      for (const char* value : {"", "null", "[[]]", "-1", "true"}) {
        bag.put(file, with(all, i, value));
        check_error(bag, ErrorCode::bad_input, file, "field " + all[i].name);
      }
    bag.put(file, good);
  }
  CHECK(heirmark::render_report(bag.folder()));
}

TEST_CASE("fields inside lists are named with their place") {
  const Bag bag(Kind::guilty);
  const std::string good = bag.read("verdict.json");
  for (const auto& [from, to, field] : std::vector<std::array<std::string, 3>>{
           {"\"countRule\":\"distinct\"", "\"countRule\":\"\"", "channels[0].countRule"},
           {"\"histogram\":{\"counts\"", "\"histogram\":{\"bounts\"", "channels[0].histogram.counts"},
           {"\"beta\":\"0.000000\"", "\"beta\":\"1e5\"", "channels[2].beta"},
           {"\"name\":\"control-3\"", "\"name\":7", "controls[2].name"},
           {"\"class\":4,", "\"class\":16,", "channels[0].classes[4].class"},
           {"\"named\":true", "\"named\":1", "channels[1].accounts["}}) {
    REQUIRE(bag.replace("verdict.json", from, to));
    check_error(bag, ErrorCode::bad_input, "verdict.json", "field " + field);
    bag.put("verdict.json", good);
  }
}

TEST_CASE("values out of shape") {
  const Bag bag(Kind::guilty);
  for (const auto& [file, from, to, field] : std::vector<std::array<std::string, 4>>{
           {"plan.json", "5b1e07c2a94d3f68", "5B1E07C2A94D3F68", "planId"},
           {"plan.json", "5b1e07c2a94d3f68", "\\\"}<style>", "planId"},
           {"plan.json", "\"alpha\":\"0.000001\"", "\"alpha\":\"1\"", "alpha"},
           {"plan.json", "\"alpha\":\"0.000001\"", "\"alpha\":\"nan\"", "alpha"},
           {"plan.json", "2026-11-20T09:12:44Z", "2026-11-20 09:12:44Z", "date"},
           {"plan.json", "2026-11-20T09:12:44Z", "2026-13-20T09:12:44Z", "date"},
           {"plan.json", "2026-11-20T09:12:44Z", "2026-11-31T09:12:44Z", "date"},
           {"suspect.json", "\"2026-09-30\"", "\"2026-02-29\"", "released"},
           {"plan.json", "heirmark/plan/v1", "heirmark/plan/v2", "type"},
           {"suspect.json", "\"2026-09-30\"", "\"September\"", "released"},
           {"verdict.json", "\"outcome\":\"supports\"", "\"outcome\":\"convicts\"", "outcome"},
           {"verdict.json", "\"outcome\":\"supports\"", "\"outcome\":\"invalid\"", "outcome"}}) {
    const std::string good = bag.read(file);
    REQUIRE(bag.replace(file, from, to));
    check_error(bag, ErrorCode::bad_input, file, "field " + field);
    bag.put(file, good);
  }
}

TEST_CASE("bytes that are not canonical JSON") {
  const Bag bag(Kind::guilty);
  const std::string good = bag.read("plan.json");
  for (const std::string& bytes :
       {std::string(), std::string("{"), std::string("[]\n"), " " + good, good + "\n", good.substr(0, good.size() - 1),
        good.substr(0, good.size() / 2), std::string(200, '[')}) {
    bag.put("plan.json", bytes);
    check_error(bag, ErrorCode::bad_input, "plan.json", "");
  }
}

TEST_CASE("objects that contradict each other end the report") {
  const Bag bag(Kind::guilty);
  for (const auto& [file, name, field] : std::vector<std::array<std::string, 3>>{
           {"verdict.json", "commitment", "verdict.json: field commitment"},
           {"verdict.json", "opening", "verdict.json: field opening"},
           {"verdict.json", "ledger", "verdict.json: field ledger"},
           {"verdict.json", "suspect", "verdict.json: field suspect"},
           {"transcript.json", "plan", "transcript.json: field plan"},
           {"commitment.json", "opening", "commitment.json: field digest"},
           {"verdict.json", "transcript", "statements/transcript.dsse.json: field subject"}}) {
    const std::string good = bag.read(file);
    REQUIRE(bag.replace(file, fixture::digest(name), fixture::digest("another")));
    const auto html = heirmark::render_report(bag.folder());
    REQUIRE_FALSE(html);
    CHECK(html.error().code == ErrorCode::invalid_evidence);
    CHECK_THAT(html.error().message, Catch::StartsWith(field));
    bag.put(file, good);
  }
}

TEST_CASE("statements are read strictly") {
  const Bag bag(Kind::guilty);
  const std::string file = "statements/verdict.dsse.json", good = bag.read(file);
  for (const auto& [from, to, field] :
       std::vector<std::array<std::string, 3>>{{"\"payload\":\"", "\"payload\":\"*", "payload"},
                                               {"\"payloadType\":\"", "\"payloadType\":\"x", "payloadType"},
                                               {"\"signatures\":[", "\"signatures\":[7,", "signatures"},
                                               {"\"keyid\":\"", "\"keyid\":\"0", "keyid"}}) {
    REQUIRE(bag.replace(file, from, to));
    check_error(bag, ErrorCode::bad_input, file, field);
    bag.put(file, good);
  }
  bag.put(file, bag.read("statements/plan.dsse.json"));  // a plan's statement under the verdict's name
  check_error(bag, ErrorCode::bad_input, file, "predicateType");
}

TEST_CASE("files that are missing, or not files") {
  for (const char* file : {"plan.json", "commitment.json", "suspect.json", "transcript.json", "verdict.json"}) {
    const Bag bag(Kind::guilty);
    fixture::fs::remove(bag.file(file));
    check_error(bag, ErrorCode::bad_input, file, "is not in the bag");
    fixture::fs::create_symlink("/etc/passwd", bag.file(file));
    check_error(bag, ErrorCode::bad_input, file, "not a regular file");
  }
  const Bag bag(Kind::guilty);
  fixture::fs::create_symlink("/etc/passwd", bag.file("extra"));
  check_error(bag, ErrorCode::bad_input, "extra", "not a regular file");
  const auto none = heirmark::render_report(bag.folder() / "nowhere");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::bad_input);
}

TEST_CASE("a histogram with numbers of sixty digits is drawn and ends") {
  // One step of the axis is less than the distance of doubles out there.
  const std::string digits(60, '9'), good = Bag(Kind::guilty).read("verdict.json");
  const std::size_t at = good.find("\"histogram\":{");
  REQUIRE(at != std::string::npos);
  const auto with = [&](const std::string& low, const std::string& live, const std::string& width) {
    std::string counts = good.substr(good.find("\"counts\":", at));
    counts.resize(counts.find(']') + 1);
    return std::string(good).replace(at, good.find('}', at) + 1 - at,
                                     "\"histogram\":{" + counts + ",\"live\":\"" + live + "\",\"low\":\"" + low +
                                         "\",\"width\":\"" + width + "\"}");
  };
  const Bag bag(Kind::guilty);
  for (const auto& [low, live] : std::vector<std::array<std::string, 2>>{
           {digits, digits}, {"-" + digits, digits}, {digits, "0"}, {"0", "-" + digits}}) {
    bag.put("verdict.json", with(low, live, "1"));
    const auto html = heirmark::render_report(bag.folder());
    if (!html) FAIL(html.error().message);
    CHECK(html->size() < 1'000'000);
    CHECK(html->find("nan") == std::string::npos);
  }
  for (const char* width : {"0", "-1", "000", "-0"}) {
    bag.put("verdict.json", with("0", "1", width));
    check_error(bag, ErrorCode::bad_input, "verdict.json", "field channels[0].histogram.width");
  }
}
