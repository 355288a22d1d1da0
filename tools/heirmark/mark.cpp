// mark: sample marked text, from the demonstration model or from rows of logits.
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include <heirmark/audit.hpp>
#include <heirmark/io.hpp>
#include <heirmark/ledger.hpp>
#include <heirmark/sampler.hpp>

#include "commands.hpp"
#include "demo_model.hpp"
#include "files.hpp"
#include "json_writer.hpp"
#include "shell.hpp"
#include "store.hpp"

namespace heirmark::cli {
namespace {
constexpr std::uint64_t kNoSeed = std::numeric_limits<std::uint64_t>::max();

struct MarkArguments {
  StoreOptions store;
  std::string key, opening, subkeys, logits, dtype = "f32", prompts, mode = "marked", account, output, ledger, record;  // ledger: a file; record: a folder
  std::uint64_t vocab = 4096, tokens = 200, texts = 1, top_k = 0, seed = kNoSeed, ledger_top = 64, threads = 1;
  double temperature = 1, top_p = 1, min_p = 0;
  bool tokens_given = false, vocab_given = false;
};

struct KeyMaterial {
  std::string path, key_id;
  Profile profile;
  Subkeys subkeys;
  std::vector<std::string> accounts;
};

Result<KeyMaterial> load_key(const MarkArguments& arguments) {
  if (!arguments.subkeys.empty()) {
    auto file = SubkeysFile::read(named_input(arguments.subkeys));
    if (!file) return file.error();
    return KeyMaterial{file->path.text(), file->key_id, file->profile, std::move(file->subkeys), std::move(file->accounts)};
  }
  std::vector<std::string> accounts{arguments.account.empty() ? "default" : arguments.account};
  if (!arguments.opening.empty()) {
    const auto opening = Opening::read(named_input(arguments.opening));
    if (!opening) return opening.error();
    warn_if_exposed(arguments.opening);
    return KeyMaterial{opening->path().text(), opening->key_id(), opening->profile(), opening->live_subkeys(accounts), accounts};
  }
  const auto store = open_store(arguments.store, Missing::fail);
  if (!store) return store.error();
  auto file = store->subkeys_file(arguments.key, accounts);
  if (!file) return file.error();
  return KeyMaterial{file->path.text(), file->key_id, file->profile, std::move(file->subkeys), std::move(file->accounts)};
}

/// Which of the key's accounts is marked for: the one that was asked for, else the first.
Result<std::uint32_t> account_slot(const MarkArguments& arguments, const KeyMaterial& material) {
  if (arguments.account.empty()) return 0;
  const auto found = std::find(material.accounts.begin(), material.accounts.end(), arguments.account);
  if (found == material.accounts.end())
    return Error{ErrorCode::key, input_name(arguments.subkeys) + ": holds no subkey for the account " + arguments.account};
  return static_cast<std::uint32_t>(found - material.accounts.begin());
}

Result<RequestId> request_id(std::uint64_t seed, std::uint64_t text) {
  RequestId id;
  if (seed == kNoSeed) {
    std::size_t got = 0;
    while (got < id.bytes.size()) {
      const ssize_t n = ::getrandom(id.bytes.data() + got, id.bytes.size() - got, 0);
      if (n > 0) got += static_cast<std::size_t>(n);
      else if (errno != EINTR) return Error{ErrorCode::io, "the system's generator gives no random bytes"};
    }
    return id;
  }
  // 8 bytes of seed and 4 of the text: unique for a seed, the same in every run.
  for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(seed >> (56 - 8 * i));
  for (std::size_t i = 0; i < 4; ++i) id.bytes[8 + i] = static_cast<std::uint8_t>(text >> (24 - 8 * i));
  return id;
}

std::string hex(const RequestId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : id.bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

/// One response being made.
struct Text {
  IssuedResponse response;
  std::vector<TokenId> all;  ///< prompt and generated tokens
  std::vector<Sequence> sequence;  ///< one; a Sequence has no empty state
  std::vector<RowStatus> statuses;
  std::uint64_t counts[7] = {};    ///< by RowStatus
};

std::string text_line(const Text& text) {
  JsonWriter json;
  json.begin_object().member("prompt_tokens", text.response.prompt.size()).member("request_id", hex(text.response.request_id));
  json.member("window", text.counts[0]).member("issued", text.counts[1]).member("unmarked", text.counts[2] + text.counts[4]);
  json.key("tokens").begin_list();
  for (const TokenId token : text.all) json.whole(token);
  json.end_list().end_object();
  return json.line();
}

Mode parse_mode(const std::string& name) {
  if (name == "issuance") return Mode::issuance;
  if (name == "greedy") return Mode::greedy;
  return name == "off" ? Mode::off : Mode::marked;
}

DType parse_dtype(const std::string& name) {
  if (name == "bf16") return DType::bfloat16;
  return name == "f16" ? DType::float16 : DType::float32;
}

/// Takes a sampled token into its text, or says why there is none.
Result<void> take(Text& text, const Sampled& sampled, const std::string& where) {
  if (sampled.status == RowStatus::no_finite_logit) return Error{ErrorCode::bad_input, where + ": the row has no finite logit"};
  if (sampled.status == RowStatus::bad_parameter) return Error{ErrorCode::usage, "mark: a sampling parameter is out of range"};
  ++text.counts[static_cast<std::size_t>(sampled.status)];
  text.statuses.push_back(sampled.status);
  text.response.tokens.push_back(sampled.token);
  text.all.push_back(sampled.token);
  return {};
}

class Marker {
 public:
  Marker(const MarkArguments& arguments, std::vector<TokenText> prompts) : arguments_(arguments), prompts_(std::move(prompts)) {
    params_.temperature = static_cast<float>(arguments.temperature);
    params_.top_k = static_cast<std::uint32_t>(arguments.top_k);
    params_.top_p = static_cast<float>(arguments.top_p);
    params_.min_p = static_cast<float>(arguments.min_p);
    params_.mode = parse_mode(arguments.mode);
  }

  Result<int> run() {
    auto material = load_key(arguments_);
    if (!material) return material.error();
    const auto slot = account_slot(arguments_, *material);
    if (!slot) return slot.error();
    slot_ = *slot;
    account_ = material->accounts[slot_];
    tell("marking under " + material->path + " (" + material->key_id + "), profile " + std::string(material->profile.name) + ", account " + account_ + ", mode " +
         arguments_.mode);
    Sampler::Options options;
    options.vocab_size = static_cast<std::uint32_t>(arguments_.vocab);
    options.max_rows = kBatch;
    options.threads = static_cast<unsigned>(arguments_.threads);
    auto sampler = Sampler::create(material->profile, std::move(material->subkeys), options);
    if (!sampler) return sampler.error();
    auto output = OutputFile::open(arguments_.output);
    if (!output) return output.error();
    std::optional<OutputFile> ledger;
    if (!arguments_.ledger.empty()) {
      auto opened = OutputFile::open(arguments_.ledger);
      if (!opened) return opened.error();
      ledger.emplace(*std::move(opened));
    }
    if (!arguments_.record.empty()) {
      Ledger::Options recording;
      recording.key_id = material->key_id;
      recording.linger = std::chrono::milliseconds(0);
      recording.model = arguments_.logits.empty() ? "heirmark-demonstration-model" : "rows-of-logits";
      auto opened = Ledger::open(arguments_.record, recording);
      if (!opened) return opened.error();
      record_.emplace(*std::move(opened));
    }
    const Result<void> made = arguments_.logits.empty() ? from_model(*sampler, *output, ledger) : from_logits(*sampler, *output, ledger);
    if (!made) return made.error();
    if (auto done = output->sync(); !done) return done.error();
    if (ledger) {
      if (auto done = ledger->sync(); !done) return done.error();
    }
    if (record_) {
      // First of all: a text that is out and not recorded would be worse than the reverse.
      if (auto done = record_->close(); !done) return done.error();
    }
    if (auto done = output->commit(); !done) return done.error();
    if (ledger) {
      if (auto done = ledger->commit(); !done) return done.error();
    }
    return 0;
  }

 private:
  static constexpr std::size_t kBatch = 16;
  [[nodiscard]] Error stopped() const {
    return stopped_error(record_ ? "no text was written, but the ledger keeps those that were finished; the same command starts again" : "nothing was written; the same command starts again");
  }

  Result<Text> begin(const Sampler& sampler, std::uint64_t number) const {
    Text text;
    const auto id = request_id(arguments_.seed, number);
    if (!id) return id.error();
    text.response.request_id = *id;
    text.response.account = account_;
    if (!prompts_.empty()) text.response.prompt = prompts_[number % prompts_.size()].tokens;
    text.all = text.response.prompt;
    text.sequence.push_back(sampler.begin(*id, text.response.prompt, slot_));
    return text;
  }

  /// Waits for the disk: this command has no client that waits for its text.
  Result<void> record(const Text& text) {
    Issued issued(text.response.request_id, account_, text.response.prompt);
    for (std::size_t t = 0; t < text.response.tokens.size(); ++t) {
      if (auto done = issued.add(text.response.tokens[t], text.statuses[t], text.response.phat[t]); !done) return done;
    }
    const auto ticket = record_->append(std::move(issued));
    if (!ticket) return ticket.error();
    return record_->wait(*ticket, std::chrono::minutes(1));
  }

  Result<void> finish(const Text& text, OutputFile& output, std::optional<OutputFile>& ledger) {
    if (record_ && !text.response.tokens.empty()) {
      if (auto done = record(text); !done) return done.error().at(arguments_.record);
    }
    if (ledger) {
      const auto line = ledger_line(text.response, written_, now());
      if (!line) return line.error();
      if (auto done = ledger->write(*line); !done) return done;
    }
    ++written_;
    return output.write(text_line(text));
  }

  void log(Text& text, std::span<const float> row) const {
    if (!arguments_.ledger.empty() || record_) text.response.phat.push_back(logged_distribution(row, params_, arguments_.ledger_top));
  }

  Result<void> from_model(Sampler& sampler, OutputFile& output, std::optional<OutputFile>& ledger) {
    const DemoModel model(static_cast<std::uint32_t>(arguments_.vocab));
    std::vector<float> logits(kBatch * arguments_.vocab);
    Progress progress("mark");
    const std::uint64_t total = arguments_.texts * arguments_.tokens;
    for (std::uint64_t first = 0; first < arguments_.texts; first += kBatch) {
      const std::size_t count = std::min<std::uint64_t>(kBatch, arguments_.texts - first);
      std::vector<Text> texts;
      for (std::size_t i = 0; i < count; ++i) {
        auto text = begin(sampler, first + i);
        if (!text) return text.error();
        texts.push_back(*std::move(text));
      }
      std::vector<Row> rows(count);
      std::vector<Sampled> sampled(count);
      for (std::uint64_t t = 0; t < arguments_.tokens; ++t) {
        for (std::size_t i = 0; i < count; ++i) {
          const std::span<float> row(logits.data() + i * arguments_.vocab, arguments_.vocab);
          model.logits(texts[i].all, row);
          log(texts[i], row);
          rows[i] = {texts[i].sequence.data(), params_};
        }
        if (auto done = sampler.sample({logits.data(), DType::float32, count, arguments_.vocab}, rows, sampled); !done) return done;
        for (std::size_t i = 0; i < count; ++i) {
          if (auto done = take(texts[i], sampled[i], "demonstration model"); !done) return done;
        }
        if (!progress.update(first * arguments_.tokens + (t + 1) * count, total)) return stopped();
      }
      for (const Text& text : texts) {
        if (auto done = finish(text, output, ledger); !done) return done;
      }
    }
    return {};
  }

  Result<void> from_logits(Sampler& sampler, OutputFile& output, std::optional<OutputFile>& ledger) {
    const DType dtype = parse_dtype(arguments_.dtype);
    const auto vocab = static_cast<std::uint32_t>(arguments_.vocab);
    auto reader = LogitsReader::open(arguments_.logits, vocab, dtype);
    if (!reader) return reader.error();
    auto text = begin(sampler, 0);
    if (!text) return text.error();
    while (!arguments_.tokens_given || text->response.tokens.size() < arguments_.tokens) {
      const auto more = reader->next();
      if (!more) return more.error();
      if (!*more) break;
      if (interrupted()) return stopped();
      if (ledger || record_) log(*text, decoded(reader->row().data(), dtype, vocab));
      const Row row{text->sequence.data(), params_};
      Sampled sampled;
      if (auto done = sampler.sample({reader->row().data(), dtype, 1, vocab}, {&row, 1}, {&sampled, 1}); !done) return done;
      if (auto done = take(*text, sampled, input_name(arguments_.logits) + ":" + std::to_string(reader->rows())); !done) return done;
    }
    if (reader->rows() == 0) return Error{ErrorCode::bad_input, input_name(arguments_.logits) + ": no row of logits"};
    return finish(*text, output, ledger);
  }

  const MarkArguments& arguments_;
  std::vector<TokenText> prompts_;
  SamplingParams params_;
  std::optional<Ledger> record_;
  std::uint64_t written_ = 0;
  std::string account_;
  std::uint32_t slot_ = 0;
};

Result<int> run_mark(MarkArguments arguments) {
  if (arguments.key.empty() + arguments.opening.empty() + arguments.subkeys.empty() != 2) {
    return Error{ErrorCode::usage, "mark: give either a KEY of the keystore or --opening or --subkeys"};
  }
  if (!arguments.account.empty() && !is_key_name(arguments.account)) return Error{ErrorCode::usage, "mark: --account is 1 to 64 of a-z 0-9 . _ -"};
  if (auto good = one_standard_input({{"--opening", arguments.opening}, {"--subkeys", arguments.subkeys}, {"--logits", arguments.logits}, {"--prompt", arguments.prompts}}); !good) {
    return good.error().at("mark");
  }
  const std::string output = arguments.output.empty() ? "-" : arguments.output;
  if (!arguments.ledger.empty() && arguments.ledger == output) return Error{ErrorCode::usage, "mark: the texts and the ledger cannot be one file"};
  if (arguments.temperature != 0 && arguments.temperature < 1e-3) return Error{ErrorCode::usage, "mark: --temperature is 0, or from 0.001 to 1000"};
  if (!arguments.logits.empty() && !arguments.vocab_given) return Error{ErrorCode::usage, "mark: --logits needs --vocab"};
  if (!arguments.logits.empty() && arguments.texts != 1) return Error{ErrorCode::usage, "mark: --logits makes one text; --texts is for the demonstration model"};
  std::error_code ignored;
  if (std::filesystem::is_directory(arguments.ledger, ignored)) arguments.record.swap(arguments.ledger);
  const bool drawn = arguments.temperature > 0 && (arguments.mode == "marked" || arguments.mode == "issuance");
  if ((!arguments.ledger.empty() || !arguments.record.empty()) && !drawn) return Error{ErrorCode::usage, "mark: a ledger needs --mode marked or issuance and a temperature"};
  std::vector<TokenText> prompts;
  if (!arguments.prompts.empty()) {
    auto read = read_token_file(arguments.prompts, static_cast<std::uint32_t>(arguments.vocab), interrupted);
    if (!read) return read.error().code == ErrorCode::stopped ? stopped_error("nothing was written; the same command starts again") : read.error();
    if (read->empty()) return Error{ErrorCode::bad_input, input_name(arguments.prompts) + ": no prompt"};
    prompts = *std::move(read);
  }
  return Marker(arguments, std::move(prompts)).run();
}
}  // namespace

void add_mark(Command& root) {
  auto arguments = std::make_shared<MarkArguments>();
  Command& mark = root.add("mark", "sample marked text from a demonstration model or from logits");
  mark.argument("KEY", arguments->key, "key of the keystore, family/epoch", Need::optional);
  mark.text("--subkeys", "FILE", arguments->subkeys, "or what key export-subkey wrote: all that a server needs");
  mark.text("--opening", "FILE", arguments->opening, "or an opening.json");
  mark.text("--logits", "FILE", arguments->logits, "raw logits, one row for each token; - for standard input");
  mark.choice("--dtype", {"f32", "bf16", "f16"}, arguments->dtype, "of the logits [f32]");
  mark.whole("--vocab", "V", arguments->vocab, 1, kMaxVocab, "vocabulary size [4096]");
  mark.whole("--tokens", "N", arguments->tokens, 1, 1u << 20, "tokens of a text [200, or all rows]");
  mark.whole("--texts", "N", arguments->texts, 1, 10'000'000, "number of texts [1]");
  mark.text("--prompt", "FILE", arguments->prompts, "token file, its lines are the prompts in turn");
  mark.real("--temperature", "T", arguments->temperature, 0, 1000, "[1]");
  mark.whole("--top-k", "K", arguments->top_k, 0, kMaxVocab, "[0: off]");
  mark.real("--top-p", "P", arguments->top_p, 1e-6, 1, "[1: off]");
  mark.real("--min-p", "P", arguments->min_p, 0, 1, "[0: off]");
  mark.choice("--mode", {"marked", "issuance", "greedy", "off"}, arguments->mode, "[marked]");
  mark.text("--account", "NAME", arguments->account, "whose issuance subkey is used [the first]");
  mark.whole("--seed", "S", arguments->seed, 0, 1ull << 62, "fixed request ids, for tests only [random]");
  mark.text("--ledger", "PATH", arguments->ledger, "a ledger's folder: record there as a server does; else write ledger.jsonl");
  mark.whole("--ledger-top", "N", arguments->ledger_top, 1, 1024, "tokens of a logged distribution [64]");
  mark.text("-o,--output", "FILE", arguments->output, "token file [standard output]");
  add_store_options(mark, arguments->store);
  mark.example("heirmark mark acme-70b/2026-11 --texts 100 -o text.jsonl");
  mark.run([arguments, &mark] {
    arguments->tokens_given = mark.was_given("--tokens");
    arguments->vocab_given = mark.was_given("--vocab");
    return run_mark(*arguments);
  });
}

}  // namespace heirmark::cli
