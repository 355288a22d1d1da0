// Detection in texts and in reading.
#include <heirmark/detect.hpp>
#include <heirmark/io.hpp>
#include <heirmark/stats.hpp>

#include <cstdio>
#include <cstdlib>

#include "common.hpp"

namespace heirmark::python {
namespace {
using namespace nb::literals;

/// A detection and what it was made from.
struct PyDetection {
  Detection found;
  std::string key_id, path, profile, count_rule;  ///< count_rule "": reading
  std::uint64_t decoys = 0, texts = 0;
};

nb::object integer(Integer value) {
  const auto low = static_cast<std::uint64_t>(static_cast<unsigned __int128>(value));
  const auto high = static_cast<std::int64_t>(value >> 64);
  return nb::int_(high) * nb::int_(std::uint64_t{1} << 32) * nb::int_(std::uint64_t{1} << 32) + nb::int_(low);
}
double decimal(const std::string& text) { return std::strtod(text.c_str(), nullptr); }
double log10_p(double log_p) { return decimal(stats::log10_p_string(log_p)); }
double log10_e(double log_e) { return decimal(stats::log10_e_string(log_e)); }
nb::object optional_p(const std::optional<double>& log_p) { return log_p ? nb::object(nb::float_(log10_p(*log_p))) : nb::object(nb::none()); }

nb::list classes_of(const PyDetection& self) {
  nb::list out;
  for (const ClassResult& result : self.found.classes) {
    nb::dict entry;
    entry["class"] = result.window_class;
    entry["pairs"] = result.pairs;
    entry["ge"] = result.ge;
    entry["statistic"] = nb::str(integer(result.statistic));
    out.append(entry);
  }
  return out;
}

/// The object that `heirmark detect --json` prints (specs/cli.md).
nb::dict to_dict(const PyDetection& self) {
  const Detection& found = self.found;
  char value[32];
  std::snprintf(value, sizeof value, "%.10g", found.value);
  nb::dict out;
  out["scheme"] = std::string(scheme_name(found.scheme));
  out["profile"] = self.profile;
  out["keyId"] = self.key_id;
  out["path"] = self.path;
  out["n"] = found.n;
  out["statistic"] = decimal(value);
  out["statistic_integer"] = nb::str(integer(found.statistic));
  out["log10_p"] = log10_p(found.log_p);
  out["log10_e"] = log10_e(found.log_e);
  out["log10_p_prf"] = log10_p(found.log_p_prf);
  out["log10_p_rank"] = optional_p(found.log_p_rank);
  out["log10_p_saddlepoint"] = optional_p(found.log_p_saddlepoint);
  out["reading"] = self.count_rule.empty();
  out["count_rule"] = self.count_rule.empty() ? nb::object(nb::none()) : nb::object(nb::str(self.count_rule.c_str()));
  out["decoys"] = self.decoys;
  out["texts"] = self.texts;
  out["positions"] = found.positions;
  out["repeats"] = found.repeats;
  out["tainted"] = found.tainted;
  out["off_coin"] = found.off_coin;
  out["classes"] = classes_of(self);
  return out;
}

bool is_path(nb::handle object) { return PyUnicode_Check(object.ptr()) || nb::hasattr(object, "__fspath__"); }

/// A text: a mapping with "tokens" and perhaps "prompt_tokens" (a line of a token file), a pair (tokens, prompt_tokens), or tokens.
TokenText text_of(nb::handle object, const std::string& where, std::uint32_t vocab) {
  TokenText text;
  nb::object prompt = nb::none();
  if (PyDict_Check(object.ptr())) {
    const auto mapping = nb::borrow<nb::dict>(object);
    if (!mapping.contains("tokens")) fail(ErrorCode::bad_input, where + ": no \"tokens\"");
    text.tokens = tokens_of(mapping["tokens"], where + ".tokens", vocab);
    if (mapping.contains("prompt_tokens")) prompt = mapping["prompt_tokens"];
  } else if (PyTuple_Check(object.ptr()) && nb::len(object) == 2 && !is_integer(nb::object(object[0]))) {
    text.tokens = tokens_of(object[0], where + ".tokens", vocab);
    prompt = object[1];
  } else {
    text.tokens = tokens_of(object, where, vocab);
  }
  if (!prompt.is_none() && (!nb::try_cast(prompt, text.prompt_tokens) || text.prompt_tokens > text.tokens.size()))
    fail(ErrorCode::bad_input, where + ": prompt_tokens is from 0 to the number of tokens");
  return text;
}

std::vector<TokenText> texts_of(nb::handle object, std::uint32_t vocab, Watch& watch) {
  if (is_path(object)) {
    const auto path = nb::cast<std::filesystem::path>(object);
    return watch.take(unlocked([&] { return read_token_file(path, vocab, watch.stop()); }));
  }
  if (!nb::isinstance<nb::iterable>(object)) throw nb::type_error("texts is a path, or an iterable of texts");
  std::vector<TokenText> texts;
  for (const nb::handle item : nb::borrow<nb::iterable>(object)) {
    const std::string where = "texts[" + std::to_string(texts.size()) + "]";
    if (is_integer(item)) usage("texts is a list of texts; one text is [tokens]");
    texts.push_back(text_of(item, where, vocab == 0 ? kMaxVocab : vocab));
  }
  return texts;
}

DetectOptions options_of(const Opening& opening, std::uint64_t decoys, const std::string& device, unsigned threads) {
  if (decoys >= opening.family_size()) usage("decoys must be below the family size, " + std::to_string(opening.family_size()));
  if (threads < 1 || threads > 1024) usage("threads must be 1 .. 1024");
  DetectOptions options;
  options.decoys = decoys;
  options.device = take(parse_device(device));
  take(check_device(options.device));
  options.threads = threads;
  return options;
}

PyDetection finish(const Opening& opening, const Result<PairSet>& pairs, DetectOptions options, std::size_t texts, std::string count_rule, Watch& watch) {
  if (!pairs) throw Failure(pairs.error());
  options.progress = watch.share();
  Detection found = watch.take(unlocked([&] { return detect(opening, *pairs, options); }));
  return {std::move(found), opening.key_id(), opening.path().text(), std::string(opening.profile().name), std::move(count_rule), options.decoys, texts};
}

PyDetection detect_texts(nb::handle texts, const Opening& opening, const std::string& count_rule, std::uint64_t decoys, std::uint32_t vocab_size, const std::string& device,
                         unsigned threads, nb::object progress) {
  DetectOptions options = options_of(opening, decoys, device, threads);
  options.count_rule = take(parse_count_rule(count_rule));
  Watch watch(std::move(progress));
  const std::vector<TokenText> read = texts_of(texts, vocab_size, watch);
  if (read.empty()) fail(ErrorCode::bad_input, "no text");
  const auto pairs = unlocked([&] { return collect_pairs(opening.profile(), opening.coin(), read, options.count_rule); });
  return finish(opening, pairs, options, read.size(), count_rule, watch);
}

PyDetection detect_reading(const std::filesystem::path& path, const Opening& opening, std::uint64_t decoys, std::uint32_t vocab_size, const std::string& device, unsigned threads,
                           nb::object progress) {
  const DetectOptions options = options_of(opening, decoys, device, threads);
  Watch watch(std::move(progress));
  const std::vector<ReadingText> read = watch.take(unlocked([&] { return read_reading_file(path, vocab_size, watch.stop()); }));
  if (read.empty()) fail(ErrorCode::bad_input, path.string() + ": no text");
  const auto pairs = unlocked([&] { return collect_reading_pairs(opening.profile(), opening.coin(), read); });
  return finish(opening, pairs, options, read.size(), "", watch);
}
}  // namespace

void bind_detect(nb::module_& module) {
  nb::class_<PyDetection>(module, "Detection",
                          "The result of C1 on a collection of texts. Under the null hypothesis, that the key is independent of the texts, p and e hold exactly; a small signal never shows that a "
                          "text was not made under the key. log10 values have 4 decimals, p rounded up and e rounded down, as `heirmark detect` prints them.")
      .def_prop_ro("scheme", [](const PyDetection& self) { return std::string(scheme_name(self.found.scheme)); })
      .def_ro("key_id", &PyDetection::key_id)
      .def_prop_ro("n", [](const PyDetection& self) { return self.found.n; }, "(window, bin) pairs scored.")
      .def_prop_ro("statistic", [](const PyDetection& self) { return integer(self.found.statistic); }, nb::sig("def statistic(self) -> int"), "X, the exact integer.")
      .def_prop_ro("value", [](const PyDetection& self) { return self.found.value; }, "X in its natural unit: nats for gumbel, else counts.")
      .def_prop_ro("log10_p", [](const PyDetection& self) { return log10_p(self.found.log_p); }, "log10 of the p-value.")
      .def_prop_ro("log10_e", [](const PyDetection& self) { return log10_e(self.found.log_e); }, "log10 of the e-value.")
      .def_prop_ro("log_p", [](const PyDetection& self) { return self.found.log_p; }, "Natural logarithm of the p-value, not rounded.")
      .def_prop_ro("log_e", [](const PyDetection& self) { return self.found.log_e; }, "Natural logarithm of the e-value, not rounded.")
      .def_prop_ro("log10_p_prf", [](const PyDetection& self) { return log10_p(self.found.log_p_prf); }, "log10 of the p-value by the PRF alone.")
      .def_prop_ro("log10_p_rank", [](const PyDetection& self) { return optional_p(self.found.log_p_rank); }, nb::sig("def log10_p_rank(self) -> float | None"),
                   "log10 of the p-value of the key's rank among its decoys; None without decoys.")
      .def_prop_ro("log10_p_saddlepoint", [](const PyDetection& self) { return optional_p(self.found.log_p_saddlepoint); }, nb::sig("def log10_p_saddlepoint(self) -> float | None"),
                   "An approximation beside the bound, with weighted pairs; else None.")
      .def_prop_ro("positions", [](const PyDetection& self) { return self.found.positions; }, "Positions behind the prompts.")
      .def_prop_ro("repeats", [](const PyDetection& self) { return self.found.repeats; }, "Positions whose pair was scored before.")
      .def_prop_ro("tainted", [](const PyDetection& self) { return self.found.tainted; }, "Positions left out because a prompt shows their pair.")
      .def_prop_ro("off_coin", [](const PyDetection& self) { return self.found.off_coin; }, "Positions that the coin does not mark by windows.")
      .def_prop_ro("classes", &classes_of, nb::sig("def classes(self) -> list[dict[str, typing.Any]]"), "By class of the window: class, pairs, ge, statistic (a decimal string).")
      .def("to_dict", &to_dict, nb::sig("def to_dict(self) -> dict[str, typing.Any]"), "The object that `heirmark detect --json` prints (specs/cli.md).")
      .def("__repr__", [](const PyDetection& self) {
        return "<heirmark.Detection log10 p = " + stats::log10_p_string(self.found.log_p) + ", log10 e = " + stats::log10_e_string(self.found.log_e) + ", " +
               std::to_string(self.found.n) + " pairs, key " + self.path + ">";
      });
  module.def("detect", &detect_texts, "texts"_a, "opening"_a, nb::kw_only(), "count_rule"_a = "distinct", "decoys"_a = 0, "vocab_size"_a = 0, "device"_a = "cpu", "threads"_a = 1,
             "progress"_a = nb::none(),
             nb::sig("def detect(texts: str | os.PathLike | collections.abc.Iterable[typing.Any], opening: Opening, *, count_rule: str = 'distinct', decoys: int = 0, vocab_size: int = "
                     "0, device: str = 'cpu', threads: int = 1, progress: collections.abc.Callable[[float], object] | None = None) -> Detection"),
             "Scores texts against an opened key (specs/scoring.md, \"C1 text\").\n\n"
             "texts: the path of a token file (\"-\" is standard input), or an iterable of texts, each of them token ids, a pair (token ids, prompt_tokens), or a mapping with \"tokens\" and "
             "perhaps \"prompt_tokens\"; the first prompt_tokens of a text are context and never scored. count_rule: \"distinct\", \"sqrt2\" or \"log2\". decoys: also rank the key among so many "
             "decoys in each class. vocab_size: refuse ids from there on. device: \"cpu\" or \"cuda\", for the sums. threads: 1 to 1024; no number depends on it. progress: called with 0 to 1, "
             "perhaps by another thread; False from it stops with StoppedError.\n\n"
             "Runs without the interpreter's lock; Ctrl-C stops it. BadInputError: names file and line, or text and token. IOFailureError: the device, the disk.");
  module.def("detect_reading", &detect_reading, "path"_a, "opening"_a, nb::kw_only(), "decoys"_a = 0, "vocab_size"_a = 0, "device"_a = "cpu", "threads"_a = 1, "progress"_a = nb::none(),
             nb::sig("def detect_reading(path: str | os.PathLike, opening: Opening, *, decoys: int = 0, vocab_size: int = 0, device: str = 'cpu', threads: int = 1, progress: "
                     "collections.abc.Callable[[float], object] | None = None) -> Detection"),
             "The same for a file that also holds a suspect's probabilities while it read (specs/scoring.md, \"C1 reading\").");
}

}  // namespace heirmark::python
