#include <array>
#include <catch2/catch.hpp>
#include <heirmark/report.hpp>
#include <set>

#include "fixture.hpp"
#include "report/numbers.hpp"
#include "report/sections.hpp"

using fixture::Bag;
using fixture::Kind;
using fixture::Texts;

namespace {

std::string rendered(const Bag& bag) {
  auto html = heirmark::render_report(bag.folder());
  INFO((html ? std::string() : html.error().message));
  REQUIRE(html);
  return *html;
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}
std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// Every tag is known, closed, and closed in order; ids are unique.
void check_markup(const std::string& html) {
  static const std::set<std::string> known{
      "html",       "head", "meta",  "title",   "style",   "body",  "main", "header", "section",  "nav",
      "div",        "p",    "h1",    "h2",      "h3",      "ol",    "ul",   "li",     "a",        "dl",
      "dt",         "dd",   "table", "caption", "thead",   "tbody", "tr",   "th",     "td",       "figure",
      "figcaption", "svg",  "desc",  "defs",    "pattern", "line",  "rect", "text",   "polyline", "circle",
      "path",       "code", "pre",   "span",    "strong",  "em",    "wbr"};
  std::vector<std::string> open;
  std::set<std::string> ids;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    if (html.compare(at, 9, "<!DOCTYPE") == 0) continue;
    const std::size_t end = html.find('>', at);
    REQUIRE(end != std::string::npos);
    const bool closing = html[at + 1] == '/';
    const std::size_t from = at + (closing ? 2 : 1);
    const std::string tag = html.substr(from, html.find_first_of(" >", from) - from),
                      inside = html.substr(at, end - at);
    INFO(inside);
    REQUIRE(known.count(tag) == 1);
    CHECK_FALSE(contains(inside, " on"));
    const std::size_t id = inside.find(" id=\"");
    if (id != std::string::npos) CHECK(ids.insert(inside.substr(id + 5, inside.find('"', id + 5) - id - 5)).second);
    if (tag == "meta" || tag == "wbr") continue;
    if (tag == "style" && !closing) at = html.find("</style>", at) - 1;
    if (!closing) {
      open.push_back(tag);
    } else {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == tag);
      open.pop_back();
    }
  }
  CHECK(open.empty());
}

}  // namespace

TEST_CASE("three outcomes, each with its sentence") {
  const std::string guilty = rendered(Bag(Kind::guilty)), twin = rendered(Bag(Kind::twin)),
                    both = rendered(Bag(Kind::controls_too));
  CHECK(contains(guilty, "The findings support H1 over H2."));
  CHECK(contains(guilty,
                 "If the model had not been influenced by text carrying key K, a result this extreme would be expected "
                 "at most 1 time in 10⁴⁰ (a 1 followed by 40 zeros), however the "
                 "auditor, not knowing the key, chose prompts or stopped."));
  CHECK(contains(twin, "There is no reliable signal; this does not show that the model was not distilled."));
  CHECK(contains(twin, "Why a model that was influenced can show nothing"));
  CHECK_FALSE(contains(twin, "support H1 over H2."));
  CHECK_FALSE(contains(twin, "expected at most 1 time in"));
  CHECK(contains(both, "The findings do not support H1 over H2."));
  CHECK(contains(both, "one control key under which no text was ever made"));
  CHECK_FALSE(contains(both, "If the model had not been influenced"));
}

TEST_CASE("ten sections, in order, and the first page before them") {
  for (const Kind kind : {Kind::guilty, Kind::twin, Kind::controls_too}) {
    const std::string html = rendered(Bag(kind));
    std::size_t last = 0;
    for (int i = 1; i <= 10; ++i) {
      const std::size_t at = html.find(" id=\"s" + std::to_string(i) + "\"");
      REQUIRE(at != std::string::npos);
      CHECK(at > last);
      last = at;
    }
    CHECK(count(html, "<h1>") == 1);
  }
}

TEST_CASE("self-contained: no script, no network, and well formed") {
  for (const Kind kind : {Kind::guilty, Kind::twin, Kind::controls_too}) {
    const std::string html = rendered(Bag(kind));
    check_markup(html);
    for (const char* word : {"<script", "javascript:", "src=", "<link", "@import", "url(http", "http://", "xlink",
                             "<iframe", "<img", "@font-face"})
      CHECK_FALSE(contains(html, word));
    CHECK(count(html, "href=\"#s") == 10);
    CHECK(count(html, "href=") == 10);
  }
}

