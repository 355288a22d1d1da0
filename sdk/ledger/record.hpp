// The lines of the ledger (specs/ledger.md, "Records").
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/ledger.hpp>

#include "ledger/packed.hpp"

namespace heirmark::ledger {

/// Longest model name.
inline constexpr std::size_t kLongestModel = 256;

struct ResponseFields {
  std::uint64_t seq = 0;
  std::string_view time, key_id, model, config_digest;
  std::uint64_t tokens = 0, marked_tokens = 0;
  Digests digests;
  crypto::Digest sealed;
};
[[nodiscard]] std::string response_line(const ResponseFields& fields);
[[nodiscard]] std::string lost_line(std::uint64_t seq, std::string_view time, std::uint64_t responses);
[[nodiscard]] std::string purge_line(std::uint64_t seq, std::string_view time, std::string_view before, const std::vector<std::uint64_t>& purged);

/// A line, with its digests in hex.
struct ParsedRecord {
  LedgerRecord record;
  std::string account, request, prompt, tokens, positions, sealed;  ///< response
  std::string purged;                                               ///< purge: digest of the seqs
};
/// Exactly a canonical line of one of the kinds, with this seq.
[[nodiscard]] Result<ParsedRecord> parse_record(std::string_view line, std::uint64_t seq);
/// SHA-256 over the seqs, 8 bytes each, big-endian, ascending; hex.
[[nodiscard]] std::string seqs_digest(const std::vector<std::uint64_t>& seqs);

/// YYYY-MM-DDThh:mm:ssZ of seconds since 1970, which must be of a year from 1970 to 9999.
[[nodiscard]] std::string time_text(std::int64_t seconds);

}  // namespace heirmark::ledger
