#include "evidence/bag.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/case.hpp"
#include "audit/plan.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "evidence/stamp.hpp"
#include "evidence/statement.hpp"

namespace heirmark {
namespace {
namespace fs = std::filesystem;
using text::printable;
constexpr std::size_t kMaxComplaints = 100;  // about files that do not belong

class Reader {
 public:
  Reader(const fs::path& bag, const VerifyOptions& options, std::vector<Check>& checks) : bag_(bag), options_(options), checks_(checks) {
    for (const char* name : {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}) known_[name] = false;
    for (const auto& file : evidence::payload_files()) {
      const std::string path = "data/" + file.path;
      known_[path] = file.records;
      for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) folders_.insert(path.substr(0, slash));
    }
  }

  Result<evidence::Files> all() {
    if (auto done = folder(""); !done) return done.error();
    return std::move(files_);
  }

 private:
  void complain(std::string code, std::string detail) {
    if (checks_.size() < kMaxComplaints) checks_.push_back({std::move(code), Level::fail, std::move(detail)});
  }

  Result<void> folder(const std::string& relative) {
    std::error_code code;
    std::vector<std::string> names;
    fs::directory_iterator entries(bag_ / relative, code);
    for (const fs::directory_iterator end; !code && entries != end; entries.increment(code)) {
      names.push_back(entries->path().filename().string());
      if (names.size() > 10'000) break;  // no bag has so many; the extra ones are complaint enough
    }
    if (code) return files::failure(bag_ / relative, code.value(), files::Access::read);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
      if (auto done = entry(relative.empty() ? name : relative + "/" + name); !done) return done;
    return {};
  }

  Result<void> entry(const std::string& path) {
    struct stat info{};
    const std::string full = (bag_ / path).string();
    if (lstat(full.c_str(), &info) != 0) return files::failure(full, errno, files::Access::read);
    if (S_ISDIR(info.st_mode)) {
      if (folders_.contains(path)) return folder(path);
      complain("bag.extra-file", printable(path) + "/ does not belong into the bag");
      return {};
    }
    const auto known = known_.find(path);
    if (known == known_.end()) {
      complain("bag.extra-file", printable(path) + " does not belong into the bag");
      return {};
    }
    if (!S_ISREG(info.st_mode)) {
      complain("bag.file-type", path + " is not an ordinary file");
      return {};
    }
    const std::uint64_t limit = known->second ? options_.max_records : options_.max_object;
    if (static_cast<std::uint64_t>(info.st_size) > limit) {
      complain("bag.size", path + " has " + std::to_string(info.st_size) + " bytes, more than " + std::to_string(limit));
      return {};
    }
    auto bytes = files::read(full, limit);
    if (!bytes) return bytes.error();
    files_[path] = std::move(bytes).value();
    return {};
  }

  fs::path bag_;
  const VerifyOptions& options_;
  std::vector<Check>& checks_;
  std::map<std::string, bool> known_;  // -> may be large
  std::set<std::string> folders_;
  evidence::Files files_;
};
}  // namespace

namespace evidence {
const std::vector<PayloadFile>& payload_files() {
  static const std::vector<PayloadFile> files = [] {
    using enum Presence;
    std::vector<PayloadFile> out{{"commitment.json", always, false}, {"ledger.jsonl", plan_decides, true},         {"opening.json", always, false},
                                 {"plan.json", always, false},       {"prompts.jsonl", plan_decides, true},        {"suspect.json", always, false},
                                 {"transcript.json", always, false}, {"transcript/c1.jsonl", plan_decides, true},  {"transcript/issued.jsonl", plan_decides, true},
                                 {"verdict.json", always, true}};
    for (const Object object : kObjects) {
      out.push_back({statement_file(object), object == Object::ledger ? plan_decides : always, false});
      for (unsigned slot = 1; slot <= kStampSlots; ++slot) out.push_back({stamp_file(object, slot), optional, false});
    }
    for (const char* role : {"auditor", "provider"}) out.push_back({key_file(role), always, false});
    return out;
  }();
  return files;
}

bool belongs(std::string_view path, const Plan& plan) {
  if (path == "prompts.jsonl" || path == "transcript/c1.jsonl") return !plan.prompts.empty();
  if (path == "ledger.jsonl" || path == "transcript/issued.jsonl" || path == statement_file(Object::ledger) || path.starts_with(stamp_prefix(Object::ledger))) return !plan.ledger.empty();
  return true;
}

bool exists_at(Stage stage, std::string_view path) {
  if (path == "opening.json" || path == "verdict.json" || path == statement_file(Object::verdict) || path.starts_with(stamp_prefix(Object::verdict))) return false;
  return stage == Stage::sealed || (!path.starts_with("transcript") && path != statement_file(Object::transcript) && !path.starts_with(stamp_prefix(Object::transcript)));
}

std::string manifest(const Files& files) {
  std::string out;
  for (const auto& [path, bytes] : files)
    if (path.starts_with("data/")) out += audit::digest(bytes) + "  " + path + "\n";
  return out;
}

Files tag_files(const Files& files, std::string_view day, std::string_view plan_id) {
  std::uint64_t octets = 0, count = 0;
  for (const auto& [path, bytes] : files)
    if (path.starts_with("data/")) { octets += bytes.size(); ++count; }
  Files out;
  out["bagit.txt"] = kBagit;
  out["bag-info.txt"] = "Bagging-Date: " + std::string(day) + "\nExternal-Identifier: " + std::string(plan_id) + "\nPayload-Oxum: " + std::to_string(octets) + "." +
                        std::to_string(count) + "\n";
  out["manifest-sha256.txt"] = manifest(files);
  std::string tags;
  for (const char* name : {"bag-info.txt", "bagit.txt", "manifest-sha256.txt"}) tags += audit::digest(out[name]) + "  " + name + "\n";
  out["tagmanifest-sha256.txt"] = tags;
  return out;
}

Result<Files> read_bag(const std::filesystem::path& bag, const VerifyOptions& options, std::vector<Check>& checks) {
  std::error_code code;
  const fs::file_status status = fs::status(bag, code);  // a link is followed here, where the caller gives it, and nowhere in the bag
  if (status.type() == fs::file_type::none) return files::failure(bag, code.value(), files::Access::read);
  if (!fs::is_directory(status)) return Error{ErrorCode::bad_input, bag.string() + (fs::exists(status) ? ": is not a folder" : ": does not exist")};
  return Reader(bag, options, checks).all();
}
}  // namespace evidence

Result<void> make_bag(const std::filesystem::path& folder, const std::function<Result<void>(const std::filesystem::path& fresh)>& check) {
  const auto plan_bytes = files::read(folder / "plan.json", audit::kMaxObject);
  if (!plan_bytes) return plan_bytes.error();
  const auto plan = Plan::parse(*plan_bytes);
  if (!plan) return plan.error().at((folder / "plan.json").string());
  // The names under which a bag is made are always the same, so that what a kill left goes away: one at a time, then. Without statements
  // it comes to nothing below.
  std::unique_ptr<files::FolderLock> lock;
  if (!files::is_missing(folder / "statements")) {
    auto taken = files::FolderLock::take(folder / "statements", true);
    if (!taken) return taken.error();
    lock = std::move(taken).value();
  }
  evidence::Files files;
  std::error_code code;
  for (const auto& file : evidence::payload_files()) {
    if (!evidence::belongs(file.path, *plan)) continue;
    const bool missing = files::is_missing(folder / file.path);
    if (missing && file.presence == evidence::Presence::optional) continue;
    if (missing)
      return Error{ErrorCode::usage, (folder / file.path).string() + " is missing" + (file.path.starts_with("statements/") ? ": the object is not signed yet" : "")};
    auto bytes = files::read(folder / file.path, audit::kMaxFile);
    if (!bytes) return bytes.error();
    files["data/" + file.path] = std::move(bytes).value();
  }
  const auto verdict = Verdict::parse(files.at("data/verdict.json"));
  if (!verdict) return verdict.error().at((folder / "verdict.json").string());
  files.merge(evidence::tag_files(files, std::string_view(verdict->date).substr(0, 10), plan->plan_id));

  const fs::path bag = folder / "bag", fresh = folder / ".bag.new", old = folder / ".bag.old";
  std::error_code status;
  fs::remove_all(fresh, code);
  if (!fs::exists(fs::symlink_status(bag, status)) && fs::exists(fs::symlink_status(old, status))) fs::rename(old, bag, code);  // a kill came between the two renames below
  fs::remove_all(old, code);
  for (const auto& [path, bytes] : files) {
    fs::create_directories((fresh / path).parent_path(), code);
    if (code) return files::failure(fresh / path, code.value(), files::Access::write);
    const std::string_view name = path;
    const unsigned mode = audit::file_mode(name.starts_with("data/") ? name.substr(5) : name);
    if (auto done = files::write_atomic(fresh / path, bytes, mode); !done) return done;
  }
  if (check)
    if (auto good = check(fresh); !good) {
      fs::remove_all(fresh, code);
      return good;
    }
  code.clear();
  if (fs::exists(fs::symlink_status(bag, status))) fs::rename(bag, old, code);
  if (!code) fs::rename(fresh, bag, code);
  if (code) return files::failure(bag, code.value(), files::Access::write);
  fs::remove_all(old, code);
  return {};
}

Result<VerifyReport> verify_bag(const std::filesystem::path& bag, const VerifyOptions& options) {
  VerifyReport report;
  const auto files = evidence::read_bag(bag, options, report.checks);
  if (!files) return files.error();
  if (auto done = evidence::verify_files(*files, options, report); !done) return done.error();
  return report;
}

Result<VerifyReport> check_case(const std::filesystem::path& folder, Stage stage) {
  evidence::Files files;
  for (const auto& file : evidence::payload_files()) {
    if (!evidence::exists_at(stage, file.path) || files::is_missing(folder / file.path)) continue;
    auto bytes = files::read(folder / file.path, audit::kMaxFile);
    if (!bytes) return bytes.error();
    files["data/" + file.path] = std::move(bytes).value();
  }
  VerifyReport report;
  if (auto done = evidence::check_files_at(stage, files, report); !done) return done.error();
  return report;
}

}  // namespace heirmark
