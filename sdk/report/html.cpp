#include "report/html.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace heirmark::report {
namespace {

struct Decoded {
  char32_t code;
  std::size_t length;
  bool valid;
};

/// One character of UTF-8: overlong forms, surrogates and values past U+10FFFF are not valid.
Decoded decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + length > text.size()) return {lead, 1, false};
  char32_t code = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {lead, 1, false};
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {lead, 1, false};
  return {code, length, true};
}

/// Characters that act on a page without being seen.
bool invisible(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || c == 0x180E ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF0 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || (c >= 0xE0000 && c <= 0xE0FFF);
}

void write_attributes(std::string& out, Attributes attributes) {
  for (const Attribute& attribute : attributes) {
    out += ' ';
    out += attribute.name.text();
    out += "=\"";
    out += escape(attribute.value);
    out += '"';
  }
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = decode(text, at);
    if (!next.valid || invisible(next.code)) {
      std::array<char, 24> spelled{};
      std::snprintf(spelled.data(), spelled.size(), next.valid ? "[U+%04X]" : "[byte %02X]",
                    static_cast<unsigned>(next.code));
      out += spelled.data();
    } else if (next.code == '&') {
      out += "&amp;";
    } else if (next.code == '<') {
      out += "&lt;";
    } else if (next.code == '>') {
      out += "&gt;";
    } else if (next.code == '"') {
      out += "&quot;";
    } else if (next.code == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(at, next.length);
    }
    at += next.length;
  }
  return out;
}

std::string clipped(std::string_view text, std::size_t limit) {
  std::size_t at = 0;
  for (std::size_t count = 0; at < text.size(); ++count) {
    if (count == limit) return std::string(text.substr(0, at)) + "…";
    at += decode(text, at).length;
  }
  return std::string(text);
}

Css& Css::add_quoted(std::string_view text) {
  text_ += '"';
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '-';
    if (plain) {
      text_ += c;
    } else {
      std::array<char, 8> spelled{};
      std::snprintf(spelled.data(), spelled.size(), "\\%02X ", static_cast<unsigned>(static_cast<unsigned char>(c)));
      text_ += spelled.data();
    }
  }
  text_ += '"';
  return *this;
}

Html Markup::element(Name tag, Attributes attributes, const Html& content) {
  std::string out = "<";
  out += tag.text();
  write_attributes(out, attributes);
  out += '>';
  out += content.markup();
  out += "</";
  out += tag.text();
  out += '>';
  return {Html::Trusted{}, std::move(out)};
}

Html Markup::empty_element(Name tag, Attributes attributes) {
  std::string out = "<";
  out += tag.text();
  write_attributes(out, attributes);
  out += '>';
  return {Html::Trusted{}, std::move(out)};
}

Html Markup::style(const Css& sheet) { return {Html::Trusted{}, "<style>\n" + sheet.text() + "</style>\n"}; }

std::string Markup::document(const Html& head, const Html& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n" + head.markup() + "</head>\n<body>\n" + body.markup() +
         "</body>\n</html>\n";
}

Html digest(std::string_view hex) {
  Html content;
  for (std::size_t at = 0; at < hex.size(); at += 16) {
    if (at > 0) content.add(Markup::empty_element("wbr", {}));
    content.add(hex.substr(at, 16));
  }
  return el("code", {{"class", "digest"}}, content);
}

Html h2(std::string_view id, const Html& text) { return el("h2", {{"id", std::string(id)}}, text); }
Html h3(const Html& text) { return el("h3", {}, text); }

Html list(const std::vector<Html>& items, bool numbered) {
  Html content;
  for (const Html& item : items) content.add(el("li", {}, item));
  return numbered ? el("ol", {}, content) : el("ul", {}, content);
}

Html commands(const std::vector<std::string>& lines) {
  // Each line is a block of its own: a line feed in data would be spelled out by escape().
  Html content;
  for (const std::string& line : lines) content.add(el("span", {{"class", "line"}}, line));
  return el("pre", {}, content);
}

namespace {
std::string css_of(Table::Align align) {
  return align == Table::Align::right ? "num" : align == Table::Align::key ? "key" : "txt";
}
}  // namespace

Table::Table(Html caption, std::vector<Column> columns, std::string css_class)
    : caption_(std::move(caption)), columns_(std::move(columns)), css_class_(std::move(css_class)) {}

Table& Table::row(const std::vector<Html>& cells, std::string_view row_class) {
  Html content;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string align = css_of(i < columns_.size() ? columns_[i].align : Align::left);
    content.add(i == 0 ? el("th", {{"scope", "row"}, {"class", align}}, cells[i])
                       : el("td", {{"class", align}}, cells[i]));
  }
  rows_.add(row_class.empty() ? el("tr", {}, content) : el("tr", {{"class", std::string(row_class)}}, content));
  return *this;
}

Html Table::html() const {
  Html head;
  for (const Column& column : columns_)
    head.add(el("th", {{"scope", "col"}, {"class", css_of(column.align)}}, column.head));
  return el("table", {{"class", css_class_}}, caption_.empty() ? Html() : el("caption", {}, caption_),
            el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows_));
}

Html facts(const std::vector<std::pair<Html, Html>>& rows, std::string_view label) {
  Html content;
  for (const auto& [name, value] : rows)
    content.add(el("tr", {}, el("th", {{"scope", "row"}}, name), el("td", {}, value)));
  return el("table", {{"class", "facts"}, {"aria-label", std::string(label)}}, el("tbody", {}, content));
}

}  // namespace heirmark::report
