// Time stamps of third parties on statements (specs/evidence.md, "Time stamps").
#pragma once
#include <string_view>

#include "crypto/timestamp.hpp"

namespace heirmark::evidence {
/// Is the stamp's digest the SHA-256 of this envelope?
[[nodiscard]] bool is_about(const crypto::Stamp& stamp, std::string_view statement);
}  // namespace heirmark::evidence
