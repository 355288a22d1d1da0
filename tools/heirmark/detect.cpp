// detect: one text file against one opened key.
#include <heirmark/detect.hpp>

#include <cmath>
#include <memory>
#include <thread>

#include <heirmark/io.hpp>
#include <heirmark/stats.hpp>

#include "commands.hpp"
#include "device.hpp"
#include "explain.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "numbers.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
struct DetectArguments {
  std::string file, opening, count_rule = "distinct", device = "cpu";
  std::uint64_t decoys = 0, threads = 0, vocab = 0;
  bool json = false, explain = false, reading = false, rule_given = false;
};

/// What p and e say, as they are reported: p rounded up, e rounded down.
struct Reported {
  std::string p, e, p_prf, p_rank, p_saddlepoint;
};

Reported report(const Detection& found) {
  Reported out{stats::log10_p_string(found.log_p), stats::log10_e_string(found.log_e), stats::log10_p_string(found.log_p_prf), "", ""};
  if (found.log_p_rank) out.p_rank = stats::log10_p_string(*found.log_p_rank);
  if (found.log_p_saddlepoint) out.p_saddlepoint = stats::log10_p_string(*found.log_p_saddlepoint);
  return out;
}

void print_json(const DetectArguments& arguments, const Opening& opening, std::size_t texts, const Detection& found) {
  const Reported reported = report(found);
  const auto decimal = [](const std::string& text) { return text.empty() ? std::string("null") : text; };
  JsonWriter json;
  json.begin_object().member("scheme", scheme_name(found.scheme)).member("profile", opening.profile().name);
  json.member("keyId", opening.key_id()).member("path", opening.path().text());
  json.member("n", found.n).member("statistic", found.value).member("statistic_integer", integer_text(found.statistic));
  json.key("log10_p").raw(reported.p).key("log10_e").raw(reported.e);
  json.key("log10_p_prf").raw(reported.p_prf).key("log10_p_rank").raw(decimal(reported.p_rank));
  json.key("log10_p_saddlepoint").raw(decimal(reported.p_saddlepoint));
  json.member("reading", arguments.reading).key("count_rule");
  if (arguments.reading) json.null();
  else json.text(arguments.count_rule);
  json.member("decoys", arguments.decoys);
  json.member("texts", texts).member("positions", found.positions).member("repeats", found.repeats);
  json.member("tainted", found.tainted).member("off_coin", found.off_coin);
  json.key("classes").begin_list();
  for (const ClassResult& result : found.classes) {
    json.begin_object().member("class", result.window_class).member("pairs", result.pairs).member("ge", result.ge);
    json.member("statistic", integer_text(result.statistic)).end_object();
  }
  json.end_list().end_object();
  print(json.line());
}

void print_explanation(const DetectArguments& arguments, const Opening& opening, const Detection& found) {
  const Profile& profile = opening.profile();
  const Reported reported = report(found);
  print("key        " + opening.path().text() + " (" + opening.key_id() + "), profile " + std::string(profile.name) + ", window of " +
        std::to_string(profile.window) + " tokens\n");
  print("counts     " + grouped(found.positions) + " positions: " + grouped(found.off_coin) + " not marked by windows, " + grouped(found.tainted) +
        " tainted by prompts, " + grouped(found.repeats) + " repeats; " + grouped(found.n) + " (window, bin) pairs used\n");
  print("statistic  " + fixed(found.value, 4) + " (exact integer " + integer_text(found.statistic) + ")\n");
  print("null       the key is independent of the text; every pair is scored once\n");
  const std::string weights = arguments.reading ? "the weights are what the suspect's probabilities say of each pair" : arguments.count_rule == "distinct" ? "" :
                              "the weights follow from how often a pair occurs (" + arguments.count_rule + ")";
  print("           " + null_words(profile, weights, found.n) + "\n");
  print("p          log10 p (PRF) " + reported.p_prf + "\n");
  if (!reported.p_saddlepoint.empty()) print("           log10 p (saddlepoint approximation, not the headline) " + reported.p_saddlepoint + "\n");
  if (!reported.p_rank.empty()) {
    print("           log10 p (rank among " + grouped(arguments.decoys) + " decoys in each of " + std::to_string(found.classes.size()) + " classes) " +
          reported.p_rank + "; the larger of the two counts\n");
  }
  print("e          log10 e " + reported.e + ", a mixture of bets over 40 effect sizes; valid at every stopping time\n");
  print("not shown  that a text without signal was not made under this key\n");
}

/// Texts and the pairs that they make.
struct Scored {
  std::size_t texts = 0;
  PairSet pairs;
};

