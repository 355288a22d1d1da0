// Generates text with llama.cpp and heirmark, and writes the token file that `heirmark detect` reads. With --unmarked FILE it generates as much with llama.cpp's
// own last sampler too, turn by turn, and says what either takes. With --ledger FOLDER it records each response in an issuance ledger.
//
//   serve_llama_cpp MODEL.gguf SUBKEYS.json -o marked.jsonl [--unmarked FILE] [options]
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark_llama_ledger.h>

namespace {

constexpr const char* kUsage =
    "usage: serve_llama_cpp MODEL.gguf SUBKEYS.json -o FILE [options]\n"
    "  -o FILE            token file of the marked text\n"
    "  --unmarked FILE    generate with llama.cpp's own sampler too, and write its text here\n"
    "  --prompt TEXT      may be given several times; four prompts if not\n"
    "  --responses N      for each prompt (4)\n"
    "  --length N         tokens of a response at most (250)\n"
    "  --truncate WHO     engine: llama.cpp's top-k 40, top-p 0.95, min-p 0.05 and temperature 0.8 before the last sampler (default);\n"
    "                     heirmark: the same by heirmark; none: temperature 1, the whole vocabulary\n"
    "  --threads N        of llama.cpp (2)\n"
    "  --account NAME     of the key (the first)\n"
    "  --ledger FOLDER    of an issuance ledger (heirmark ledger new): record each marked response\n";

struct Options {
  std::string model, subkeys, marked, unmarked, truncate = "engine", account, ledger;
  std::vector<std::string> prompts;
  std::uint32_t responses = 4, length = 250, threads = 2;
};

bool number(std::string_view text, std::uint32_t least, std::uint32_t most, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= least && out <= most;
}

bool parse(int argc, char** argv, Options& out) {
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.empty() || word[0] != '-') {
      places.emplace_back(word);
      continue;
    }
    if (i + 1 == argc) return false;
    const std::string_view value = argv[++i];
    if (word == "-o") out.marked = value;
    else if (word == "--unmarked") out.unmarked = value;
    else if (word == "--prompt") out.prompts.emplace_back(value);
    else if (word == "--account") out.account = value;
    else if (word == "--ledger") out.ledger = value;
    else if (word == "--truncate" && (value == "engine" || value == "heirmark" || value == "none")) out.truncate = value;
    else if (word == "--responses" && number(value, 1, 10000, out.responses)) {}
    else if (word == "--length" && number(value, 1, 4000, out.length)) {}
    else if (word == "--threads" && number(value, 1, 256, out.threads)) {}
    else return false;
  }
  if (places.size() != 2 || out.marked.empty()) return false;
  out.model = places[0];
  out.subkeys = places[1];
  if (out.prompts.empty())
    out.prompts = {"The lighthouse keeper opened the letter and read:", "A short history of the printing press. In the fifteenth century,", "How to repair a bicycle chain:",
                   "Once upon a time, in a village between two rivers,"};
  return true;
}

struct End {
  void operator()(llama_model* x) const { llama_model_free(x); }
  void operator()(llama_context* x) const { llama_free(x); }
  void operator()(llama_sampler* x) const { llama_sampler_free(x); }
  void operator()(heirmark_keys* x) const { heirmark_keys_free(x); }
  void operator()(heirmark_sampler* x) const { heirmark_sampler_free(x); }
  void operator()(heirmark_ledger* x) const { heirmark_ledger_close(x, 10000); }
  void operator()(std::FILE* x) const { std::fclose(x); }
};
template <class T>
using Ptr = std::unique_ptr<T, End>;

int failed(const char* what, const char* why) {
  std::fprintf(stderr, "serve_llama_cpp: %s: %s\n", what, why);
  return 1;
}

/// What comes before the last sampler.
Ptr<llama_sampler> chain_before(const Options& options, bool marked) {
  Ptr<llama_sampler> chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
  const bool by_engine = options.truncate == "engine" || (options.truncate == "heirmark" && !marked);
  if (by_engine) {
    llama_sampler_chain_add(chain.get(), llama_sampler_init_top_k(40));
    llama_sampler_chain_add(chain.get(), llama_sampler_init_top_p(0.95f, 1));
    llama_sampler_chain_add(chain.get(), llama_sampler_init_min_p(0.05f, 1));
    llama_sampler_chain_add(chain.get(), llama_sampler_init_temp(0.8f));
  }
  return chain;
}

