// A ledger in a folder of its own, with the keystore that opens it.
#pragma once
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <random>
#include <string>

#include <heirmark/keys.hpp>
#include <heirmark/ledger.hpp>

namespace heirmark {

class Made {
 public:
  Made() : root_(std::filesystem::temp_directory_path() / ("heirmark-ledger-" + std::to_string(::getpid()) + "-" + std::to_string(counter()))) {
    std::filesystem::create_directories(root_);
    auto store = Keystore::create(root_ / "keys", Passphrase("a passphrase"), Keystore::Cost::least());
    REQUIRE(store.ok());
    store_.emplace(*std::move(store));
    const auto info = make_ledger(folder(), *store_, "2026-11-25T12:00:00Z");
    REQUIRE(info.ok());
    info_ = *info;
  }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() { std::filesystem::remove_all(root_); }

  [[nodiscard]] std::filesystem::path folder() const { return root_ / "ledger"; }
  [[nodiscard]] const LedgerInfo& info() const { return info_; }
  [[nodiscard]] Keystore& store() { return *store_; }
  [[nodiscard]] LedgerSecret secret() const { return {store_->ledger_secret(info_.id).value()}; }
  /// Options with a clock that the test sets.
  [[nodiscard]] Ledger::Options options() {
    Ledger::Options out;
    out.key_id = "0123456789abcdef";
    out.model = "model-a";
    out.linger = std::chrono::milliseconds(0);
    out.clock = [this] { return seconds.load(); };
    return out;
  }
  [[nodiscard]] Ledger open() { return Ledger::open(folder(), options()).value(); }
  [[nodiscard]] LedgerCheck check(bool opened = true, std::span<const std::string> published = {}) const {
    const auto reader = LedgerReader::open(folder());
    REQUIRE(reader.ok());
    const LedgerSecret key = secret();
    const auto check = reader->verify({opened ? &key : nullptr, published, {}});
    REQUIRE(check.ok());
    return *check;
  }

  std::atomic<std::int64_t> seconds{1'795'608'000};  // 2026-11-25T12:00:00Z

 private:
  static int counter() {
    static int count = 0;
    return count++;
  }
  std::filesystem::path root_;
  std::optional<Keystore> store_;
  LedgerInfo info_;
};

/// A response that depends on `seed` alone.
inline Issued some_response(std::uint32_t seed, std::string_view account = "default", std::uint32_t tokens = 5, RowStatus status = RowStatus::issued) {
  std::mt19937 random(seed);
  RequestId id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
  std::vector<TokenId> prompt(random() % 7);
  for (TokenId& token : prompt) token = static_cast<TokenId>(random() % 1000);
  Issued out(id, account, prompt);
  for (std::uint32_t t = 0; t < tokens; ++t) {
    std::vector<IssuedToken> top;
    std::uint32_t p = 1u << 31;
    for (std::uint32_t i = 0; i < 16; ++i, p /= 2) top.push_back({(seed + t + 17 * i) % 100'000, p});
    REQUIRE(out.add(static_cast<TokenId>(random() % 100'000), status, top).ok());
  }
  return out;
}

}  // namespace heirmark
