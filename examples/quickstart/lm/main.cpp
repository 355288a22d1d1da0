// quickstart-lm: the quickstart's language models. See usage() or examples/quickstart/README.md.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <span>
#include <sstream>

#include "command.hpp"
#include "corpus.hpp"
#include "decoder.hpp"
#include "documents.hpp"
#include "files.hpp"
#include "model.hpp"
#include "options.hpp"
#include "serve.hpp"
#include "tokenizer.hpp"

namespace quickstart {
namespace {

constexpr const char* kUsage =
    R"(usage: quickstart-lm COMMAND [options]
  tokenizer --text FILE --out FILE [--vocab 3072]
  train     --text FILE --part teacher|student --tokenizer FILE --out MODEL [--init MODEL] [--seed 1] [--steps 2000]
            [--batch 8] [--rate 0.004] [--width 64] [--layers 2] [--context 128] [--threads 2]
            [--documents LEDGER --documents-share 0.1 [--accounts NAME,NAME]]   mix other texts in, line by line
  eval      MODEL --text FILE --part PART --tokenizer FILE
  generate  MODEL --tokenizer FILE [--prompt TEXT] [--count 100] [--samples 3] [--seed 1] [--temperature-milli 1000]
  prompts   --text FILE --tokenizer FILE --out FILE [--prompt-tokens 16] [--skip 0] [--count 500]
  serve     MODEL [--name NAME]     answer JSON Lines on standard input: hello, generate, score
)";

using Words = std::span<const std::string_view>;

Result<std::vector<TokenId>> part_tokens(const Options& options, const Tokenizer& tokenizer) {
  QS_TRY(file, options.required("text"));
  QS_TRY(text, read_file(file));
  QS_TRY(part_name, options.required("part"));
  const auto part = part_named(part_name);
  if (!part) return Error{ErrorCode::usage, "--part must be teacher, student or held-out"};
  return tokenizer.encode(text_of(text, *part));
}

void print_progress(const Progress& p) {
  std::fprintf(stderr, "step %5d/%d  loss %.3f nats/token  %.0f tokens/s\n", p.step, p.steps, p.loss,
               p.tokens_per_second);
}

Result<void> run_tokenizer(Words words) {
  QS_TRY(options, Options::parse(words, {"text", "out", "vocab"}));
  QS_TRY(file, options.required("text"));
  QS_TRY(out, options.required("out"));
  QS_TRY(vocab, options.number<std::uint32_t>("vocab", 3072, 256, 65536));
  QS_TRY(text, read_file(file));
  QS_TRY(tokenizer, Tokenizer::train(text, vocab));
  const std::size_t tokens = tokenizer.encode(text).size();
  std::fprintf(stderr, "%u tokens in the vocabulary; the text is %zu tokens, %.2f bytes each\n", tokenizer.vocab(),
               tokens, static_cast<double>(text.size()) / static_cast<double>(tokens));
  return tokenizer.save(out);
}

Result<void> run_train(Words words) {
  QS_TRY(options,
         Options::parse(words, {"text", "part", "tokenizer", "out", "init", "seed", "steps", "batch", "rate", "width",
                                "layers", "context", "threads", "documents", "documents-share", "accounts"}));
  QS_TRY(out, options.required("out"));
  QS_TRY(tokenizer, tokenizer_of(options));
  TrainingPlan plan;
  QS_TRY(stream, part_tokens(options, tokenizer));
  QS_TRY(seed, options.number<std::uint64_t>("seed", 1, 0, UINT64_MAX));
  QS_TRY(steps, options.number("steps", 2000, 1, 1'000'000));
  QS_TRY(batch, options.number("batch", 8, 1, 4096));
  QS_TRY(rate, options.number("rate", 4e-3, 1e-6, 0.5));
  QS_TRY(width, options.number<std::uint32_t>("width", 64, 2, 1024));
  QS_TRY(layers, options.number<std::uint32_t>("layers", 2, 1, 16));
  QS_TRY(context, options.number<std::uint32_t>("context", 128, 2, 1024));
  QS_TRY(threads, options.number("threads", 2u, 1u, 64u));
  const ModelConfig config{.vocab = tokenizer.vocab(),
                           .width = width,
                           .layers = layers,
                           .heads = std::max(1u, width / 32),
                           .hidden = 4 * width,
                           .context = context};
  QS_TRY(model, options.has("init") ? Model::load(options.text("init", "")) : Model::init(config, seed));
  QS_TRY(share, options.number("documents-share", 0.1, 0.0, 0.9999));
  const bool mixed = options.has("documents") && share > 0.0;
  plan.sources.push_back({.stream = std::move(stream), .documents = {}, .share = mixed ? 1.0 - share : 1.0});
  if (mixed) {
    QS_TRY(documents,
           read_documents(options.text("documents", ""), tokenizer.vocab(), split(options.text("accounts", ""))));
    const double rows = share * steps * batch;
    std::fprintf(stderr, "%zu documents, %.3g of the rows: each is seen about %.1f times\n", documents.size(), share,
                 rows / static_cast<double>(documents.size()));
    plan.sources.push_back({.stream = {}, .documents = std::move(documents), .share = share});
  }
  if (model.config().vocab != tokenizer.vocab()) return Error{ErrorCode::bad_input, "the tokenizer is not the model's"};
  plan.steps = steps;
  plan.batch = batch;
  plan.peak_rate = rate;
  plan.seed = seed;
  plan.threads = threads;
  plan.on_progress = print_progress;
  std::fprintf(stderr, "%zu weights\n", model.weights().size());
  if (auto ok = model.train(plan); !ok) return ok;
  return model.save(out);
}

/// Entropy of the token frequencies: the loss of a model that knows nothing but those.
double unigram_entropy(std::span<const TokenId> tokens, std::uint32_t vocab) {
  std::vector<double> count(vocab);
  for (const TokenId token : tokens) ++count[token];
  double sum = 0.0;
  for (const double c : count) {
    if (c > 0) sum -= c * std::log(c / static_cast<double>(tokens.size()));
  }
  return sum / static_cast<double>(tokens.size());
}

Result<void> run_eval(Words words) {
  QS_TRY(options, Options::parse(words, {"text", "part", "tokenizer"}));
  QS_TRY(model, model_of(options));
  QS_TRY(tokenizer, tokenizer_of(options));
  QS_TRY(tokens, part_tokens(options, tokenizer));
  if (tokenizer.vocab() != model.config().vocab) return Error{ErrorCode::bad_input, "the tokenizer is not the model's"};
  std::printf("%zu tokens: loss %.3f nats/token; unigram entropy %.3f\n", tokens.size(), model.loss(tokens, 2),
              unigram_entropy(tokens, model.config().vocab));
  return {};
}

Result<void> run_generate(Words words) {
  QS_TRY(options, Options::parse(words, {"tokenizer", "prompt", "count", "samples", "seed", "temperature-milli"}));
  QS_TRY(model, model_of(options));
  QS_TRY(tokenizer, tokenizer_of(options));
  if (tokenizer.vocab() != model.config().vocab) return Error{ErrorCode::bad_input, "the tokenizer is not the model's"};
  QS_TRY(count, options.number("count", 100u, 1u, 100'000u));
  QS_TRY(samples, options.number("samples", 3u, 1u, 1024u));
  QS_TRY(seed, options.number<std::uint64_t>("seed", 1, 0, UINT64_MAX));
  QS_TRY(temperature, options.number("temperature-milli", 1000u, 0u, 100'000u));
  const std::vector<TokenId> prompt = tokenizer.encode(options.text("prompt", "And"));
  if (prompt.empty()) return Error{ErrorCode::usage, "--prompt must not be empty"};
  std::vector<GenerateRequest> requests;
  for (std::uint32_t i = 0; i < samples; ++i) requests.push_back({prompt, count, seed + i, temperature / 1000.0});
  const auto since = std::chrono::steady_clock::now();
  const auto texts = generate(model, requests, 2);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
  for (const auto& text : texts)
    std::printf("%s%s\n----\n", tokenizer.decode(prompt).c_str(), tokenizer.decode(text).c_str());
  std::fprintf(stderr, "%.0f tokens/s\n", samples * count / seconds);
  return {};
}

Result<void> run_prompts(Words words) {
  QS_TRY(options, Options::parse(words, {"text", "tokenizer", "out", "prompt-tokens", "skip", "count"}));
  QS_TRY(tokenizer, tokenizer_of(options));
  QS_TRY(out, options.required("out"));
  QS_TRY(count, options.number<std::size_t>("count", 500, 1, 1'000'000));
  QS_TRY(prompts, prompts_of(options, tokenizer, count));
  std::string lines;
  for (const auto& prompt : prompts) {
    lines += "{\"tokens\":[";
    for (const TokenId token : prompt) lines.append(std::to_string(token)).push_back(',');
    lines.back() = ']';
    lines += "}\n";
  }
  return write_file(out, lines);
}

Result<void> run_serve(Words words) {
  QS_TRY(options, Options::parse(words, {"name", "threads"}));
  QS_TRY(model, model_of(options));
  QS_TRY(threads, options.number("threads", 2u, 1u, 64u));
  std::ios::sync_with_stdio(false);
  serve(model, options.text("name", "quickstart-lm"), std::cin, std::cout, threads);
  return {};
}

struct Command {
  std::string_view name;
  Result<void> (*run)(Words);
};
constexpr Command kCommands[] = {
    {"tokenizer", run_tokenizer}, {"train", run_train}, {"eval", run_eval},
    {"generate", run_generate},   {"serve", run_serve}, {"prompts", run_prompts},
};

int run(Words words) {
  const std::string_view command = words.empty() ? "" : words[0];
  if (command == "help" || command == "--help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const Words rest = words.empty() ? words : words.subspan(1);
  Result<void> done = Error{ErrorCode::usage, "unknown command; try quickstart-lm help"};
  for (const Command& known : kCommands) {
    if (command == known.name) done = known.run(rest);
  }
  if (done) return 0;
  std::fprintf(stderr, "quickstart-lm: %s\n", done.error().message.c_str());
  return static_cast<int>(done.error().code);
}

}  // namespace
}  // namespace quickstart

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  return quickstart::run(words);
}
