// Profiles, subkeys, openings, keystores.
#include <heirmark/keys.hpp>

#include <nanobind/stl/array.h>

#include <algorithm>
#include <cstring>

#include <string.h>

#include "common.hpp"

namespace heirmark::python {
namespace {
using namespace nb::literals;

/// A copy of a secret text, overwritten when it goes.
class SecretText {
 public:
  SecretText(nb::handle object, const char* what) : text_(text_or_bytes(object, what)) {}
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { explicit_bzero(text_.data(), text_.size()); }
  [[nodiscard]] std::string_view view() const { return text_; }

 private:
  std::string text_;
};

Passphrase passphrase_of(nb::handle object) {
  const SecretText text(object, "a passphrase");
  if (text.view().empty() || text.view().size() > 1024) fail(ErrorCode::key, "a passphrase has 1 to 1024 bytes");
  return Passphrase(std::string(text.view()));
}

/// The text's bytes for Python, and ours overwritten.
nb::bytes secret_bytes(std::string text) {
  nb::bytes out(text.data(), text.size());
  explicit_bzero(text.data(), text.size());
  return out;
}

Profile profile_of(nb::handle object) {
  Profile out;
  if (nb::try_cast(object, out)) return out;
  std::string name;
  if (!nb::try_cast(object, name)) throw nb::type_error("a profile is a Profile or its name");
  return take(profiles::find(name));
}

void bind_profile(nb::module_& module) {
  nb::class_<Profile>(module, "Profile", "A frozen, dated bundle of scheme and parameters (specs/marks.md).")
      .def_static("find", [](const std::string& name) { return take(profiles::find(name)); }, "name"_a, "The profile of that name. BadInputError names the ones that exist.")
      .def_static(
          "all",
          [] {
            const auto all = profiles::all();
            return std::vector<Profile>(all.begin(), all.end());
          },
          "All profiles that this version knows, newest default first.")
      .def_prop_ro("name", [](const Profile& profile) { return std::string(profile.name); }, "For example \"standard-2026-11\".")
      .def_prop_ro("scheme", [](const Profile& profile) { return std::string(scheme_name(profile.scheme)); }, "\"gumbel\", \"greenlist\" or \"tournament\".")
      .def_ro("window", &Profile::window, "h, the tokens that a window context has: 1 to 4.")
      .def_ro("share_q32", &Profile::share_q32, "Share of window positions times 2^32.")
      .def_ro("gamma_q32", &Profile::gamma_q32, "Greenlist: share of green bins times 2^32.")
      .def_ro("delta_micro", &Profile::delta_micro, "Greenlist: delta in 10^-6 nats.")
      .def_ro("layers", &Profile::layers, "Tournament: layers, 1 to 30.")
      .def("__eq__", [](const Profile& a, const nb::object& other) {
        Profile b;
        return nb::try_cast(other, b) && a.name == b.name;
      }, nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const Profile& profile) { return nb::hash(nb::str(profile.name.data(), profile.name.size())); })
      .def("__reduce__", [](const nb::object& self) {
        return nb::make_tuple(nb::module_::import_("operator").attr("methodcaller")("find", self.attr("name")), nb::make_tuple(nb::type<Profile>()));
      }, nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def("__repr__", [](const Profile& profile) { return "<heirmark.Profile " + std::string(profile.name) + ">"; });
}

void bind_subkeys(nb::module_& module) {
  nb::class_<PySubkeys> subkeys(module, "Subkeys",
                                "What an inference server holds of a key: the live member's subkeys and nothing above them (specs/keys.md, \"Subkeys file\").\n\n"
                                "Made by read(), from_bytes(), Keystore.subkeys() or Opening.subkeys(). Wiped when it goes; never printed, pickled or copied.");
  subkeys
      .def_static("read", [](const std::filesystem::path& path) { return PySubkeys{unlocked([&] { return take(SubkeysFile::read(path)); })}; }, "path"_a,
                  "Reads the file that `heirmark key export-subkey` wrote, or a pipe. KeyAccessError: others can read or change the file, or it is another user's. BadInputError: other "
                  "bytes than the canonical ones. IOFailureError: it cannot be read.")
      .def_static(
          "from_bytes",
          [](nb::handle data) {
            const SecretText text(data, "a subkeys file");
            if (text.view().size() > SubkeysFile::kMaxBytes) fail(ErrorCode::bad_input, "longer than any subkeys file");
            return PySubkeys{take(SubkeysFile::parse(text.view()))};
          },
          "data"_a, nb::sig("def from_bytes(data: bytes | bytearray | memoryview | str) -> Subkeys"),
          "The same from the file's bytes. They are copied and the copy is wiped; overwriting `data` (a bytearray) is the caller's business.")
      .def("expose_bytes", [](const PySubkeys& self) { return secret_bytes(self.file.bytes()); },
           "The canonical bytes of the file, which are secret: with them one can imitate the mark.")
      .def_prop_ro("path", [](const PySubkeys& self) { return self.file.path.text(); }, "Name of the epoch, \"family/YYYY-MM\".")
      .def_prop_ro("key_id", [](const PySubkeys& self) { return self.file.key_id; }, "16 hex digits; public.")
      .def_prop_ro("profile", [](const PySubkeys& self) { return self.file.profile; })
      .def_prop_ro("accounts", [](const PySubkeys& self) { return nb::tuple(nb::cast(self.file.accounts)); }, nb::sig("def accounts(self) -> tuple[str, ...]"),
                   "Names of the accounts that it can mark for.")
      .def("__repr__", [](const PySubkeys& self) {
        const std::size_t count = self.file.accounts.size();
        return "<heirmark.Subkeys " + self.file.path.text() + " (" + self.file.key_id + "), " + std::string(self.file.profile.name) + ", " + std::to_string(count) +
               (count == 1 ? " account>" : " accounts>");
      });
  never_pickled(subkeys, "Subkeys hold secrets and are not pickled or copied: read them where they are needed");
}

void bind_objects(nb::module_& module) {
  nb::class_<Commitment>(module, "Commitment", "commitment.json: public, made before the first marked token (specs/keys.md).")
      .def_static("from_bytes", [](nb::handle data) { return take(Commitment::parse(text_or_bytes(data, "a commitment"))); }, "data"_a,
                  nb::sig("def from_bytes(data: bytes | bytearray | memoryview | str) -> Commitment"), "Exactly the canonical bytes, else BadInputError.")
      .def("to_bytes", [](const Commitment& self) { const std::string bytes = self.bytes(); return nb::bytes(bytes.data(), bytes.size()); }, "The canonical bytes.")
      .def_ro("path", &Commitment::path)
      .def_ro("key_id", &Commitment::key_id)
      .def_ro("family_size", &Commitment::family_size)
      .def_ro("profile", &Commitment::profile, "Name of the profile.")
      .def_ro("scheme", &Commitment::scheme)
      .def_ro("not_before", &Commitment::not_before, "YYYY-MM-DD")
      .def_ro("not_after", &Commitment::not_after, "YYYY-MM-DD")
      .def_ro("purpose", &Commitment::purpose)
      .def_ro("digest", &Commitment::digest, "SHA-256 of the opening's bytes, hex.")
      .def("__repr__", [](const Commitment& self) { return "<heirmark.Commitment " + self.path + " (" + self.key_id + ")>"; });

  nb::class_<KeyInfo>(module, "KeyInfo", "What may be shown of a key.")
      .def_ro("path", &KeyInfo::path)
      .def_ro("key_id", &KeyInfo::key_id)
      .def_ro("profile", &KeyInfo::profile, "Name of the profile.")
      .def_ro("scheme", &KeyInfo::scheme)
      .def_ro("family_size", &KeyInfo::family_size)
      .def_ro("not_before", &KeyInfo::not_before, "YYYY-MM-DD")
      .def_ro("not_after", &KeyInfo::not_after, "YYYY-MM-DD")
      .def_ro("purpose", &KeyInfo::purpose)
      .def_ro("commitment_digest", &KeyInfo::commitment_digest)
      .def("__repr__", [](const KeyInfo& self) { return "<heirmark.KeyInfo " + self.path + " (" + self.key_id + "), " + self.profile + ">"; });

  nb::class_<SignerInfo>(module, "SignerInfo", "A signing key's public side.")
      .def_ro("name", &SignerInfo::name)
      .def_ro("algorithm", &SignerInfo::algorithm, "\"ed25519\" or \"p256\".")
      .def_ro("key_id", &SignerInfo::key_id)
      .def_ro("public_pem", &SignerInfo::public_pem)
      .def("__repr__", [](const SignerInfo& self) { return "<heirmark.SignerInfo " + self.name + " (" + self.algorithm + ", " + self.key_id + ")>"; });

  nb::class_<Opening> opening(module, "Opening",
                              "An opened key (specs/keys.md): with it every mark of an epoch can be recomputed. For the auditor, never for a server. Not printed, pickled or copied.");
  opening
      .def_static("read", [](const std::filesystem::path& path) { return unlocked([&] { return take(Opening::read(path)); }); }, "path"_a,
                  "Reads an opening.json. BadInputError: other bytes than the canonical ones. KeyAccessError, IOFailureError: it cannot be read.")
      .def_static(
          "from_bytes",
          [](nb::handle data) {
            const SecretText text(data, "an opening");
            return take(Opening::parse(text.view()));
          },
          "data"_a, nb::sig("def from_bytes(data: bytes | bytearray | memoryview | str) -> Opening"), "The same from the file's bytes.")
      .def("expose_bytes", [](const Opening& self) { return secret_bytes(self.bytes()); }, "The canonical bytes of opening.json, which hold the family secret.")
      .def("subkeys", [](const Opening& self, const std::vector<std::string>& accounts) {
        take(SubkeysFile::check_accounts(accounts));
        return PySubkeys{{self.path(), self.key_id(), self.profile(), accounts, self.live_subkeys(accounts)}};
      }, "accounts"_a = std::vector<std::string>{"default"}, nb::sig("def subkeys(self, accounts: collections.abc.Sequence[str] = ['default']) -> Subkeys"),
           "Subkeys of the live member. BadInputError: no account, a bad name, or one twice.")
      .def_prop_ro("path", [](const Opening& self) { return self.path().text(); })
      .def_prop_ro("key_id", [](const Opening& self) { return self.key_id(); })
      .def_prop_ro("family_size", [](const Opening& self) { return self.family_size(); }, "Members of the family: the live key and its decoys.")
      .def_prop_ro("profile", [](const Opening& self) { return self.profile(); })
      .def_prop_ro("digest", [](const Opening& self) { return self.digest(); }, "SHA-256 of the canonical bytes, hex: what the commitment holds.")
      .def("__repr__", [](const Opening& self) { return "<heirmark.Opening " + self.path().text() + " (" + self.key_id() + "), " + std::string(self.profile().name) + ">"; });
  never_pickled(opening, "an Opening holds secrets and is not pickled or copied: read it where it is needed");
}

void bind_keystore(nb::module_& module) {
  nb::class_<Keystore> store(module, "Keystore",
                             "A folder of sealed keys (specs/keys.md, \"Keystore\"). For the provider's key desk; a server is given a subkeys file. Not printed, pickled or copied.");
  store
      .def_static(
          "create",
          [](const std::filesystem::path& folder, nb::handle passphrase, std::uint64_t opslimit, std::uint64_t memlimit) {
            const Passphrase secret = passphrase_of(passphrase);
            return unlocked([&] { return take(Keystore::create(folder, secret, {opslimit, memlimit})); });
          },
          "folder"_a, "passphrase"_a, nb::kw_only(), "opslimit"_a = Keystore::Cost{}.opslimit, "memlimit"_a = Keystore::Cost{}.memlimit,
          nb::sig("def create(folder: str | os.PathLike, passphrase: str | bytes | bytearray, *, opslimit: int = 3, memlimit: int = 268435456) -> Keystore"),
          "Makes the folder, which must not hold a keystore, with a fresh root.\n\n"
          "passphrase: 1 to 1024 bytes; copied, and the copy wiped. opslimit: passes of Argon2id, 1 to 16. memlimit: its memory in bytes, 8,192 to 2^30. Takes a second at the "
          "default cost, without the interpreter's lock. UsageError: a cost out of bounds or a keystore is there.")
      .def_static(
          "open",
          [](const std::filesystem::path& folder, nb::handle passphrase) {
            const Passphrase secret = passphrase_of(passphrase);
            return unlocked([&] { return take(Keystore::open(folder, secret)); });
          },
          "folder"_a, "passphrase"_a, nb::sig("def open(folder: str | os.PathLike, passphrase: str | bytes | bytearray) -> Keystore"),
          "Opens a keystore. KeyAccessError: a wrong passphrase or no permission.")
      .def_static("exists", &Keystore::exists, "folder"_a, "False if there surely is no keystore; true also where permissions hide it.")
      .def(
          "new_epoch",
          [](Keystore& self, const std::string& path, nb::handle profile, std::string not_before, std::string not_after, std::string purpose, std::uint32_t family_size) {
            return take(self.new_epoch(path, profile_of(profile), {std::move(not_before), std::move(not_after), std::move(purpose), family_size}));
          },
          "path"_a, "profile"_a = "standard-2026-11", nb::kw_only(), "not_before"_a = "", "not_after"_a = "", "purpose"_a = "", "family_size"_a = Keystore::EpochOptions{}.family_size,
          nb::sig("def new_epoch(self, path: str, profile: Profile | str = 'standard-2026-11', *, not_before: str = '', not_after: str = '', purpose: str = '', family_size: int = "
                  "1048576) -> KeyInfo"),
          "Makes a key, \"family/YYYY-MM\". Dates are YYYY-MM-DD, by default the month's first and last day; the purpose is ASCII, by default \"training provenance\".")
      .def("rotate", [](Keystore& self, const std::string& family) { return take(self.rotate(family)); }, "family"_a,
           "The epoch after the family's latest, with that one's profile, size and purpose.")
      .def("list", [](const Keystore& self) { return take(self.list()); }, "All keys.")
      .def("info", [](const Keystore& self, const std::string& path) { return take(self.info(path)); }, "path"_a)
      .def("commitment", [](const Keystore& self, const std::string& path) { return take(self.commitment(path)); }, "path"_a)
      .def("subkeys", [](const Keystore& self, const std::string& path, const std::vector<std::string>& accounts) { return PySubkeys{take(self.subkeys_file(path, accounts))}; },
           "path"_a, "accounts"_a = std::vector<std::string>{"default"},
           nb::sig("def subkeys(self, path: str, accounts: collections.abc.Sequence[str] = ['default']) -> Subkeys"),
           "What a server is given: the live member's subkeys, one issuance subkey for each account.")
      .def("open_for", [](Keystore& self, const std::string& path, const std::string& recipient, const std::optional<std::string>& time) {
        return take(self.open_for(path, recipient, time ? *time : now()));
      }, "path"_a, "recipient"_a, nb::kw_only(), "time"_a = nb::none(),
           "Hands the opening to a recipient and logs it in the keystore. time: YYYY-MM-DDThh:mm:ssZ, by default now.")
      .def("new_signer", [](Keystore& self, const std::string& name, const std::string& algorithm) { return take(self.new_signer(name, algorithm)); }, "name"_a,
           "algorithm"_a = "ed25519", "Makes a signing key, \"ed25519\" or \"p256\".")
      .def("signers", [](const Keystore& self) { return take(self.signers()); })
      .def("signer", [](const Keystore& self, const std::string& name) { return take(self.signer(name)); }, "name"_a)
      .def("sign", [](const Keystore& self, const std::string& name, const nb::bytes& message) {
        const auto signature = take(self.sign(name, {static_cast<const std::uint8_t*>(message.data()), message.size()}));
        return nb::bytes(signature.data(), signature.size());
      }, "name"_a, "message"_a, "Signature of the message: Ed25519, 64 bytes; or ECDSA P-256 with SHA-256, DER.")
      .def("__repr__", [](const Keystore&) { return "<heirmark.Keystore, open>"; });
  never_pickled(store, "an open Keystore holds secrets and is not pickled or copied");
}
}  // namespace

void bind_keys(nb::module_& module) {
  bind_profile(module);
  bind_subkeys(module);
  bind_objects(module);
  bind_keystore(module);
  module.def("is_key_name", [](const std::string& name) { return is_key_name(name); }, "name"_a, "Is this a name of a family or an account: 1 to 64 of a-z 0-9 . _ -, first a letter or digit?");
}

}  // namespace heirmark::python
