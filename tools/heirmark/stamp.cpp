// stamp: time stamps of third parties (RFC 3161) on the statements in a folder, asked for over HTTP or by hand.
#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>
#include <heirmark/report.hpp>

#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "case_check.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "http.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
namespace fs = std::filesystem;

struct StampArguments {
  std::string folder, object, output, reply, request, ca;
  std::vector<std::string> objects, authorities;
  std::uint64_t timeout = 60, slot = 0;
};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

Result<Object> object_of(const std::string& name) {
  for (const Object object : kObjects)
    if (object_name(object) == name) return object;
  return Error{ErrorCode::usage, "stamp: \"" + name + "\" is not commitment, ledger, plan, transcript or verdict"};
}

fs::path statement_path(Object object) { return fs::path("statements") / (std::string(object_name(object)) + ".dsse.json"); }
std::string statement_of(const fs::path& folder, Object object) { return (folder / statement_path(object)).string(); }
Error not_signed(const fs::path& folder, Object object) { return {ErrorCode::bad_input, statement_of(folder, object) + ": does not exist: the object is not signed yet"}; }

void told(const char* what, const fs::path& file, const TimeStamp& stamp) { inform(what + file.string() + ", not later than " + stamp.time + ", by " + printable(stamp.authority)); }

/// A folder that a run or a verdict may be writing to is a case's.
Result<std::optional<CaseLock>> lock_of(const fs::path& folder) {
  if (!is_there(folder / "plan.json")) return std::optional<CaseLock>();
  auto lock = CaseLock::take(folder);
  if (!lock) return lock.error();
  return std::optional<CaseLock>(*std::move(lock));
}

/// The bytes of a file; nothing if it is not there.
Result<std::optional<std::string>> read_if_there(const fs::path& path) {
  if (!is_there(path)) return std::optional<std::string>();
  auto bytes = read_file(path.string());
  if (!bytes) return bytes.error();
  return std::optional(*std::move(bytes));
}

/// What a case and its bag have of one file.
struct Twice {
  std::optional<std::string> here, packed;
  static Result<Twice> read(const fs::path& folder, const fs::path& path) {
    auto here = read_if_there(folder / path), packed = read_if_there(folder / "bag/data" / path);
    if (!here) return here.error();
    if (!packed) return packed.error();
    return Twice{*std::move(here), *std::move(packed)};
  }
};
/// A stamp that only the bag has, of the statement that is there still, comes back: an early one is not replaced.
Result<void> bring_back(const fs::path& folder) {
  for (const Object object : kObjects) {
    const auto statement = Twice::read(folder, statement_path(object));
    if (!statement) return statement.error();
    if (!statement->here || statement->here != statement->packed) continue;
    for (unsigned slot = 1; slot <= kStampSlots; ++slot) {
      const auto stamp = Twice::read(folder, stamp_file(object, slot));
      if (!stamp) return stamp.error();
      if (stamp->here || !stamp->packed || !read_stamp(*statement->here, *stamp->packed)) continue;
      const auto added = add_stamp(folder, object, slot, *stamp->packed);
      if (!added) return added.error();
      told("from bag   ", folder / stamp_file(object, slot), *added);
    }
  }
  return {};
}

