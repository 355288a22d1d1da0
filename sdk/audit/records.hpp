// The JSON Lines files of a case, strictly: prompts, texts of c1, answers about issued responses (specs/formats.md).
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/audit.hpp>

namespace heirmark::audit {

/// Calls `line` with each line's number (from 1) and text without its line feed. A last line without a line feed and an
/// empty line are errors.
Result<void> each_line(std::string_view bytes, std::string_view file, const std::function<Result<void>(std::uint64_t, std::string_view)>& line);
[[nodiscard]] std::uint64_t count_lines(std::string_view bytes);

/// Times of a ledger's lines, in their order as text: the least and the greatest, and the first line, from 1, that is earlier than the line before it (0: none).
struct LedgerTimes {
  std::string first, last;
  std::uint64_t back = 0;
};
/// heirmark::parse_ledger, which drops the times.
[[nodiscard]] Result<std::vector<IssuedResponse>> parse_ledger(std::string_view bytes, std::uint32_t vocab, const std::string& name, LedgerTimes& times);

/// prompts.jsonl, canonical.
[[nodiscard]] Result<std::vector<std::vector<TokenId>>> parse_prompts(std::string_view bytes, std::uint32_t vocab);
[[nodiscard]] std::string prompt_line(std::span<const TokenId> prompt);

/// transcript/c1.jsonl: the text of one line, checked against what the plan asked for.
[[nodiscard]] std::string text_line(std::uint64_t i, std::span<const TokenId> prompt, std::span<const TokenId> generated);
[[nodiscard]] Result<TokenText> parse_text_line(std::string_view line, std::uint64_t i, std::span<const TokenId> prompt, const ChannelPlan& plan, std::uint32_t vocab);

/// transcript/issued.jsonl.
[[nodiscard]] std::string issued_line(std::uint64_t response, std::span<const ScoredPosition> positions);
[[nodiscard]] Result<std::vector<ScoredPosition>> parse_issued_line(std::string_view line, std::uint64_t response, std::size_t positions, std::uint32_t samples,
                                                                    std::uint32_t top, std::uint32_t vocab);
/// How many positions of a response a suspect with that context is asked about.
[[nodiscard]] std::size_t asked_positions(const IssuedResponse& response, std::uint64_t context);

/// transcript/progress.json.
struct Progress { std::string plan, started; SuspectHello hello; };
[[nodiscard]] Result<Progress> parse_progress(std::string_view bytes);
[[nodiscard]] std::string progress_bytes(const Progress& progress);

}  // namespace heirmark::audit
