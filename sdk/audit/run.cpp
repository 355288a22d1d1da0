// run_audit: the plan's queries, one line for each answer, resumable at any byte.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <heirmark/audit.hpp>

#include "audit/case.hpp"
#include "audit/causal.hpp"
#include "audit/plan.hpp"
#include "audit/records.hpp"
#include "base/files.hpp"
#include "suspect/fields.hpp"

namespace heirmark {
namespace {
namespace fs = std::filesystem;

Error broken(const std::string& what) { return {ErrorCode::invalid_evidence, what}; }
Error failed(const fs::path& path) { return files::failure(path, errno, files::Access::write); }

std::string system_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { if (fd_ >= 0) close(fd_); }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// A file of lines that only grows. Opening it cuts off a last line without an end: the write that a kill interrupted.
class Lines {
 public:
  static Result<Lines> open(const fs::path& path) {
    Lines out(path);
    if (out.file_->get() < 0) return failed(path);
    auto bytes = files::read(path, audit::kMaxFile);
    if (!bytes) return bytes.error();
    out.kept_ = std::move(bytes).value();
    out.kept_.resize(out.kept_.rfind('\n') == std::string::npos ? 0 : out.kept_.rfind('\n') + 1);
    if (ftruncate(out.file_->get(), static_cast<off_t>(out.kept_.size())) != 0) return failed(path);
    return out;
  }
  [[nodiscard]] const std::string& kept() const noexcept { return kept_; }
  Result<void> append(std::string_view lines) {
    while (!lines.empty()) {
      const ssize_t put = write(file_->get(), lines.data(), lines.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed(path_);
      lines.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }
  Result<void> sync() {
    if (fdatasync(file_->get()) != 0) return failed(path_);
    return {};
  }

 private:
  explicit Lines(const fs::path& path)
      : path_(path), file_(std::make_unique<Descriptor>(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644))) {}
  fs::path path_;
  std::unique_ptr<Descriptor> file_;
  std::string kept_;
};

class Run {
 public:
  Run(fs::path folder, Suspect& suspect, const RunOptions& options) : folder_(std::move(folder)), suspect_(suspect), options_(options) {}

  Result<void> all() {
    if (auto done = read_plan(); !done) return done;
    if (!files::is_missing(folder_ / "transcript.json")) return check_sealed();
    const auto lock = CaseLock::take(folder_);
    if (!lock) return lock.error();
    std::error_code made;
    fs::create_directories(folder_ / "transcript", made);
    if (made) return files::failure(folder_ / "transcript", made.value(), files::Access::write);
    if (auto done = begin(); !done) return done;
    if (plan_.find(Channel::c1) != nullptr)
      if (auto done = texts(); !done) return done;
    if (!plan_.ledger.empty())
      if (auto done = issued(); !done) return done;
    return seal();
  }

 private:
  Result<std::string> bound_file(const char* name, const std::string& digest) {
    auto bytes = files::read(folder_ / name, audit::kMaxFile);
    if (!bytes) return bytes;
    if (audit::digest(*bytes) != digest) return broken((folder_ / name).string() + " is not the file that the plan names");
    return bytes;
  }

  Result<void> read_plan() {
    const auto bytes = files::read(folder_ / "plan.json", audit::kMaxObject);
    if (!bytes) return bytes.error();
    auto plan = Plan::parse(*bytes);
    if (!plan) return plan.error().at((folder_ / "plan.json").string());
    plan_ = std::move(plan).value();
    const auto suspect = bound_file("suspect.json", plan_.suspect);
    if (!suspect) return suspect.error();
    auto about = SuspectInfo::parse(*suspect);
    if (!about) return about.error().at((folder_ / "suspect.json").string());
    about_ = std::move(about).value();
    if (const auto commitment = bound_file("commitment.json", plan_.commitment); !commitment) return commitment.error();
    if (!plan_.prompts.empty()) {
      const auto file = bound_file("prompts.jsonl", plan_.prompts);
      if (!file) return file.error();
      auto prompts = audit::parse_prompts(*file, about_.vocab);
      if (!prompts) return prompts.error();
      prompts_ = std::move(prompts).value();
    }
    if (!plan_.ledger.empty()) {
      const auto file = bound_file("ledger.jsonl", plan_.ledger);
      if (!file) return file.error();
      auto ledger = parse_ledger(*file, about_.vocab);
      if (!ledger) return ledger.error();
      if (ledger->size() != plan_.ledger_responses) return broken("ledger.jsonl does not have the plan's number of responses");
      ledger_ = std::move(ledger).value();
    }
    const ChannelPlan* c1 = plan_.find(Channel::c1);
    total_ = (c1 != nullptr ? c1->texts : 0) + ledger_.size();
    return {};
  }

