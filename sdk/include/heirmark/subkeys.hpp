// What an inference server is given of a key: a file with the live member's subkeys and nothing above them (specs/keys.md, "Subkeys
// file"). Like the sampler this needs no other library.
//
//   auto file    = heirmark::SubkeysFile::read("subkeys.json").value();
//   auto sampler = heirmark::Sampler::create(file.profile, std::move(file.subkeys), {.vocab_size = 128256, .max_rows = 512}).value();
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/profile.hpp>
#include <heirmark/result.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

/// The name of an epoch: "acme-70b/2026-11".
struct KeyPath {
  std::string family;  ///< 1..64 of a-z 0-9 . _ -, the first a letter or digit
  std::string epoch;   ///< YYYY-MM
  [[nodiscard]] static Result<KeyPath> parse(std::string_view text);
  [[nodiscard]] std::string text() const { return family + "/" + epoch; }
  [[nodiscard]] KeyPath next_epoch() const;  ///< the month after
};
/// Is this a family or account name?
[[nodiscard]] bool is_key_name(std::string_view name) noexcept;

/// The contents of a subkeys file. A value that parse() or read() returned is complete; it holds secrets.
struct SubkeysFile {
  KeyPath path;
  std::string key_id;                 ///< 16 hex digits
  Profile profile;
  std::vector<std::string> accounts;  ///< accounts[i] has subkeys.issuance[i]: i is the account_slot of Sampler::begin
  Subkeys subkeys;

  /// Longest file that read() takes, in bytes: some 200,000 accounts.
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{32} << 20;

  /// Exactly the canonical bytes, or `bad_input` with the byte and the member. The text is not copied: whoever holds it wipes it.
  [[nodiscard]] static Result<SubkeysFile> parse(std::string_view bytes);
  /// Reads a file or a pipe, wiping what it read. A file that another user owns (root may) or that others can read or change is `key`:
  /// whoever reads it can imitate the mark. The message begins with the file's name and never holds a secret.
  [[nodiscard]] static Result<SubkeysFile> read(const std::filesystem::path& file);
  /// Canonical; holds the secrets: write it with mode 0600 and overwrite it.
  [[nodiscard]] std::string bytes() const;
  /// At least one account, good names, none twice; else `bad_input`.
  [[nodiscard]] static Result<void> check_accounts(std::span<const std::string> accounts);
};

}  // namespace heirmark
