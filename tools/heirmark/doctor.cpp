// doctor: does this server's set-up really mark? Keys, clock, a probe, the server's own text, its running endpoint, the ledger.
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include <heirmark/detect.hpp>
#include <heirmark/io.hpp>
#include <heirmark/ledger.hpp>
#include <heirmark/sampler.hpp>
#include <heirmark/stats.hpp>

#include "commands.hpp"
#include "demo_model.hpp"
#include "endpoint.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "numbers.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
struct DoctorArguments {
  std::string subkeys, text, ledger;
  EndpointOptions endpoint;
  std::uint64_t wait = 60;
  bool json = false;
};

enum class Level : std::uint8_t { ok, note, fail };
struct Finding { std::string code; Level level; std::string detail; };

const char* level_name(Level level) { return level == Level::ok ? "ok" : level == Level::note ? "note" : "fail"; }

constexpr std::uint32_t kProbeVocab = 4096, kProbeTexts = 40, kProbeTokens = 120;
constexpr double kLog10 = 2.302585092994046;
// A healthy set-up passes a sound check of text but once in 10^4, and the probe, whose text is long and random, far below.
constexpr double kTextAlpha = 1e-4, kProbeAlpha = 1e-12;
constexpr std::uint64_t kLeastDisk = std::uint64_t{1} << 30;

class Doctor {
 public:
  explicit Doctor(const DoctorArguments& arguments) : arguments_(arguments) {}

  /// What is wrong with the set-up is a finding. An error is about this command itself: interrupted, out of memory.
  Result<std::vector<Finding>> run() {
    clock();
    if (auto keys = SubkeysFile::read(named_input(arguments_.subkeys)); keys) {
      keys_.emplace(*std::move(keys));
      add("keys.read", Level::ok, keys_->path.text() + " (" + keys_->key_id + "), profile " + std::string(keys_->profile.name) + ", " + grouped(keys_->accounts.size()) +
                                      (keys_->accounts.size() == 1 ? " account" : " accounts"));
      epoch();
      if (auto done = probe(); !done) return done.error();
      if (!arguments_.text.empty()) {
        if (auto done = text(); !done) return done.error();
      }
      if (!arguments_.endpoint.url.empty()) {
        if (auto done = endpoint(); !done) return done.error();
      }
    } else {
      add("keys.read", Level::fail, keys.error().message);
    }
    if (!arguments_.ledger.empty()) {
      if (auto done = ledger(); !done) return done.error();
    }
    return std::move(findings_);
  }

 private:
  void add(std::string code, Level level, std::string detail) { findings_.push_back({std::move(code), level, std::move(detail)}); }

  void clock() {
    timex state{};
    const int kind = ::adjtimex(&state);
    if (kind == TIME_ERROR || kind < 0) add("clock", Level::note, now_ + "; the system does not say that its clock is synchronised");
    else add("clock", Level::ok, now_ + ", synchronised");
  }

  /// Epochs are months. A server may still answer requests of the last one while keys are exchanged.
  void epoch() {
    const std::string month = now_.substr(0, 7);
    const std::string& epoch = keys_->path.epoch;
    if (epoch == month) add("keys.epoch", Level::ok, epoch + " is now");
    else if (epoch > month) add("keys.epoch", Level::fail, epoch + " has not begun");
    else add("keys.epoch", Level::fail, epoch + " is over: make the next with key rotate and give the server its subkeys");
  }

  static Level judged(const Detection& found, double alpha) { return found.log_p <= std::log(alpha) ? Level::ok : Level::fail; }
  std::string words_of(const Detection& found) const {
    return grouped(found.n) + " pairs, log10 p " + stats::log10_p_string(found.log_p);
  }

  Result<Detection> detected(std::span<const TokenText> texts) const {
    auto pairs = collect_pairs(keys_->profile, keys_->subkeys.coin, texts, CountRule::distinct);
    if (!pairs) return pairs.error();
    return detect(*keys_, *pairs, {});
  }