  Result<void> check_sealed() {
    const auto bytes = files::read(folder_ / "transcript.json", audit::kMaxObject);
    if (!bytes) return bytes.error();
    const auto transcript = Transcript::parse(*bytes);
    if (!transcript) return transcript.error().at((folder_ / "transcript.json").string());
    if (transcript->plan != plan_.digest()) return broken("transcript.json belongs to another plan");
    std::string c1, issued;
    for (auto [name, into] : {std::pair<const char*, std::string*>{"transcript/c1.jsonl", &c1}, {"transcript/issued.jsonl", &issued}}) {
      if (files::is_missing(folder_ / name)) continue;
      auto file = files::read(folder_ / name, audit::kMaxFile);
      if (!file) return file.error();
      *into = std::move(file).value();
    }
    return audit::check_files(*transcript, plan_, c1, issued);
  }

  Result<void> begin() {
    auto hello = suspect_.hello();
    if (!hello) return hello.error();
    if (auto same = audit::check_hello(*hello, about_); !same) return same;
    seed_ = audit::plan_seed(plan_.digest());
    const fs::path path = folder_ / "transcript/progress.json";
    if (!files::is_missing(path)) {
      const auto bytes = files::read(path, audit::kMaxObject);
      if (!bytes) return bytes.error();
      auto progress = audit::parse_progress(*bytes);
      if (!progress) return progress.error();
      progress_ = std::move(progress).value();
      if (progress_.plan != plan_.digest()) return broken("the transcript was begun under another plan; the plan must not change");
      if (progress_.hello.name != hello->name || progress_.hello.context != hello->context || progress_.hello.weights_digest != hello->weights_digest)
        return broken("the transcript was begun with another suspect (\"" + progress_.hello.name + "\")");
      return {};
    }
    for (const char* name : {"transcript/c1.jsonl", "transcript/issued.jsonl"})
      if (!files::is_missing(folder_ / name)) return broken(std::string(name) + " is there without transcript/progress.json");
    progress_ = {plan_.digest(), now(), std::move(hello).value()};
    return files::write_atomic(path, audit::progress_bytes(progress_));
  }

  Result<void> texts() {
    const ChannelPlan& channel = *plan_.find(Channel::c1);
    for (std::size_t i = 0; i < prompts_.size(); ++i)
      if (prompts_[i].size() + channel.tokens_per_text > progress_.hello.context)
        return Error{ErrorCode::bad_input, "prompts.jsonl:" + std::to_string(i + 1) + ": " + std::to_string(prompts_[i].size()) + " tokens and a text of " +
                                               std::to_string(channel.tokens_per_text) + " do not fit the suspect's context of " + std::to_string(progress_.hello.context)};
    auto lines = Lines::open(folder_ / "transcript/c1.jsonl");
    if (!lines) return lines.error();
    const auto order = audit::prompt_order(seed_, static_cast<std::uint32_t>(prompts_.size()));
    const auto prompt = [&](std::uint64_t i) -> const std::vector<TokenId>& { return prompts_[order[i % order.size()]]; };
    std::uint64_t next = 0;
    auto kept = audit::each_line(lines->kept(), "transcript/c1.jsonl", [&](std::uint64_t, std::string_view line) -> Result<void> {
      if (next == channel.texts) return Error{ErrorCode::bad_input, "more texts than the plan has"};
      const auto text = audit::parse_text_line(line, next, prompt(next), channel, about_.vocab);
      if (!text) return text.error();
      ++next;
      return {};
    });
    if (!kept) return broken(kept.error().message);
    while (next < channel.texts) {
      if (auto go = report("c1", next); !go) return go;
      std::vector<GenerateRequest> batch;
      for (std::uint64_t i = next; i < std::min<std::uint64_t>(channel.texts, next + std::max(options_.batch, 1u)); ++i)
        batch.push_back({prompt(i), channel.tokens_per_text, audit::query_seed(seed_, "c1", static_cast<std::uint32_t>(i))});
      const auto answers = suspect_.generate(batch, channel.temperature_milli);
      if (!answers) return answers.error().at("text " + std::to_string(next));
      std::string block;
      for (std::size_t k = 0; k < batch.size(); ++k) block += audit::text_line(next + k, batch[k].prompt, (*answers)[k]);
      if (auto done = lines->append(block); !done) return done;
      if (auto done = lines->sync(); !done) return done;
      next += batch.size();
    }
    done_ += channel.texts;
    return report("c1", 0);
  }

