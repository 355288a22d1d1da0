// The derivation tree (specs/keys.md, "Derivation") and the passphrase.
#include <heirmark/keys.hpp>

#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "crypto/secretbox.hpp"
#include "crypto/sha256.hpp"
#include "keys/members.hpp"

namespace heirmark {
namespace {

std::string with_u32be(std::string_view label, std::uint32_t value) {
  std::string info(label);
  for (int shift = 24; shift >= 0; shift -= 8) info += static_cast<char>(value >> shift & 255);
  return info;
}
std::string with_u8(std::string_view label, std::uint32_t value) { return std::string(label) + static_cast<char>(value & 255); }

}  // namespace

Passphrase& Passphrase::operator=(Passphrase&& other) noexcept {
  if (this != &other) {
    wipe();
    text_ = other.text_;
    other.wipe();
  }
  return *this;
}

void Passphrase::wipe() noexcept {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(text_.data()), text_.size()});
  text_.clear();
}

bool Passphrase::equals(const Passphrase& other) const noexcept {
  // Both are hashed first, so that neither length nor first difference shows in the time.
  const auto a = crypto::sha256(text_), b = crypto::sha256(other.text_);
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

Result<Passphrase> Passphrase::read_fd(int descriptor) {
  constexpr std::size_t kLongest = 1024;
  Passphrase passphrase;
  passphrase.text_.reserve(kLongest + 1);  // no reallocation leaves a copy behind
  for (;;) {
    char ch = 0;
    const ssize_t got = ::read(descriptor, &ch, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{ErrorCode::key, "cannot read the passphrase from descriptor " + std::to_string(descriptor)};
    if (got == 0 || ch == '\n') break;
    if (passphrase.text_.size() == kLongest) return Error{ErrorCode::key, "the passphrase is longer than 1024 bytes"};
    passphrase.text_ += ch;
  }
  if (!passphrase.text_.empty() && passphrase.text_.back() == '\r') passphrase.text_.pop_back();
  if (passphrase.text_.empty()) return Error{ErrorCode::key, "the passphrase is empty"};
  return passphrase;
}

std::string EpochSecret::key_id() const {
  const Secret32 id = crypto::expand(secret_, "heirmark/v1/keyid");
  return crypto::hex_encode(id.expose_secret().first(8));
}
Secret32 EpochSecret::coin() const { return crypto::expand(secret_, "heirmark/v1/coin"); }
Secret32 EpochSecret::member(std::uint32_t i) const { return crypto::expand(secret_, with_u32be("heirmark/v1/member/", i)); }
Secret32 EpochSecret::window(std::uint32_t i, std::uint32_t window_class) const {
  return crypto::expand(member(i), with_u8("heirmark/v1/window/", window_class));
}
std::array<Secret32, 16> EpochSecret::windows(std::uint32_t i) const {
  keys::MemberKeys::Windows bytes;
  keys::MemberKeys(*this).windows(i, bytes);
  std::array<Secret32, 16> out;
  for (std::size_t c = 0; c < 16; ++c) {
    out[c] = Secret32(std::span<const std::uint8_t, 32>(bytes[c]));
    crypto::wipe(bytes[c]);
  }
  return out;
}
Secret32 EpochSecret::issuance(std::uint32_t i, std::string_view account) const {
  return crypto::expand(member(i), "heirmark/v1/issuance/" + std::string(account));
}
Subkeys EpochSecret::subkeys(std::uint32_t i, std::span<const std::string> accounts) const {
  Subkeys out;
  out.window = windows(i);
  out.coin = coin();
  for (const std::string& account : accounts) out.issuance.push_back(issuance(i, account));
  return out;
}

}  // namespace heirmark
