// Uses the installed package from another directory: a key, a few marked tokens, and their detection.
#include <cmath>
#include <cstdio>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/keys.hpp>
#include <heirmark/sampler.hpp>

int main() {
  const heirmark::Profile& profile = heirmark::profiles::window_only_2026_11();
  heirmark::Subkeys subkeys;
  subkeys.issuance.emplace_back();
  auto sampler = heirmark::Sampler::create(profile, std::move(subkeys), {.vocab_size = 5000, .max_rows = 1});
  if (!sampler) return std::puts(sampler.error().message.c_str()), 1;
  const std::vector<float> logits(5000, 0.0f);
  heirmark::Sequence sequence = sampler->begin({}, {});
  heirmark::TokenText text;
  for (int i = 0; i < 50; ++i) {
    const heirmark::Row row{&sequence, {}};
    heirmark::Sampled out;
    if (auto done = sampler->sample({logits.data(), heirmark::DType::float32, 1, 5000}, {&row, 1}, {&out, 1}); !done)
      return std::puts(done.error().message.c_str()), 1;
    text.tokens.push_back(out.token);
  }
  const auto pairs = heirmark::collect_pairs(profile, heirmark::Secret32{}, {&text, 1}, heirmark::CountRule::distinct);
  if (!pairs) return std::puts(pairs.error().message.c_str()), 1;
  std::printf("%zu tokens, %zu pairs\n", text.tokens.size(), pairs->pairs.size());
  return pairs->pairs.size() == 50 ? 0 : 1;
}