/// A bag of this verdict that has other stamps than its case is packed anew; and so is the report, which tells of them. Also after a failure, so that what was written is in it.
Result<void> renew_bag(const fs::path& folder) {
  if (!is_there(folder / "bag") && !is_there(folder / ".bag.old")) return {};
  bool differs = !is_there(folder / "bag");
  const auto verdict = Twice::read(folder, "verdict.json");
  if (!verdict) return verdict.error();
  bool same = verdict->here == verdict->packed;
  for (const Object object : kObjects) {
    const auto statement = Twice::read(folder, statement_path(object));
    if (!statement) return statement.error();
    if (!statement->packed) continue;  // of a ledger that the plan does not use
    same = same && statement->here == statement->packed;
    for (unsigned slot = 1; slot <= kStampSlots; ++slot) {
      const auto stamp = Twice::read(folder, stamp_file(object, slot));
      if (!stamp) return stamp.error();
      differs = differs || stamp->here != stamp->packed;
    }
  }
  if (!same && !differs) return {};
  if (!same && is_there(folder / "bag")) {
    inform("note       the bag is of an earlier verdict or statement and stays as it is; heirmark audit verdict makes a new one");
    return {};
  }
  const std::string report = (folder / "report.html").string();
  if (!differs) {
    const auto html = render_report(folder / "bag");
    if (!html) return html.error();
    const auto before = read_if_there(report);
    if (!before) return before.error();
    if (*before == *html) return {};
  }
  if (auto done = pack(folder); !done) return done;
  inform("packed     " + (folder / "bag").string() + " and " + report + " anew");
  return {};
}

/// What to stamp: what was asked for; else what is signed there by whose folder it is, the auditor's of a case, otherwise the provider's.
Result<std::vector<Object>> wanted(const StampArguments& arguments) {
  const fs::path folder(arguments.folder);
  std::vector<Object> out;
  for (const std::string& name : arguments.objects) {
    const auto object = object_of(name);
    if (!object) return object.error();
    if (!is_there(statement_of(folder, *object))) return not_signed(folder, *object);
    out.push_back(*object);
  }
  if (!arguments.objects.empty()) return out;
  const std::string_view role = is_there(folder / "plan.json") ? "auditor" : "provider";
  for (const Object object : kObjects)
    if (object_role(object) == role && is_there(statement_of(folder, object))) out.push_back(object);
  if (out.empty()) return Error{ErrorCode::bad_input, arguments.folder + ": has no statement of the " + std::string(role) + " to stamp"};
  return out;
}

class Authority {
 public:
  static Result<Authority> at(const std::string& text, const StampArguments& arguments) {
    auto url = HttpUrl::parse(text);
    if (!url) return url.error().at("--authority");
    std::string path = url->path;
    if (path.empty() || text.ends_with('/')) path += '/';  // a server may tell /tsa and /tsa/ apart
    HttpClient::Options how;
    how.ca = arguments.ca;
    how.answer = std::chrono::seconds(arguments.timeout);
    const std::string name = url->authority();
    auto client = HttpClient::create(*std::move(url), std::move(how));
    if (!client) return client.error().at("--ca");
    return Authority(name, std::move(path), *std::move(client));
  }