struct Cost {
  double total = 0, sampling = 0;  // seconds
  std::uint64_t tokens = 0;
};

/// One response with its prompt, or nothing if llama.cpp fails.
std::vector<llama_token> generate(llama_context* context, const llama_vocab* vocab, llama_sampler* chain, std::vector<llama_token> text, std::uint32_t length, Cost& cost) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  llama_memory_clear(llama_get_memory(context), true);
  llama_sampler_reset(chain);                                                   // a new response: heirmark draws a request id
  for (const llama_token token : text) llama_sampler_accept(chain, token);     // its prompt
  if (llama_decode(context, llama_batch_get_one(text.data(), static_cast<std::int32_t>(text.size()))) != 0) return {};
  const auto start = Clock::now();
  for (std::uint32_t i = 0; i < length; ++i) {
    const auto before = Clock::now();
    llama_token token = llama_sampler_sample(chain, context, -1);
    cost.sampling += seconds(Clock::now() - before);
    ++cost.tokens;
    text.push_back(token);
    if (llama_vocab_is_eog(vocab, token)) break;
    if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) return {};
  }
  cost.total += seconds(Clock::now() - start);
  return text;
}

bool write_line(std::FILE* file, std::size_t prompt, const std::vector<llama_token>& text) {
  bool good = std::fprintf(file, "{\"prompt_tokens\":%zu,\"tokens\":[", prompt) > 0;
  for (std::size_t i = 0; i < text.size(); ++i) good = std::fprintf(file, i == 0 ? "%d" : ",%d", text[i]) > 0 && good;
  return std::fprintf(file, "]}\n") > 0 && good;
}

