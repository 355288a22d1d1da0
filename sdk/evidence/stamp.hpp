// Time stamps of third parties on statements (specs/evidence.md, "Time stamps").
#pragma once
#include <string>
#include <string_view>

#include <heirmark/evidence.hpp>

#include "crypto/timestamp.hpp"

namespace heirmark::evidence {
/// "stamps/plan-", which the paths of an object's stamps begin with.
[[nodiscard]] std::string stamp_prefix(Object object);
/// Is the stamp's digest the SHA-256 of this envelope?
[[nodiscard]] bool is_about(const crypto::Stamp& stamp, std::string_view statement);
}  // namespace heirmark::evidence