  /// The reply to a request, as it came.
  Result<std::string> ask(const std::string& request) const {
    const HttpRequest asked[] = {{path_, request, "application/timestamp-query", "application/timestamp-reply"}};
    Result<std::string> reply = Error{ErrorCode::io, "no answer"};
    const auto take = [&](std::size_t, Result<HttpAnswer>&& answer) {
      if (!answer) reply = answer.error();
      else if (answer->status != 200) reply = Error{ErrorCode::io, "status " + std::to_string(answer->status) + (answer->status / 100 == 3 ? ": a redirect, which is not followed" : "")};
      else reply = std::move(answer->body);
      return true;
    };
    tell("POST " + path_ + " to " + name_);
    if (auto done = client_.post(asked, 1, take, [](std::size_t) {}); !done) return done.error();
    if (!reply) return reply.error().at(name_);
    return reply;
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string place() const { return name_ + path_.substr(0, path_.find_last_not_of('/') + 1); }

 private:
  Authority(std::string name, std::string path, HttpClient client) : name_(std::move(name)), path_(std::move(path)), client_(std::move(client)) {}
  std::string name_, path_;
  HttpClient client_;
};

/// A slot never gets another stamp, so it gets none of a clock that is wrong, nor keeps one that is broken.
Result<void> get_one(const fs::path& folder, Object object, unsigned slot, const std::string& statement, const Authority& authority) {
  if (const fs::path file = folder / stamp_file(object, slot); is_there(file)) {
    const auto bytes = read_file(file.string());
    if (!bytes) return bytes.error();
    const auto kept = read_stamp(statement, *bytes);
    if (!kept) return kept.error().at(file.string());
    told("kept       ", file, *kept);
    return {};
  }
  const auto request = make_stamp_request(statement);
  if (!request) return request.error();
  const auto reply = authority.ask(*request);
  if (!reply) return reply.error();
  constexpr std::int64_t kDay = 86'400;
  const auto said = read_stamp(statement, *reply, *request);
  if (!said) return said.error().at(authority.name());
  if (said->time < now(kDay) || said->time > now(-kDay)) return Error{ErrorCode::invalid_evidence, authority.name() + ": its time is " + said->time + ", and here it is " + now()};
  const auto stamp = add_stamp(folder, object, slot, *reply, *request);
  if (!stamp) return stamp.error().at(authority.name());
  told("stamped    ", folder / stamp_file(object, slot), *stamp);
  return {};
}

Result<int> stamp_get(const StampArguments& arguments) {
  if (arguments.authorities.empty()) return Error{ErrorCode::usage, "stamp get: --authority is needed: the URL of a time-stamping authority"};
  if (arguments.authorities.size() > kStampSlots) return Error{ErrorCode::usage, "stamp get: a statement has stamps of at most " + std::to_string(kStampSlots) + " authorities"};
  std::vector<Authority> authorities;
  for (const std::string& url : arguments.authorities) {
    auto authority = Authority::at(url, arguments);
    if (!authority) return authority.error();
    if (!authorities.empty() && authorities[0].place() == authority->place()) return Error{ErrorCode::usage, "stamp get: a second --authority is another one"};
    authorities.push_back(*std::move(authority));
  }
  const fs::path folder(arguments.folder);
  const auto lock = lock_of(folder);
  if (!lock) return lock.error();
  const auto objects = wanted(arguments);
  if (!objects) return objects.error();
  if (auto done = bring_back(folder); !done) return done.error();
  // One that fails keeps nobody from the other, and is not asked again.
  std::vector<std::optional<Error>> failed(authorities.size());
  for (const Object object : *objects) {
    const auto statement = read_file(statement_of(folder, object));
    if (!statement) return statement.error();
    for (unsigned slot = 1; slot <= authorities.size(); ++slot) {
      std::optional<Error>& fault = failed[slot - 1];
      if (fault) continue;
      if (auto done = get_one(folder, object, slot, *statement, authorities[slot - 1]); !done) fault = done.error();
      if (fault && fault->code == ErrorCode::stopped) return *fault;
    }
  }
  const auto renewed = renew_bag(folder);
  for (const auto& fault : failed)
    if (fault) return *fault;
  if (!renewed) return renewed.error();
  return 0;
}

Result<int> stamp_request(const StampArguments& arguments) {
  const auto object = object_of(arguments.object);
  if (!object) return object.error();
  const auto statement = read_file(statement_of(arguments.folder, *object));
  if (!statement) return statement.error();
  const auto request = make_stamp_request(*statement);
  if (!request) return request.error();
  if (auto done = write_file(arguments.output, *request); !done) return done.error();
  if (arguments.output != "-") inform("wrote      " + arguments.output);
  return 0;
}

Result<int> stamp_add(const StampArguments& arguments) {
  if (auto one = one_standard_input({{"--reply", arguments.reply}, {"--request", arguments.request}}); !one) return one.error();
  const auto object = object_of(arguments.object);
  if (!object) return object.error();
  const fs::path folder(arguments.folder);
  if (!is_there(statement_of(folder, *object))) return not_signed(folder, *object);
  const auto statement = read_file(statement_of(folder, *object)), reply = read_file(arguments.reply);
  if (!statement) return statement.error();
  if (!reply) return reply.error();
  if (const auto good = read_stamp(*statement, *reply); !good) return good.error().at(input_name(arguments.reply));
  std::string request;
  if (!arguments.request.empty()) {
    auto bytes = read_file(arguments.request);
    if (!bytes) return bytes.error();
    request = *std::move(bytes);
    if (request.empty()) return Error{ErrorCode::bad_input, input_name(arguments.request) + ": is empty"};
    if (const auto fits = read_stamp(*statement, *reply, request); !fits) return fits.error().at(input_name(arguments.request));
  }
  const auto lock = lock_of(folder);
  if (!lock) return lock.error();
  if (auto done = bring_back(folder); !done) return done.error();
  auto slot = static_cast<unsigned>(arguments.slot);
  for (unsigned free = kStampSlots; arguments.slot == 0 && free >= 1; --free)
    if (!is_there(folder / stamp_file(*object, free))) slot = free;
  if (slot == 0) return Error{ErrorCode::usage, "stamp add: the statement has " + std::to_string(kStampSlots) + " time stamps already"};
  const auto stamp = add_stamp(folder, *object, slot, *reply, request);
  if (!stamp) return stamp.error();
  told("stamped    ", folder / stamp_file(*object, slot), *stamp);
  if (auto done = renew_bag(folder); !done) return done.error();
  return 0;
}

Command& add(Command& group, const std::string& name, const std::string& summary, const std::shared_ptr<StampArguments>& arguments) {
  Command& command = group.add(name, summary);
  command.argument("FOLDER", arguments->folder, "of a case, or where a commitment lies");
  return command;
}
}  // namespace

