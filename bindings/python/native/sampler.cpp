// The sampler: logits of any library in, tokens out.
#include <algorithm>
#include <cstring>

#include "arrays.hpp"

namespace heirmark::python {
namespace {
using namespace nb::literals;

/// Which key a sequence belongs to: shared by a sampler and its sequences.
struct KeyNames {
  std::string key_id;
  std::vector<std::string> accounts;
  friend bool operator==(const KeyNames&, const KeyNames&) = default;
};

struct PySequence {
  Sequence sequence;
  std::shared_ptr<const KeyNames> names;
  bool in_call = false;  ///< guarded by the interpreter's lock
};

struct PySampler {
  DeviceSampler sampler;
  std::shared_ptr<const KeyNames> names;
  std::uint32_t vocab_size;
  bool log_probs;
};

/// The tokens of a call, as arrays.
struct PySampled {
  nb::object token, status, log_prob, top_token, top_p;
};

// ---- Parameters

Mode mode_of(nb::handle object) {
  Mode mode{};
  if (nb::try_cast(object, mode)) return mode;
  std::string name;
  if (nb::try_cast(object, name)) {
    if (name == "marked") return Mode::marked;
    if (name == "issuance") return Mode::issuance;
    if (name == "greedy") return Mode::greedy;
    if (name == "off") return Mode::off;
  }
  usage("mode is \"marked\", \"issuance\", \"greedy\" or \"off\"");
}

std::string mode_name(Mode mode) {
  switch (mode) {
    case Mode::off: return "off";
    case Mode::greedy: return "greedy";
    case Mode::marked: return "marked";
    case Mode::issuance: return "issuance";
  }
  return "?";
}

SamplingParams params_of(double temperature, std::int64_t top_k, double top_p, double min_p, nb::handle mode) {
  // As they are given: in float32 some would be in range, or 0, that are not.
  if (!(temperature == 0 || (temperature >= 1e-3 && temperature <= 1e3))) usage("temperature is 0 (greedy), or from 0.001 to 1000");
  if (!(top_p > 0 && top_p <= 1)) usage("top_p is above 0 and at most 1");
  if (!(min_p >= 0 && min_p <= 1)) usage("min_p is from 0 to 1");
  if (top_k < 0 || top_k > 0xFFFFFFFFll) usage("top_k is from 0 (off) to 2^32 - 1");
  SamplingParams out{static_cast<float>(temperature), static_cast<float>(min_p), static_cast<std::uint32_t>(top_k), static_cast<float>(top_p), mode_of(mode)};
  if (!(out.top_p > 0)) usage("top_p is above 0 and at most 1");
  return out;
}

/// Parameters of `rows` rows from one Params, a list of them, or None.
std::vector<SamplingParams> params_of(nb::handle object, std::size_t rows) {
  if (object.is_none()) return std::vector<SamplingParams>(rows);
  SamplingParams one;
  if (nb::try_cast(object, one)) return std::vector<SamplingParams>(rows, one);
  std::vector<SamplingParams> many;
  if (!nb::try_cast(object, many)) throw nb::type_error("params is a Params, a list of Params with one for each row, or None");
  if (many.size() != rows) usage(std::to_string(many.size()) + " params for " + std::to_string(rows) + " rows");
  return many;
}

// ---- Sequences in calls

class Entered {
 public:
  Entered(nb::handle list, const PySampler& sampler) {
    PySequence* one = nullptr;
    if (nb::try_cast(list, one) && one != nullptr) usage("sequences is a list, with one Sequence for each row");
    try {
      for (const nb::handle item : nb::borrow<nb::iterable>(list)) enter(item, sampler);
    } catch (...) {
      leave();
      throw;
    }
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { leave(); }
  [[nodiscard]] std::size_t size() const { return sequences_.size(); }
  [[nodiscard]] Sequence& operator[](std::size_t i) { return sequences_[i]->sequence; }

 private:
  void enter(nb::handle item, const PySampler& sampler) {
    const std::string where = "row " + std::to_string(held_.size()) + ": ";
    PySequence* sequence = nullptr;
    if (!nb::try_cast(item, sequence) || sequence == nullptr) throw nb::type_error((where + "no Sequence").c_str());
    if (sequence->in_call) usage(where + "its sequence is in another row or call too");
    if (sequence->names != sampler.names && *sequence->names != *sampler.names) usage(where + "its sequence belongs to a sampler of another key");
    held_.push_back(nb::borrow(item));
    sequences_.push_back(sequence);
    sequence->in_call = true;
  }
  void leave() {
    for (PySequence* sequence : sequences_) sequence->in_call = false;
    sequences_.clear();
  }
  std::vector<nb::object> held_;
  std::vector<PySequence*> sequences_;
};

void check_free(const PySequence& sequence) {
  if (sequence.in_call) usage("the sequence is in a call of another thread");
}

void same_key(const PySequence& sequence, const PySampler& sampler) {
  check_free(sequence);
  if (sequence.names != sampler.names && *sequence.names != *sampler.names) usage("the sequence belongs to a sampler of another key");
}

// ---- Results

PySampled arrays_of(const std::vector<Sampled>& sampled, const std::vector<TopTokens>& top) {
  PySampled out;
  const nb::object rows = nb::int_(sampled.size());
  auto [token, tokens] = new_array<std::int64_t>("int64", rows);
  auto [status, statuses] = new_array<std::uint8_t>("uint8", rows);
  auto [log_prob, log_probs] = new_array<float>("float32", rows);
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    tokens[i] = sampled[i].token == kNoToken ? -1 : static_cast<std::int64_t>(sampled[i].token);
    statuses[i] = static_cast<std::uint8_t>(sampled[i].status);
    log_probs[i] = sampled[i].log_prob;
  }
  out.token = token;
  out.status = status;
  out.log_prob = log_prob;
  out.top_token = out.top_p = nb::none();
  if (!top.empty()) {
    const nb::object shape = nb::make_tuple(sampled.size(), TopTokens::kCount);
    auto [top_token, ids] = new_array<std::int64_t>("int64", shape);
    auto [top_p, ps] = new_array<std::int64_t>("int64", shape);
    for (std::size_t i = 0; i < sampled.size(); ++i)
      for (std::size_t j = 0; j < TopTokens::kCount; ++j) {
        const TopToken entry = top[i].token[j];
        ids[i * TopTokens::kCount + j] = entry.token == kNoToken ? -1 : static_cast<std::int64_t>(entry.token);
        ps[i * TopTokens::kCount + j] = entry.token == kNoToken ? 0 : static_cast<std::int64_t>(entry.p);
      }
    out.top_token = top_token;
    out.top_p = top_p;
  }
  return out;
}

void need_cpu(const PySampler& self, const char* call) {
  if (self.sampler.backend() != DeviceSampler::Backend::cpu)
    usage(std::string(call) + ": the sampler is a device's. Fill rows with rows(), copy them to the device, call launch() on your stream, and settle()");
}

PySampled sample(PySampler& self, nb::handle logits, nb::handle sequences, nb::handle params, bool top) {
  need_cpu(self, "sample");
  const HeldLogits held = logits_of(logits, self.vocab_size, self.sampler.backend());
  Entered entered(sequences, self);
  if (entered.size() != held.logits.rows) usage("logits of " + std::to_string(held.logits.rows) + " rows for " + std::to_string(entered.size()) + " sequences");
  const std::vector<SamplingParams> asked = params_of(params, entered.size());
  std::vector<Sampled> sampled(entered.size());
  std::vector<TopTokens> tops(top ? entered.size() : 0);
  take(unlocked([&]() -> Result<void> {
    std::vector<DeviceRow> rows(entered.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = self.sampler.row(entered[i], asked[i]);
    if (auto done = self.sampler.sample(held.logits, rows.data(), sampled.data(), top ? tops.data() : nullptr, {}, nullptr); !done) return done;
    for (std::size_t i = 0; i < rows.size(); ++i) self.sampler.settle(entered[i], rows[i], sampled[i]);
    return {};
  }));
  return arrays_of(sampled, tops);
}

nb::object rows_of(const PySampler& self, nb::handle sequences, nb::handle params) {
  Entered entered(sequences, self);
  const std::vector<SamplingParams> asked = params_of(params, entered.size());
  const Structured out = structured("ROW", entered.size());
  auto* rows = static_cast<DeviceRow*>(out.data);
  for (std::size_t i = 0; i < entered.size(); ++i) rows[i] = self.sampler.row(entered[i], asked[i]);
  return out.array;
}

void launch(const PySampler& self, nb::handle logits, nb::handle rows, nb::handle sampled, nb::handle top, nb::handle workspace, std::uintptr_t stream) {
  const auto backend = self.sampler.backend();
  const HeldLogits held = logits_of(logits, self.vocab_size, self.sampler.backend());
  const HeldReadable asked = bytes_of<nb::ndarray<nb::ro>>(rows, "rows", backend);
  check_room(asked.bytes, held.logits.rows, sizeof(DeviceRow), "rows", asked.data);
  const HeldBytes out = bytes_of<nb::ndarray<>>(sampled, "sampled", backend);
  check_room(out.bytes, held.logits.rows, sizeof(Sampled), "sampled", out.data);
  HeldBytes tops, memory;
  if (!top.is_none()) {
    tops = bytes_of<nb::ndarray<>>(top, "top", backend);
    check_room(tops.bytes, held.logits.rows, sizeof(TopTokens), "top", tops.data);
  }
  if (!workspace.is_none()) memory = bytes_of<nb::ndarray<>>(workspace, "workspace", backend);
  take(unlocked([&] {
    return self.sampler.sample(held.logits, static_cast<const DeviceRow*>(asked.data), static_cast<Sampled*>(out.data), static_cast<TopTokens*>(tops.data),
                               {memory.data, memory.bytes}, reinterpret_cast<void*>(stream));
  }));
}

/// A token that the sampler cannot have given would stand in a window that nobody else has.
void check_tokens(const Sampled* sampled, std::size_t count, std::uint32_t vocab) {
  for (std::size_t i = 0; i < count; ++i)
    if (sampled[i].token != kNoToken && sampled[i].token >= vocab) usage("sampled " + std::to_string(i) + ": token " + std::to_string(sampled[i].token) + " is outside the vocabulary of " + std::to_string(vocab));
}

void settle(const PySampler& self, nb::handle sequences, nb::handle rows, nb::handle sampled) {
  Entered entered(sequences, self);
  const HeldReadable asked = bytes_of<nb::ndarray<nb::ro>>(rows, "rows", DeviceSampler::Backend::cpu);
  check_room(asked.bytes, entered.size(), sizeof(DeviceRow), "rows", asked.data);
  const HeldReadable came = bytes_of<nb::ndarray<nb::ro>>(sampled, "sampled", DeviceSampler::Backend::cpu);
  check_room(came.bytes, entered.size(), sizeof(Sampled), "sampled", came.data);
  const auto* row = static_cast<const DeviceRow*>(asked.data);
  for (std::size_t i = 0; i < entered.size(); ++i)
    if (row[i].position != entered[i].position() || row[i].request_id != entered[i].request_id())
      usage("row " + std::to_string(i) + " was made for another sequence, or another position of it");
  check_tokens(static_cast<const Sampled*>(came.data), entered.size(), self.vocab_size);
  for (std::size_t i = 0; i < entered.size(); ++i) self.sampler.settle(entered[i], row[i], static_cast<const Sampled*>(came.data)[i]);
}

// ---- Drafts

nb::object draft_rows(const PySampler& self, const PySequence& sequence, nb::handle draft, nb::handle params) {
  same_key(sequence, self);
  const std::vector<TokenId> tokens = tokens_of(draft, "draft");
  const SamplingParams asked = params_of(params, 1).front();
  const Structured out = structured("ROW", tokens.size() + 1);
  self.sampler.draft_rows(sequence.sequence, asked, tokens, {static_cast<DeviceRow*>(out.data), tokens.size() + 1});
  return out.array;
}

std::size_t settle_draft(const PySampler& self, PySequence& sequence, nb::handle rows, nb::handle draft, nb::handle sampled) {
  same_key(sequence, self);
  const std::vector<TokenId> tokens = tokens_of(draft, "draft");
  const std::size_t count = tokens.size() + 1;
  const HeldReadable asked = bytes_of<nb::ndarray<nb::ro>>(rows, "rows", DeviceSampler::Backend::cpu);
  check_room(asked.bytes, count, sizeof(DeviceRow), "rows", asked.data);
  const HeldReadable came = bytes_of<nb::ndarray<nb::ro>>(sampled, "sampled", DeviceSampler::Backend::cpu);
  check_room(came.bytes, count, sizeof(Sampled), "sampled", came.data);
  const auto* row = static_cast<const DeviceRow*>(asked.data);
  if (row->position != sequence.sequence.position() || row->request_id != sequence.sequence.request_id())
    usage("the rows were made for another sequence, or another position of it");
  check_tokens(static_cast<const Sampled*>(came.data), count, self.vocab_size);
  return self.sampler.settle_draft(sequence.sequence, {row, count}, tokens, {static_cast<const Sampled*>(came.data), count});
}

PySampled sample_draft(PySampler& self, nb::handle logits, nb::object sequence, nb::handle draft, nb::handle params, bool top) {
  need_cpu(self, "sample_draft");
  const HeldLogits held = logits_of(logits, self.vocab_size, self.sampler.backend());
  const std::vector<TokenId> tokens = tokens_of(draft, "draft");
  const std::size_t count = tokens.size() + 1;
  if (held.logits.rows != count) usage("logits of " + std::to_string(held.logits.rows) + " rows for a draft of " + std::to_string(tokens.size()) + " tokens: one more is needed");
  const SamplingParams asked = params_of(params, 1).front();
  Entered entered(nb::make_tuple(sequence), self);
  std::vector<Sampled> sampled(count);
  std::vector<TopTokens> tops(top ? count : 0);
  const std::size_t taken = take(unlocked([&]() -> Result<std::size_t> {
    std::vector<DeviceRow> rows(count);
    self.sampler.draft_rows(entered[0], asked, tokens, rows);
    if (auto done = self.sampler.sample(held.logits, rows.data(), sampled.data(), top ? tops.data() : nullptr, {}, nullptr); !done) return done.error();
    return self.sampler.settle_draft(entered[0], rows, tokens, sampled);
  }));
  // Nothing taken: the first row says why.
  sampled.resize(std::max<std::size_t>(taken, 1));
  if (top) tops.resize(sampled.size());
  return arrays_of(sampled, tops);
}

// ---- Construction

PySampler make_sampler(const PySubkeys& keys, std::uint32_t vocab_size, std::uint32_t max_rows, const std::string& device, bool truncation, bool log_probs, unsigned threads) {
  DeviceSampler::Options options{.vocab_size = vocab_size, .max_rows = max_rows, .truncation = truncation, .log_probs = log_probs, .threads = threads};
  const std::string number = device.substr(0, 5) == "cuda:" ? device.substr(5) : "";
  if (device == "cpu") {
    options.backend = DeviceSampler::Backend::cpu;
  } else if (device == "cuda" || (!number.empty() && number.size() <= 4 && number.find_first_not_of("0123456789") == std::string::npos)) {
    options.backend = DeviceSampler::Backend::cuda;
    options.device = number.empty() ? 0 : std::stoi(number);
  } else if (device != "auto") {
    usage("device is \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"");
  }
  const SubkeysFile& file = keys.file;
  auto names = std::make_shared<const KeyNames>(KeyNames{file.key_id, file.accounts});
  return {unlocked([&] { return take(DeviceSampler::create(file.profile, file.subkeys.clone(), options)); }), std::move(names), vocab_size, log_probs};
}

PySequence begin(const PySampler& self, nb::handle request_id, nb::handle prompt, const std::optional<std::string>& account) {
  std::uint32_t slot = 0;
  if (account) {
    const auto& accounts = self.names->accounts;
    const auto found = std::find(accounts.begin(), accounts.end(), *account);
    if (found == accounts.end()) fail(ErrorCode::key, "the key has no account \"" + *account + "\"");
    slot = static_cast<std::uint32_t>(found - accounts.begin());
  }
  return {self.sampler.begin(request_id_of(request_id), tokens_of(prompt, "prompt"), slot), self.names};
}

void bind_params(nb::module_& module) {
  nb::enum_<Mode>(module, "Mode", nb::is_arithmetic(), "What a row asks for (specs/marks.md).")
      .value("OFF", Mode::off, "No mark: drawn with a key that nobody keeps.")
      .value("GREEDY", Mode::greedy, "The greatest logit.")
      .value("MARKED", Mode::marked, "The coin and the history choose between window and issuance.")
      .value("ISSUANCE", Mode::issuance, "Always the issuance draw.");
  nb::enum_<RowStatus>(module, "RowStatus", nb::is_arithmetic(), "What happened to a row (specs/marks.md, \"Status of a row\").")
      .value("MARKED", RowStatus::marked, "Drawn at a window position.")
      .value("ISSUED", RowStatus::issued, "Drawn by the issuance draw.")
      .value("UNMARKED", RowStatus::unmarked, "Mode off, or greedy without a mark.")
      .value("NO_FINITE_LOGIT", RowStatus::no_finite_logit, "Nothing to choose from; no token.")
      .value("INFINITE_LOGIT", RowStatus::infinite_logit, "Some logit is +inf: the smallest such id, unmarked.")
      .value("BAD_PARAMETER", RowStatus::bad_parameter, "A parameter, account slot or position out of range; no token.")
      .value("NEEDS_ALL_LOGITS", RowStatus::needs_all_logits, "A row of sharded logits that needs them whole; no token.");
  nb::class_<SamplingParams>(module, "Params", "Sampling parameters of a row; they do not change.")
      .def("__init__",
           [](SamplingParams* self, double temperature, std::int64_t top_k, double top_p, double min_p, nb::handle mode) {
             new (self) SamplingParams(params_of(temperature, top_k, top_p, min_p, mode));
           },
           nb::kw_only(), "temperature"_a = 1.0, "top_k"_a = 0, "top_p"_a = 1.0, "min_p"_a = 0.0, "mode"_a = "marked",
           nb::sig("def __init__(self, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, mode: Mode | str = 'marked') -> None"),
           "temperature: 0 (greedy), or from 0.001 to 1000. top_k: 0 is off. top_p: above 0, at most 1, which is off. min_p: from 0, which is off, to 1. mode: a Mode or its name in "
           "lower case. Kept as float32. UsageError: out of range.")
      .def_prop_ro("temperature", [](const SamplingParams& self) { return self.temperature; })
      .def_prop_ro("top_k", [](const SamplingParams& self) { return self.top_k; })
      .def_prop_ro("top_p", [](const SamplingParams& self) { return self.top_p; })
      .def_prop_ro("min_p", [](const SamplingParams& self) { return self.min_p; })
      .def_prop_ro("mode", [](const SamplingParams& self) { return self.mode; })
      .def("__eq__", [](const SamplingParams& a, const nb::object& other) {
        SamplingParams b;
        return nb::try_cast(other, b) && a.temperature == b.temperature && a.top_k == b.top_k && a.top_p == b.top_p && a.min_p == b.min_p && a.mode == b.mode;
      }, nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const SamplingParams& self) { return nb::hash(nb::make_tuple(self.temperature, self.top_k, self.top_p, self.min_p, static_cast<int>(self.mode))); })
      .def("__repr__", [](const SamplingParams& self) {
        const auto number = [](float value) { return nb::cast<std::string>(nb::str(nb::module_::import_("numpy").attr("float32")(value))); };
        return "heirmark.Params(temperature=" + number(self.temperature) + ", top_k=" + std::to_string(self.top_k) + ", top_p=" + number(self.top_p) + ", min_p=" +
               number(self.min_p) + ", mode='" + mode_name(self.mode) + "')";
      });
}

void bind_sequence(nb::module_& module) {
  nb::class_<PySequence> sequence(module, "Sequence",
                                  "One response being generated: its last tokens, its history of windows, its position. Made by Sampler.begin(); a copy of its own, so it may outlive the "
                                  "sampler. One thread's at a time: a call that finds it in another thread's call is a UsageError.");
  sequence
      .def_prop_ro("request_id", [](const PySequence& self) { return nb::bytes(self.sequence.request_id().bytes.data(), self.sequence.request_id().bytes.size()); },
                   "12 bytes; unique under a key.")
      .def_prop_ro("account", [](const PySequence& self) { return self.names->accounts[self.sequence.account_slot()]; })
      .def_prop_ro("position", [](const PySequence& self) { return self.sequence.position(); }, "Tokens taken since the prompt: the position of the next one.")
      .def("accept", [](PySequence& self, nb::handle tokens) {
        check_free(self);
        if (is_integer(tokens)) {
          for (const TokenId token : tokens_of(nb::make_tuple(tokens), "token")) self.sequence.accept(token);
          return;
        }
        for (const TokenId token : tokens_of(tokens, "tokens")) self.sequence.accept(token);
      }, "tokens"_a, nb::sig("def accept(self, tokens: int | collections.abc.Iterable[int]) -> None"),
           "Takes a token, or some, that the engine chose itself (forced, from a grammar). sample() takes its own. BadInputError, and nothing is taken: no token id.")
      .def("clone", [](const PySequence& self) {
        check_free(self);
        return PySequence{self.sequence, self.names};
      }, "A second one in the same state and with the same request id, to go back to; two that both go on would share their randomness.")
      .def("__copy__", [](const PySequence& self) {
        check_free(self);
        return PySequence{self.sequence, self.names};
      })
      .def("__repr__", [](const PySequence& self) {
        static constexpr char kDigits[] = "0123456789abcdef";
        std::string id;
        for (const std::uint8_t byte : self.sequence.request_id().bytes) {
          id += kDigits[byte >> 4];
          id += kDigits[byte & 15];
        }
        return "<heirmark.Sequence " + id + ", account " + self.names->accounts[self.sequence.account_slot()] + ", position " + std::to_string(self.sequence.position()) + ">";
      });
  sequence.def("__reduce_ex__", [](nb::handle, nb::handle) -> nb::object { throw nb::type_error("a Sequence belongs to its process and is not pickled"); },
               nb::sig("def __reduce_ex__(self, protocol: typing.SupportsIndex) -> str"), "Raises TypeError.");
}

void bind_sampled(nb::module_& module) {
  nb::class_<PySampled>(module, "Sampled", "What came out of the rows of a call: NumPy arrays with one entry for each row.")
      .def_prop_ro("token", [](const PySampled& self) { return self.token; }, nb::sig("def token(self) -> numpy.ndarray"), "int64 [rows]; -1 where a row has no token.")
      .def_prop_ro("status", [](const PySampled& self) { return self.status; }, nb::sig("def status(self) -> numpy.ndarray"), "uint8 [rows]: values of RowStatus.")
      .def_prop_ro("log_prob", [](const PySampled& self) { return self.log_prob; }, nb::sig("def log_prob(self) -> numpy.ndarray"),
                   "float32 [rows]: natural logarithm of the token's probability at the row's temperature, before truncation; NaN unless the sampler was made with log_probs.")
      .def_prop_ro("top_token", [](const PySampled& self) { return self.top_token; }, nb::sig("def top_token(self) -> numpy.ndarray | None"),
                   "int64 [rows, 16]: the likeliest tokens after temperature and truncation, likeliest first, -1 in unused places. None unless asked for.")
      .def_prop_ro("top_p", [](const PySampled& self) { return self.top_p; }, nb::sig("def top_p(self) -> numpy.ndarray | None"),
                   "int64 [rows, 16]: their probabilities times 2^32, rounded down (specs/marks.md, \"Top tokens\"), 0 in unused places. None unless asked for.")
      .def("phat", [](const PySampled& self, std::size_t row) {
        if (self.top_token.is_none()) usage("phat: the call was not asked for top tokens");
        if (row >= nb::len(self.token)) throw nb::index_error("no such row");
        nb::list out;
        const nb::object ids = self.top_token[nb::int_(row)].attr("tolist")(), ps = self.top_p[nb::int_(row)].attr("tolist")();
        for (std::size_t j = 0; j < TopTokens::kCount; ++j)
          if (nb::cast<std::int64_t>(ids[j]) >= 0) out.append(nb::make_tuple(ids[j], ps[j]));
        return out;
      }, "row"_a, nb::sig("def phat(self, row: int) -> list[tuple[int, int]]"), "The used places of a row, (token, probability times 2^32), likeliest first.")
      .def("__len__", [](const PySampled& self) { return nb::len(self.token); })
      .def("__repr__", [](const PySampled& self) { return "<heirmark.Sampled, " + std::to_string(nb::len(self.token)) + " rows>"; });
}
}  // namespace

void bind_sampler(nb::module_& module) {
  bind_params(module);
  bind_sequence(module);
  bind_sampled(module);
  nb::class_<PySampler> sampler(module, "Sampler",
                                "Logits in, marked tokens out (specs/marks.md). One for each loaded model and key; calls may come from several threads at once, on different sequences.\n\n"
                                "Logits are any array that DLPack or the buffer protocol hands over (NumPy, PyTorch, JAX, CuPy), read where they are: float32, bfloat16 or float16, of the "
                                "shape [rows, columns] with at least vocab_size columns; rows may lie apart, a row's columns may not. [columns] is one row.");
  sampler
      .def("__init__",
           [](PySampler* self, const PySubkeys& keys, std::uint32_t vocab_size, std::uint32_t max_rows, const std::string& device, bool truncation, bool log_probs, unsigned threads) {
             new (self) PySampler(make_sampler(keys, vocab_size, max_rows, device, truncation, log_probs, threads));
           },
           "keys"_a, nb::kw_only(), "vocab_size"_a, "max_rows"_a = 1024, "device"_a = "cpu", "truncation"_a = true, "log_probs"_a = false, "threads"_a = 1,
           "vocab_size: ids from 0 to vocab_size - 1 take part; columns behind them are padding; at most 2^20. max_rows: the largest batch, at most 65,536. device: \"cpu\", \"cuda\", "
           "\"cuda:N\", or \"auto\": cuda where the build and the machine have it. truncation: may rows ask for top-k, top-p or min-p? Without it a device needs less memory, and a row that asks "
           "has status BAD_PARAMETER. log_probs: compute Sampled.log_prob. threads: CPU threads of one call, 1 to 1024; tokens do not depend on it.\n\n"
           "The keys are copied and may go. UsageError: an option out of range. IOFailureError: no such device in this build or machine.")
      .def("begin", &begin, nb::kw_only(), "request_id"_a = nb::none(), "prompt"_a = nb::tuple(), "account"_a = nb::none(),
           nb::sig("def begin(self, *, request_id: bytes | None = None, prompt: collections.abc.Iterable[int] = (), account: str | None = None) -> Sequence"),
           "Starts a response.\n\nrequest_id: 12 bytes, unique under the key; by default random. prompt: all token ids before the first generated one. account: a name of the key's, by default "
           "its first. KeyAccessError: no such account.")
      .def("sample", &sample, "logits"_a, "sequences"_a, "params"_a = nb::none(), nb::kw_only(), "top"_a = false,
           nb::sig("def sample(self, logits: typing.Any, sequences: collections.abc.Iterable[Sequence], params: Params | collections.abc.Sequence[Params] | None = None, *, top: bool = "
                   "False) -> Sampled"),
           "One token for each row, on the CPU; each row's sequence takes its own.\n\nsequences: one for each row, none twice. params: one for all rows, or one for each. top: also the 16 likeliest "
           "tokens, for the ledger. Runs without the interpreter's lock. UsageError, and nothing has changed: shapes that do not fit, another type or device, a sequence of another key or in "
           "another call. A row that could not be marked is no error: its status says why.")
      .def("sample_draft", &sample_draft, "logits"_a, "sequence"_a, "draft"_a, "params"_a = nb::none(), nb::kw_only(), "top"_a = false,
           nb::sig("def sample_draft(self, logits: typing.Any, sequence: Sequence, draft: collections.abc.Iterable[int], params: Params | None = None, *, top: bool = False) -> Sampled"),
           "Speculative decoding by coupling: what is taken is what plain sampling gives, token for token.\n\nlogits: [len(draft) + 1, columns], row i after the first i draft tokens. The result has "
           "the rows that the sequence took, the confirmed draft tokens and the one that came in place of the next; where the first row has no token, that row alone.")
      .def("rows", &rows_of, "sequences"_a, "params"_a = nb::none(),
           nb::sig("def rows(self, sequences: collections.abc.Iterable[Sequence], params: Params | collections.abc.Sequence[Params] | None = None) -> numpy.ndarray"),
           "What the sequences' next rows ask for: an array of heirmark.layout.ROW, 64 bytes a row, to be copied to the device.")
      .def("launch", &launch, "logits"_a, "rows"_a, "sampled"_a, "top"_a = nb::none(), nb::kw_only(), "workspace"_a = nb::none(), "stream"_a = 0,
           nb::sig("def launch(self, logits: typing.Any, rows: typing.Any, sampled: typing.Any, top: typing.Any = None, *, workspace: typing.Any = None, stream: int = 0) -> None"),
           "From memory to memory: on a device one asynchronous launch on `stream` (a cudaStream_t as an integer), fit for graph capture.\n\nAll arrays are the backend's memory, without gaps: "
           "rows 64 bytes a row (heirmark.layout.ROW), sampled 12 (SAMPLED), top 128 (TOP_TOKENS), workspace workspace_bytes() and aligned to 256; the caller keeps them until the stream is past "
           "the launch. On the CPU the call is done when it returns and needs no workspace. UsageError, and nothing is launched: an array too small, of the wrong device, or not writable.")
      .def("settle", &settle, "sequences"_a, "rows"_a, "sampled"_a,
           nb::sig("def settle(self, sequences: collections.abc.Iterable[Sequence], rows: typing.Any, sampled: typing.Any) -> None"),
           "Lets the sequences take what came of their rows; arrays in the host's memory. UsageError, and nothing has changed: a row made for another sequence or position.")
      .def("draft_rows", &draft_rows, "sequence"_a, "draft"_a, "params"_a = nb::none(),
           nb::sig("def draft_rows(self, sequence: Sequence, draft: collections.abc.Iterable[int], params: Params | None = None) -> numpy.ndarray"),
           "Rows of a draft, len(draft) + 1 of heirmark.layout.ROW: row i as if the first i draft tokens had been taken.")
      .def("settle_draft", &settle_draft, "sequence"_a, "rows"_a, "draft"_a, "sampled"_a,
           nb::sig("def settle_draft(self, sequence: Sequence, rows: typing.Any, draft: collections.abc.Iterable[int], sampled: typing.Any) -> int"),
           "Takes the draft tokens that were confirmed and the one that came in place of the next. Returns how many, at least 1 unless the first row has no token.")
      .def("workspace_bytes", [](const PySampler& self, std::optional<std::uint32_t> rows) { return self.sampler.workspace_bytes(rows.value_or(self.sampler.max_rows())); },
           "rows"_a = nb::none(), "Bytes of workspace for launches of up to `rows` rows, by default max_rows; 0 on the CPU.")
      .def("prepare", [](const PySampler& self, nb::handle workspace, std::uintptr_t stream) {
        const HeldBytes memory = bytes_of<nb::ndarray<>>(workspace, "workspace", self.sampler.backend());
        take(unlocked([&] { return self.sampler.prepare({memory.data, memory.bytes}, reinterpret_cast<void*>(stream)); }));
      }, "workspace"_a, nb::kw_only(), "stream"_a = 0, nb::sig("def prepare(self, workspace: typing.Any, *, stream: int = 0) -> None"),
           "Makes a workspace ready, on the stream; once for each workspace, not for each launch.")
      .def_prop_ro("device", [](const PySampler& self) { return self.sampler.backend() == DeviceSampler::Backend::cpu ? "cpu" : "cuda"; }, "\"cpu\" or \"cuda\".")
      .def_prop_ro("profile", [](const PySampler& self) { return self.sampler.profile(); })
      .def_prop_ro("key_id", [](const PySampler& self) { return self.names->key_id; }, "16 hex digits; public.")
      .def_prop_ro("accounts", [](const PySampler& self) { return nb::tuple(nb::cast(self.names->accounts)); }, nb::sig("def accounts(self) -> tuple[str, ...]"))
      .def_prop_ro("vocab_size", [](const PySampler& self) { return self.vocab_size; })
      .def_prop_ro("max_rows", [](const PySampler& self) { return self.sampler.max_rows(); })
      .def_prop_ro("log_probs", [](const PySampler& self) { return self.log_probs; }, "Does it compute Sampled.log_prob?")
      .def("__repr__", [](const PySampler& self) {
        return "<heirmark.Sampler " + self.names->key_id + ", " + std::string(self.sampler.profile().name) + ", " + std::to_string(self.vocab_size) + " tokens, " +
               (self.sampler.backend() == DeviceSampler::Backend::cpu ? "cpu>" : "cuda>");
      });
  never_pickled(sampler, "a Sampler holds secrets and is not pickled or copied: make one in each process");
}

}  // namespace heirmark::python