  /// Samples with these keys from the demonstration model, and looks for the mark.
  Result<void> probe() {
    auto sampler = Sampler::create(keys_->profile, keys_->subkeys.clone(), {.vocab_size = kProbeVocab, .max_rows = kProbeTexts});
    if (!sampler) return add("probe", Level::fail, sampler.error().message), Result<void>();
    const DemoModel model(kProbeVocab);
    std::vector<TokenText> texts(kProbeTexts);
    std::vector<Sequence> sequences;
    std::uint64_t counts[7] = {};
    for (std::uint32_t i = 0; i < kProbeTexts; ++i) {
      RequestId id;  // the probe's text is never given out, so its ids need not be random
      id.bytes[0] = static_cast<std::uint8_t>(i);
      sequences.push_back(sampler->begin(id, {}));
    }
    std::vector<float> logits(std::size_t{kProbeTexts} * kProbeVocab);
    std::vector<Row> rows(kProbeTexts);
    std::vector<Sampled> sampled(kProbeTexts);
    for (std::uint32_t t = 0; t < kProbeTokens; ++t) {
      if (interrupted()) return stopped_error("the same command starts again");
      for (std::uint32_t i = 0; i < kProbeTexts; ++i) {
        model.logits(texts[i].tokens, std::span<float>(logits).subspan(std::size_t{i} * kProbeVocab, kProbeVocab));
        rows[i] = {&sequences[i], {}};
      }
      if (auto done = sampler->sample({logits.data(), DType::float32, kProbeTexts, kProbeVocab}, rows, sampled); !done) return done;
      for (std::uint32_t i = 0; i < kProbeTexts; ++i) {
        ++counts[static_cast<std::size_t>(sampled[i].status)];
        texts[i].tokens.push_back(sampled[i].token);
      }
    }
    const std::uint64_t all = std::uint64_t{kProbeTexts} * kProbeTokens, window = counts[0], issued = counts[1];
    if (window + issued != all) return add("probe", Level::fail, grouped(all - window - issued) + " of " + grouped(all) + " tokens were not marked"), Result<void>();
    if (window == 0) return add("probe", Level::ok, grouped(all) + " tokens marked by issuance alone, as the profile says: text shows nothing, the ledger all"), Result<void>();
    const auto found = detected(texts);
    if (!found) return found.error();
    add("probe", judged(*found, kProbeAlpha), grouped(all) + " tokens, " + grouped(window) + " by windows: " + words_of(*found));
    return {};
  }

  /// What the running server gave out.
  Result<void> text() {
    const auto texts = read_token_file(arguments_.text, 0, interrupted);
    if (!texts && texts.error().code == ErrorCode::stopped) return stopped_error("the same command starts again");
    if (!texts) return add("text", Level::fail, texts.error().message), Result<void>();
    return judge("text", *texts, "some thousand tokens at temperature 1 are enough");
  }

  Result<void> judge(const char* code, std::span<const TokenText> texts, const char* enough) {
    const auto found = detected(texts);
    if (!found) return found.error();
    const Level level = judged(*found, kTextAlpha);
    const bool little = level == Level::fail && found->n < 500;
    add(code, level, words_of(*found) + (little ? std::string("; too little to tell: ") + enough : level == Level::fail ? ": NOT marked under this key" : ": marked under this key"));
    return {};
  }

