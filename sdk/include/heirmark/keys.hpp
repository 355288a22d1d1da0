// Keys: derivation tree, opening, commitment, keystore (specs/keys.md).
//
//   auto store = heirmark::Keystore::create("keys", passphrase).value();
//   auto info  = store.new_epoch("acme-70b/2026-11", heirmark::profiles::standard_2026_11(), {}).value();
//   auto keys  = store.subkeys("acme-70b/2026-11").value();       // what a Sampler wants
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/profile.hpp>
#include <heirmark/result.hpp>
#include <heirmark/subkeys.hpp>
#include <heirmark/types.hpp>

namespace heirmark {

/// A passphrase: wipes itself, cannot be printed or copied.
class Passphrase {
 public:
  Passphrase() = default;
  explicit Passphrase(std::string text) noexcept : text_(std::move(text)) {}
  Passphrase(const Passphrase&) = delete;
  Passphrase& operator=(const Passphrase&) = delete;
  Passphrase(Passphrase&& other) noexcept : text_(other.text_) { other.wipe(); }
  Passphrase& operator=(Passphrase&& other) noexcept;
  ~Passphrase() { wipe(); }
  /// The first line of a file descriptor, without its line feed; 1..1024 bytes, else `key`. The descriptor stays open.
  [[nodiscard]] static Result<Passphrase> read_fd(int descriptor);
  [[nodiscard]] std::string_view expose_secret() const noexcept { return text_; }
  [[nodiscard]] bool equals(const Passphrase& other) const noexcept;
  void wipe() noexcept;

 private:
  std::string text_;
};

/// The secret of an epoch and what derives from it. Holds F; not copyable.
class EpochSecret {
 public:
  explicit EpochSecret(Secret32 family_secret) noexcept : secret_(std::move(family_secret)) {}
  [[nodiscard]] std::string key_id() const;                       ///< 16 hex digits
  [[nodiscard]] Secret32 coin() const;
  [[nodiscard]] Secret32 member(std::uint32_t i) const;
  [[nodiscard]] Secret32 window(std::uint32_t i, std::uint32_t window_class) const;
  /// The 16 window subkeys of member i.
  [[nodiscard]] std::array<Secret32, 16> windows(std::uint32_t i) const;
  [[nodiscard]] Secret32 issuance(std::uint32_t i, std::string_view account) const;
  /// Everything that a sampler needs to sample as member i.
  [[nodiscard]] Subkeys subkeys(std::uint32_t i, std::span<const std::string> accounts) const;
  [[nodiscard]] const Secret32& expose_family_secret() const noexcept { return secret_; }

 private:
  Secret32 secret_;
};

/// An opening (specs/keys.md): with it every mark of an epoch can be recomputed. A value of this type is consistent.
class Opening {
 public:
  [[nodiscard]] static Result<Opening> parse(std::string_view bytes);
  [[nodiscard]] static Result<Opening> read(const std::filesystem::path& file);
  [[nodiscard]] std::string bytes() const;    ///< canonical; holds the family secret
  [[nodiscard]] std::string digest() const;   ///< hex SHA-256 of bytes()

  [[nodiscard]] const KeyPath& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& key_id() const noexcept { return key_id_; }
  [[nodiscard]] std::uint32_t family_size() const noexcept { return family_size_; }
  [[nodiscard]] std::uint32_t live_index() const noexcept { return live_index_; }
  [[nodiscard]] const Profile& profile() const noexcept { return profile_; }
  [[nodiscard]] const EpochSecret& epoch() const noexcept { return epoch_; }
  [[nodiscard]] Secret32 coin() const { return epoch_.coin(); }
  [[nodiscard]] Subkeys live_subkeys(std::span<const std::string> accounts) const { return epoch_.subkeys(live_index_, accounts); }

