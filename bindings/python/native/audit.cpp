// Audits: plan, run, verdict, bag.
#include <heirmark/audit.hpp>
#include <heirmark/evidence.hpp>
#include <heirmark/report.hpp>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include <nanobind/stl/pair.h>
#include <nanobind/stl/variant.h>

#include "common.hpp"

namespace heirmark::python {
namespace {
using namespace nb::literals;

std::string file_bytes(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) fail(ErrorCode::bad_input, path.string() + ": No such file or directory");
  if (std::filesystem::is_directory(path, error)) fail(ErrorCode::bad_input, path.string() + ": a folder");
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream.is_open()) fail(errno == EACCES ? ErrorCode::key : ErrorCode::io, path.string() + ": " + std::generic_category().message(errno));
  std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (stream.bad()) fail(ErrorCode::io, path.string() + ": cannot be read");
  return bytes;
}

template <class T>
T read_object(const std::filesystem::path& path) {
  const std::string bytes = file_bytes(path);
  auto parsed = T::parse(bytes);
  if (!parsed) throw Failure(parsed.error().at(path.string()));
  return std::move(parsed).value();
}

template <class T>
nb::object as_dict(const T& self) {
  return nb::module_::import_("json").attr("loads")(self.bytes());
}
template <class T>
nb::bytes as_bytes(const T& self) {
  const std::string bytes = self.bytes();
  return nb::bytes(bytes.data(), bytes.size());
}

/// What plan.json and verdict.json have in common.
template <class T>
nb::class_<T> canonical(nb::module_& module, const char* name, const char* about, const char* words) {
  nb::class_<T> type(module, name, about);
  const std::string from = "def from_bytes(data: bytes | bytearray | memoryview | str) -> " + std::string(name);
  type.def_static("read", &read_object<T>, "path"_a, "Reads the file; BadInputError names file and field.");
  type.def_static("from_bytes", [words](nb::handle data) { return take(T::parse(text_or_bytes(data, words))); }, "data"_a, nb::sig(from.c_str()),
                  "Exactly the canonical bytes, else BadInputError.");
  type.def("to_bytes", &as_bytes<T>, "The canonical bytes.");
  type.def("to_dict", &as_dict<T>, nb::sig("def to_dict(self) -> dict[str, typing.Any]"), "All members, as specs/formats.md names them; decimals are strings.");
  return type;
}

std::vector<ChannelPlan> channels_of(nb::handle object) {
  std::vector<ChannelPlan> out;
  if (object.is_none()) return out;
  for (const nb::handle item : nb::borrow<nb::iterable>(object)) out.push_back(nb::cast<ChannelPlan>(item));
  return out;
}

Channel channel_of(const std::string& name) {
  for (const Channel channel : {Channel::c1, Channel::c2, Channel::c3})
    if (channel_name(channel) == name) return channel;
  usage("a channel is \"c1\", \"c2\" or \"c3\"");
}

