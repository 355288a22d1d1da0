#include "ledger/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"
#include "crypto/base64.hpp"

namespace heirmark::ledger {
namespace {
constexpr std::string_view kDash = "\xe2\x80\x94 ";  // an em dash and a space begin a signature line
constexpr std::string_view kTime = "time ";
constexpr std::uint8_t kEd25519 = 1;                 // the algorithm's byte in a note's key id

/// First 4 bytes of SHA-256(name || 0x0A || 0x01 || public key).
Result<std::array<std::uint8_t, 4>> key_hash(std::string_view name, const crypto::PublicKey& key) {
  const auto raw = key.raw_ed25519();
  if (!raw) return raw.error();
  std::string bytes(name);
  bytes += '\n';
  bytes += static_cast<char>(kEd25519);
  bytes.append(reinterpret_cast<const char*>(raw->data()), raw->size());
  const crypto::Digest digest = crypto::sha256(bytes);
  return std::array<std::uint8_t, 4>{digest[0], digest[1], digest[2], digest[3]};
}

Error malformed(std::string_view what) { return {ErrorCode::bad_input, "checkpoint: " + std::string(what)}; }

/// The text up to the next line feed, taken off `rest`.
bool take_line(std::string_view& rest, std::string_view& line) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
}
}  // namespace

std::string origin(std::string_view ledger_id) { return "heirmark.dev/ledger/" + std::string(ledger_id); }

Result<std::string> make_checkpoint(std::string_view ledger_id, std::uint64_t size, const crypto::Digest& root, std::string_view time, const crypto::PrivateKey& key) {
  const std::string name = origin(ledger_id);
  const auto public_key = key.public_key();
  if (!public_key) return public_key.error();
  const auto hash = key_hash(name, *public_key);
  if (!hash) return hash.error();
  const std::string body = name + "\n" + std::to_string(size) + "\n" + crypto::base64_encode(root) + "\n" + std::string(kTime) + std::string(time) + "\n";
  const auto signature = key.sign(crypto::bytes_of(body));
  if (!signature) return signature.error();
  crypto::Bytes signed_part(hash->begin(), hash->end());
  signed_part.insert(signed_part.end(), signature->begin(), signature->end());
  return body + "\n" + std::string(kDash) + name + " " + crypto::base64_encode(signed_part) + "\n";
}

Result<LedgerCheckpoint> parse_checkpoint(std::string_view note, std::string_view ledger_id, const crypto::PublicKey& key) {
  LedgerCheckpoint out;
  out.note = note;
  const std::string name = origin(ledger_id);
  std::string_view rest = note, line;
  if (!take_line(rest, line) || line != name) return malformed("its first line is not " + name);
  if (!take_line(rest, line) || line.empty()) return malformed("no size");
  const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), out.size);
  if (failed != std::errc() || end != line.data() + line.size() || std::to_string(out.size) != line) return malformed("the size is no number");
  if (!take_line(rest, line)) return malformed("no root");
  const auto root = crypto::base64_decode(line);
  if (!root || root->size() != 32) return malformed("the root is not 32 bytes in base64");
  out.root = crypto::hex_encode(*root);
  if (!take_line(rest, line) || line.substr(0, kTime.size()) != kTime || !text::is_time(line.substr(kTime.size()))) return malformed("no time");
  out.time = line.substr(kTime.size());
  const std::string_view body = note.substr(0, note.size() - rest.size());
  if (!take_line(rest, line) || !line.empty()) return malformed("no empty line before the signature");
  if (!take_line(rest, line) || !rest.empty() || line.substr(0, kDash.size()) != kDash) return malformed("not exactly one signature line");
  line.remove_prefix(kDash.size());
  if (line.substr(0, name.size() + 1) != name + " ") return malformed("signed by another name");
  const auto signature = crypto::base64_decode(line.substr(name.size() + 1));
  const auto hash = key_hash(name, key);
  if (!hash) return hash.error();
  if (!signature || signature->size() != 68 || !std::equal(hash->begin(), hash->end(), signature->begin())) return Error{ErrorCode::invalid_evidence, "checkpoint: signed with another key"};
  if (!key.verify(crypto::bytes_of(body), crypto::ByteView(*signature).subspan(4))) return Error{ErrorCode::invalid_evidence, "checkpoint: the signature does not verify"};
  return out;
}

}  // namespace heirmark::ledger
