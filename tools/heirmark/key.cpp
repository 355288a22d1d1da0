// key: what the provider's security engineer does. Prints ids and fingerprints, never a secret.
#include <string.h>  // explicit_bzero

#include <memory>

#include "commands.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
struct KeyOptions {
  StoreOptions store;
  std::string key, epoch, profile = "standard-2026-11", purpose = std::string(Keystore::kDefaultPurpose), not_before, not_after;
  std::string output, recipient, algorithm = "ed25519";
  std::vector<std::string> accounts;
  std::uint64_t family_size = 1u << 20;
  bool json = false;
};

void print_info(const KeyInfo& info, bool json) {
  if (json) {
    JsonWriter out;
    out.begin_object().member("path", info.path).member("keyId", info.key_id).member("profile", info.profile).member("scheme", info.scheme);
    out.member("familySize", info.family_size).member("notBefore", info.not_before).member("notAfter", info.not_after);
    out.member("purpose", info.purpose).member("commitmentDigest", info.commitment_digest).end_object();
    return print(out.line());
  }
  print("key        " + info.path + "\nkeyId      " + info.key_id + "\nprofile    " + info.profile + " (" + info.scheme + ")\nfamily     " +
        grouped(info.family_size) + " members\nvalid      " + info.not_before + " to " + info.not_after + "\npurpose    " + printable(info.purpose) +
        "\nopening    sha256 " + info.commitment_digest + "\n");
}

/// The first day of use when nobody says: today in this month, since no key was in force before it was made. Of other months their first day (empty).
std::string first_day(const std::string& path) {
  const std::string today = now().substr(0, 10);
  return path.ends_with("/" + today.substr(0, 7)) ? today : std::string();
}

Result<int> key_new(const KeyOptions& options) {
  std::string path = options.key;
  if (!options.epoch.empty()) {
    if (path.find('/') != std::string::npos) return Error{ErrorCode::usage, "key new: give the epoch once, in " + path + " or by --epoch"};
    path += "/" + options.epoch;
  } else if (path.find('/') == std::string::npos) {
    path += "/" + now().substr(0, 7);
  }
  if (const auto parsed = KeyPath::parse(path); !parsed) return Error{ErrorCode::usage, "key new: " + parsed.error().message};
  const auto profile = profiles::find(options.profile);
  if (!profile) return Error{ErrorCode::usage, "key new: " + profile.error().message};
  if (options.purpose.empty()) return Error{ErrorCode::usage, "key new: --purpose is empty; leave it out for \"" + std::string(Keystore::kDefaultPurpose) + "\""};
  auto store = open_store(options.store, Missing::create);
  if (!store) return store.error();
  const auto info = store->new_epoch(path, *profile, {options.not_before.empty() ? first_day(path) : options.not_before, options.not_after, options.purpose, static_cast<std::uint32_t>(options.family_size)});
  if (!info) return info.error();
  print_info(*info, options.json);
  return 0;
}

Result<int> key_list(const KeyOptions& options) {
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  const auto keys = store->list();
  if (!keys) return keys.error();
  const auto signers = store->signers();
  if (!signers) return signers.error();
  if (options.json) {
    JsonWriter json;
    json.begin_object().key("keys").begin_list();
    for (const KeyInfo& info : *keys) {
      json.begin_object().member("path", info.path).member("keyId", info.key_id).member("profile", info.profile);
      json.member("notBefore", info.not_before).member("notAfter", info.not_after).end_object();
    }
    json.end_list().key("signers").begin_list();
    for (const SignerInfo& signer : *signers) {
      json.begin_object().member("name", signer.name).member("algorithm", signer.algorithm).member("keyId", signer.key_id).end_object();
    }
    json.end_list().end_object();
    return print(json.line()), 0;
  }
  for (const KeyInfo& info : *keys) print(info.path + "  " + info.key_id + "  " + info.profile + "  " + info.not_before + " to " + info.not_after + "\n");
  for (const SignerInfo& signer : *signers) print("signer " + signer.name + "  " + signer.algorithm + "  " + signer.key_id + "\n");
  if (keys->empty() && signers->empty()) print("no keys yet\n");
  return 0;
}

Result<int> key_show(const KeyOptions& options) {
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  const auto info = store->info(options.key);
  if (!info) return info.error();
  print_info(*info, options.json);
  return 0;
}

Result<int> key_rotate(const KeyOptions& options) {
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  const auto info = store->rotate(options.key);
  if (!info) return info.error();
  print_info(*info, options.json);
  return 0;
}

Result<int> key_open(const KeyOptions& options) {
  if (auto good = check_writable(options.output); !good) return good.error();
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  // The log entry comes before the file has its name: an opening that was handed over is never missing there.
  auto file = OutputFile::open(options.output, true);
  if (!file) return file.error();
  const auto opening = store->open_for(options.key, options.recipient, now());
  if (!opening) return opening.error();
  if (auto done = file->write(opening->bytes()); !done) return done.error();
  if (auto done = file->commit(); !done) return done.error();
  inform("opened     " + options.key + " for " + printable(options.recipient) + ": " + options.output + " (sha256 " + opening->digest() + ")");
  inform("note       who has this file can imitate every mark of this key: retire it now");
  return 0;
}