void bind_plan(nb::module_& module) {
  nb::class_<ChannelPlan>(module, "ChannelPlan", "One channel of a plan (specs/formats.md, \"Plan\").")
      .def("__init__",
           [](ChannelPlan* self, const std::string& channel, std::uint32_t weight, std::uint32_t texts, std::uint32_t tokens_per_text, const std::string& count_rule, std::uint32_t decoys,
              std::uint32_t temperature_milli, std::uint32_t samples, std::uint32_t top) {
             new (self) ChannelPlan{channel_of(channel), weight, texts, tokens_per_text, take(parse_count_rule(count_rule)), decoys, temperature_milli, samples, top};
           },
           "channel"_a, nb::kw_only(), "weight"_a = 1'000'000, "texts"_a = 0, "tokens_per_text"_a = 0, "count_rule"_a = "distinct", "decoys"_a = 0, "temperature_milli"_a = 1000,
           "samples"_a = 0, "top"_a = 0,
           "channel: \"c1\", \"c2\" or \"c3\". weight: in 10^-6; a plan's weights sum to 1,000,000. c1: texts of at most tokens_per_text tokens, count_rule, decoys in each class, "
           "temperature_milli. c2: samples for each context. c3: top, listed tokens for each context.")
      .def_prop_ro("channel", [](const ChannelPlan& self) { return std::string(channel_name(self.channel)); })
      .def_ro("weight", &ChannelPlan::weight)
      .def_ro("texts", &ChannelPlan::texts)
      .def_ro("tokens_per_text", &ChannelPlan::tokens_per_text)
      .def_prop_ro("count_rule", [](const ChannelPlan& self) { return std::string(count_rule_name(self.count_rule)); })
      .def_ro("decoys", &ChannelPlan::decoys)
      .def_ro("temperature_milli", &ChannelPlan::temperature_milli)
      .def_ro("samples", &ChannelPlan::samples)
      .def_ro("top", &ChannelPlan::top);
  canonical<Plan>(module, "Plan", "plan.json: fixed before the first query (specs/formats.md).", "a plan")
      .def_ro("plan_id", &Plan::plan_id, "16 hex digits.")
      .def_ro("attempt", &Plan::attempt)
      .def_ro("date", &Plan::date)
      .def_ro("key_id", &Plan::key_id)
      .def_ro("path", &Plan::path)
      .def_ro("profile", &Plan::profile, "Name of the profile.")
      .def_ro("alpha", &Plan::alpha, "Decimal string.")
      .def_ro("multiplicity", &Plan::multiplicity)
      .def_ro("channels", &Plan::channels)
      .def_prop_ro("digest", &Plan::digest, "SHA-256 of the canonical bytes, hex.")
      .def("__repr__", [](const Plan& self) { return "<heirmark.Plan " + self.plan_id + ", " + self.path + ", attempt " + std::to_string(self.attempt) + ">"; });
  module.def(
      "make_plan",
      [](const std::filesystem::path& folder, const std::filesystem::path& commitment, const std::filesystem::path& suspect, const std::optional<std::filesystem::path>& prompts,
         const std::optional<std::filesystem::path>& ledger, const std::optional<std::filesystem::path>& commitment_statement,
         const std::optional<std::filesystem::path>& ledger_statement, const std::optional<std::filesystem::path>& provider_key,
         const std::vector<std::filesystem::path>& stamps, std::string alpha, std::uint64_t attempt,
         std::uint64_t multiplicity, std::string h1, std::string h2, nb::handle channels, std::optional<std::uint64_t> fit_responses, std::uint32_t controls,
         std::optional<std::string> date) {
        PlanRequest request;
        request.commitment = commitment;
        request.suspect = suspect;
        request.prompts = prompts.value_or("");
        request.ledger = ledger.value_or("");
        request.commitment_statement = commitment_statement.value_or("");
        request.ledger_statement = ledger_statement.value_or("");
        request.provider_key = provider_key.value_or("");
        request.stamps = stamps;
        request.date = date ? *date : now();
        request.alpha = std::move(alpha);
        request.attempt = attempt;
        request.multiplicity = multiplicity;
        request.h1 = std::move(h1);
        request.h2 = std::move(h2);
        request.channels = channels_of(channels);
        request.fit_responses = fit_responses;
        request.controls = controls;
        return unlocked([&] { return take(make_plan(request, folder)); });
      },
      "folder"_a, nb::kw_only(), "commitment"_a, "suspect"_a, "prompts"_a = nb::none(), "ledger"_a = nb::none(), "commitment_statement"_a = nb::none(),
      "ledger_statement"_a = nb::none(), "provider_key"_a = nb::none(), "stamps"_a = std::vector<std::filesystem::path>{}, "alpha"_a = "0.000001", "attempt"_a = 1, "multiplicity"_a = 0, "h1"_a = "", "h2"_a = "",
      "channels"_a = nb::none(), "fit_responses"_a = nb::none(), "controls"_a = 4, "date"_a = nb::none(),
      nb::sig("def make_plan(folder: str | os.PathLike, *, commitment: str | os.PathLike, suspect: str | os.PathLike, prompts: str | os.PathLike | None = None, ledger: str | "
              "os.PathLike | None = None, commitment_statement: str | os.PathLike | None = None, ledger_statement: str | os.PathLike | None = None, provider_key: str | os.PathLike | "
              "None = None, stamps: collections.abc.Sequence[str | os.PathLike] = [], alpha: str = '0.000001', attempt: int = 1, multiplicity: int = 0, h1: str = '', h2: str = '', channels: collections.abc.Iterable[ChannelPlan] | None = None, "
              "fit_responses: int | None = None, controls: int = 4, date: str | None = None) -> Plan"),
      "Checks everything that a run will need and writes the folder of a case, which must not exist or be empty.\n\n"
      "prompts: a token file, needed by c1. ledger: needed by c2 and c3. stamps: time stamps of the provider's statements, under the names that add_stamp gave them. alpha: a decimal string. multiplicity: 0 is as `attempt`. channels: by default those that the files allow. date: "
      "YYYY-MM-DDThh:mm:ssZ, by default now. BadInputError names file and line.");
}

