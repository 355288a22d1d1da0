#include "ledger/packed.hpp"

#include <algorithm>
#include <utility>

#include "base/wipe.hpp"

namespace heirmark {
namespace {
constexpr std::size_t kMostLikeliest = 1024, kMostBytes = 900'000'000;  // SQLite takes no row of more than 10^9 bytes

/// LEB128: seven bits a byte, low ones first, the high bit says that more follow.
void put(std::vector<std::uint8_t>& out, std::uint32_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool good() const noexcept { return good_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == bytes_.size(); }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  std::uint8_t byte() {
    if (at_ < bytes_.size()) return bytes_[at_++];
    good_ = false;
    return 0;
  }
  /// One spelling for one number: no needless last byte, nothing above 32 bits.
  std::uint32_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      const std::uint8_t next = byte();
      value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
      if ((next & 0x80) == 0) {
        if ((next == 0 && shift > 0) || value > 0xFFFFFFFFu) good_ = false;
        return static_cast<std::uint32_t>(value);
      }
    }
    good_ = false;
    return 0;
  }
  std::span<const std::uint8_t> take(std::size_t count) {
    if (count > left()) {
      good_ = false;
      return {};
    }
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  bool good_ = true;
};

bool chosen_by_key(RowStatus status) { return status == RowStatus::marked || status == RowStatus::issued; }

/// The ledger's order.
bool likelier(const IssuedToken& a, const IssuedToken& b) { return a.p != b.p ? a.p > b.p : a.token < b.token; }

Result<void> check_likeliest(std::span<const IssuedToken> top) {
  if (top.size() > kMostLikeliest) return Error{ErrorCode::bad_input, "more than 1024 likeliest tokens"};
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < top.size(); ++i) {
    if (top[i].p == 0) return Error{ErrorCode::bad_input, "a likeliest token has p = 0"};
    if (top[i].token >= kMaxVocab) return Error{ErrorCode::bad_input, "a likeliest token is not below 2^20"};
    if (i > 0 && likelier(top[i], top[i - 1]))
      return Error{ErrorCode::bad_input, "the likeliest tokens are not sorted by p descending, then token ascending"};
    sum += top[i].p;
  }
  if (sum > 1ull << 32) return Error{ErrorCode::bad_input, "the probabilities of the likeliest tokens sum to more than 2^32"};
  // A token twice: 16 at a time are compared with each other, more are sorted.
  if (top.size() <= 16) {
    for (std::size_t i = 1; i < top.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (top[i].token == top[j].token) return Error{ErrorCode::bad_input, "a likeliest token occurs twice"};
    return {};
  }
  std::vector<TokenId> tokens;
  for (const IssuedToken& entry : top) tokens.push_back(entry.token);
  std::sort(tokens.begin(), tokens.end());
  if (std::adjacent_find(tokens.begin(), tokens.end()) != tokens.end()) return Error{ErrorCode::bad_input, "a likeliest token occurs twice"};
  return {};
}

std::vector<std::uint8_t> big_endian(std::span<const TokenId> tokens) {
  std::vector<std::uint8_t> out;
  out.reserve(4 * tokens.size());
  for (const TokenId token : tokens)
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(token >> shift));
  return out;
}
}  // namespace

ledger::Packed::~Packed() {
  wipe(prompt.data(), prompt.size() * sizeof(TokenId));
  wipe(tokens.data(), tokens.size() * sizeof(TokenId));
  wipe(positions.data(), positions.size());
  wipe(account);
}

Issued::Issued(const RequestId& request_id, std::string_view account, std::span<const TokenId> prompt) : packed_(std::make_unique<ledger::Packed>()) {
  packed_->request_id = request_id;
  packed_->account = account;
  packed_->prompt.assign(prompt.begin(), prompt.end());
}
Issued::Issued(Issued&&) noexcept = default;
Issued& Issued::operator=(Issued&&) noexcept = default;
Issued::~Issued() = default;

Result<void> Issued::add(TokenId token, RowStatus status, std::span<const IssuedToken> top) {
  if (!packed_) return Error{ErrorCode::usage, "this response was appended already"};
  if (token >= kMaxVocab) return Error{ErrorCode::bad_input, "token " + std::to_string(token) + " is not below 2^20"};
  if (status > RowStatus::needs_all_logits) return Error{ErrorCode::bad_input, "no such status"};
  // A sampler's top tokens are in the order of their logits (marks.md), and two logits may give one p when it is rounded down.
  std::vector<IssuedToken> sorted;
  if (!std::is_sorted(top.begin(), top.end(), likelier)) {
    sorted.assign(top.begin(), top.end());
    std::sort(sorted.begin(), sorted.end(), likelier);
    top = sorted;
  }
  if (auto good = check_likeliest(top); !good) return good;
  ledger::Packed& packed = *packed_;
  if (packed.prompt.size() + packed.tokens.size() >= kMaxVocab) return Error{ErrorCode::bad_input, "more than 1048576 tokens"};
  if (packed.positions.size() > kMostBytes) return Error{ErrorCode::bad_input, "more than 900,000,000 bytes of likeliest tokens"};
  packed.begins.push_back(static_cast<std::uint32_t>(packed.positions.size()));
  packed.tokens.push_back(token);
  if (chosen_by_key(status)) ++packed.marked;
  put(packed.positions, token);
  packed.positions.push_back(static_cast<std::uint8_t>(status));
  put(packed.positions, static_cast<std::uint32_t>(top.size()));
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < top.size(); ++i) {
    put(packed.positions, top[i].token);
    put(packed.positions, i == 0 ? top[i].p : before - top[i].p);
    before = top[i].p;
  }
  return {};
}

