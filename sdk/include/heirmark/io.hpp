// Token files: JSON Lines with one text on each line (specs/scoring.md, "Token file").
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>

namespace heirmark {

/// All texts of a token file, in the order of its lines; "-" is standard input. Token ids are below `vocab` (0: up to kMaxVocab).
/// Whatever is wrong with a line is `bad_input` and the message begins with FILE:LINE. A text without tokens is kept: lines and
/// texts correspond.
/// `stop` is asked between pieces of the file and when a signal interrupts a read; true ends with `stopped`.
[[nodiscard]] Result<std::vector<TokenText>> read_token_file(const std::filesystem::path& path, std::uint32_t vocab = 0, const std::function<bool()>& stop = {});

/// The same for the file of specs/scoring.md, "C1 reading": each line also has `top`, and `base` if it likes, with one list for each
/// position from `prompt_tokens` on.
[[nodiscard]] Result<std::vector<ReadingText>> read_reading_file(const std::filesystem::path& path, std::uint32_t vocab = 0, const std::function<bool()>& stop = {});

}  // namespace heirmark
