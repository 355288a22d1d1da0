// What the reading side keeps.
#pragma once
#include <map>

#include "ledger/folder.hpp"
#include "ledger/record.hpp"

namespace heirmark {

struct LedgerReader::Impl {
  std::filesystem::path folder;
  LedgerInfo info;
  mutable ledger::Database database;
};

namespace ledger {

/// The session that a sealed part names, by its first bytes; `invalid_evidence` if it has no room for a session's id, a nonce and a tag.
[[nodiscard]] Result<std::uint64_t> session_of(std::span<const std::uint8_t> sealed);

/// Opens sealed parts; keeps the sessions' keys.
class Opener {
 public:
  Opener(Database& database, const LedgerInfo& info, const Secret32& secret) : database_(database), info_(info), secret_(secret) {}
  /// The response of a record, checked against its digests. `invalid_evidence` if they differ, `key` if the secret is another ledger's.
  [[nodiscard]] Result<Unpacked> open(const ParsedRecord& record, std::span<const std::uint8_t> sealed);
  /// Is the secret that of ledger.json's sealKey? If so, a session's key that it does not open is damaged.
  [[nodiscard]] bool ours() const;

 private:
  Result<const Secret32*> session(std::uint64_t id);
  Database& database_;
  const LedgerInfo& info_;
  const Secret32& secret_;
  std::map<std::uint64_t, Secret32> sessions_;
};

/// The number of records whose time is before `time`: the seq of the first that is not. Times never fall.
[[nodiscard]] Result<std::uint64_t> first_at(Database& database, std::uint64_t size, std::string_view time);

}  // namespace ledger
}  // namespace heirmark