void Issued::truncate(std::uint32_t tokens) noexcept {
  if (!packed_ || tokens >= packed_->tokens.size()) return;
  ledger::Packed& packed = *packed_;
  for (std::size_t t = tokens; t < packed.tokens.size(); ++t) {
    Bytes position(std::span<const std::uint8_t>(packed.positions).subspan(packed.begins[t]));
    (void)position.number();
    if (chosen_by_key(static_cast<RowStatus>(position.byte()))) --packed.marked;
  }
  const std::size_t kept = packed.begins[tokens];
  wipe(packed.positions.data() + kept, packed.positions.size() - kept);
  packed.positions.resize(kept);
  wipe(packed.tokens.data() + tokens, (packed.tokens.size() - tokens) * sizeof(TokenId));
  packed.tokens.resize(tokens);
  packed.begins.resize(tokens);
}

std::uint32_t Issued::tokens() const noexcept { return packed_ ? static_cast<std::uint32_t>(packed_->tokens.size()) : 0; }
std::uint32_t Issued::marked_tokens() const noexcept { return packed_ ? packed_->marked : 0; }
std::size_t Issued::bytes() const noexcept {
  return packed_ ? sizeof(ledger::Packed) + packed_->account.size() + packed_->positions.size() + sizeof(TokenId) * (packed_->prompt.size() + 2 * packed_->tokens.size()) : 0;
}

namespace ledger {

WipedBytes::~WipedBytes() { wipe(bytes.data(), bytes.size()); }

Digests digests_of(const Secret32& salt, const Packed& response) {
  const auto digest = [&salt](std::string_view part, crypto::ByteView bytes) {
    return crypto::hmac_sha256(crypto::expand(salt, "heirmark/v1/ledger/" + std::string(part)).expose_secret(), bytes);
  };
  return {digest("account", crypto::bytes_of(response.account)), digest("request", response.request_id.bytes), digest("prompt", big_endian(response.prompt)),
          digest("tokens", big_endian(response.tokens)), digest("positions", response.positions)};
}

std::vector<std::uint8_t> pack(const Secret32& salt, const Packed& response) {
  std::vector<std::uint8_t> out;
  out.reserve(128 + response.account.size() + 5 * response.prompt.size() + response.positions.size());
  out.push_back(1);
  const auto append = [&out](std::span<const std::uint8_t> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  append(salt.expose_secret());
  append(response.request_id.bytes);
  put(out, static_cast<std::uint32_t>(response.account.size()));
  append(crypto::bytes_of(response.account));
  put(out, static_cast<std::uint32_t>(response.prompt.size()));
  for (const TokenId token : response.prompt) put(out, token);
  put(out, static_cast<std::uint32_t>(response.tokens.size()));
  append(response.positions);
  return out;
}

Result<Unpacked> unpack(std::span<const std::uint8_t> plaintext) {
  const Error malformed{ErrorCode::bad_input, "the sealed part is malformed"};
  Bytes in(plaintext);
  Unpacked out;
  if (in.byte() != 1) return malformed;
  const auto salt = in.take(32);
  const auto id = in.take(out.packed.request_id.bytes.size());
  const std::uint32_t account = in.number();
  const auto name = in.take(account);
  const std::uint32_t prompt = in.number();
  if (!in.good() || account > 64 || prompt > kMaxVocab || prompt > in.left()) return malformed;
  out.salt = Secret32(std::span<const std::uint8_t, 32>(salt.data(), 32));
  std::copy(id.begin(), id.end(), out.packed.request_id.bytes.begin());
  out.packed.account.assign(name.begin(), name.end());
  if (!is_key_name(out.packed.account)) return malformed;
  for (std::uint32_t i = 0; i < prompt; ++i) {
    out.packed.prompt.push_back(in.number());
    if (!in.good() || out.packed.prompt.back() >= kMaxVocab) return malformed;
  }
  const std::uint32_t tokens = in.number();
  if (!in.good() || tokens > kMaxVocab - prompt || tokens > in.left()) return malformed;
  const std::size_t begin = in.at();
  for (std::uint32_t t = 0; t < tokens; ++t) {
    out.packed.tokens.push_back(in.number());
    out.statuses.push_back(in.byte());
    const std::uint32_t count = in.number();
    if (!in.good() || out.packed.tokens.back() >= kMaxVocab || out.statuses.back() > static_cast<std::uint8_t>(RowStatus::needs_all_logits) || count > kMostLikeliest) return malformed;
    if (chosen_by_key(static_cast<RowStatus>(out.statuses.back()))) ++out.packed.marked;
    std::vector<IssuedToken> top;
    for (std::uint32_t i = 0; i < count; ++i) {
      const TokenId token = in.number();
      const std::uint32_t p = in.number();
      if (i > 0 && p > top.back().p) return malformed;
      top.push_back({token, i == 0 ? p : top.back().p - p});
    }
    if (!in.good() || !check_likeliest(top)) return malformed;
    out.likeliest.push_back(std::move(top));
  }
  if (!in.at_end()) return malformed;
  const auto positions = plaintext.subspan(begin);
  out.packed.positions.assign(positions.begin(), positions.end());
  return out;
}

}  // namespace ledger
}  // namespace heirmark
