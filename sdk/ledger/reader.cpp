// The reading side: lines, checkpoints, and the responses inside the sealed parts.
#include "ledger/reader_impl.hpp"

#include <map>
#include <queue>
#include <unordered_set>
#include <utility>

#include "base/text.hpp"
#include "crypto/secretbox.hpp"
#include "crypto/sha256.hpp"
#include "ledger/checkpoint.hpp"

namespace heirmark {
namespace ledger {

Result<std::uint64_t> session_of(std::span<const std::uint8_t> sealed) {
  constexpr std::size_t kLeast = 8 + 24 + 16;
  if (sealed.size() < kLeast)
    return Error{ErrorCode::invalid_evidence, "the sealed part is malformed: " + std::to_string(sealed.size()) + " bytes, and a session's id, a nonce and a tag are " + std::to_string(kLeast)};
  std::uint64_t id = 0;
  for (const std::uint8_t byte : sealed.first(8)) id = id << 8 | byte;
  return id;
}

Result<const Secret32*> Opener::session(std::uint64_t id) {
  if (const auto known = sessions_.find(id); known != sessions_.end()) return &known->second;
  auto select = database_.prepare("SELECT sealed FROM sessions WHERE id = ?");
  if (!select) return select.error();
  const auto row = select->bind(0, id).step();
  if (!row) return row.error();
  if (!*row) return Error{ErrorCode::invalid_evidence, "its session is missing"};
  auto key = open_session(secret_, select->blob(0));
  if (!key) return key.error();
  return &sessions_.emplace(id, *std::move(key)).first->second;
}

bool Opener::ours() const { return crypto::hex_encode(crypto::box_public_key(secret_)) == info_.seal_key; }

Result<Unpacked> Opener::open(const ParsedRecord& record, std::span<const std::uint8_t> sealed) {
  if (crypto::hex_encode(crypto::sha256(sealed)) != record.sealed) return Error{ErrorCode::invalid_evidence, "the sealed part is not the one that was recorded"};
  const auto id = session_of(sealed);
  if (!id) return id.error();
  const auto key = session(*id);
  if (!key) return key.error();
  WipedBytes plaintext;
  if (auto opened = crypto::unseal(**key, associated(info_, record.record.seq), sealed.subspan(8)); opened) plaintext.bytes = *std::move(opened);
  else return Error{ErrorCode::invalid_evidence, "the sealed part does not open under its session's key"};
  auto out = unpack(plaintext.bytes);
  if (!out) return Error{ErrorCode::invalid_evidence, out.error().message};
  const Digests found = digests_of(out->salt, out->packed);
  const auto differs = [](const crypto::Digest& digest, const std::string& hex) { return crypto::hex_encode(digest) != hex; };
  const char* wrong = differs(found.account, record.account)       ? "accountDigest"
                      : differs(found.request, record.request)     ? "requestDigest"
                      : differs(found.prompt, record.prompt)       ? "promptDigest"
                      : differs(found.tokens, record.tokens)       ? "tokensDigest"
                      : differs(found.positions, record.positions) ? "positionsDigest"
                      : out->packed.tokens.size() != record.record.tokens  ? "tokens"
                      : out->packed.marked != record.record.marked_tokens  ? "markedTokens"
                                                                           : nullptr;
  if (wrong != nullptr) return Error{ErrorCode::invalid_evidence, "the sealed part does not fit " + std::string(wrong)};
  return out;
}

Result<std::uint64_t> first_at(Database& database, std::uint64_t size, std::string_view time) {
  auto select = database.prepare("SELECT line FROM records WHERE seq = ?");
  if (!select) return select.error();
  std::uint64_t low = 0, high = size;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    select->reset();
    const auto row = select->bind(0, middle).step();
    if (!row) return row.error();
    if (!*row) return Error{ErrorCode::invalid_evidence, "record " + std::to_string(middle) + " is missing"};
    const auto record = parse_record(select->text(0), middle);
    if (!record) return Error{ErrorCode::invalid_evidence, "record " + std::to_string(middle) + ": " + record.error().message};
    if (record->record.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

}  // namespace ledger

namespace {
std::string where(std::uint64_t seq) { return "record " + std::to_string(seq); }
}  // namespace

Result<LedgerReader> LedgerReader::open(const std::filesystem::path& folder) {
  auto info = ledger::read_info(folder);
  if (!info) return info.error();
  auto database = ledger::Database::open(folder / ledger::kDatabaseFile, ledger::Database::Access::read);
  if (!database) return database.error();
  return LedgerReader(std::make_unique<Impl>(Impl{folder, *std::move(info), *std::move(database)}));
}

const LedgerInfo& LedgerReader::info() const noexcept { return impl_->info; }

Result<std::uint64_t> LedgerReader::size() const {
  const auto state = ledger::read_state(impl_->database);
  if (!state) return state.error();
  return state->tree.size();
}

Result<void> LedgerReader::each(std::uint64_t first, std::uint64_t end, const EachRecord& record) const {
  auto transaction = ledger::Transaction::begin(impl_->database, false);
  if (!transaction) return transaction.error();
  auto select = impl_->database.prepare("SELECT seq, line, sealed IS NOT NULL FROM records WHERE seq >= ? AND seq < ? ORDER BY seq");
  if (!select) return select.error();
  select->bind(0, first).bind(1, std::min(end, std::uint64_t{1} << 62));
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    auto parsed = ledger::parse_record(select->text(1), select->number(0));
    if (!parsed) return Error{ErrorCode::invalid_evidence, where(select->number(0)) + ": " + parsed.error().message};
    parsed->record.sealed = select->number(2) != 0;
    if (auto done = record(parsed->record); !done) return done;
  }
}

Result<std::vector<LedgerCheckpoint>> LedgerReader::checkpoints() const {
  const auto key = ledger::log_public_key(impl_->info);
  if (!key) return key.error();
  auto select = impl_->database.prepare("SELECT size, note FROM checkpoints ORDER BY size");
  if (!select) return select.error();
  std::vector<LedgerCheckpoint> out;
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return out;
    auto checkpoint = ledger::parse_checkpoint(select->text(1), impl_->info.id, *key);
    if (!checkpoint) return Error{ErrorCode::invalid_evidence, "checkpoint at " + std::to_string(select->number(0)) + ": " + checkpoint.error().message};
    out.push_back(*std::move(checkpoint));
  }
}

Result<void> LedgerReader::each_response(const LedgerSecret& secret, const Filter& filter, const EachResponse& response, const std::function<bool(double)>& progress) const {
  for (const auto& [name, time] : {std::pair("from", &filter.from), std::pair("until", &filter.until)})
    if (!time->empty() && !text::is_time(*time)) return Error{ErrorCode::usage, std::string(name) + ": \"" + text::printable(*time, 40) + "\" is no time YYYY-MM-DDThh:mm:ssZ"};
  auto transaction = ledger::Transaction::begin(impl_->database, false);
  if (!transaction) return transaction.error();
  const auto all = size();
  if (!all) return all.error();
  std::uint64_t first = 0, end = *all;
  if (!filter.from.empty()) {
    if (const auto found = ledger::first_at(impl_->database, *all, filter.from); found) first = *found;
    else return found.error();
  }
  if (!filter.until.empty()) {
    if (const auto found = ledger::first_at(impl_->database, *all, filter.until); found) end = *found;
    else return found.error();
  }
  ledger::Opener opener(impl_->database, impl_->info, secret.secret);
  // Opens what the filter takes. The account is inside, so that all but `chosen` are opened to be left out.
  using Visit = std::function<Result<void>(const ledger::ParsedRecord&, std::string_view line, ledger::Unpacked&&)>;
  const auto walk = [&](const std::unordered_set<std::uint64_t>* chosen, double from, double share, const Visit& visit) -> Result<void> {
    auto select = impl_->database.prepare("SELECT seq, line, sealed FROM records WHERE seq >= ? AND seq < ? AND sealed IS NOT NULL ORDER BY seq");
    if (!select) return select.error();
    select->bind(0, first).bind(1, end);
    for (;;) {
      const auto row = select->step();
      if (!row) return row.error();
      if (!*row) return {};
      const std::uint64_t seq = select->number(0);
      if (progress && !progress(from + share * static_cast<double>(seq - first) / static_cast<double>(end - first))) return Error{ErrorCode::stopped, "stopped"};
      if (chosen != nullptr && !chosen->contains(seq)) continue;
      auto parsed = ledger::parse_record(select->text(1), seq);
      if (!parsed) return Error{ErrorCode::invalid_evidence, where(seq) + ": " + parsed.error().message};
      if (!filter.key_id.empty() && parsed->record.key_id != filter.key_id) continue;
      if (parsed->record.marked_tokens == 0 && !filter.unmarked) continue;
      parsed->record.sealed = true;
      auto opened = opener.open(*parsed, select->blob(2));
      if (!opened) return opened.error().at(where(seq));
      if (!filter.accounts.empty() && !filter.accounts.contains(opened->packed.account)) continue;
      if (auto done = visit(*parsed, select->text(1), *std::move(opened)); !done) return done;
    }
  };
  const auto hand_over = [&](const ledger::ParsedRecord& parsed, std::string_view, ledger::Unpacked&& opened) {
    IssuedResponse out;
    out.request_id = opened.packed.request_id;
    out.account = opened.packed.account;
    out.prompt = opened.packed.prompt;
    out.tokens = opened.packed.tokens;
    out.phat = std::move(opened.likeliest);
    for (std::size_t t = 0; t < out.phat.size(); ++t)
      if (out.phat[t].empty()) out.phat[t].push_back({out.tokens[t], 0xFFFFFFFFu});
    return response(parsed.record, std::move(out));
  };
  if (filter.sample == 0) return walk(nullptr, 0, 1, hand_over);

  using Place = std::pair<crypto::Digest, std::uint64_t>;
  std::map<std::string, std::priority_queue<Place>, std::less<>> least;  // of each account, the greatest on top
  const auto note = [&](const ledger::ParsedRecord& parsed, std::string_view line, ledger::Unpacked&& opened) -> Result<void> {
    auto& places = least[opened.packed.account];
    places.emplace(crypto::sha256(line), parsed.record.seq);
    if (places.size() > filter.sample) places.pop();
    return {};
  };
  if (auto done = walk(nullptr, 0, 0.9, note); !done) return done;
  std::unordered_set<std::uint64_t> chosen;
  for (auto& [account, places] : least)
    for (; !places.empty(); places.pop()) chosen.insert(places.top().second);
  return walk(&chosen, 0.9, 0.1, hand_over);
}

LedgerReader::LedgerReader(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
LedgerReader::LedgerReader(LedgerReader&&) noexcept = default;
LedgerReader& LedgerReader::operator=(LedgerReader&&) noexcept = default;
LedgerReader::~LedgerReader() = default;

}  // namespace heirmark
