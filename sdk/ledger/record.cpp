#include "ledger/record.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/text.hpp"
#include "json/value.hpp"
#include "keys/objects.hpp"

namespace heirmark::ledger {
namespace {
constexpr std::int64_t kMost = (std::int64_t{1} << 53) - 1;

std::string line_of(json::Object object) { return json::canonical(json::Value(std::move(object))) + "\n"; }
bool is_hex(std::string_view text, std::size_t digits) { return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

std::string hex_or_empty(keys::Members& members, std::string_view name, std::size_t digits) {
  std::string text = members.text(name);
  if (!text.empty() && !is_hex(text, digits)) members.fail("member \"" + std::string(name) + "\": expected " + std::to_string(digits) + " lower-case hex digits or nothing");
  return text;
}
std::string time_of(keys::Members& members, std::string_view name) {
  std::string text = members.text(name);
  if (!text::is_time(text)) members.fail("member \"" + std::string(name) + "\": expected a time YYYY-MM-DDThh:mm:ssZ");
  return text;
}
std::uint64_t count_of(keys::Members& members, std::string_view name, std::int64_t low, std::int64_t high) {
  return static_cast<std::uint64_t>(members.integer(name, low, high));
}
}  // namespace

std::string response_line(const ResponseFields& fields) {
  return line_of({{"type", "response"}, {"seq", fields.seq}, {"time", fields.time}, {"keyId", fields.key_id}, {"model", fields.model},
                  {"configDigest", fields.config_digest}, {"tokens", fields.tokens}, {"markedTokens", fields.marked_tokens},
                  {"accountDigest", crypto::hex_encode(fields.digests.account)}, {"requestDigest", crypto::hex_encode(fields.digests.request)},
                  {"promptDigest", crypto::hex_encode(fields.digests.prompt)}, {"tokensDigest", crypto::hex_encode(fields.digests.tokens)},
                  {"positionsDigest", crypto::hex_encode(fields.digests.positions)}, {"sealedDigest", crypto::hex_encode(fields.sealed)}});
}

std::string lost_line(std::uint64_t seq, std::string_view time, std::uint64_t responses) {
  return line_of({{"type", "lost"}, {"seq", seq}, {"time", time}, {"responses", responses}});
}

std::string seqs_digest(const std::vector<std::uint64_t>& seqs) {
  std::string bytes;
  for (const std::uint64_t seq : seqs)
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(static_cast<std::uint8_t>(seq >> shift));
  return crypto::sha256_hex(bytes);
}

std::string purge_line(std::uint64_t seq, std::string_view time, std::string_view before, const std::vector<std::uint64_t>& purged) {
  return line_of({{"type", "purge"}, {"seq", seq}, {"time", time}, {"before", before}, {"responses", purged.size()}, {"seqsDigest", seqs_digest(purged)}});
}

Result<ParsedRecord> parse_record(std::string_view line, std::uint64_t seq) {
  const auto value = json::parse_canonical(line);
  if (!value) return value.error();
  const json::Value* type = value->find("type");
  const std::string* kind = type == nullptr ? nullptr : type->if_string();
  if (kind == nullptr) return Error{ErrorCode::bad_input, "not a record of a ledger"};
  ParsedRecord out;
  LedgerRecord& record = out.record;
  record.line = line;
  keys::Members members(*value, *kind == "lost" || *kind == "purge" ? std::string_view(*kind) : std::string_view("response"));
  record.seq = count_of(members, "seq", 0, kMost);
  record.time = time_of(members, "time");
  if (*kind == "lost") {
    record.kind = LedgerRecord::Kind::lost;
    record.responses = count_of(members, "responses", 1, kMost);
  } else if (*kind == "purge") {
    record.kind = LedgerRecord::Kind::purge;
    record.before = time_of(members, "before");
    record.responses = count_of(members, "responses", 1, kMost);
    out.purged = members.hex("seqsDigest", 64);
  } else {
    record.key_id = hex_or_empty(members, "keyId", 16);
    record.model = members.text("model", kLongestModel);
    hex_or_empty(members, "configDigest", 64);
    record.tokens = count_of(members, "tokens", 1, kMaxVocab);
    record.marked_tokens = count_of(members, "markedTokens", 0, static_cast<std::int64_t>(record.tokens));
    for (const auto& [name, into] : {std::pair<const char*, std::string&>{"accountDigest", out.account}, {"requestDigest", out.request}, {"promptDigest", out.prompt},
                                     {"tokensDigest", out.tokens}, {"positionsDigest", out.positions}, {"sealedDigest", out.sealed}})
      into = members.hex(name, 64);
    if (record.model.empty()) members.fail("member \"model\" is empty");
  }
  if (auto good = members.finish(); !good) return good.error();
  if (record.seq != seq) return Error{ErrorCode::bad_input, "seq is " + std::to_string(record.seq) + ", not " + std::to_string(seq)};
  return out;
}

std::string time_text(std::int64_t seconds) {
  const std::chrono::sys_seconds point{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(point - day);
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return text;
}

}  // namespace heirmark::ledger