  Result<void> issued() {
    const ChannelPlan* c2 = plan_.find(Channel::c2);
    const ChannelPlan* c3 = plan_.find(Channel::c3);
    const std::uint32_t samples = c2 != nullptr ? c2->samples : 0, top = c3 != nullptr ? c3->top : 0;
    auto lines = Lines::open(folder_ / "transcript/issued.jsonl");
    if (!lines) return lines.error();
    std::uint64_t next = 0;
    auto kept = audit::each_line(lines->kept(), "transcript/issued.jsonl", [&](std::uint64_t, std::string_view line) -> Result<void> {
      if (next == ledger_.size()) return Error{ErrorCode::bad_input, "more responses than the ledger has"};
      const auto answer = audit::parse_issued_line(line, next, audit::asked_positions(ledger_[next], progress_.hello.context), samples, top, about_.vocab);
      if (!answer) return answer.error();
      ++next;
      return {};
    });
    if (!kept) return broken(kept.error().message);
    const auto dependence = [&](std::size_t responses) { return audit::find_dependence(suspect_, std::span(ledger_).first(responses), seed_, progress_.hello, samples, top); };
    // Before any other query, of responses that nobody bets on: a suspect that remembers must not have been shown what it is asked about.
    if (next < ledger_.size()) {
      const auto found = dependence(plan_.fit_responses);
      if (!found) return found.error();
      if (!found->empty()) return Error{ErrorCode::bad_input, *found};
    }
    for (; next < ledger_.size(); ++next) {
      if (auto go = report("issued", next); !go) return go;
      const IssuedResponse& response = ledger_[next];
      const std::size_t asked = audit::asked_positions(response, progress_.hello.context);
      std::vector<ScoredPosition> positions;
      if (asked > 0) {
        ScoreRequest request;
        request.tokens = response.prompt;
        request.tokens.insert(request.tokens.end(), response.tokens.begin(), response.tokens.begin() + static_cast<std::ptrdiff_t>(asked));
        request.from = static_cast<std::uint32_t>(response.prompt.size());
        request.top = top;
        request.samples = samples;
        request.seed = audit::query_seed(seed_, "issued", static_cast<std::uint32_t>(next));
        auto answer = suspect_.score(request);
        if (!answer) return answer.error().at("response " + std::to_string(next));
        positions = std::move(answer).value();
      }
      if (auto done = lines->append(audit::issued_line(next, positions)); !done) return done;
      if (next % 16 == 15)
        if (auto done = lines->sync(); !done) return done;
    }
    if (auto done = lines->sync(); !done) return done;
    const auto found = dependence(ledger_.size());
    if (!found) return found.error();  // the answers stay: nothing was found
    if (!found->empty()) {
      const fs::path refused = folder_ / "transcript/issued.refused.jsonl";
      std::error_code moved;
      fs::rename(folder_ / "transcript/issued.jsonl", refused, moved);
      if (moved) return files::failure(refused, moved.value(), files::Access::write);
      return Error{ErrorCode::bad_input, "the answers are of no use, and lie in " + refused.string() + " now: " + *found};
    }
    done_ += ledger_.size();
    return report("issued", 0);
  }

  Result<void> seal() {
    Transcript out;
    out.plan = plan_.digest();
    out.hello = progress_.hello;
    out.started = progress_.started;
    out.ended = std::max(now(), progress_.started);  // a clock that was set back must not make an impossible transcript
    for (const char* name : {"transcript/c1.jsonl", "transcript/issued.jsonl"}) {
      if (std::string_view(name) == "transcript/c1.jsonl" ? plan_.prompts.empty() : plan_.ledger.empty()) continue;
      const auto bytes = files::read(folder_ / name, audit::kMaxFile);
      if (!bytes) return bytes.error();
      out.files.push_back({name, audit::digest(*bytes), audit::count_lines(*bytes)});
      out.queries += out.files.back().lines;
    }
    return files::write_atomic(folder_ / "transcript.json", out.bytes());
  }

  [[nodiscard]] std::string now() const { return options_.now ? options_.now() : system_time(); }
  Result<void> report(std::string_view channel, std::uint64_t in_channel) const {
    if (options_.progress && !options_.progress({channel, done_ + in_channel, total_}))
      return Error{ErrorCode::stopped, "stopped after " + std::to_string(done_ + in_channel) + " of " + std::to_string(total_) + " queries; the same call goes on"};
    return {};
  }

  fs::path folder_;
  Suspect& suspect_;
  const RunOptions& options_;
  Plan plan_;
  SuspectInfo about_;
  std::vector<std::vector<TokenId>> prompts_;
  std::vector<IssuedResponse> ledger_;
  audit::Progress progress_;
  std::array<std::uint8_t, 32> seed_{};
  std::uint64_t done_ = 0, total_ = 0;
};
}  // namespace

Result<void> run_audit(const std::filesystem::path& folder, Suspect& suspect, const RunOptions& options) { return Run(folder, suspect, options).all(); }

}  // namespace heirmark
