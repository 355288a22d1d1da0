#include "audit/case.hpp"

#include <charconv>
#include <cmath>

#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "core/dmath.hpp"

namespace heirmark::audit {
namespace {
double decimal(std::string_view text) {
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}
// A printed logarithm and log10 of a decimal are equal or far apart; the double that stands for the latter is off by
// about 1e-15. Within 1e-9 they are equal.
constexpr double kEqual = 1e-9;
double log10_of(double x) { return core::dlog(x) / core::dlog(10.0); }
}  // namespace

unsigned file_mode(std::string_view path) noexcept { return path == "opening.json" || path == "ledger.jsonl" ? 0600 : 0644; }

Result<std::vector<TokenText>> parse_texts(std::string_view bytes, const Plan& plan, const std::vector<std::vector<TokenId>>& prompts, std::uint32_t vocab) {
  const ChannelPlan& channel = *plan.find(Channel::c1);
  const auto order = prompt_order(plan_seed(plan.digest()), static_cast<std::uint32_t>(prompts.size()));
  std::vector<TokenText> out;
  auto read = each_line(bytes, "transcript/c1.jsonl", [&](std::uint64_t number, std::string_view line) -> Result<void> {
    if (number > channel.texts) return Error{ErrorCode::bad_input, "more than the plan's " + std::to_string(channel.texts) + " texts"};
    auto text = parse_text_line(line, number - 1, prompts[order[(number - 1) % order.size()]], channel, vocab);
    if (!text) return text.error();
    out.push_back(std::move(text).value());
    return {};
  });
  if (!read) return read.error();
  if (out.size() != channel.texts)
    return Error{ErrorCode::bad_input, "transcript/c1.jsonl: " + std::to_string(out.size()) + " texts, not the plan's " + std::to_string(channel.texts)};
  return out;
}

Result<std::vector<std::vector<ScoredPosition>>> parse_answers(std::string_view bytes, const Plan& plan, const std::vector<IssuedResponse>& ledger,
                                                               std::uint64_t context, std::uint32_t vocab) {
  const ChannelPlan* c2 = plan.find(Channel::c2);
  const ChannelPlan* c3 = plan.find(Channel::c3);
  std::vector<std::vector<ScoredPosition>> out;
  auto read = each_line(bytes, "transcript/issued.jsonl", [&](std::uint64_t number, std::string_view line) -> Result<void> {
    if (number > ledger.size()) return Error{ErrorCode::bad_input, "more than the ledger's " + std::to_string(ledger.size()) + " responses"};
    auto positions = parse_issued_line(line, number - 1, asked_positions(ledger[number - 1], context), c2 == nullptr ? 0 : c2->samples, c3 == nullptr ? 0 : c3->top, vocab);
    if (!positions) return positions.error();
    out.push_back(std::move(positions).value());
    return {};
  });
  if (!read) return read.error();
  if (out.size() != ledger.size())
    return Error{ErrorCode::bad_input, "transcript/issued.jsonl: " + std::to_string(out.size()) + " responses, not the ledger's " + std::to_string(ledger.size())};
  return out;
}

Result<void> check_files(const Transcript& transcript, const Plan& plan, std::string_view c1, std::string_view issued) {
  std::vector<std::pair<std::string_view, std::string_view>> expected;
  if (!plan.prompts.empty()) expected.emplace_back("transcript/c1.jsonl", c1);
  if (!plan.ledger.empty()) expected.emplace_back("transcript/issued.jsonl", issued);
  if (transcript.files.size() != expected.size()) return Error{ErrorCode::invalid_evidence, "transcript.json does not list the plan's files"};
  std::uint64_t queries = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const TranscriptFile& file = transcript.files[i];
    const auto& [path, bytes] = expected[i];
    if (file.path != path) return Error{ErrorCode::invalid_evidence, "transcript.json lists " + file.path + " in the place of " + std::string(path)};
    if (file.sha256 != digest(bytes)) return Error{ErrorCode::invalid_evidence, file.path + " does not have the digest in transcript.json"};
    if (file.lines != count_lines(bytes)) return Error{ErrorCode::invalid_evidence, file.path + " does not have the number of lines in transcript.json"};
    queries += file.lines;
  }
  if (transcript.queries != queries) return Error{ErrorCode::invalid_evidence, "transcript.json: queries is not the number of lines"};
  return {};
}

Result<void> check_hello(const SuspectHello& hello, const SuspectInfo& suspect) {
  if (hello.vocab != suspect.vocab)
    return Error{ErrorCode::invalid_evidence, "the suspect says vocab " + std::to_string(hello.vocab) + ", suspect.json says " + std::to_string(suspect.vocab)};
  if (!hello.weights_digest.empty() && !suspect.weights.empty() && hello.weights_digest != suspect.weights)
    return Error{ErrorCode::invalid_evidence, "the suspect's weights_digest is not the one in suspect.json"};
  return {};
}

Result<void> check_opening(const Opening& opening, const Commitment& commitment) {
  std::string wrong;
  if (opening.path().text() != commitment.path) wrong = "path";
  if (opening.key_id() != commitment.key_id) wrong = "keyId";
  if (opening.family_size() != commitment.family_size) wrong = "familySize";
  if (opening.profile().name != commitment.profile) wrong = "profile";
  if (!wrong.empty()) return Error{ErrorCode::invalid_evidence, "opening and commitment have a different " + wrong};
  return {};
}

Result<void> check_commitment(const Plan& plan, const Commitment& commitment) {
  std::string wrong;
  if (plan.path != commitment.path) wrong = "path";
  if (plan.key_id != commitment.key_id) wrong = "keyId";
  if (plan.family_size != commitment.family_size) wrong = "familySize";
  if (plan.profile != commitment.profile) wrong = "profile";
  if (!wrong.empty()) return Error{ErrorCode::invalid_evidence, "plan and commitment have a different " + wrong};
  return {};
}

void take_commitment(Plan& plan, const Commitment& commitment) {
  plan.opening = commitment.digest;
  plan.path = commitment.path;
  plan.key_id = commitment.key_id;
  plan.family_size = commitment.family_size;
  plan.profile = commitment.profile;
}

bool reaches_alpha(std::string_view log10_p, std::string_view alpha) { return decimal(log10_p) <= log10_of(decimal(alpha)) + kEqual; }

bool names_account(std::string_view log10_e, std::uint64_t accounts, std::string_view alpha) {
  return decimal(log10_e) >= log10_of(static_cast<double>(accounts) / decimal(alpha)) - kEqual;
}

}  // namespace heirmark::audit
