// A case's folder: its lock, and what make_plan and write_verdict put into it.
#include <algorithm>

#include <heirmark/audit.hpp>
#include <heirmark/io.hpp>
#include <heirmark/keys.hpp>

#include "audit/case.hpp"
#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "base/files.hpp"
#include "crypto/sha256.hpp"
#include "suspect/fields.hpp"

namespace heirmark {
namespace {
namespace fs = std::filesystem;

struct NewFile { std::string path, bytes; };

Result<std::string> random_id() {
  std::array<std::uint8_t, 8> bytes{};
  if (auto drawn = crypto::random_bytes(bytes); !drawn) return drawn.error();
  return crypto::hex_encode(bytes);
}

// prompts.jsonl from any token file: each text is a prompt.
Result<std::string> prompt_lines(const fs::path& file, std::uint32_t vocab) {
  const auto texts = read_token_file(file, vocab);
  if (!texts) return texts.error();
  std::string lines;
  for (std::size_t i = 0; i < texts->size(); ++i) {
    const std::size_t tokens = (*texts)[i].tokens.size();
    if (tokens == 0 || tokens > kMaxVocab)
      return Error{ErrorCode::bad_input, file.string() + ":" + std::to_string(i + 1) + ": " + std::to_string(tokens) + " tokens; a prompt has 1 to " + std::to_string(kMaxVocab)};
    lines += audit::prompt_line((*texts)[i].tokens);
  }
  if (lines.empty()) return Error{ErrorCode::bad_input, file.string() + ": no prompt"};
  return lines;
}

// A case is there whole, and signed, or not at all.
Result<void> write_folder(const fs::path& folder, const std::vector<NewFile>& files, const std::function<Result<void>(const fs::path&)>& sign) {
  std::error_code code;
  if (fs::exists(folder, code) && !(fs::is_directory(folder, code) && fs::is_empty(folder, code)))
    return Error{ErrorCode::usage, folder.string() + " is there already; a plan is never overwritten"};
  auto made = files::NewFolder::beside(folder);
  if (!made) return made.error();
  for (const NewFile& file : files) {
    const fs::path path = made->path() / file.path;
    fs::create_directories(path.parent_path(), code);
    if (code) return files::failure(folder, code.value(), files::Access::write);
    if (auto done = files::write_atomic(path, file.bytes, audit::file_mode(file.path)); !done) return done;
  }
  if (sign)
    if (auto done = sign(made->path()); !done) {
      // The temporary name means nothing to whoever reads the message.
      Error error = done.error();
      const std::string temporary = made->path().string(), shown = folder.string();
      for (std::size_t at = 0; (at = error.message.find(temporary, at)) != std::string::npos; at += shown.size()) error.message.replace(at, temporary.size(), shown);
      return error;
    }
  return made->rename();
}
}  // namespace

struct CaseLock::Impl { std::unique_ptr<files::FolderLock> lock; };
CaseLock::CaseLock(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
CaseLock::CaseLock(CaseLock&&) noexcept = default;
CaseLock::~CaseLock() = default;

Result<CaseLock> CaseLock::take(const std::filesystem::path& folder) {
  auto lock = files::FolderLock::take(folder, false);
  if (!lock) return lock.error();
  if (*lock == nullptr) return Error{ErrorCode::io, folder.string() + ": another command is at work in this folder"};
  return CaseLock(std::make_unique<Impl>(std::move(lock).value()));
}

Result<Plan> make_plan(const PlanRequest& request, const std::filesystem::path& folder) {
  const auto read = [](const fs::path& path) { return files::read(path, audit::kMaxFile); };
  const auto commitment_bytes = read(request.commitment);
  if (!commitment_bytes) return commitment_bytes.error();
  const auto commitment = Commitment::parse(*commitment_bytes);
  if (!commitment) return commitment.error().at(request.commitment.string());
  const auto suspect_bytes = read(request.suspect);
  if (!suspect_bytes) return suspect_bytes.error();
  const auto suspect = SuspectInfo::parse(*suspect_bytes);
  if (!suspect) return suspect.error().at(request.suspect.string());

  std::vector<NewFile> files{{"commitment.json", *commitment_bytes}, {"suspect.json", *suspect_bytes}};
  Plan plan;
  auto id = random_id();
  if (!id) return id.error();
  plan.plan_id = std::move(id).value();
  plan.attempt = request.attempt;
  plan.date = request.date;
  plan.commitment = audit::digest(*commitment_bytes);
  plan.suspect = audit::digest(*suspect_bytes);
  audit::take_commitment(plan, *commitment);
  plan.alpha = request.alpha;
  plan.multiplicity = request.multiplicity == 0 ? request.attempt : request.multiplicity;
  plan.controls = request.controls;
  plan.h1 = request.h1.empty() ? "The suspect's training was influenced by text that was made under key " + plan.path + " (" + plan.key_id + ")." : request.h1;
  plan.h2 = request.h2.empty() ? "It was not: the key is independent of everything about the suspect." : request.h2;

  plan.channels = request.channels.empty() ? default_channels(!request.prompts.empty(), !request.ledger.empty()) : request.channels;
  if (request.channels.empty() || request.fit_decoys)
    for (ChannelPlan& channel : plan.channels)
      channel.decoys = static_cast<std::uint32_t>(std::min<std::uint64_t>(channel.decoys, plan.family_size > plan.controls ? plan.family_size - plan.controls - 1 : 0));
  if (plan.find(Channel::c1) != nullptr) {
    if (request.prompts.empty()) return Error{ErrorCode::usage, "c1 needs a file of prompts"};
    auto lines = prompt_lines(request.prompts, suspect->vocab);
    if (!lines) return lines.error();
    plan.prompts = audit::digest(*lines);
    files.push_back({"prompts.jsonl", *std::move(lines)});
  } else if (!request.prompts.empty()) {
    return Error{ErrorCode::usage, "prompts are given, but no channel uses them"};
  }
  if (plan.find(Channel::c2) != nullptr || plan.find(Channel::c3) != nullptr) {
    if (request.ledger.empty()) return Error{ErrorCode::usage, "c2 and c3 need a ledger"};
    auto bytes = read(request.ledger);
    if (!bytes) return bytes.error();
    const auto ledger = parse_ledger(*bytes, suspect->vocab, request.ledger.string());
    if (!ledger) return ledger.error();
    if (ledger->empty()) return Error{ErrorCode::bad_input, request.ledger.string() + ": no response"};
    plan.ledger = audit::digest(*bytes);
    plan.ledger_responses = ledger->size();
    const std::uint64_t tenth = std::clamp<std::uint64_t>(ledger->size() / 10, 1, 32);
    plan.fit_responses = request.fit_responses.value_or(plan.find(Channel::c3) != nullptr ? std::min<std::uint64_t>(tenth, ledger->size() - 1) : 0);
    files.push_back({"ledger.jsonl", std::move(bytes).value()});
  } else if (!request.ledger.empty()) {
    return Error{ErrorCode::usage, "a ledger is given, but no channel uses it"};
  }
  if (auto valid = plan.validate(); !valid) return Error{ErrorCode::usage, valid.error().message};

  for (const auto& [path, name] : {std::pair<const fs::path&, const char*>{request.commitment_statement, "statements/commitment.dsse.json"},
                                   {request.ledger_statement, "statements/ledger.dsse.json"},
                                   {request.provider_key, "trust/provider.pem"}}) {
    if (path.empty()) continue;
    auto bytes = read(path);
    if (!bytes) return bytes.error();
    files.push_back({name, std::move(bytes).value()});
  }
  for (const fs::path& path : request.stamps) {
    const std::string name = "stamps/" + path.filename().string();
    const bool known = name == "stamps/commitment-1.tsr" || name == "stamps/commitment-2.tsr" || name == "stamps/ledger-1.tsr" || name == "stamps/ledger-2.tsr";
    if (!known || std::any_of(files.begin(), files.end(), [&name](const auto& file) { return file.path == name; }))
      return Error{ErrorCode::usage, path.string() + (known ? ": is given twice" : ": is not the name of a stamp of the provider's, such as commitment-1.tsr")};
    auto bytes = read(path);
    if (!bytes) return bytes.error();
    files.push_back({name, std::move(bytes).value()});
  }
  files.push_back({"plan.json", plan.bytes()});
  if (auto done = write_folder(folder, files, request.sign); !done) return done.error();
  return plan;
}

Result<Verdict> write_verdict(const std::filesystem::path& folder, const std::filesystem::path& opening, std::string_view date, const VerdictOptions& options) {
  struct Part { const char* name; std::string bytes; bool optional; };
  std::vector<Part> parts{{"plan.json", {}, false},   {"transcript.json", {}, false}, {"commitment.json", {}, false},    {"suspect.json", {}, false},
                          {"prompts.jsonl", {}, true}, {"ledger.jsonl", {}, true},     {"transcript/c1.jsonl", {}, true}, {"transcript/issued.jsonl", {}, true}};
  for (Part& part : parts) {
    if (part.optional && files::is_missing(folder / part.name)) continue;
    if (!part.optional && std::string_view(part.name) == "transcript.json" && files::is_missing(folder / part.name))
      return Error{ErrorCode::usage, folder.string() + " has no transcript.json: the run is not finished"};
    auto bytes = files::read(folder / part.name, audit::kMaxFile);
    if (!bytes) return bytes.error();
    part.bytes = std::move(bytes).value();
  }
  const auto opening_bytes = files::read(opening, audit::kMaxObject);
  if (!opening_bytes) return opening_bytes.error();
  VerdictInputs inputs;
  inputs.plan = parts[0].bytes;
  inputs.transcript = parts[1].bytes;
  inputs.commitment = parts[2].bytes;
  inputs.suspect = parts[3].bytes;
  inputs.prompts = parts[4].bytes;
  inputs.ledger = parts[5].bytes;
  inputs.c1 = parts[6].bytes;
  inputs.issued = parts[7].bytes;
  inputs.opening = *opening_bytes;
  auto verdict = compute_verdict(inputs, date, options);
  if (!verdict) return verdict;
  if (auto done = files::write_atomic(folder / "opening.json", *opening_bytes, audit::file_mode("opening.json")); !done) return done.error();
  if (auto done = files::write_atomic(folder / "verdict.json", verdict->bytes()); !done) return done.error();
  return verdict;
}

}  // namespace heirmark
