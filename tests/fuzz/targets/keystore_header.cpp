// HEIRMARK-KEYSTORE from hostile hands.
#include <heirmark/keys.hpp>

#include "fuzz.hpp"
#include "json/value.hpp"

using namespace heirmark;

FUZZ_TARGET(keystore_header) {
  static const fuzz::Scratch scratch;
  const std::string_view bytes = input.rest();
  // What Argon2id may cost is bounded by the format (2 GB, 64 passes), not by a second; only cheap headers are tried.
  if (const auto value = json::parse_canonical(bytes); value.ok())
    for (const auto& [name, most] : {std::pair<const char*, std::int64_t>{"opslimit", 2}, {"memlimit", 1 << 16}})
      if (const json::Value* cost = value->find(name); cost != nullptr && cost->if_integer() != nullptr && *cost->if_integer() > most && *cost->if_integer() <= std::int64_t{1} << 31) return;
  scratch.write("HEIRMARK-KEYSTORE", bytes);
  const auto store = Keystore::open(scratch.path(), Passphrase(std::string("correct horse")));
  if (!store) return fuzz::check_error(store.error(), scratch.path().string());
  const auto keys = store->list();
  fuzz::require(keys.ok() && keys->empty(), "an empty keystore has no keys");
}
