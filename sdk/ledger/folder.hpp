// The files of a ledger's folder (specs/ledger.md, "Folder").
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include <heirmark/ledger.hpp>

#include "crypto/signature.hpp"
#include "ledger/database.hpp"
#include "ledger/tree.hpp"

namespace heirmark::ledger {

inline constexpr const char* kHeaderFile = "ledger.json";
inline constexpr const char* kPublicFile = "log.pem";
inline constexpr const char* kSecretFile = "log.key";
inline constexpr const char* kDatabaseFile = "ledger.db";
inline constexpr const char* kLockFile = "writer.lock";

[[nodiscard]] Result<LedgerInfo> read_info(const std::filesystem::path& folder);
[[nodiscard]] Result<crypto::PublicKey> log_public_key(const LedgerInfo& info);
/// The key that signs checkpoints; `bad_input` if it is not the header's.
[[nodiscard]] Result<crypto::PrivateKey> read_log_key(const std::filesystem::path& folder, const LedgerInfo& info);

/// What a sealed part is bound to: it opens nowhere else.
[[nodiscard]] std::string associated(const LedgerInfo& info, std::uint64_t seq);
/// A session's data key, opened with the ledger's secret.
[[nodiscard]] Result<Secret32> open_session(const Secret32& secret, std::span<const std::uint8_t> sealed);

/// The tree and the latest time, inside a transaction. `invalid_evidence` if the table holds no such thing.
struct State { Tree tree; std::string time; };
[[nodiscard]] Result<State> read_state(Database& database);
[[nodiscard]] Result<void> write_state(Database& database, const State& state);
/// Adds a line to the records and to the tree.
[[nodiscard]] Result<void> insert_record(Statement& insert, State& state, std::string_view line, std::string_view time, std::span<const std::uint8_t> sealed);
inline constexpr const char* kInsertRecord = "INSERT INTO records (seq, line, sealed) VALUES (?, ?, ?)";

}  // namespace heirmark::ledger