TEST_CASE("accessible: language, figures with words, tables with captions") {
  const std::string html = rendered(Bag(Kind::guilty));
  CHECK(contains(html, "<html lang=\"en\">"));
  CHECK(count(html, "<svg ") == count(html, "role=\"img\" aria-labelledby="));
  CHECK(count(html, "<svg ") == count(html, "<desc id="));
  CHECK(count(html, "<svg ") == count(html, "<figcaption>"));
  CHECK(count(html, "<svg ") == 7);
  CHECK(count(html, "<table ") == count(html, "<caption>") + count(html, "<table class=\"facts\" aria-label="));
  CHECK(contains(html, "12 accounts 2 reach the threshold"));
}

TEST_CASE("words that a report must not use") {
  for (const Kind kind : {Kind::guilty, Kind::twin, Kind::controls_too}) {
    const std::string html = lower(rendered(Bag(kind)));
    for (const char* word : {"proves", "proof of", "theft", "stole", "fingerprint", "zero error", "match",
                             "certain that", "guilty of", "exonerat"}) {
      INFO(word);
      CHECK_FALSE(contains(html, word));
    }
    CHECK(count(html, "likelihood ratio") >= 2);
    CHECK(count(html, "likelihood ratio") == count(html, "is not a likelihood ratio"));
  }
}

TEST_CASE("the same bag gives the same bytes, wherever it lies") {
  const Bag a(Kind::guilty), b(Kind::guilty);
  CHECK(a.folder() != b.folder());
  CHECK(rendered(a) == rendered(b));
  CHECK(rendered(a) == rendered(a));
}

TEST_CASE("no secret and nothing of the unread files is in a report") {
  const std::string html = rendered(Bag(Kind::guilty));
  CHECK_FALSE(contains(html, "SECRET"));
  CHECK_FALSE(contains(html, "familySecret"));
}

TEST_CASE("every number of the verdict is in the annex") {
  const std::string html = rendered(Bag(Kind::guilty));
  for (const char* number : {"18,231", "63,870", "9,120", "4,377", "32,142", "14,230", "7,172", "211", "0.981204",
                             "\u22129.4127", "\u22127.9031", "\u221241.3377", "12.4410", "4,095", "1,048,576"}) {
    INFO(number);
    CHECK(contains(html, number));
  }
  for (const char* name : {"plan", "commitment", "transcript", "suspect", "ledger", "prompts", "opening", "verdict",
                           "provider", "auditor", "c1", "issued", "weights"}) {
    INFO(name);
    CHECK(contains(html, fixture::digest(name).substr(0, 16)));
  }
}

TEST_CASE("commands fit the signers' algorithms") {
  const std::string html = rendered(Bag(Kind::guilty));
  CHECK(contains(html, "heirmark verify BAG"));
  CHECK(contains(html, "sha256sum -c manifest-sha256.txt"));
  CHECK(contains(html, "openssl pkeyutl -verify -pubin -inkey trust/auditor.pem -rawin -in $T/pae -sigfile $T/sig"));
  CHECK(contains(html, "openssl dgst -sha256 -verify trust/provider.pem -signature $T/sig $T/pae"));
}

TEST_CASE("templates are blank and say so") {
  const std::string html = rendered(Bag(Kind::guilty));
  CHECK(count(html, "BLANK TEMPLATE. NOT COMPLETED, NOT SIGNED, NOT LEGAL ADVICE.") == 2);
  CHECK(contains(html, "902(13)"));
  CHECK(contains(html, "902(14)"));
}

TEST_CASE("hostile text stays text") {
  Texts texts;
  texts.suspect =
      "</title></style><script>alert(1)</script> \"q\" 'x' & " + std::string(3000, 'n') + " \u202Eesrever\u200B";
  texts.hello = "<svg onload=alert(1)>";
  texts.purpose = "\" onmouseover=\"x\x01\n\t";
  texts.h1 = "<h2 id=\"s5\">5. Results</h2>";
  texts.h2 = "--></main><table>";
  texts.first_account = "\"><img src=x onerror=alert(1)>";
  for (const Kind kind : {Kind::guilty, Kind::twin}) {
    const std::string html = rendered(Bag(kind, texts));
    check_markup(html);
    CHECK_FALSE(contains(html, "<script"));
    CHECK_FALSE(contains(html, "<img"));
    CHECK_FALSE(contains(html, "\u202E"));
    CHECK(contains(html, "[U+202E]esrever[U+200B]"));
    CHECK(contains(html, "[U+0001][U+000A][U+0009]"));
    CHECK(contains(html, "&lt;svg onload=alert(1)&gt;"));
    CHECK(html.find("[U+202E]") > html.find("id=\"s2\""));  // the first page has the name clipped
  }
}