Result<Scored> read_pairs(const DetectArguments& arguments, const Opening& opening) {
  const std::string name = input_name(arguments.file);
  const auto vocab = static_cast<std::uint32_t>(arguments.vocab);
  const auto scored = [&name](std::size_t texts, Result<PairSet> pairs) -> Result<Scored> {
    if (!pairs) return pairs.error().at(name);
    return Scored{texts, *std::move(pairs)};
  };
  const Error nothing{ErrorCode::bad_input, name + ": no text"};
  if (arguments.reading) {
    const auto texts = read_reading_file(arguments.file, vocab, interrupted);
    if (!texts) return texts.error();
    return texts->empty() ? nothing : scored(texts->size(), collect_reading_pairs(opening.profile(), opening.coin(), *texts));
  }
  const auto rule = parse_count_rule(arguments.count_rule);
  if (!rule) return rule.error();
  const auto texts = read_token_file(arguments.file, vocab, interrupted);
  if (!texts) return texts.error();
  return texts->empty() ? nothing : scored(texts->size(), collect_pairs(opening.profile(), opening.coin(), *texts, *rule));
}

Result<int> run_detect(const DetectArguments& arguments) {
  const Error stopped = stopped_error("the same command starts again");
  if (arguments.reading && arguments.rule_given) return Error{ErrorCode::usage, "detect: --count-rule is for texts; in --reading the probabilities are the weights"};
  if (auto good = one_standard_input({{"FILE", arguments.file}, {"--opening", arguments.opening}}); !good) return good.error().at("detect");
  const auto device = usable_device(arguments.device);
  if (!device) return device.error();
  const auto opening = Opening::read(named_input(arguments.opening));
  if (!opening) return opening.error();
  warn_if_exposed(arguments.opening);
  if (arguments.decoys >= opening->family_size()) {
    return Error{ErrorCode::usage, "detect: --decoys must be below the family size, " + std::to_string(opening->family_size())};
  }
  tell("reading " + input_name(arguments.file));
  const auto scored = read_pairs(arguments, *opening);
  if (!scored) return scored.error().code == ErrorCode::stopped ? stopped : scored.error();
  if (interrupted()) return stopped;
  const PairSet* pairs = &scored->pairs;
  tell("scoring " + grouped(pairs->pairs.size()) + " pairs for " + grouped(arguments.decoys + 1) + " members");
  Progress progress("detect");
  DetectOptions options;
  if (!arguments.reading) options.count_rule = parse_count_rule(arguments.count_rule).value();
  options.decoys = arguments.decoys;
  options.device = *device;
  options.threads = static_cast<unsigned>(arguments.threads != 0 ? arguments.threads : std::max(1u, std::thread::hardware_concurrency()));
  options.progress = [&progress](double share) { return progress.update(share); };
  const auto found = detect(*opening, *pairs, options);
  progress.clear();
  if (!found) return found.error().code == ErrorCode::stopped ? stopped : found.error();
  if (found->n == 0) inform("note       " + input_name(arguments.file) + ": no position can be scored; p = 1 says nothing about it");
  if (arguments.json) return print_json(arguments, *opening, scored->texts, *found), 0;
  const Reported reported = report(*found);
  print((arguments.file == "-" ? "-" : printable(arguments.file)) + ": log10 p = " + reported.p + ", log10 e = " + reported.e + "  (" + grouped(found->n) +
        " pairs, " + std::string(scheme_name(found->scheme)) + ", key " + opening->path().text() + ")\n");
  if (arguments.explain) print_explanation(arguments, *opening, *found);
  return 0;
}
}  // namespace

void add_detect(Command& root) {
  auto arguments = std::make_shared<DetectArguments>();
  Command& detect = root.add("detect", "score a token file against an opened key");
  detect.argument("FILE", arguments->file, "token file, one text on each line; - for standard input");
  detect.text("--opening", "FILE", arguments->opening, "the key's opening.json", Need::required);
  detect.whole("--decoys", "M", arguments->decoys, 0, 1u << 22, "also rank the key among M decoys in each class");
  detect.choice("--count-rule", {"distinct", "sqrt2", "log2"}, arguments->count_rule, "weight of a pair that occurs again [distinct]");
  detect.flag("--reading", arguments->reading, "FILE also holds a suspect's probabilities while it read (C1 reading)");
  detect.whole("--vocab", "V", arguments->vocab, 1, kMaxVocab, "refuse token ids from V on");
  add_device_option(detect, arguments->device);
  detect.whole("--threads", "N", arguments->threads, 1, 1024, "[one for each core]");
  detect.flag("--explain", arguments->explain, "print the formula, the counts and the null");
  detect.flag("--json", arguments->json, "one JSON object");
  detect.example("heirmark detect text.jsonl --opening opening.json");
  detect.run([arguments, &detect] {
    arguments->rule_given = detect.was_given("--count-rule");
    return run_detect(*arguments);
  });
}

}  // namespace heirmark::cli
