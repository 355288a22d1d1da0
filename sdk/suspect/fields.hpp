// Reading and writing objects of specs/formats.md field by field, on top of json::Value. The first thing that is wrong is kept
// and told at the end, so that a reader is one straight list of fields.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <heirmark/result.hpp>
#include <heirmark/suspect.hpp>

#include "base/text.hpp"
#include "json/value.hpp"

namespace heirmark::fields {

[[nodiscard]] bool is_ascii_text(std::string_view text) noexcept;  ///< 1 to 4096 bytes from 0x20 to 0x7e
[[nodiscard]] bool is_hex(std::string_view text, std::size_t digits) noexcept;  ///< lower case
[[nodiscard]] bool is_name(std::string_view text) noexcept;        ///< an account or family (specs/keys.md)

class Fields {
 public:
  /// `where` is put before every message: "WHERE: member \"x\" ..".
  Fields(const json::Value& value, std::string where);

  std::string text(std::string_view name);                                  ///< ASCII text
  std::string text_or_empty(std::string_view name);
  std::string any_text(std::string_view name);                              ///< any string
  std::string hex(std::string_view name, std::size_t digits);
  std::string digest(std::string_view name) { return hex(name, 64); }
  std::string digest_or_empty(std::string_view name);
  std::string date_or_empty(std::string_view name);
  std::string time(std::string_view name);
  std::string name(std::string_view name);
  std::string decimal(std::string_view name);                               ///< -?digits[.digits]
  std::string decimal_or_empty(std::string_view name);
  void exactly(std::string_view name, std::string_view value);
  std::uint64_t number(std::string_view name, std::uint64_t low, std::uint64_t high);
  bool boolean(std::string_view name);
  std::vector<TokenId> tokens(std::string_view name, std::size_t least, std::size_t most, std::uint32_t vocab);
  std::vector<const json::Value*> list(std::string_view name, std::size_t least, std::size_t most);
  Fields object(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const;

  void merge(Result<void> other);      ///< takes over another reader's error
  void fail(std::string message);
  Result<void> finish();               ///< the first error; a member that nobody read is one too
  Result<void> finish_open() const;    ///< the same, further members allowed

 private:
  const json::Value* get(std::string_view name);
  const json::Value* value_;
  std::string where_;
  std::set<std::string, std::less<>> read_;
  std::optional<Error> error_;
};

/// A list's items; a list of integers.
[[nodiscard]] Result<std::vector<const json::Value*>> items(const json::Value& value, std::size_t least, std::size_t most);
[[nodiscard]] Result<std::vector<std::uint32_t>> integers(const json::Value& value, std::size_t least, std::size_t most, std::uint32_t high);
[[nodiscard]] Result<std::uint64_t> integer(const json::Value& value, std::uint64_t high);
[[nodiscard]] Result<std::string> string_of(const json::Value& value);
/// Exactly `samples` samples; 1..top listed tokens (none when top is 0), most likely first, none twice; ids below vocab.
[[nodiscard]] Result<void> check_position(const ScoredPosition& position, std::uint32_t samples, std::uint32_t top, std::uint32_t vocab);
/// `top` and `samples` of a position, checked; a member that is not asked for may be missing when `lenient`.
[[nodiscard]] Result<ScoredPosition> scored_position(Fields& fields, std::uint32_t samples, std::uint32_t top, std::uint32_t vocab, bool lenient = false);

[[nodiscard]] json::Value text(std::string_view value);
[[nodiscard]] json::Value number(std::uint64_t value);
[[nodiscard]] json::Value boolean(bool value);
[[nodiscard]] json::Value array(std::vector<json::Value> values);
[[nodiscard]] json::Value object(std::vector<std::pair<std::string, json::Value>> members);
/// Canonical bytes and a line feed.
[[nodiscard]] std::string line(const json::Value& value);

/// A canonical file with its line feed; a canonical line without; any JSON text.
[[nodiscard]] Result<json::Value> parse_canonical(std::string_view bytes, std::string_view where);
[[nodiscard]] Result<json::Value> parse_canonical_line(std::string_view line);
[[nodiscard]] Result<json::Value> parse_lenient(std::string_view line);

}  // namespace heirmark::fields
