// ledger: make, list, verify, export and purge an issuance ledger (specs/ledger.md).
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <heirmark/audit.hpp>
#include <heirmark/ledger.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
struct LedgerArguments {
  StoreOptions store;
  std::string folder, output, key, from, until, before;
  std::vector<std::string> accounts, notes;
  std::uint64_t keep_days = 0, sample = 0;
  bool json = false, records = false, by_account = false, sealed = false;
};

/// A day stands for its first second.
std::string full_time(const std::string& text) { return text.size() == 10 ? text + "T00:00:00Z" : text; }

Result<std::set<std::string, std::less<>>> account_names(const std::vector<std::string>& names) {
  std::set<std::string, std::less<>> out;
  for (const std::string& name : names) {
    if (!is_key_name(name)) return Error{ErrorCode::usage, "--account is 1 to 64 of a-z 0-9 . _ -, not \"" + printable(name) + "\""};
    out.insert(name);
  }
  return out;
}

Result<LedgerSecret> secret_of(const StoreOptions& options, const std::string& ledger_id) {
  const auto store = open_store(options, Missing::fail);
  if (!store) return store.error();
  auto secret = store->ledger_secret(ledger_id);
  if (!secret) return secret.error();
  return LedgerSecret{*std::move(secret)};
}

Result<int> ledger_new(const LedgerArguments& arguments) {
  auto store = open_store(arguments.store, Missing::fail);
  if (!store) return store.error();
  const auto info = make_ledger(arguments.folder, *store, now());
  if (!info) return info.error();
  inform("made       ledger " + arguments.folder + " (" + info->id + "); its secret is in the keystore, and a server needs the folder alone");
  print(info->id + "\n");
  return 0;
}

struct AccountSum { std::uint64_t responses = 0, tokens = 0; };

Result<std::map<std::string, AccountSum>> sums_of_accounts(const LedgerReader& reader, const LedgerSecret& secret) {
  std::map<std::string, AccountSum> out;
  Progress progress("list");
  LedgerReader::Filter filter;
  filter.unmarked = true;
  const auto done = reader.each_response(secret, filter, [&out](const LedgerRecord& record, IssuedResponse&& response) -> Result<void> {
    AccountSum& sum = out[response.account];
    ++sum.responses;
    sum.tokens += record.tokens;
    return {};
  }, [&progress](double share) { return progress.update(share); });
  if (!done) return done.error().code == ErrorCode::stopped ? stopped_error("the same command starts again") : done.error();
  return out;
}

Result<int> ledger_list(const LedgerArguments& arguments) {
  if (arguments.records && arguments.json) return Error{ErrorCode::usage, "ledger list: --records prints JSON lines already"};
  const auto reader = LedgerReader::open(arguments.folder);
  if (!reader) return reader.error();
  LedgerSummary sum;
  const auto done = reader->each(0, UINT64_MAX, [&](const LedgerRecord& record) -> Result<void> {
    if (interrupted()) return stopped_error("the same command starts again");
    if (arguments.records) print(record.line);
    if (sum.records == 0) sum.first = record.time;
    ++sum.records;
    sum.last = record.time;
    if (record.kind == LedgerRecord::Kind::lost) sum.lost += record.responses;
    if (record.kind != LedgerRecord::Kind::response) return {};
    ++sum.responses;
    sum.tokens += record.tokens;
    sum.marked_tokens += record.marked_tokens;
    sum.purged += record.sealed ? 0 : 1;
    return {};
  });
  if (!done) return done.error();
  if (arguments.records) return 0;
  const auto checkpoints = reader->checkpoints();
  if (!checkpoints) return checkpoints.error();
  std::map<std::string, AccountSum> accounts;
  if (arguments.by_account) {
    const auto secret = secret_of(arguments.store, reader->info().id);
    if (!secret) return secret.error();
    auto sums = sums_of_accounts(*reader, *secret);
    if (!sums) return sums.error();
    accounts = *std::move(sums);
  }
  if (arguments.json) {
    JsonWriter json;
    json.begin_object().member("ledgerId", reader->info().id).member("created", reader->info().created).member("records", sum.records).member("responses", sum.responses);
    json.member("tokens", sum.tokens).member("markedTokens", sum.marked_tokens).member("lost", sum.lost).member("purged", sum.purged).member("first", sum.first).member("last", sum.last);
    json.key("checkpoints").begin_list();
    for (const LedgerCheckpoint& checkpoint : *checkpoints)
      json.begin_object().member("size", checkpoint.size).member("time", checkpoint.time).member("root", checkpoint.root).end_object();
    json.end_list().key("accounts").begin_list();
    for (const auto& [name, of] : accounts) json.begin_object().member("account", name).member("responses", of.responses).member("tokens", of.tokens).end_object();
    json.end_list().end_object();
    print(json.line());
    return 0;
  }
  print("ledger     " + reader->info().id + ", made " + reader->info().created + "\n");
  print("records    " + grouped(sum.records) + (sum.records == 0 ? "" : ", " + sum.first + " to " + sum.last) + "\n");
  print("responses  " + grouped(sum.responses) + ", " + grouped(sum.tokens) + " tokens, " + grouped(sum.marked_tokens) + " of them chosen by a key\n");
  if (sum.lost > 0) print("lost       " + grouped(sum.lost) + " responses that could not be written\n");
  if (sum.purged > 0) print("purged     " + grouped(sum.purged) + " responses of which the digests are left\n");
  for (const LedgerCheckpoint& checkpoint : *checkpoints)
    print("checkpoint " + checkpoint.time + "  " + grouped(checkpoint.size) + " records  root " + checkpoint.root + "\n");
  for (const auto& [name, of] : accounts) print("account    " + name + "  " + grouped(of.responses) + " responses  " + grouped(of.tokens) + " tokens\n");
  return 0;
}

