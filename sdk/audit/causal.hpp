// Whether a suspect answers from the tokens before a position alone (specs/formats.md, "Suspect protocol").
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <heirmark/audit.hpp>

namespace heirmark::audit {

/// Asks about some positions of the ledger's responses twice: as they are, and with another token, drawn from all, at the position itself. A suspect that gives log-probabilities or
/// samples of the next token does not see that token; one that does would name the key's choices because they stand in the question. Returns why the suspect is to be refused, or "":
/// more than a quarter of the probes name the other token once it stands there, or more than three quarters give the ledger's own less without it. Errors are the suspect's own.
[[nodiscard]] Result<std::string> find_dependence(Suspect& suspect, std::span<const IssuedResponse> ledger, const std::array<std::uint8_t, 32>& seed, const SuspectHello& hello,
                                                 std::uint32_t samples, std::uint32_t top);

}  // namespace heirmark::audit