TEST_CASE("what is missing is said: signatures, dates, ledger, decoys") {
  Texts texts;
  texts.signed_by_all = false;
  texts.released = "";
  texts.attempt = 3;
  texts.multiplicity = 3;
  const std::string html = rendered(Bag(Kind::guilty, texts));
  check_markup(html);
  CHECK(contains(html, "Not every object is signed"));
  CHECK(contains(html, "No release date of the suspect is stated."));
  CHECK(contains(html, "Not every date that this needs is on record"));
  CHECK(contains(
      html, "This is attempt 3 on this suspect, as the auditor states in the plan; there is no register to compare with. The results of 2 earlier attempts are not in this bag"));
  CHECK(contains(html, "The verdict is not signed"));
  // What naming promises is told with the number of channels that name, and of attempts and keys.
  CHECK(contains(html, "with 2 such channels and a multiplicity of 3, at most 6 times alpha."));

  Texts text_only;
  text_only.text_only = true;
  text_only.multiplicity = 1;
  const std::string alone = rendered(Bag(Kind::guilty, text_only));
  check_markup(alone);
  CHECK_FALSE(contains(alone, "Accounts (c"));
  CHECK(contains(alone, "No ledger was used: nothing can be said about accounts."));
  CHECK(contains(alone, "1 time in 80 million"));

  text_only.decoys = false;
  text_only.scheme = "greenlist";
  text_only.count_rule = "sqrt2";
  const std::string plain = rendered(Bag(Kind::twin, text_only));
  check_markup(plain);
  CHECK_FALSE(contains(plain, "Ranks by window class"));
  CHECK(contains(plain, "log10_p_saddlepoint"));
}

TEST_CASE("a key far from its decoys is drawn beside a cut axis") {
  Texts far;
  far.far = true;
  CHECK(contains(rendered(Bag(Kind::guilty, far)), "axis cut"));
  CHECK_FALSE(contains(rendered(Bag(Kind::twin)), "axis cut"));
  CHECK(contains(rendered(Bag(Kind::guilty, far)), "beyond every decoy"));
  CHECK(contains(rendered(Bag(Kind::twin)), "among the decoys"));
}

TEST_CASE("validation caps the words on the first page") {
  const Bag bag(Kind::guilty);
  auto from = heirmark::report::read_case(bag.folder());
  REQUIRE(from);
  static constexpr std::array<heirmark::report::Validation::Level, 1> none_seen{{{-6, 0}}};
  CHECK(contains(heirmark::report::render(*from, {100'000, false, "the record", none_seen}),
                 "strong support for H1 over H2 (scale in section 10; capped by validation: none of "
                 "100,000 null audits reached 1 in 1 million, which supports only 3/100,000)"));
  CHECK(contains(heirmark::report::render(*from, {}), "no degree is stated, because no validation study is on record"));

  // As it is: the first page names the degree and says that the audits behind it were simulated; sections 3 and 10 say what that means.
  const auto study = heirmark::report::validation_of(from->verdict.method);
  const std::string html = rendered(bag);
  const std::string first_page = html.substr(0, html.find("id=\"s2\""));
  CHECK(contains(first_page, " support for H1 over H2 (scale in section 10; capped by validation: "));
  CHECK(contains(first_page, " simulated null audits reached 1 in 1 million, which supports only 3/" + heirmark::report::grouped(study.null_audits) + ")"));
  CHECK(count(html, "They do not test custody, the way to a real model, or people") == 2);
  CHECK(contains(html, std::string(study.record)));
}

TEST_CASE("write_report writes what render_report gives") {
  const Bag bag(Kind::guilty);
  const auto file = bag.folder() / "report.html";
  REQUIRE(heirmark::write_report(bag.folder(), file));
  std::ifstream in(file, std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == rendered(bag));
  const auto failed = heirmark::write_report(bag.folder(), bag.folder() / "no-such-folder" / "report.html");
  REQUIRE_FALSE(failed);
  CHECK_THAT(failed.error().message, Catch::Contains("report.html"));
}