Result<int> ledger_verify(const LedgerArguments& arguments) {
  std::vector<std::string> published;
  for (const std::string& file : arguments.notes) {
    auto note = read_file(file);
    if (!note) return note.error();
    published.push_back(*std::move(note));
  }
  const auto reader = LedgerReader::open(arguments.folder);
  if (!reader) return reader.error();
  LedgerReader::VerifyOptions options;
  LedgerSecret secret;
  if (arguments.sealed) {
    auto found = secret_of(arguments.store, reader->info().id);
    if (!found) return found.error();
    secret = *std::move(found);
    options.secret = &secret;
  }
  options.published = published;
  options.published_names = arguments.notes;
  Progress progress("verify");
  options.progress = [&progress](double share) { return progress.update(share); };
  const auto check = reader->verify(options);
  progress.clear();
  if (!check) return check.error().code == ErrorCode::stopped ? stopped_error("the same command starts again") : check.error();
  const bool good = check->problems.empty();
  if (arguments.json) {
    JsonWriter json;
    json.begin_object().member("state", good ? "valid" : "invalid").member("ledgerId", reader->info().id).member("records", check->summary.records);
    json.member("responses", check->summary.responses).member("covered", check->covered).member("checkpoints", check->checkpoints).member("published", std::uint64_t{published.size()});
    json.member("opened", check->opened).member("lost", check->summary.lost).member("purged", check->summary.purged).member("root", check->root).key("problems").begin_list();
    for (const std::string& problem : check->problems) json.text(problem);
    json.end_list().end_object();
    print(json.line());
    return good ? 0 : static_cast<int>(ErrorCode::invalid_evidence);
  }
  print(styled(good ? Style::good : Style::bad, good ? "VALID" : "INVALID") + "      ledger " + reader->info().id + ": " + grouped(check->summary.records) + " records, " +
        grouped(check->summary.responses) + " responses\n");
  print("tree       root " + check->root + "\n");
  print("covered    " + grouped(check->covered) + " records by " + grouped(check->checkpoints) + (check->checkpoints == 1 ? " signed checkpoint" : " signed checkpoints") +
        (published.empty() ? "" : ", and " + grouped(published.size()) + " that were kept elsewhere") + "\n");
  print("sealed     " + (arguments.sealed ? grouped(check->opened) + " opened, and they fit their digests" : std::string("not opened (--sealed opens them)")) +
        (check->summary.purged > 0 ? ", " + grouped(check->summary.purged) + " purged" : "") + "\n");
  if (check->summary.lost > 0) print("lost       " + grouped(check->summary.lost) + " responses, by the ledger's own word\n");
  for (const std::string& problem : check->problems) print("problem    " + printable(problem) + "\n");
  return good ? 0 : static_cast<int>(ErrorCode::invalid_evidence);
}

