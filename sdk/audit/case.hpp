// A case's files, read and tied to its plan.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include <heirmark/audit.hpp>
#include <heirmark/keys.hpp>

namespace heirmark::audit {

/// The mode of a file of a case, or of its bag: 0600 for the key and for what the provider's customers were answered.
[[nodiscard]] unsigned file_mode(std::string_view path) noexcept;

/// transcript/c1.jsonl: every line is the answer to the plan's query of that number. Only the plan's texts, all of them.
[[nodiscard]] Result<std::vector<TokenText>> parse_texts(std::string_view bytes, const Plan& plan, const std::vector<std::vector<TokenId>>& prompts, std::uint32_t vocab);
/// transcript/issued.jsonl likewise.
[[nodiscard]] Result<std::vector<std::vector<ScoredPosition>>> parse_answers(std::string_view bytes, const Plan& plan, const std::vector<IssuedResponse>& ledger,
                                                                             std::uint64_t context, std::uint32_t vocab);
/// Does the transcript's list name exactly the plan's files, with their digests and lines? `transcript.file` in evidence.
[[nodiscard]] Result<void> check_files(const Transcript& transcript, const Plan& plan, std::string_view c1, std::string_view issued);
/// Is the hello that of the plan's suspect?
[[nodiscard]] Result<void> check_hello(const SuspectHello& hello, const SuspectInfo& suspect);

/// Do opening and commitment say the same about the key? (The digest is checked elsewhere.)
[[nodiscard]] Result<void> check_opening(const Opening& opening, const Commitment& commitment);
/// Do plan and commitment?
[[nodiscard]] Result<void> check_commitment(const Plan& plan, const Commitment& commitment);
/// Copies the commitment's fields into a plan.
void take_commitment(Plan& plan, const Commitment& commitment);

/// log10 p as printed <= log10 alpha, in real numbers.
[[nodiscard]] bool reaches_alpha(std::string_view log10_p, std::string_view alpha);
/// log10 e as printed >= log10(accounts / alpha), in real numbers.
[[nodiscard]] bool names_account(std::string_view log10_e, std::uint64_t accounts, std::string_view alpha);

}  // namespace heirmark::audit