void say(const char* what, const Cost& cost) {
  std::fprintf(stderr, "%s: %llu tokens, %.1f tokens/s, sampling %.0f us/token\n", what, static_cast<unsigned long long>(cost.tokens),
               static_cast<double>(cost.tokens) / cost.total, 1e6 * cost.sampling / static_cast<double>(cost.tokens));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
  Options options;
  if (!parse(argc, argv, options)) return std::fputs(kUsage, stderr), 2;

  // llama.cpp's part.
  llama_log_set([](ggml_log_level level, const char* text, void*) { if (level >= GGML_LOG_LEVEL_WARN) std::fputs(text, stderr); }, nullptr);
  llama_backend_init();
  const Ptr<llama_model> model(llama_model_load_from_file(options.model.c_str(), llama_model_default_params()));
  if (!model) return failed(options.model.c_str(), "llama.cpp cannot load it");
  const llama_vocab* vocab = llama_model_get_vocab(model.get());
  llama_context_params context_params = llama_context_default_params();
  context_params.n_ctx = 4608;
  context_params.n_batch = 4608;
  context_params.n_threads = context_params.n_threads_batch = static_cast<std::int32_t>(options.threads);
  const Ptr<llama_context> context(llama_init_from_model(model.get(), context_params));
  if (!context) return failed(options.model.c_str(), "llama.cpp makes no context");

  // heirmark's: once for each loaded model.
  heirmark_keys* read = nullptr;
  if (heirmark_keys_read(options.subkeys.c_str(), &read) != HEIRMARK_OK) return failed("keys", heirmark_last_error());
  const Ptr<heirmark_keys> keys(read);
  heirmark_sampler_options sampler_options;
  heirmark_sampler_options_init(&sampler_options);
  sampler_options.vocab_size = static_cast<std::uint32_t>(llama_vocab_n_tokens(vocab));
  sampler_options.max_rows = 1;
  sampler_options.backend = HEIRMARK_BACKEND_CPU;
  heirmark_sampler* made = nullptr;
  if (heirmark_sampler_create(keys.get(), &sampler_options, &made) != HEIRMARK_OK) return failed("sampler", heirmark_last_error());
  const Ptr<heirmark_sampler> sampler(made);

  // The ledger: once for each process.
  Ptr<heirmark_ledger> ledger;
  if (!options.ledger.empty()) {
    heirmark_ledger_options ledger_options;
    heirmark_ledger_options_init(&ledger_options);
    ledger_options.key_id = heirmark_keys_id(keys.get());
    ledger_options.model = "serve_llama_cpp";
    heirmark_ledger* opened = nullptr;
    if (heirmark_ledger_open(options.ledger.c_str(), &ledger_options, &opened) != HEIRMARK_OK) return failed("--ledger", heirmark_ledger_last_error());
    ledger.reset(opened);
  }

  // And in place of llama_sampler_init_dist.
  heirmark_llama_options mark_options;
  heirmark_llama_options_init(&mark_options);
  mark_options.vocab_size = sampler_options.vocab_size;
  mark_options.stop_token = llama_vocab_eos(vocab);
  if (!options.account.empty() && heirmark_keys_find_account(keys.get(), options.account.c_str(), &mark_options.account_slot) != HEIRMARK_OK)
    return failed("--account", heirmark_last_error());
  const char* const account = heirmark_keys_account(keys.get(), mark_options.account_slot);
  mark_options.keep_steps = ledger ? 1 : 0;
  if (options.truncate == "heirmark") mark_options.params = {0.8f, 0.05f, 0.95f, 40, HEIRMARK_MARKED};
  llama_sampler* mark = nullptr;
  if (heirmark_llama_init(sampler.get(), &mark_options, &mark) != HEIRMARK_OK) return failed("heirmark", heirmark_llama_last_error());
  const Ptr<llama_sampler> marked = chain_before(options, true), unmarked = chain_before(options, false);
  llama_sampler_chain_add(marked.get(), mark);
  llama_sampler_chain_add(unmarked.get(), llama_sampler_init_dist(LLAMA_DEFAULT_SEED));

  const Ptr<std::FILE> marked_file(std::fopen(options.marked.c_str(), "w"));
  if (!marked_file) return failed(options.marked.c_str(), std::strerror(errno));
  const Ptr<std::FILE> unmarked_file(options.unmarked.empty() ? nullptr : std::fopen(options.unmarked.c_str(), "w"));
  if (!options.unmarked.empty() && !unmarked_file) return failed(options.unmarked.c_str(), std::strerror(errno));

  Cost marked_cost, unmarked_cost;
  heirmark_llama_report total{};
  for (const std::string& prompt : options.prompts) {
    std::vector<llama_token> tokens(prompt.size() + 16);
    const std::int32_t count = llama_tokenize(vocab, prompt.data(), static_cast<std::int32_t>(prompt.size()), tokens.data(), static_cast<std::int32_t>(tokens.size()), true, false);
    if (count < 1 || count > 500) return failed(prompt.c_str(), "a prompt of 1 .. 500 tokens is needed");
    tokens.resize(static_cast<std::size_t>(count));
    for (std::uint32_t i = 0; i < options.responses; ++i) {
      const std::vector<llama_token> text = generate(context.get(), vocab, marked.get(), tokens, options.length, marked_cost);
      if (text.empty()) return failed(prompt.c_str(), "llama.cpp cannot decode it");
      heirmark_llama_report report;
      heirmark_llama_get_report(mark, &report);
      total.marked += report.marked;
      total.issued += report.issued;
      total.failures += report.failures;
      if (report.last_failure != HEIRMARK_LLAMA_NO_FAILURE) total.last_failure = report.last_failure;
      if (ledger && heirmark_llama_record(mark, ledger.get(), account, SIZE_MAX, nullptr) != HEIRMARK_OK) return failed("--ledger", heirmark_llama_record_error());
      if (!write_line(marked_file.get(), tokens.size(), text)) return failed(options.marked.c_str(), std::strerror(errno));
      if (!unmarked_file) continue;
      const std::vector<llama_token> plain = generate(context.get(), vocab, unmarked.get(), tokens, options.length, unmarked_cost);
      if (plain.empty()) return failed(prompt.c_str(), "llama.cpp cannot decode it");
      if (!write_line(unmarked_file.get(), tokens.size(), plain)) return failed(options.unmarked.c_str(), std::strerror(errno));
    }
  }
  if (std::fflush(marked_file.get()) != 0 || (unmarked_file && std::fflush(unmarked_file.get()) != 0)) return failed(options.marked.c_str(), std::strerror(errno));
  if (ledger && heirmark_ledger_close(ledger.release(), 60000) != HEIRMARK_OK) return failed("--ledger", heirmark_ledger_last_error());
  say("marked", marked_cost);
  if (unmarked_file) say("unmarked", unmarked_cost);
  std::fprintf(stderr, "window marks %u, issuance marks %u, failures %u (last: %s)\n", total.marked, total.issued, total.failures, heirmark_llama_failure_name(total.last_failure));
  return 0;
}