Result<int> ledger_checkpoint(const LedgerArguments& arguments) {
  const auto reader = LedgerReader::open(arguments.folder);
  if (!reader) return reader.error();
  const auto checkpoints = reader->checkpoints();
  if (!checkpoints) return checkpoints.error();
  if (checkpoints->empty()) return Error{ErrorCode::bad_input, arguments.folder + ": no checkpoint yet; there is one after the first full hour, and when a server closes the ledger"};
  const std::string output = arguments.output.empty() ? "-" : arguments.output;
  if (auto done = write_file(output, checkpoints->back().note); !done) return done.error();
  if (output != "-") inform("wrote      " + output + "  (" + grouped(checkpoints->back().size) + " records, " + checkpoints->back().time + ")");
  return 0;
}

Result<int> ledger_export(const LedgerArguments& arguments) {
  LedgerReader::Filter filter;
  auto accounts = account_names(arguments.accounts);
  if (!accounts) return accounts.error();
  filter.accounts = *std::move(accounts);
  filter.from = full_time(arguments.from);
  filter.until = full_time(arguments.until);
  filter.sample = arguments.sample;
  if (auto good = check_writable(arguments.output); !good) return good.error();
  const auto reader = LedgerReader::open(arguments.folder);
  if (!reader) return reader.error();
  LedgerSecret secret;
  {
    const auto store = open_store(arguments.store, Missing::fail);
    if (!store) return store.error();
    auto found = store->ledger_secret(reader->info().id);
    if (!found) return found.error();
    secret.secret = *std::move(found);
    if (!arguments.key.empty()) {
      const auto info = store->info(arguments.key);
      if (!info) return info.error();
      filter.key_id = info->key_id;
    }
  }
  auto output = OutputFile::open(arguments.output, true);  // what customers asked and got: for nobody else's eyes until it is published
  if (!output) return output.error();
  std::map<std::array<std::uint8_t, 12>, std::uint64_t> ids;  // request id -> seq
  Progress progress("export");
  std::uint64_t written = 0, tokens = 0;
  const auto done = reader->each_response(secret, filter, [&](const LedgerRecord& record, IssuedResponse&& response) -> Result<void> {
    if (const auto [known, fresh] = ids.emplace(response.request_id.bytes, record.seq); !fresh) {
      return Error{ErrorCode::invalid_evidence, arguments.folder + ": records " + std::to_string(known->second) + " and " + std::to_string(record.seq) +
                                                    " have one request id, and so shared their randomness; --from and --until can leave one out"};
    }
    const auto line = ledger_line(response, written, record.time);
    if (!line) return line.error().at("record " + std::to_string(record.seq));
    ++written;
    tokens += record.tokens;
    return output->write(*line);
  }, [&progress](double share) { return progress.update(share); });
  progress.clear();
  if (!done) return done.error().code == ErrorCode::stopped ? stopped_error("nothing was written; the same command starts again") : done.error();
  if (written == 0) return Error{ErrorCode::bad_input, arguments.folder + ": no response with a mark fits; nothing was written"};
  if (auto committed = output->commit(); !committed) return committed.error();
  inform("exported   " + grouped(written) + " responses, " + grouped(tokens) + " tokens" + (arguments.output == "-" ? "" : ": " + arguments.output));
  return 0;
}

Result<int> ledger_purge(const LedgerArguments& arguments) {
  if (arguments.before.empty() == (arguments.keep_days == 0)) return Error{ErrorCode::usage, "ledger purge: give either --before or --keep-days"};
  constexpr std::uint64_t kDay = 86'400;
  const std::string before = arguments.before.empty() ? now(static_cast<std::int64_t>(arguments.keep_days * kDay)) : full_time(arguments.before);
  const auto accounts = account_names(arguments.accounts);
  if (!accounts) return accounts.error();
  LedgerSecret secret;
  if (!accounts->empty()) {
    const auto reader = LedgerReader::open(arguments.folder);
    if (!reader) return reader.error();
    auto found = secret_of(arguments.store, reader->info().id);
    if (!found) return found.error();
    secret = *std::move(found);
  }
  const auto gone = purge_ledger(arguments.folder, before, now(), accounts->empty() ? nullptr : &secret, *accounts);
  if (!gone) return gone.error();
  inform("purged     " + grouped(*gone) + " responses before " + before + "; their digests stay");
  print(std::to_string(*gone) + "\n");
  return 0;
}