  /// What the running server answers, and whether it keeps a record of that.
  Result<void> endpoint() {
    std::optional<LedgerReader> ledger;
    std::uint64_t before = 0;
    if (!arguments_.ledger.empty()) {
      auto opened = LedgerReader::open(arguments_.ledger);  // what is wrong with it is ledger.read's to say
      const auto size = opened ? opened->size() : Result<std::uint64_t>(opened.error());
      if (size) ledger.emplace(*std::move(opened)), before = *size;
    }
    const auto answers = ask_endpoint(arguments_.endpoint, static_cast<std::size_t>(keys_->profile.window));
    if (!answers) return answers.error();
    if (answers->texts.empty()) return add("endpoint", Level::fail, answers->place + ": " + answers->failure), Result<void>();
    const std::string count = grouped(answers->texts.size());
    const std::uint64_t asked = arguments_.endpoint.tokens * answers->texts.size();
    if (answers->failure.empty() && answers->tokens < asked / 2) add("endpoint.answers", Level::note, count + " answers, but " + grouped(answers->tokens) + " tokens of " + grouped(asked) + " that were asked for");
    else if (answers->failure.empty()) add("endpoint.answers", Level::ok, count + " answers, " + grouped(answers->tokens) + " tokens");
    else add("endpoint.answers", Level::fail, count + " of " + grouped(arguments_.endpoint.requests) + " answers, then no more were asked for: " + answers->failure);
    if (keys_->profile.share_q32 == 0) add("endpoint", Level::note, "this profile marks by issuance alone: text shows nothing, the ledger all");
    else if (auto done = judge("endpoint", answers->texts, "ask for more (--requests, --tokens)"); !done) return done;
    twins(*answers);
    return ledger ? recorded(*ledger, before, answers->completions) : Result<void>();
  }

  /// Where every token is the window's choice, the same prompt rightly gives the same text.
  void twins(const EndpointAnswers& answers) {
    if (keys_->profile.scheme == Scheme::gumbel && keys_->profile.share_q32 == std::uint64_t{1} << 32) return;
    if (answers.twins == 0) return add("endpoint.random", Level::note, "no two answers to one prompt of " + std::to_string(EndpointAnswers::kTwinTokens) + " tokens or more to compare");
    if (answers.equal_twins == 0) return add("endpoint.random", Level::ok, "the same prompt and seed again give another text");
    if (answers.equal_twins < answers.twins) return add("endpoint.random", Level::note, "one of two prompts gave the same text twice, as a model does that is nearly certain of it");
    add("endpoint.random", Level::fail, "the same prompt and seed again give the same text, token for token: a request id is used again, or temperature is ignored");
  }

  /// Digests are salted: that a response is in the ledger shows in the count alone.
  Result<void> recorded(const LedgerReader& ledger, std::uint64_t from, std::uint64_t wanted) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(arguments_.wait);
    std::uint64_t seen = 0;
    Progress progress("waiting for the ledger");
    for (;;) {
      const auto done = ledger.each(from, UINT64_MAX, [&](const LedgerRecord& record) -> Result<void> {
        from = record.seq + 1;
        if (record.kind == LedgerRecord::Kind::response && record.key_id == keys_->key_id && record.marked_tokens > 0) ++seen;
        return {};
      });
      if (!done) return add("endpoint.ledger", Level::fail, done.error().message), Result<void>();
      if (!progress.update(std::min(seen, wanted), wanted)) return stopped_error("the same command starts again");
      if (seen >= wanted || std::chrono::steady_clock::now() >= until) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    const std::string rise = grouped(seen) + " marked responses of this key more in the ledger";
    if (seen >= wanted) add("endpoint.ledger", Level::ok, rise);
    else add("endpoint.ledger", Level::fail, rise + " after " + grouped(arguments_.wait) + " s, not " + grouped(wanted) + (seen == 0 ? ": the server records into another, or not at all" : ""));
    return {};
  }

