// A record of a keystore whose owner lies: sealed rightly, with any plaintext; and one that is not sealed rightly.
#include <array>

#include <heirmark/keys.hpp>

#include "crypto/secretbox.hpp"
#include "fuzz.hpp"
#include "json/value.hpp"

using namespace heirmark;

namespace {
struct Home {
  fuzz::Scratch scratch;
  Secret32 master;
  Keystore store;
  static Secret32 hash() {
    const std::array<std::uint8_t, crypto::kSaltBytes> salt{};
    return crypto::password_hash(crypto::bytes_of("correct horse"), salt, {1, 8192}).value();
  }
  static Keystore make(const fuzz::Scratch& scratch, const Secret32& master) {
    const std::string check = crypto::hex_encode(crypto::seal(master, "check", {}).value());
    scratch.write("HEIRMARK-KEYSTORE", json::canonical(json::Object{{"type", "heirmark/keystore/v1"}, {"opslimit", 1}, {"memlimit", 8192},
                                                                    {"salt", std::string(2 * crypto::kSaltBytes, '0')}, {"check", check}}) + "\n");
    return Keystore::open(scratch.path(), Passphrase(std::string("correct horse"))).value();
  }
  Home() : master(hash()), store(make(scratch, master)) {}
};
}  // namespace

FUZZ_TARGET(keystore_record) {
  static const Home home;
  const std::uint8_t kind = input.byte();
  const bool signer = (kind & 1) != 0, sealed = (kind & 2) == 0;
  const std::string name = signer ? "provider.sign" : "acme-7b@2026-11.key";
  const std::string_view bytes = input.rest();
  if (sealed) {
    const auto box = crypto::seal(home.master, name, crypto::bytes_of(bytes)).value();
    home.scratch.write(name, {reinterpret_cast<const char*>(box.data()), box.size()});
  } else {
    home.scratch.write(name, bytes);
  }
  if (signer) {
    const auto info = home.store.signer("provider");
    if (!info) fuzz::check_error(info.error(), name);
    else fuzz::require(home.store.sign("provider", crypto::bytes_of("x")).ok(), "a signer that is shown can sign");
    fuzz::require(home.store.signers().ok() == info.ok(), "list and one agree");
  } else {
    const auto info = home.store.info("acme-7b/2026-11");
    if (!info) fuzz::check_error(info.error(), name);
    const auto subkeys = home.store.subkeys("acme-7b/2026-11");
    fuzz::require(subkeys.ok() == info.ok() && home.store.list().ok() == info.ok(), "list and one agree");
  }
  std::filesystem::remove(home.scratch.path() / name);
}
