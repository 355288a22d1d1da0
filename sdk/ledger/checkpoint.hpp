// Checkpoints: signed notes about the tree (C2SP tlog-checkpoint and signed-note).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <heirmark/ledger.hpp>

#include "crypto/sha256.hpp"
#include "crypto/signature.hpp"

namespace heirmark::ledger {

/// "heirmark.dev/ledger/0123456789abcdef": names the log in its notes.
[[nodiscard]] std::string origin(std::string_view ledger_id);

[[nodiscard]] Result<std::string> make_checkpoint(std::string_view ledger_id, std::uint64_t size, const crypto::Digest& root, std::string_view time,
                                                  const crypto::PrivateKey& key);
/// The note's fields, if it is a note of this ledger in exactly the form that make_checkpoint writes, signed by `key`.
[[nodiscard]] Result<LedgerCheckpoint> parse_checkpoint(std::string_view note, std::string_view ledger_id, const crypto::PublicKey& key);

}  // namespace heirmark::ledger