nb::object run(const std::filesystem::path& folder, std::uint32_t batch, nb::object progress) {
  const SuspectInfo info = read_object<SuspectInfo>(folder / "suspect.json");
  Watch watch(std::move(progress));
  watch.take(unlocked([&]() -> Result<void> {
    ProcessSuspect::Options options;
    options.stop = watch.stop();
    auto suspect = ProcessSuspect::start(info.command, options);
    if (!suspect) return suspect.error();
    RunOptions run;
    run.batch = batch;
    run.progress = [&watch](const RunProgress& at) {
      return watch.tell([&at](const nb::object& callable) { return callable(std::string(at.channel), at.done, at.total); });
    };
    return run_audit(folder, **suspect, run);
  }));
  return as_dict(read_object<Transcript>(folder / "transcript.json"));
}

void bind_verdict(nb::module_& module) {
  nb::class_<VerdictChannel>(module, "VerdictChannel", "One channel of a verdict. Everything else is in Verdict.to_dict().")
      .def_prop_ro("channel", [](const VerdictChannel& self) { return std::string(channel_name(self.channel)); })
      .def_ro("weight", &VerdictChannel::weight, "In 10^-6.")
      .def_ro("n", &VerdictChannel::n, "Pairs (c1) or usable contexts (c2, c3).")
      .def_ro("log10_p", &VerdictChannel::log10_p, "Decimal string.")
      .def_ro("log10_e", &VerdictChannel::log10_e, "Decimal string.");
  canonical<Verdict>(module, "Verdict", "verdict.json (specs/formats.md). It supports, or it is inconclusive; it never clears anybody.", "a verdict")
      .def_prop_ro("outcome", [](const Verdict& self) { return std::string(outcome_name(self.outcome)); })
      .def_ro("date", &Verdict::date)
      .def_ro("log10_p", &Verdict::log10_p, "Decimal string.")
      .def_ro("log10_e", &Verdict::log10_e, "Decimal string.")
      .def_ro("alpha", &Verdict::alpha, "Decimal string.")
      .def_ro("multiplicity", &Verdict::multiplicity)
      .def_ro("plan", &Verdict::plan, "Digest of the plan.")
      .def_ro("channels", &Verdict::channels)
      .def("__repr__", [](const Verdict& self) {
        return "<heirmark.Verdict " + std::string(outcome_name(self.outcome)) + ", log10 p = " + self.log10_p + ", log10 e = " + self.log10_e + ">";
      });
  module.def("run_audit", &run, "folder"_a, nb::kw_only(), "batch"_a = 16, "progress"_a = nb::none(),
             nb::sig("def run_audit(folder: str | os.PathLike, *, batch: int = 16, progress: collections.abc.Callable[[str, int, int], object] | None = None) -> dict[str, typing.Any]"),
             "Starts the suspect's program and makes the plan's queries that are not yet in the transcript, then seals it. Stopped or killed at any byte, the same call goes on.\n\n"
             "batch: texts in one request. progress: called with channel, queries done, queries in all; False from it stops with StoppedError. Returns transcript.json. EvidenceError: the files "
             "no longer fit the plan. BadInputError: the suspect's answers depend on the token that they are about. IOFailureError: the suspect's program died, with its last words.");
  module.def(
      "write_verdict",
      [](const std::filesystem::path& folder, const std::filesystem::path& opening, const std::optional<std::string>& date, const std::string& device, unsigned threads, nb::object progress) {
        Watch watch(std::move(progress));
        VerdictOptions options{take(parse_device(device)), threads, watch.share()};
        const std::string time = date ? *date : now();
        return watch.take(unlocked([&] { return write_verdict(folder, opening, time, options); }));
      },
      "folder"_a, "opening"_a, nb::kw_only(), "date"_a = nb::none(), "device"_a = "cpu", "threads"_a = 1, "progress"_a = nb::none(),
      nb::sig("def write_verdict(folder: str | os.PathLike, opening: str | os.PathLike, *, date: str | None = None, device: str = 'cpu', threads: int = 1, progress: "
              "collections.abc.Callable[[float], object] | None = None) -> Verdict"),
      "Computes the verdict of a case's folder, puts the opening into it and writes verdict.json. No byte depends on device or threads.");
}

