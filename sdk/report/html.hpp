// A small typed HTML builder. Text from outside cannot become markup: the only ways to make an Html are text, which is
// escaped, and elements whose names are fixed when this program is compiled.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace heirmark::report {

/// A tag or attribute name, known at compile time: letters, digits, '-' and ':' only.
class Name {
 public:
  consteval Name(const char* name) : text_(name) {  // NOLINT(google-explicit-constructor)
    if (text_.empty()) throw "an empty name";
    for (const char c : text_)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':'))
        throw "not a name";
  }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// Text that was written in this source.
class Literal {
 public:
  consteval Literal(const char* text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// A style sheet: text written in this source, and strings quoted so that they cannot end their quotes.
class Css {
 public:
  Css& add(Literal text) { return text_ += text.text(), *this; }
  Css& add_quoted(std::string_view text);  ///< a CSS string; anything but letters, digits, space and '-' is escaped
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// `text` with markup characters as entities. What could change how the page reads without being seen (control
/// characters, direction overrides, zero-width characters, bytes that are not UTF-8) is spelled out, for example
/// [U+202E].
[[nodiscard]] std::string escape(std::string_view text);

/// The first `limit` characters of UTF-8 text, with an ellipsis when there were more.
[[nodiscard]] std::string clipped(std::string_view text, std::size_t limit);

/// A piece of HTML (or SVG). Made of text, it is escaped.
class Html {
 public:
  Html() = default;
  Html(std::string_view text) : markup_(escape(text)) {}    // NOLINT(google-explicit-constructor)
  Html(const std::string& text) : markup_(escape(text)) {}  // NOLINT(google-explicit-constructor)
  Html(const char* text) : markup_(escape(text)) {}         // NOLINT(google-explicit-constructor)
  [[nodiscard]] const std::string& markup() const noexcept { return markup_; }
  Html& add(const Html& more) { return markup_ += more.markup_, *this; }
  [[nodiscard]] bool empty() const noexcept { return markup_.empty(); }

 private:
  struct Trusted {};
  Html(Trusted, std::string markup) : markup_(std::move(markup)) {}
  friend class Markup;
  std::string markup_;
};

/// An attribute. The value is escaped.
struct Attribute {
  Name name;
  std::string value;
};
using Attributes = std::initializer_list<Attribute>;

/// The only class that writes markup.
class Markup {
 public:
  static Html element(Name tag, Attributes attributes, const Html& content);
  static Html empty_element(Name tag, Attributes attributes);  ///< <br>, <meta ..>
  static Html style(const Css& sheet);
  static std::string document(const Html& head, const Html& body);  ///< <!DOCTYPE html> and the rest, lang="en"
};

/// Pieces one after the other.
template <class... Pieces>
[[nodiscard]] Html join(const Pieces&... pieces) {
  Html all;
  (all.add(Html(pieces)), ...);
  return all;
}
template <class... Pieces>
[[nodiscard]] Html el(Name tag, Attributes attributes, const Pieces&... pieces) {
  return Markup::element(tag, attributes, join(pieces...));
}
template <class... Pieces>
[[nodiscard]] Html p(const Pieces&... pieces) {
  return el("p", {}, pieces...);
}
template <class... Pieces>
[[nodiscard]] Html strong(const Pieces&... pieces) {
  return el("strong", {}, pieces...);
}
template <class... Pieces>
[[nodiscard]] Html em(const Pieces&... pieces) {
  return el("em", {}, pieces...);
}
template <class... Pieces>
[[nodiscard]] Html code(const Pieces&... pieces) {
  return el("code", {}, pieces...);
}
/// A digest: monospaced, may break after every 16 characters.
[[nodiscard]] Html digest(std::string_view hex);

/// A heading of level 2 or 3 with an id to link to.
[[nodiscard]] Html h2(std::string_view id, const Html& text);
[[nodiscard]] Html h3(const Html& text);
[[nodiscard]] Html list(const std::vector<Html>& items, bool numbered = false);
/// One command block.
[[nodiscard]] Html commands(const std::vector<std::string>& lines);

/// A table with a caption, column headers and a row header in each row's first cell.
class Table {
 public:
  enum class Align : unsigned char { left, right, key };  ///< key: left, never broken
  struct Column {
    std::string head;
    Align align = Align::left;
  };
  Table(Html caption, std::vector<Column> columns, std::string css_class = "");
  Table& row(const std::vector<Html>& cells, std::string_view row_class = "");
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  [[nodiscard]] Html html() const;

 private:
  Html caption_;
  std::vector<Column> columns_;
  std::string css_class_;
  Html rows_;
};

/// A list of names and values, for the first page.
[[nodiscard]] Html facts(const std::vector<std::pair<Html, Html>>& rows, std::string_view label);

}  // namespace heirmark::report