 private:
  friend class Keystore;
  Opening() : epoch_(Secret32{}) {}
  KeyPath path_;
  std::string key_id_;
  std::uint32_t family_size_ = 0, live_index_ = 0;
  Profile profile_;
  EpochSecret epoch_;
  std::array<std::uint8_t, 32> nonce_{};
};

/// commitment.json: public, made before the first marked token.
struct Commitment {
  std::string path, key_id;
  std::uint32_t family_size = 0;
  std::string profile, scheme, prf, not_before, not_after, purpose;
  std::string digest;  ///< SHA-256 of the opening's bytes, hex
  [[nodiscard]] static Result<Commitment> parse(std::string_view bytes);
  [[nodiscard]] std::string bytes() const;
};

/// What may be shown of a key.
struct KeyInfo {
  std::string path, key_id, profile, scheme;
  std::uint32_t family_size = 0;
  std::string not_before, not_after, purpose;
  std::string commitment_digest;
};
struct SignerInfo { std::string name, algorithm, key_id; std::string public_pem; };

/// A folder of sealed keys (specs/keys.md, "Keystore").
class Keystore {
 public:
  /// Cost of hashing the passphrase with Argon2id13, in libsodium's meaning. The header of a keystore keeps it: a keystore opens at the cost
  /// that it was made with, whatever the default is.
  struct Cost {
    std::uint64_t opslimit = 3;                         ///< passes over the memory, 1 to 16
    std::uint64_t memlimit = std::uint64_t{256} << 20;  ///< bytes, 8,192 to 2^30; with 3 passes libsodium's "moderate"
    /// libsodium's minimum: for tests, and where the passphrase itself is 128 random bits or more. It protects no passphrase that a
    /// person thought of.
    [[nodiscard]] static constexpr Cost least() noexcept { return {1, 8192}; }
  };
  static constexpr std::string_view kDefaultPurpose = "training provenance";
  struct EpochOptions {
    std::string not_before, not_after;  ///< YYYY-MM-DD; empty: first and last day of the epoch's month
    std::string purpose;                ///< ASCII text, 1 to 4,096 bytes; empty: kDefaultPurpose
    std::uint32_t family_size = 1u << 20;
  };
  /// Makes the folder (which must not hold a keystore) with a fresh root. A cost out of bounds is `usage`.
  [[nodiscard]] static Result<Keystore> create(const std::filesystem::path& folder, const Passphrase& passphrase, Cost cost);
  [[nodiscard]] static Result<Keystore> create(const std::filesystem::path& folder, const Passphrase& passphrase) { return create(folder, passphrase, Cost{}); }
  [[nodiscard]] static Result<Keystore> open(const std::filesystem::path& folder, const Passphrase& passphrase);
  /// False if there surely is none; true also where permissions hide it: open() then says so.
  [[nodiscard]] static bool exists(const std::filesystem::path& folder);

  [[nodiscard]] Result<KeyInfo> new_epoch(std::string_view path, const Profile& profile, const EpochOptions& options);
  /// The epoch after the family's latest, with that one's profile, size and purpose.
  [[nodiscard]] Result<KeyInfo> rotate(std::string_view family);
  [[nodiscard]] Result<std::vector<KeyInfo>> list() const;
  [[nodiscard]] Result<KeyInfo> info(std::string_view path) const;
  [[nodiscard]] Result<Commitment> commitment(std::string_view path) const;
  /// Subkeys of the live member, one issuance subkey for each account.
  [[nodiscard]] Result<Subkeys> subkeys(std::string_view path, std::span<const std::string> accounts) const;
  [[nodiscard]] Result<Subkeys> subkeys(std::string_view path) const;  ///< the one account "default"
  /// The same with their names, to be written with SubkeysFile::bytes() for a server that never sees the keystore.
  [[nodiscard]] Result<SubkeysFile> subkeys_file(std::string_view path, std::span<const std::string> accounts) const;
  /// Hands the opening to a recipient: returns it and appends to openings.log. `time` is YYYY-MM-DDThh:mm:ssZ.
  [[nodiscard]] Result<Opening> open_for(std::string_view path, std::string_view recipient, std::string_view time);

  /// Signing keys: "ed25519" or "p256".
  [[nodiscard]] Result<SignerInfo> new_signer(std::string_view name, std::string_view algorithm);
  [[nodiscard]] Result<std::vector<SignerInfo>> signers() const;
  [[nodiscard]] Result<SignerInfo> signer(std::string_view name) const;
  [[nodiscard]] Result<std::vector<std::uint8_t>> sign(std::string_view name, std::span<const std::uint8_t> message) const;

  /// The secret that opens the responses of an issuance ledger (specs/ledger.md): made with the ledger, and its X25519 public key, hex.
  [[nodiscard]] Result<std::string> new_ledger_secret(std::string_view ledger_id);
  [[nodiscard]] Result<Secret32> ledger_secret(std::string_view ledger_id) const;

 private:
  Keystore() = default;
  [[nodiscard]] std::filesystem::path file_of(const std::string& name) const { return folder_ / name; }
  struct Epoch { Opening opening; Commitment commitment; };
  [[nodiscard]] Result<Epoch> load(std::string_view path) const;
  [[nodiscard]] Result<std::vector<std::uint8_t>> unseal_file(const std::string& name) const;
  [[nodiscard]] Result<void> seal_file(const std::string& name, std::span<const std::uint8_t> plaintext) const;
  std::filesystem::path folder_;
  Secret32 master_;
};

}  // namespace heirmark