  Result<void> ledger() {
    const auto reader = LedgerReader::open(arguments_.ledger);
    if (!reader) return add("ledger.read", Level::fail, reader.error().message), Result<void>();
    Progress progress("ledger");
    LedgerReader::VerifyOptions options;
    options.progress = [&progress](double share) { return progress.update(share); };
    const auto check = reader->verify(options);
    progress.clear();
    if (!check && check.error().code == ErrorCode::stopped) return stopped_error("the same command starts again");
    if (!check) return add("ledger.read", Level::fail, check.error().message), Result<void>();
    if (check->problems.empty())
      add("ledger.read", Level::ok, reader->info().id + ": " + grouped(check->summary.responses) + " responses, " + grouped(check->checkpoints) + (check->checkpoints == 1 ? " checkpoint" : " checkpoints") + ", all in order");
    else
      add("ledger.read", Level::fail, check->problems.front() + (check->problems.size() > 1 ? " (and " + grouped(check->problems.size() - 1) + " more)" : ""));
    server_of_ledger();
    permissions();
    const std::uint64_t open = check->summary.records - check->covered;
    std::string since;  // of the first record that no checkpoint covers
    if (open > 0) {
      const auto done = reader->each(check->covered, check->covered + 1, [&since](const LedgerRecord& record) -> Result<void> { return since = record.time, Result<void>(); });
      if (!done) return add("ledger.checkpoint", Level::fail, done.error().message), Result<void>();
    }
    if (open > 0 && since < now(2 * 3600)) add("ledger.checkpoint", Level::fail, grouped(open) + " records since " + since + " are under no checkpoint; there should be one each hour");
    else add("ledger.checkpoint", Level::ok, open == 0 ? "all records are covered" : grouped(open) + " records wait for the end of the hour");
    if (check->summary.lost > 0) add("ledger.lost", Level::note, grouped(check->summary.lost) + " responses were given out and could not be recorded");
    if (check->summary.last > now()) add("ledger.clock", Level::fail, "the last record is of " + check->summary.last + ", which has not come: the clock was set back");
    if (keys_) newest_key(*reader, check->summary.records);
    struct statvfs disk {};
    if (::statvfs(arguments_.ledger.c_str(), &disk) == 0) {
      const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
      add("ledger.disk", free < kLeastDisk ? Level::fail : Level::ok, grouped(free >> 20) + " MiB free");
    }
    return {};
  }

  /// A server holds the lock; who can take it shows that there is none.
  void server_of_ledger() {
    const std::string lock = arguments_.ledger + "/writer.lock";
    const int descriptor = ::open(lock.c_str(), O_RDONLY | O_CLOEXEC);
    const bool held = descriptor >= 0 && ::flock(descriptor, LOCK_SH | LOCK_NB) != 0;
    if (descriptor >= 0) ::close(descriptor);
    add("ledger.server", held ? Level::ok : Level::note, held ? "a server has it open" : "no server has it open now");
  }

  /// What a server needs to begin, for the user who runs this.
  void permissions() {
    struct stat info {};
    if (const auto may = Ledger::may_open(arguments_.ledger); !may) add("ledger.open", Level::fail, may.error().message);
    else if (::stat(arguments_.ledger.c_str(), &info) == 0 && (info.st_mode & 077) != 0) add("ledger.open", Level::note, "a server of this user can open it; so can others read in it: its mode is " + mode_text(info) + ", not 0700");
    else add("ledger.open", Level::ok, "a server of this user can open it");
  }

  void newest_key(const LedgerReader& reader, std::uint64_t records) {
    std::string key, model;
    const auto done = reader.each(records > 1000 ? records - 1000 : 0, UINT64_MAX, [&](const LedgerRecord& record) -> Result<void> {
      if (record.kind == LedgerRecord::Kind::response && record.marked_tokens > 0) key = record.key_id, model = record.model;
      return {};
    });
    if (!done || key.empty()) return add("ledger.key", Level::note, "no marked response among the last records");
    add("ledger.key", key == keys_->key_id ? Level::ok : Level::fail,
        key == keys_->key_id ? "the last marked response of " + printable(model) + " was under this key" : "the last marked response was under " + key + ", not under " + keys_->key_id);
  }

  const DoctorArguments& arguments_;
  const std::string now_ = now();
  std::optional<SubkeysFile> keys_;
  std::vector<Finding> findings_;
};

