#include "decoder.hpp"

#include <algorithm>
#include <thread>

#include "kernels.hpp"
#include "rng.hpp"

namespace quickstart {

Decoder::Decoder(const Model& model, std::size_t sequences, unsigned threads)
    : model_(model), first_row_{0}, logits_(sequences * model.config().vocab) {
  const std::size_t count = std::clamp<std::size_t>(threads, 1, sequences);
  for (std::size_t s = 0; s < count; ++s) {
    const std::size_t end = sequences * (s + 1) / count;
    shards_.emplace_back(model.config(), end - first_row_.back());
    first_row_.push_back(end);
  }
}

Decoder::~Decoder() = default;

std::span<const float> Decoder::step(std::span<const TokenId> tokens) {
  const auto work = [&](std::size_t s) {
    const std::size_t at = first_row_[s];
    shards_[s].step(model_.weights().data(), tokens.subspan(at, first_row_[s + 1] - at),
                    logits_.data() + at * model_.config().vocab);
  };
  std::vector<std::jthread> others;
  for (std::size_t s = 1; s < shards_.size(); ++s) others.emplace_back(work, s);
  work(0);
  others.clear();  // joins
  return logits_;
}

std::vector<std::vector<TokenId>> generate(const Model& model, std::span<const GenerateRequest> requests,
                                           unsigned threads) {
  std::vector<std::vector<TokenId>> out(requests.size());
  if (requests.empty()) return out;
  Decoder decoder(model, requests.size(), threads);
  std::vector<Rng> rng;
  std::vector<TokenId> next;
  std::size_t steps = 0;
  for (const GenerateRequest& request : requests) {
    rng.emplace_back(request.seed);
    next.push_back(request.prompt.front());
    if (request.count > 0) steps = std::max(steps, request.prompt.size() + request.count - 1);
  }
  for (std::size_t t = 0; t < steps; ++t) {
    (void)decoder.step(next);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const GenerateRequest& request = requests[i];
      if (t + 1 < request.prompt.size()) {
        next[i] = request.prompt[t + 1];
      } else if (out[i].size() < request.count) {
        next[i] = Categorical(decoder.row(i), request.temperature).draw(rng[i]);
        out[i].push_back(next[i]);
      }
    }
  }
  return out;
}

}  // namespace quickstart