Command& add(Command& group, const std::string& name, const std::string& summary, const std::shared_ptr<LedgerArguments>& arguments) {
  Command& command = group.add(name, summary);
  command.argument("LEDGER", arguments->folder, "the ledger's folder");
  return command;
}
}  // namespace

void add_ledger_commands(Command& group) {
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "new", "make a ledger, and its secret in the keystore", arguments);
    add_store_options(command, arguments->store);
    command.note("Prints the ledger's id. A server is given the folder; it cannot read what it recorded.");
    command.example("heirmark ledger new /var/lib/heirmark/ledger");
    command.run([arguments] { return ledger_new(*arguments); });
  }
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "list", "what a ledger holds", arguments);
    command.flag("--records", arguments->records, "print the public records, one JSON line each");
    command.flag("--accounts", arguments->by_account, "also responses and tokens of each account (opens the sealed parts)");
    command.flag("--json", arguments->json, "one JSON object");
    add_store_options(command, arguments->store);
    command.example("heirmark ledger list ledger/ --accounts");
    command.run([arguments] { return ledger_list(*arguments); });
  }
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "verify", "recompute a ledger: records, tree, checkpoints, sealed parts", arguments);
    command.texts("--checkpoint", "FILE", arguments->notes, "a checkpoint that was published: the ledger must still fit it");
    command.flag("--sealed", arguments->sealed, "open the sealed parts too, with the keystore");
    command.flag("--json", arguments->json, "one JSON object");
    add_store_options(command, arguments->store);
    command.note("Exit code 1 if something does not check.");
    command.example("heirmark ledger verify ledger/ --checkpoint kept/2026-11-25T14.txt");
    command.run([arguments] { return ledger_verify(*arguments); });
  }
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "checkpoint", "write the latest checkpoint, to be published or stamped", arguments);
    command.text("-o,--output", "FILE", arguments->output, "[standard output]");
    command.example("heirmark ledger checkpoint ledger/ -o checkpoint.txt");
    command.run([arguments] { return ledger_checkpoint(*arguments); });
  }
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "export", "open responses into the ledger.jsonl that C2 and C3 use", arguments);
    command.text("-o,--output", "FILE", arguments->output, "ledger.jsonl; - for standard output", Need::required);
    command.texts("--account", "NAME", arguments->accounts, "responses of this account; several times for several");
    command.text("--key", "KEY", arguments->key, "responses under this key, family/epoch");
    command.text("--from", "TIME", arguments->from, "recorded at this time or later");
    command.text("--until", "TIME", arguments->until, "recorded before this time");
    command.whole("--sample", "N", arguments->sample, 1, 1u << 30, "of each account at most N, by the digests of their records [all]");
    add_store_options(command, arguments->store);
    command.note("A TIME is YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ, UTC. Responses without a mark are left out.");
    command.example("heirmark ledger export ledger/ --key acme-70b/2026-11 -o public/ledger.jsonl");
    command.run([arguments] { return ledger_export(*arguments); });
  }
  {
    auto arguments = std::make_shared<LedgerArguments>();
    Command& command = add(group, "purge", "remove old responses for good; digests and a record of it stay", arguments);
    command.text("--before", "TIME", arguments->before, "those recorded before this time");
    command.whole("--keep-days", "N", arguments->keep_days, 1, 36'500, "or before N days ago");
    command.texts("--account", "NAME", arguments->accounts, "only of this account; several times for several");
    add_store_options(command, arguments->store);
    command.note("Prints how many. The keystore is needed only with --account.");
    command.example("heirmark ledger purge ledger/ --keep-days 400");
    command.run([arguments] { return ledger_purge(*arguments); });
  }
}

}  // namespace heirmark::cli