Object object_of(const std::string& name) {
  for (const Object object : kObjects)
    if (object_name(object) == name) return object;
  usage("an object is \"commitment\", \"ledger\", \"plan\", \"transcript\" or \"verdict\"");
}

void bind_evidence(nb::module_& module) {
  nb::class_<Check>(module, "Check", "One thing that was checked.")
      .def_ro("code", &Check::code, "Stable (specs/evidence-codes.md).")
      .def_prop_ro("level", [](const Check& self) { return std::string(level_name(self.level)); }, "\"ok\", \"note\" or \"fail\".")
      .def_ro("detail", &Check::detail, "For a person.")
      .def("__repr__", [](const Check& self) { return "<heirmark.Check " + self.code + ": " + std::string(level_name(self.level)) + ">"; });
  nb::class_<VerifyReport>(module, "Verification", "What verifying a bag found.")
      .def_prop_ro("state", [](const VerifyReport& self) { return std::string(bag_state_name(self.state)); }, "\"valid\", \"invalid\" or \"valid-but-untrusted\".")
      .def_ro("checks", &VerifyReport::checks)
      .def_ro("plan_id", &VerifyReport::plan_id, "\"\" when unreadable.")
      .def_ro("outcome", &VerifyReport::outcome, "Of the bag's verdict; \"\" when unreadable.")
      .def_ro("log10_p", &VerifyReport::log10_p, "Decimal string, or \"\".")
      .def_ro("log10_e", &VerifyReport::log10_e, "Decimal string, or \"\".")
      .def("__repr__", [](const VerifyReport& self) { return "<heirmark.Verification " + std::string(bag_state_name(self.state)) + ", " + self.outcome + ">"; });
  module.def(
      "verify_bag",
      [](const std::filesystem::path& bag, const std::vector<std::variant<std::string, std::pair<std::string, std::string>>>& trust_roots,
         const std::vector<std::string>& stamp_roots, const std::string& device, unsigned threads, nb::object progress) {
        Watch watch(std::move(progress));
        VerifyOptions options;
        for (const auto& root : trust_roots) {
          if (const auto* of_role = std::get_if<1>(&root)) options.trust_roots.emplace_back(of_role->second, of_role->first);
          else options.trust_roots.emplace_back(std::get<0>(root));
        }
        for (const std::string& pem : stamp_roots) options.stamp_roots.push_back({pem, {}});
        options.device = take(parse_device(device));
        options.threads = threads;
        options.progress = watch.share();
        return watch.take(unlocked([&] { return verify_bag(bag, options); }));
      },
      "bag"_a, nb::kw_only(), "trust_roots"_a = std::vector<std::variant<std::string, std::pair<std::string, std::string>>>{}, "stamp_roots"_a = std::vector<std::string>{}, "device"_a = "cpu", "threads"_a = 1, "progress"_a = nb::none(),
      nb::sig("def verify_bag(bag: str | os.PathLike, *, trust_roots: collections.abc.Sequence[str | tuple[str, str]] = [], stamp_roots: collections.abc.Sequence[str] = [], device: str = 'cpu', threads: int = 1, progress: "
              "collections.abc.Callable[[float], object] | None = None) -> Verification"),
      "Recomputes everything in a bag from raw bytes.\n\ntrust_roots: public keys in PEM that the caller trusts, each alone or as (role, key) with the role provider or auditor. stamp_roots: certificates in PEM of time-stamping "
      "authorities that the caller trusts; with them every statement but the verdict's needs a stamp that they vouch for. Whatever is wrong with the evidence is in the result; IOFailureError is about "
      "reading it, or the device.");
  module.def(
      "check_case",
      [](const std::filesystem::path& folder, const std::string& stage) {
        if (stage != "planned" && stage != "sealed") usage("check_case: the stage is \"planned\" or \"sealed\", not \"" + stage + "\"");
        return unlocked([&] { return take(check_case(folder, stage == "planned" ? Stage::planned : Stage::sealed)); });
      },
      "folder"_a, "stage"_a,
      "What verify_bag will say of what is in a case's folder before the first query (\"planned\") or after the last (\"sealed\"): objects, bindings, signatures, dates. Look at it before anything is spent on "
      "the case.");
  module.def("make_bag", [](const std::filesystem::path& folder) { unlocked([&] { take(make_bag(folder)); }); }, "folder"_a, "Packs a case's folder into folder/bag.");
  module.def("write_report", [](const std::filesystem::path& bag, const std::filesystem::path& file) { unlocked([&] { take(write_report(bag, file)); }); }, "bag"_a, "file"_a,
             "Writes the report on a bag, one self-contained HTML file.");
  module.def(
      "sign_object",
      [](const std::filesystem::path& folder, const std::string& name, const Keystore& store, const std::string& signer, const std::optional<std::string>& date) {
        const Object object = object_of(name);
        const SignerInfo info = take(store.signer(signer));
        return take(sign_object(folder, object, date ? *date : now(),
                                {info.public_pem, [&](std::span<const std::uint8_t> message) { return store.sign(signer, message); }}));
      },
      "folder"_a, "object"_a, "store"_a, "signer"_a, nb::kw_only(), "date"_a = nb::none(),
      "Signs one object of a case's folder (commitment, ledger, plan, transcript, verdict) with a key of the keystore. EvidenceError: the folder has another key of that role.");
  module.def(
      "make_stamp_request",
      [](const nb::bytes& statement) {
        const std::string request = take(make_stamp_request({statement.c_str(), statement.size()}));
        return nb::bytes(request.data(), request.size());
      },
      "statement"_a, "The request (TimeStampReq of RFC 3161, DER) to a time-stamping authority for the bytes of a statement's file, with a random nonce. POST it as application/timestamp-query.");
  module.def(
      "add_stamp",
      [](const std::filesystem::path& folder, const std::string& name, unsigned slot, const nb::bytes& reply, const nb::bytes& request) {
        const TimeStamp stamp = take(add_stamp(folder, object_of(name), slot, {reply.c_str(), reply.size()}, {request.c_str(), request.size()}));
        return std::pair(stamp.time, stamp.authority);
      },
      "folder"_a, "object"_a, "slot"_a, "reply"_a, "request"_a = nb::bytes("", 0), nb::sig("def add_stamp(folder: str | os.PathLike, object: str, slot: int, reply: bytes, request: bytes = b'') -> tuple[str, str]"),
      "Writes an authority's reply (TimeStampResp, DER) beside the statement of an object in a folder, as stamps/OBJECT-SLOT.tsr; slot is 1 or 2. Returns (time, authority): the statement existed no later than that time, "
      "says the certificate of that name. EvidenceError: it is about other bytes, answers another request, or is not signed by the certificate in it.");
}
}  // namespace

void bind_audit(nb::module_& module) {
  bind_plan(module);
  bind_verdict(module);
  bind_evidence(module);
}

}  // namespace heirmark::python
