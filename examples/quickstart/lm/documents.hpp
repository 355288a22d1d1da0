// Texts as token lists in JSON Lines: a ledger (specs/formats.md), or any lines with "prompt" and "tokens".
#pragma once
#include <cstdint>
#include <filesystem>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>
#include <string>
#include <vector>

namespace quickstart {

/// Prompt and response of each line, joined: what a distiller trains on. With `accounts` not empty, only lines whose
/// "account" is one of them. Errors name file and line.
[[nodiscard]] heirmark::Result<std::vector<std::vector<heirmark::TokenId>>> read_documents(
    const std::filesystem::path& file, std::uint32_t vocab, const std::vector<std::string>& accounts);

}  // namespace quickstart
