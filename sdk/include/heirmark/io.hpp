// Token files: JSON Lines with one text on each line (specs/scoring.md, "Token file").
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>

namespace heirmark {

/// All texts of a token file, in the order of its lines; "-" is standard input. Token ids are below `vocab` (0: up to kMaxVocab).
/// Whatever is wrong with a line is `bad_input` and the message begins with FILE:LINE. A text without tokens is kept: lines and
/// texts correspond.
[[nodiscard]] Result<std::vector<TokenText>> read_token_file(const std::filesystem::path& path, std::uint32_t vocab = 0);

}  // namespace heirmark
