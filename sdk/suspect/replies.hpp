// What a suspect answers, one line at a time (specs/formats.md, "Suspect protocol"). The line is hostile; who sent it does not matter here.
#pragma once
#include <string_view>
#include <vector>

#include <heirmark/suspect.hpp>

namespace heirmark::suspect {

/// `io` with the suspect's words for an `{"error":".."}` line, `bad_input` for a line that is no reply. Further members are ignored.
[[nodiscard]] Result<SuspectHello> parse_hello(std::string_view line);
[[nodiscard]] Result<std::vector<std::vector<TokenId>>> parse_texts(std::string_view line);
[[nodiscard]] Result<std::vector<ScoredPosition>> parse_positions(std::string_view line, std::uint32_t samples, std::uint32_t top);

}  // namespace heirmark::suspect