Result<int> run_doctor(const DoctorArguments& arguments) {
  if (auto good = one_standard_input({{"--subkeys", arguments.subkeys}, {"--text", arguments.text}, {"--ca", arguments.endpoint.ca}}); !good) return good.error().at("doctor");
  if (arguments.endpoint.url.empty() != arguments.endpoint.model.empty()) return Error{ErrorCode::usage, "doctor: --endpoint and --model go together; see heirmark doctor --help"};
  if (arguments.endpoint.url.empty() && (!arguments.endpoint.ca.empty() || arguments.endpoint.key_fd != EndpointOptions{}.key_fd))
    return Error{ErrorCode::usage, "doctor: --ca and --api-key-fd go with --endpoint; see heirmark doctor --help"};
  const auto findings = Doctor(arguments).run();
  if (!findings) return findings.error();
  const bool good = std::none_of(findings->begin(), findings->end(), [](const Finding& finding) { return finding.level == Level::fail; });
  if (arguments.json) {
    JsonWriter json;
    json.begin_object().member("state", good ? "good" : "bad").key("checks").begin_list();
    for (const Finding& finding : *findings)
      json.begin_object().member("code", finding.code).member("level", level_name(finding.level)).member("detail", finding.detail).end_object();
    json.end_list().end_object();
    print(json.line());
  } else {
    for (const Finding& finding : *findings) {
      const Style style = finding.level == Level::ok ? Style::good : finding.level == Level::note ? Style::unsure : Style::bad;
      const std::string name = level_name(finding.level);
      print(styled(style, name) + std::string(6 - name.size(), ' ') + finding.code + std::string(19 - std::min<std::size_t>(18, finding.code.size()), ' ') + printable(finding.detail) + "\n");
    }
  }
  return good ? 0 : static_cast<int>(ErrorCode::invalid_evidence);
}
}  // namespace

void add_doctor(Command& root) {
  auto arguments = std::make_shared<DoctorArguments>();
  Command& doctor = root.add("doctor", "does this server's set-up really mark and record?");
  doctor.text("--subkeys", "FILE", arguments->subkeys, "what the server samples with", Need::required);
  doctor.text("--text", "FILE", arguments->text, "token file of what the server gave out");
  doctor.text("--ledger", "DIR", arguments->ledger, "the ledger that it writes");
  EndpointOptions& endpoint = arguments->endpoint;
  doctor.text("--endpoint", "URL", endpoint.url, "the running server: http://HOST:PORT or https://HOST, with /v1 or without");
  doctor.text("--model", "NAME", endpoint.model, "the model to ask it for");
  doctor.whole("--api-key-fd", "N", endpoint.key_fd, 0, 1u << 20, "read its API key from descriptor N [none]");
  doctor.text("--ca", "FILE", endpoint.ca, "certificates (PEM) to trust [the system's]");
  doctor.whole("--requests", "N", endpoint.requests, 4, 10000, "how many completions to ask it for [32]");
  doctor.whole("--tokens", "N", endpoint.tokens, 1, 4096, "tokens of each [128]");
  doctor.whole("--timeout", "SECONDS", endpoint.timeout, 1, 86400, "for each completion [300]");
  doctor.whole("--wait", "SECONDS", arguments->wait, 0, 86400, "for them to be in the ledger [60]");
  doctor.flag("--json", arguments->json, "one JSON object");
  doctor.note("Samples a probe with the keys and looks for the mark, and checks epoch, clock, text, endpoint and ledger. Exit code 1 if one of them fails. It needs no keystore and no opening, and is no evidence.");
  doctor.example("heirmark doctor --subkeys subkeys.json --endpoint http://127.0.0.1:8000 --model acme-70b");
  doctor.run([arguments] { return run_doctor(*arguments); });
}

}  // namespace heirmark::cli
