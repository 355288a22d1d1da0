// audit run: the plan's queries, resumable; the transcript is sealed and signed at the end.
#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>

#include <memory>

#include "case_check.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
namespace fs = std::filesystem;

struct RunArguments {
  StoreOptions store;
  std::string folder, signer = "auditor";
  std::uint64_t batch = 16;
};

/// Unless it is signed: `audit verdict` does it too, after a run that a kill kept from it.
Result<void> sign_transcript(const fs::path& folder, const Signer& signer) {
  const fs::path statement = folder / "statements" / "transcript.dsse.json";
  std::error_code error;
  if (fs::exists(statement, error)) return {};
  const auto lock = CaseLock::take(folder);
  if (!lock) return lock.error();
  if (fs::exists(statement, error)) return {};
  return sign_object(folder, Object::transcript, now(), signer);
}

Result<int> run_run(const RunArguments& arguments) {
  const fs::path folder(arguments.folder);
  const std::string suspect_file = (folder / "suspect.json").string();
  const auto bytes = read_file(suspect_file);
  if (!bytes) return bytes.error();
  const auto info = SuspectInfo::parse(*bytes);
  if (!info) return info.error().at(suspect_file);
  // Asked for now, so that nobody has to be there when hours of queries end.
  auto store = open_store(arguments.store, Missing::fail);
  if (!store) return store.error();
  const auto signer = find_signer(*store, arguments.signer, Missing::fail);
  if (!signer) return signer.error();
  if (auto fits = check_signer(folder, Object::transcript, *signer); !fits) return fits.error();
  // A case that cannot become evidence is not spent.
  if (auto good = sound(arguments.folder, check_case(folder, Stage::planned)); !good) return good.error();

  tell("starting " + info->name);
  ProcessSuspect::Options options;
  options.stop = interrupted;
  auto suspect = ProcessSuspect::start(info->command, options);
  if (!suspect) return suspect.error();
  Progress progress("audit");
  RunOptions run;
  run.batch = static_cast<std::uint32_t>(arguments.batch);
  std::uint64_t queries = 0;
  run.progress = [&progress, &queries](const RunProgress& now_done) {
    progress.label("audit " + std::string(now_done.channel));
    queries = now_done.total;
    return progress.update(now_done.done, now_done.total);
  };
  const auto done = run_audit(folder, **suspect, run);
  progress.clear();
  if (!done) return done.error().code == ErrorCode::stopped ? stopped_error("go on with: heirmark audit run " + arguments.folder) : done.error();
  if (auto signed_it = sign_transcript(folder, *signer); !signed_it) return signed_it.error();
  const auto transcript_bytes = read_file((folder / "transcript.json").string());
  if (!transcript_bytes) return transcript_bytes.error();
  const auto transcript = Transcript::parse(*transcript_bytes);
  if (!transcript) return transcript.error().at((folder / "transcript.json").string());
  print("sealed     " + (folder / "transcript.json").string() + ": " + grouped(transcript->queries) + " queries of " + printable(transcript->hello.name) + ", " +
        transcript->started + " to " + transcript->ended + "\n");
  print("next       ask the provider for the opening, then: heirmark audit verdict " + arguments.folder + " --opening opening.json\n");
  return 0;
}
}  // namespace

void add_audit_run(Command& audit) {
  auto arguments = std::make_shared<RunArguments>();
  Command& run = audit.add("run", "make the plan's queries; stopped, the same command goes on");
  run.argument("CASE", arguments->folder, "folder of the case");
  run.whole("--batch", "N", arguments->batch, 1, 4096, "texts in one request [16]");
  run.text("--signer", "NAME", arguments->signer, "signing key of the plan [auditor]");
  add_store_options(run, arguments->store);
  run.example("heirmark audit run case-17/");
  run.run([arguments] { return run_run(*arguments); });
}

}  // namespace heirmark::cli
