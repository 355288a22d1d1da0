#include "report/html.hpp"

#include <catch2/catch.hpp>

using namespace heirmark::report;

TEST_CASE("text is escaped wherever it enters") {
  CHECK(escape("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(Html("<script>alert(1)</script>").markup() == "&lt;script&gt;alert(1)&lt;/script&gt;");
  CHECK(el("a", {{"href", "\"><img src=x onerror=alert(1)>"}}, "x").markup() ==
        "<a href=\"&quot;&gt;&lt;img src=x onerror=alert(1)&gt;\">x</a>");
  CHECK(join("a", Html("<"), std::string("b")).markup() == "a&lt;b");
  CHECK(p(strong("a"), " & b").markup() == "<p><strong>a</strong> &amp; b</p>");
  CHECK(Html("é “ ⁴⁰ 漢 😀").markup() == "é “ ⁴⁰ 漢 😀");
}

TEST_CASE("what acts without being seen is spelled out") {
  CHECK(escape(std::string_view("a\0b", 3)) == "a[U+0000]b");
  CHECK(escape("a\nb\tc\x1b[31m") == "a[U+000A]b[U+0009]c[U+001B][31m");
  CHECK(escape("\u202Eevil\u2066\u200B\uFEFF\u0085") == "[U+202E]evil[U+2066][U+200B][U+FEFF][U+0085]");
  CHECK(escape("\U000E0041") == "[U+E0041]");
}

TEST_CASE("bytes that are not UTF-8 are spelled out, one by one") {
  CHECK(escape("\xff") == "[byte FF]");
  CHECK(escape("\xc0\xaf") == "[byte C0][byte AF]");               // overlong
  CHECK(escape("\xed\xa0\x80") == "[byte ED][byte A0][byte 80]");  // surrogate
  CHECK(escape("\xe2\x82") == "[byte E2][byte 82]");               // cut short
  CHECK(escape("\xf4\x90\x80\x80") == "[byte F4][byte 90][byte 80][byte 80]");
  CHECK(escape("\xf0\x82\x82\xac") == "[byte F0][byte 82][byte 82][byte AC]");
}

TEST_CASE("clipping counts characters, not bytes") {
  CHECK(clipped("abc", 3) == "abc");
  CHECK(clipped("abcd", 3) == "abc…");
  CHECK(clipped("ééé", 2) == "éé…");
  CHECK(clipped("", 0).empty());
}

TEST_CASE("a quoted CSS string cannot end its quotes") {
  Css css;
  css.add("content: ").add_quoted("a\"}</style><script>\\\n1-2 b");
  CHECK(css.text() == "content: \"a\\22 \\7D \\3C \\2F style\\3E \\3C script\\3E \\5C \\0A 1-2 b\"");
}

TEST_CASE("tables carry scopes, and their caption") {
  Table table("c<", {{"A"}, {"B", Table::Align::right}});
  table.row({"x", "1"});
  const std::string markup = table.html().markup();
  CHECK(markup.find("<caption>c&lt;</caption>") != std::string::npos);
  CHECK(markup.find("<th scope=\"col\" class=\"num\">B</th>") != std::string::npos);
  CHECK(markup.find("<th scope=\"row\" class=\"txt\">x</th><td class=\"num\">1</td>") != std::string::npos);
}
