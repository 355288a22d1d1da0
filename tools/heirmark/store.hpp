// How commands come to a keystore, a passphrase and a signing key.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

#include <heirmark/evidence.hpp>
#include <heirmark/keys.hpp>

#include "command.hpp"

namespace heirmark::cli {

struct StoreOptions {
  std::string folder;  ///< empty: default_keystore()
  std::uint64_t passphrase_fd = std::numeric_limits<std::uint64_t>::max();  ///< the default asks on the terminal
};
/// --keystore and --passphrase-fd.
void add_store_options(Command& command, StoreOptions& options);

/// $XDG_DATA_HOME/heirmark, or ~/.local/share/heirmark.
[[nodiscard]] std::string default_keystore();

enum class Missing : std::uint8_t { fail, create };
/// Opens the keystore; with Missing::create makes it when there is none (the passphrase is asked for twice).
[[nodiscard]] Result<Keystore> open_store(const StoreOptions& options, Missing missing);

/// What may be shown of the named signing key; made when there is none. One that is there and cannot be read is an error.
[[nodiscard]] Result<SignerInfo> signer_info(Keystore& store, const std::string& name, const std::string& algorithm);

/// The named signing key; with Missing::create made (Ed25519) when there is none. `store` must outlive the signer.
[[nodiscard]] Result<Signer> find_signer(Keystore& store, const std::string& name, Missing missing);

}  // namespace heirmark::cli
