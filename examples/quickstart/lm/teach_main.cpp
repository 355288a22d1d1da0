// quickstart-teach: the provider's side of the quickstart. The teacher answers prompts, and heirmark samples every
// token.
#include <cstdio>
#include <heirmark/keys.hpp>
#include <span>

#include "command.hpp"
#include "teach.hpp"

namespace quickstart {
namespace {

constexpr const char* kUsage =
    R"(usage: quickstart-teach MODEL --text FILE --tokenizer FILE --keystore FOLDER --key FAMILY/EPOCH --passphrase-fd N
                        --out LEDGER [--accounts a,b,c,d] [--responses 240] [--tokens 112] [--prompt-tokens 16]
                        [--skip 0] [--top-k 16]
)";

Result<void> run(std::span<const std::string_view> words) {
  QS_TRY(options, Options::parse(words, {"text", "tokenizer", "keystore", "key", "passphrase-fd", "out", "accounts",
                                         "responses", "tokens", "prompt-tokens", "skip", "top-k"}));
  QS_TRY(model, model_of(options));
  QS_TRY(tokenizer, tokenizer_of(options));
  if (tokenizer.vocab() != model.config().vocab) return Error{ErrorCode::bad_input, "the tokenizer is not the model's"};
  QS_TRY(folder, options.required("keystore"));
  QS_TRY(path, options.required("key"));
  QS_TRY(out, options.required("out"));
  QS_TRY(responses, options.number<std::size_t>("responses", 240, 1, 100'000));
  QS_TRY(tokens, options.number("tokens", 112u, 1u, 4096u));
  QS_TRY(top_k, options.number("top-k", 16u, 1u, 1024u));
  QS_TRY(prompts, prompts_of(options, tokenizer, responses));
  QS_TRY(descriptor, options.number("passphrase-fd", 0, 0, 1 << 20));
  QS_TRY(passphrase, heirmark::Passphrase::read_fd(descriptor));
  QS_TRY(store, heirmark::Keystore::open(folder, passphrase));
  QS_TRY(info, store.info(path));
  QS_TRY(profile, heirmark::profiles::find(info.profile));
  const std::vector<std::string> accounts = split(options.text("accounts", "a,b,c,d"));
  QS_TRY(subkeys, store.subkeys(path, accounts));
  QS_TRY(summary, teach(model,
                        {.profile = profile,
                         .subkeys = std::move(subkeys),
                         .accounts = accounts,
                         .prompts = std::move(prompts),
                         .tokens = tokens,
                         .top_k = top_k},
                        out));
  std::fprintf(stderr,
               "%zu responses: %zu tokens with the window mark, %zu with issuance randomness; %.2f nats/token\n",
               responses, summary.marked, summary.issued, summary.entropy);
  return {};
}

}  // namespace
}  // namespace quickstart

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "help" || words[0] == "--help") {
    std::fputs(quickstart::kUsage, words.empty() ? stderr : stdout);
    return words.empty() ? static_cast<int>(heirmark::ErrorCode::usage) : 0;
  }
  const auto done = quickstart::run(words);
  if (done) return 0;
  std::fprintf(stderr, "quickstart-teach: %s\n", done.error().message.c_str());
  return static_cast<int>(done.error().code);
}