void add_stamp_commands(Command& group) {
  {
    auto arguments = std::make_shared<StampArguments>();
    Command& command = add(group, "get", "have what is signed in a folder stamped, over HTTP", arguments);
    command.arguments("OBJECT", arguments->objects, "commitment, ledger, plan, transcript, verdict [in a case the auditor's, else the provider's]", Need::optional);
    command.texts("--authority", "URL", arguments->authorities, "of a time-stamping authority (RFC 3161); a second time for a second one");
    command.text("--ca", "FILE", arguments->ca, "certificates (PEM) to trust for https in place of the system's");
    command.whole("--timeout", "S", arguments->timeout, 1, 3600, "seconds for an answer [60]");
    command.note("The authority sees a digest. A stamp that is there is kept: the first --authority is asked for NAME-1.tsr, the second for NAME-2.tsr. A bag and report that are there get the new ones.");
    command.example("heirmark stamp get case-17/ --authority http://timestamp.digicert.com");
    command.run([arguments] { return stamp_get(*arguments); });
  }
  {
    auto arguments = std::make_shared<StampArguments>();
    Command& command = add(group, "request", "write the request for one statement, to be sent by hand", arguments);
    command.argument("OBJECT", arguments->object, "commitment, ledger, plan, transcript or verdict");
    command.text("-o,--output", "FILE", arguments->output, "request (TimeStampReq, DER); - for standard output", Need::required);
    command.example("heirmark stamp request public/ commitment -o commitment.tsq");
    command.run([arguments] { return stamp_request(*arguments); });
  }
  {
    auto arguments = std::make_shared<StampArguments>();
    Command& command = add(group, "add", "put an authority's reply beside the statement", arguments);
    command.argument("OBJECT", arguments->object, "commitment, ledger, plan, transcript or verdict");
    command.text("--reply", "FILE", arguments->reply, "reply (TimeStampResp, DER)", Need::required);
    command.text("--request", "FILE", arguments->request, "the request that it must answer");
    command.whole("--slot", "N", arguments->slot, 1, kStampSlots, "1 or 2 [the first that is free]");
    command.example("heirmark stamp add public/ commitment --reply commitment.tsr --request commitment.tsq");
    command.run([arguments] { return stamp_add(*arguments); });
  }
}

}  // namespace heirmark::cli