Result<int> key_export(const KeyOptions& options) {
  if (auto good = check_writable(options.output); !good) return good.error();
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  std::vector<std::string> accounts = options.accounts;
  if (accounts.empty()) accounts.emplace_back("default");
  const auto file = store->subkeys_file(options.key, accounts);
  if (!file) return file.error();
  std::string bytes = file->bytes();
  const auto done = write_file(options.output, bytes, true);
  explicit_bzero(bytes.data(), bytes.size());
  if (!done) return done.error();
  inform("wrote      " + options.output + ": what a sampler needs of " + options.key + ", and nothing above it; keep it secret");
  return 0;
}

Result<int> key_signer(const KeyOptions& options) {
  auto store = open_store(options.store, Missing::create);
  if (!store) return store.error();
  const auto info = signer_info(*store, options.key, options.algorithm);
  if (!info) return info.error();
  if (!options.output.empty()) {
    if (auto done = write_file(options.output, info->public_pem); !done) return done.error();
    if (options.output == "-") return 0;
  }
  if (options.json) {
    JsonWriter json;
    json.begin_object().member("name", info->name).member("algorithm", info->algorithm).member("keyId", info->key_id);
    json.member("publicPem", info->public_pem).end_object();
    return print(json.line()), 0;
  }
  print("signer     " + info->name + "\nalgorithm  " + info->algorithm + "\nkeyId      " + info->key_id + "\n");
  return 0;
}
}  // namespace

void add_key_commands(Command& group) {
  const auto command = [&group](const char* name, const char* summary, Result<int> (*action)(const KeyOptions&)) {
    auto options = std::make_shared<KeyOptions>();
    Command& added = group.add(name, summary);
    added.run([options, action] { return action(*options); });
    return std::pair<Command&, KeyOptions&>(added, *options);
  };
  {
    auto [key, options] = command("new", "make the key of an epoch; makes the keystore if there is none", key_new);
    key.argument("KEY", options.key, "family, such as acme-70b, or family/epoch");
    key.text("--epoch", "YYYY-MM", options.epoch, "month that the key is for [this month]");
    key.text("--profile", "NAME", options.profile, "profile of the mark [standard-2026-11]");
    key.whole("--family-size", "N", options.family_size, 2, 1u << 24, "members of the family, a power of two [1048576]");
    key.text("--purpose", "TEXT", options.purpose, "what the key is for [" + std::string(Keystore::kDefaultPurpose) + "]");
    key.text("--not-before", "DATE", options.not_before, "first day of use [of the epoch, or today]");
    key.text("--not-after", "DATE", options.not_after, "last day of use [of the epoch]");
    key.flag("--json", options.json, "one JSON object");
    add_store_options(key, options.store);
    key.example("heirmark key new acme-70b --epoch 2026-11");
  }
  add_key_signing_commands(group);
  {
    auto [key, options] = command("list", "all keys and signing keys of the keystore", key_list);
    key.flag("--json", options.json, "one JSON object");
    add_store_options(key, options.store);
    key.example("heirmark key list");
  }
  {
    auto [key, options] = command("show", "what may be shown of a key", key_show);
    key.argument("KEY", options.key, "family/epoch");
    key.flag("--json", options.json, "one JSON object");
    add_store_options(key, options.store);
    key.example("heirmark key show acme-70b/2026-11");
  }
  {
    auto [key, options] = command("rotate", "make the key of the month after the family's latest", key_rotate);
    key.argument("FAMILY", options.key, "family, such as acme-70b");
    key.flag("--json", options.json, "one JSON object");
    add_store_options(key, options.store);
    key.example("heirmark key rotate acme-70b");
  }
  {
    auto [key, options] = command("open", "hand the opening to a recipient, and log it", key_open);
    key.argument("KEY", options.key, "family/epoch");
    key.text("--to", "RECIPIENT", options.recipient, "who receives it; goes into openings.log", Need::required);
    key.text("-o,--output", "FILE", options.output, "opening.json, mode 0600; - for standard output", Need::required);
    add_store_options(key, options.store);
    key.example("heirmark key open acme-70b/2026-11 --to \"auditor X\" -o opening.json");
  }
  {
    auto [key, options] = command("export-subkey", "write what a sampler needs, and nothing above it", key_export);
    key.argument("KEY", options.key, "family/epoch");
    key.texts("--account", "NAME", options.accounts, "issuance subkey for an account; again for more [default]");
    key.text("-o,--output", "FILE", options.output, "JSON file, mode 0600; holds secrets", Need::required);
    add_store_options(key, options.store);
    key.note("A server samples with this file alone: heirmark mark --subkeys FILE, or SubkeysFile::read in the SDK.");
    key.example("heirmark key export-subkey acme-70b/2026-11 -o subkeys.json");
  }
  {
    auto [key, options] = command("signer", "show a signing key, made if there is none", key_signer);
    key.argument("NAME", options.key, "provider, auditor, or another name");
    key.choice("--algorithm", {"ed25519", "p256"}, options.algorithm, "for a new one [ed25519]");
    key.text("-o,--output", "FILE", options.output, "write the public key in PEM; - for standard output");
    key.flag("--json", options.json, "one JSON object");
    add_store_options(key, options.store);
    key.example("heirmark key signer auditor -o auditor.pem");
  }
}

}  // namespace heirmark::cli
