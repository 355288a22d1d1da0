// key commit and key sign-ledger: what the provider signs, before the first marked token and before the suspect exists.
#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>

#include <memory>
#include <system_error>
#include <utility>

#include "commands.hpp"
#include "files.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
struct SignOptions {
  StoreOptions store;
  std::string file, output, signer = "provider";
  bool no_sign = false;
};

Result<int> key_commit(const SignOptions& options) {
  const bool to_file = !options.output.empty() && options.output != "-";
  const auto folder = to_file ? std::filesystem::path(options.output).parent_path() : std::filesystem::path();
  std::error_code none;
  const bool new_folder = !folder.empty() && !std::filesystem::exists(folder, none);
  if (!new_folder)
    if (auto good = check_writable(options.output); !good) return good.error();
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  const auto commitment = store->commitment(options.file);
  if (!commitment) return commitment.error();
  const std::string bytes = commitment->bytes();
  if (!to_file) return print(bytes), 0;
  std::string statement;
  std::string pem;
  if (!options.no_sign) {
    const auto signer = find_signer(*store, options.signer, Missing::create);
    if (!signer) return signer.error();
    const auto before = signed_before(folder, Object::commitment, bytes, *signer);
    if (!before) return before.error();
    if (auto fits = check_signer(folder, Object::commitment, *signer); !fits) return fits.error();
    if (before->empty()) {
      auto made = make_statement(Object::commitment, bytes, {}, now(), *signer);
      if (!made) return made.error();
      statement = *std::move(made);
    } else {
      inform("kept       " + (folder / "statements/commitment.dsse.json").string() + ", of " + *before);
    }
    pem = signer->public_pem;
  }
  if (new_folder) std::filesystem::create_directory(folder, none);  // what is published has a folder of its own; a failure is told by the next line
  auto file = OutputFile::open(options.output);
  if (!file) return file.error();
  for (const char* name : {"statements", "trust"}) {
    if (options.no_sign) break;
    std::error_code error;
    std::filesystem::create_directories(folder / name, error);
    if (error) return file_error((folder / name).string(), error.value(), Access::write);
  }
  if (auto done = file->write(bytes); !done) return done.error();
  if (auto done = file->commit(); !done) return done.error();
  if (const std::string today = now().substr(0, 10); !options.no_sign && !statement.empty() && today > commitment->not_before)
    inform("note       committed on " + today + ", after the key's first day of use, " + commitment->not_before + ": a report will say that these are not in order");
  inform("wrote      " + options.output + "  (opening sha256 " + commitment->digest + ")");
  if (options.no_sign) return 0;
  for (const auto& [name, content] : {std::pair{folder / "statements/commitment.dsse.json", &statement}, std::pair{folder / "trust/provider.pem", &pem}}) {
    if (content->empty()) continue;  // kept
    if (auto done = write_file(name.string(), *content); !done) return done.error();
    inform("wrote      " + name.string());
  }
  return 0;
}

Result<int> key_sign_ledger(const SignOptions& options) {
  const std::filesystem::path file(options.file);
  if (file.filename() != object_file(Object::ledger)) {
    return Error{ErrorCode::usage, "key sign-ledger: the file must be called ledger.jsonl and lie beside its commitment.json"};
  }
  const auto bytes = read_file(options.file);
  if (!bytes) return bytes.error();
  const auto responses = parse_ledger(*bytes, 0, options.file);
  if (!responses) return responses.error();
  auto store = open_store(options.store, Missing::fail);
  if (!store) return store.error();
  const auto signer = find_signer(*store, options.signer, Missing::fail);
  if (!signer) return signer.error();
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const auto before = signed_before(folder, Object::ledger, *bytes, *signer);
  if (!before) return before.error();
  if (!before->empty()) {
    inform("kept       " + (folder / "statements/ledger.dsse.json").string() + ", of " + *before);
    return 0;
  }
  if (auto done = sign_object(folder, Object::ledger, now(), *signer); !done) return done.error();
  inform("signed     " + options.file + ", " + grouped(responses->size()) + " responses: " + (folder / "statements/ledger.dsse.json").string());
  return 0;
}

}  // namespace

void add_key_signing_commands(Command& group) {
  {
    auto options = std::make_shared<SignOptions>();
    Command& key = group.add("commit", "write the public commitment, signed");
    key.argument("KEY", options->file, "family/epoch");
    key.text("-o,--output", "FILE", options->output, "commitment.json; statements/ and trust/ beside it", Need::required);
    key.text("--signer", "NAME", options->signer, "signing key, made if there is none [provider]");
    key.flag("--no-sign", options->no_sign, "the commitment alone");
    add_store_options(key, options->store);
    key.example("heirmark key commit acme-70b/2026-11 -o public/commitment.json");
    key.run([options] { return key_commit(*options); });
  }
  {
    auto options = std::make_shared<SignOptions>();
    Command& key = group.add("sign-ledger", "sign a ledger beside its commitment.json");
    key.argument("LEDGER", options->file, "ledger.jsonl");
    key.text("--signer", "NAME", options->signer, "signing key [provider]");
    add_store_options(key, options->store);
    key.example("heirmark key sign-ledger public/ledger.jsonl");
    key.run([options] { return key_sign_ledger(*options); });
  }
}

}  // namespace heirmark::cli
