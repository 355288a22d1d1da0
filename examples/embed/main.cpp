// The smallest engine that marks: a model that only knows which letter follows which, and a sampler.
//
//   embed [LENGTH]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <heirmark/sampler.hpp>

namespace {

const std::string kAlphabet = "abcdefghijklmnopqrstuvwxyz .";

/// Stands for a model: logits of the next letter after `last`.
std::vector<float> logits_after(heirmark::TokenId last) {
  std::vector<float> logits(kAlphabet.size());
  for (std::size_t v = 0; v < logits.size(); ++v) logits[v] = 2.0f * std::sin(static_cast<float>((last + 3) * (v + 1)));
  return logits;
}

/// In production the subkeys come from the file that `heirmark key export-subkey` wrote: heirmark::SubkeysFile::read. These are for all to see.
heirmark::Subkeys subkeys_for_show() {
  const auto secret = [](std::uint8_t byte) {
    std::array<std::uint8_t, 32> bytes{};
    bytes.fill(byte);
    return heirmark::Secret32(bytes);
  };
  heirmark::Subkeys keys;
  for (std::uint8_t c = 0; c < heirmark::Subkeys::kClasses; ++c) keys.window[c] = secret(c);
  keys.coin = secret(16);
  keys.issuance.push_back(secret(17));
  return keys;
}

}  // namespace

int main(int argc, char** argv) {
  const int length = argc > 1 ? std::atoi(argv[1]) : 60;
  const auto vocab = static_cast<std::uint32_t>(kAlphabet.size());
  auto sampler = heirmark::Sampler::create(heirmark::profiles::standard_2026_11(), subkeys_for_show(), {.vocab_size = vocab, .max_rows = 1});
  if (!sampler) return std::fprintf(stderr, "%s\n", sampler.error().message.c_str()), 1;

  const heirmark::RequestId request{{'e', 'm', 'b', 'e', 'd'}};      // unique for each response
  std::vector<heirmark::TokenId> text = {19, 7, 4, 26};              // the prompt, "the "
  heirmark::Sequence sequence = sampler->begin(request, text);
  int marked = 0;
  for (int i = 0; i < length; ++i) {
    const std::vector<float> logits = logits_after(text.back());
    const heirmark::Row row{&sequence, {.temperature = 1.0f, .top_p = 0.95f}};
    heirmark::Sampled out;
    if (auto done = sampler->sample({logits.data(), heirmark::DType::float32, 1, vocab}, {&row, 1}, {&out, 1}); !done)
      return std::fprintf(stderr, "%s\n", done.error().message.c_str()), 1;
    marked += out.status == heirmark::RowStatus::marked ? 1 : 0;
    text.push_back(out.token);
  }
  for (const heirmark::TokenId token : text) std::putchar(kAlphabet[token]);
  std::printf("\n%d of %d tokens carry the window mark, the others the issuance mark (%s)\n", marked, length, sampler->instruction_set());
  return 0;
}
