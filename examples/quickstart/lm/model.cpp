#include "model.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <thread>

#include "kernels.hpp"
#include "rng.hpp"

namespace quickstart {
namespace {

/// A batch is always cut into this many shards, so that results do not depend on the thread count.
constexpr std::size_t kShards = 4;

heirmark::Error usage(std::string message) { return {ErrorCode::usage, std::move(message)}; }

/// Runs job(0) .. job(jobs-1) on up to `threads` threads; job i always goes to the same thread.
template <class Job>
void run_jobs(std::size_t jobs, unsigned threads, const Job& job) {
  const std::size_t workers = std::clamp<std::size_t>(threads, 1, jobs);
  const auto work = [&](std::size_t worker) {
    for (std::size_t i = worker; i < jobs; i += workers) job(i);
  };
  std::vector<std::jthread> others;
  for (std::size_t worker = 1; worker < workers; ++worker) others.emplace_back(work, worker);
  work(0);
}

/// Deals out batch rows: sources in proportion to their shares, windows of a stream at random offsets, documents in
/// shuffled rounds.
class Dealer {
 public:
  Dealer(const TrainingPlan& plan, std::size_t context)
      : sources_(plan.sources), context_(context), rng_(plan.seed, 1) {
    double total = 0.0;
    for (const Source& source : sources_) total += source.share;
    for (const Source& source : sources_) {
      share_.push_back(source.share / total);
      order_.emplace_back(source.documents.size());
      std::iota(order_.back().begin(), order_.back().end(), std::size_t{0});
    }
    owed_.assign(sources_.size(), 0.0);
    next_.assign(sources_.size(), 0);
  }

  /// One row: inputs and targets of `context` positions.
  void deal(std::span<TokenId> inputs, std::span<TokenId> targets) {
    for (std::size_t s = 0; s < share_.size(); ++s) owed_[s] += share_[s];
    const auto s = static_cast<std::size_t>(std::max_element(owed_.begin(), owed_.end()) - owed_.begin());
    owed_[s] -= 1.0;
    std::span<const TokenId> text;
    if (sources_[s].documents.empty()) {
      const std::vector<TokenId>& stream = sources_[s].stream;
      text = std::span(stream).subspan(rng_.below(stream.size() - context_), context_ + 1);
    } else {
      if (next_[s] == 0) shuffle(order_[s]);
      text = sources_[s].documents[order_[s][next_[s]]];
      next_[s] = (next_[s] + 1) % order_[s].size();
    }
    for (std::size_t t = 0; t < context_; ++t) {
      inputs[t] = t < text.size() ? text[t] : 0;
      targets[t] = t + 1 < text.size() ? text[t + 1] : kNoTarget;
    }
  }

 private:
  void shuffle(std::vector<std::size_t>& order) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng_.below(i)]);
  }
  const std::vector<Source>& sources_;
  std::size_t context_;
  Rng rng_;
  std::vector<double> share_, owed_;
  std::vector<std::vector<std::size_t>> order_;
  std::vector<std::size_t> next_;
};

Result<void> check_text(std::span<const TokenId> text, std::uint32_t vocab, const char* what) {
  for (const TokenId token : text) {
    if (token >= vocab) {
      return heirmark::Error{ErrorCode::bad_input,
                             std::string(what) + ": token " + std::to_string(token) + " is outside the vocabulary"};
    }
  }
  return {};
}

Result<void> check_plan(const TrainingPlan& plan, const ModelConfig& config) {
  if (plan.steps < 1 || plan.batch < 1 || plan.warmup < 0 || plan.report_every < 1)
    return usage("training: steps and batch must be positive");
  if (!(plan.peak_rate > 0.0 && plan.peak_rate < 1.0) || !(plan.weight_decay >= 0.0 && plan.weight_decay < 10.0)) {
    return usage("training: learning rate or weight decay out of range");
  }
  if (plan.sources.empty()) return usage("training: no text");
  for (const Source& source : plan.sources) {
    if (!(source.share > 0.0) || !std::isfinite(source.share))
      return usage("training: a source's share must be positive");
    if (source.documents.empty() && source.stream.size() < config.context + 2)
      return usage("training: a stream is shorter than the context");
    if (auto ok = check_text(source.stream, config.vocab, "training stream"); !ok) return ok;
    for (const auto& document : source.documents) {
      if (document.size() < 2) return usage("training: a document has less than two tokens");
      if (auto ok = check_text(document, config.vocab, "training document"); !ok) return ok;
    }
  }
  return {};
}

double learning_rate(const TrainingPlan& plan, int step) {
  if (step < plan.warmup) return plan.peak_rate * (step + 1) / plan.warmup;
  const double done = static_cast<double>(step - plan.warmup) / std::max(1, plan.steps - plan.warmup);
  return plan.peak_rate * (0.1 + 0.45 * (1.0 + std::cos(std::numbers::pi * done)));
}

}  // namespace

Result<void> ModelConfig::check() const {
  const auto inside = [](std::uint32_t x, std::uint32_t low, std::uint32_t high) { return x >= low && x <= high; };
  if (!inside(vocab, 2, 65536) || !inside(width, 2, 1024) || !inside(layers, 1, 16) || !inside(heads, 1, 32) ||
      !inside(hidden, 1, 8192) || !inside(context, 2, 1024)) {
    return heirmark::Error{ErrorCode::bad_input, "model: a size is out of range"};
  }
  if (width % heads != 0 || width / heads % 2 != 0) {
    return heirmark::Error{ErrorCode::bad_input, "model: width must be an even multiple of heads"};
  }
  return {};
}

Layout::Layout(const ModelConfig& config) {
  const std::size_t width = config.width, hidden = config.hidden;
  const auto take = [this](std::size_t count) { return std::exchange(total, total + count); };
  embedding = take(config.vocab * width);
  for (std::uint32_t l = 0; l < config.layers; ++l) {
    Layer& layer = layers.emplace_back();
    layer.norm1 = take(width);
    layer.qkv = take(width * 3 * width);
    layer.out = take(width * width);
    layer.norm2 = take(width);
    layer.up = take(width * hidden);
    layer.down = take(hidden * width);
  }
  final_norm = take(width);
}

Result<Model> Model::init(const ModelConfig& config, std::uint64_t seed) {
  if (auto ok = config.check(); !ok) return std::move(ok).error();
  Model model(config, {});
  model.weights_.resize(model.layout_.total);
  Rng rng(seed);
  const auto fill = [&](std::size_t at, std::size_t count, double deviation) {
    for (std::size_t i = at; i < at + count; ++i) model.weights_[i] = static_cast<float>(deviation * rng.normal());
  };
  const auto ones = [&](std::size_t at) {
    std::fill_n(model.weights_.begin() + static_cast<std::ptrdiff_t>(at), config.width, 1.0f);
  };
  const std::size_t width = config.width, hidden = config.hidden;
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  const double residual = 1.0 / std::sqrt(2.0 * config.layers);  // each layer adds twice to the stream
  fill(model.layout_.embedding, config.vocab * width, 0.5 * scale);
  for (const Layout::Layer& layer : model.layout_.layers) {
    ones(layer.norm1);
    fill(layer.qkv, width * 3 * width, scale);
    fill(layer.out, width * width, scale * residual * 0.5);
    ones(layer.norm2);
    fill(layer.up, width * hidden, scale);
    fill(layer.down, hidden * width, residual * 0.5 / std::sqrt(static_cast<double>(hidden)));
  }
  ones(model.layout_.final_norm);
  return model;
}

Result<void> Model::train(const TrainingPlan& plan) {
  if (auto ok = check_plan(plan, config_); !ok) return ok;
  const std::size_t context = config_.context, rows = static_cast<std::size_t>(plan.batch);
  const std::size_t shards = std::min(kShards, rows);
  std::vector<Shard> workers;
  std::vector<std::size_t> first_row{0};
  for (std::size_t s = 0; s < shards; ++s) {
    const std::size_t end = rows * (s + 1) / shards;
    workers.emplace_back(config_, end - first_row.back(), context);
    first_row.push_back(end);
  }
  Floats weights = weights_, first(weights.size()), second(weights.size());
  std::vector<Floats> gradient(shards, Floats(weights.size()));
  std::vector<TokenId> inputs(rows * context), targets(rows * context);
  std::vector<double> loss(shards);
  Dealer dealer(plan, context);

  double seen_loss = 0.0, seen_targets = 0.0;
  auto since = std::chrono::steady_clock::now();
  for (int step = 0; step < plan.steps; ++step) {
    for (std::size_t r = 0; r < rows; ++r) {
      dealer.deal(std::span(inputs).subspan(r * context, context), std::span(targets).subspan(r * context, context));
    }
    const auto wanted =
        static_cast<double>(std::count_if(targets.begin(), targets.end(), [](TokenId t) { return t != kNoTarget; }));
    run_jobs(shards, plan.threads, [&](std::size_t s) {
      std::fill(gradient[s].begin(), gradient[s].end(), 0.0f);
      const std::size_t at = first_row[s] * context, count = (first_row[s + 1] - first_row[s]) * context;
      loss[s] =
          workers[s].loss(weights.data(), std::span(inputs).subspan(at, count), std::span(targets).subspan(at, count),
                          static_cast<float>(1.0 / wanted), gradient[s].data());
    });

    // Sum the shards and take the norm in fixed pieces, then update the same pieces.
    std::vector<double> squares(kShards);
    const auto cut = [&](std::size_t p) {
      return p == kShards ? weights.size() : weights.size() * p / kShards / kAlignedFloats * kAlignedFloats;
    };
    const auto piece = [&](Floats& all, std::size_t p) { return std::span(all).subspan(cut(p), cut(p + 1) - cut(p)); };
    run_jobs(kShards, plan.threads, [&](std::size_t p) {
      for (std::size_t s = 1; s < shards; ++s) add_to(piece(gradient[0], p), piece(gradient[s], p));
      squares[p] = square_sum(piece(gradient[0], p));
    });
    const double norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
    if (!std::isfinite(norm)) return usage("training: the loss diverged; lower the learning rate");
    const double rate = learning_rate(plan, step);
    const AdamStep update{.rate = static_cast<float>(rate),
                          .beta1 = 0.9f,
                          .beta2 = 0.98f,
                          .correction1 = static_cast<float>(1.0 - std::pow(0.9, step + 1)),
                          .correction2 = static_cast<float>(1.0 - std::pow(0.98, step + 1)),
                          .decay = static_cast<float>(plan.weight_decay),
                          .gradient_scale = static_cast<float>(std::min(1.0, 1.0 / std::max(norm, 1e-12)))};
    run_jobs(kShards, plan.threads, [&](std::size_t p) {
      adam_update(update, piece(weights, p), piece(gradient[0], p), piece(first, p), piece(second, p));
    });

    seen_loss += std::accumulate(loss.begin(), loss.end(), 0.0);
    seen_targets += wanted;
    if (plan.on_progress && ((step + 1) % plan.report_every == 0 || step + 1 == plan.steps)) {
      const auto now = std::chrono::steady_clock::now();
      plan.on_progress({step + 1, plan.steps, seen_loss / seen_targets,
                        seen_targets / std::chrono::duration<double>(now - since).count()});
      seen_loss = seen_targets = 0.0;
      since = now;
    }
  }
  weights_ = std::move(weights);
  return {};
}

double Model::loss(std::span<const TokenId> stream, unsigned threads) const {
  const std::size_t context = config_.context;
  const std::size_t windows = stream.size() < 2 ? 0 : (stream.size() - 1 + context - 1) / context;
  if (windows == 0) return 0.0;
  const std::size_t jobs = std::min(kShards, windows);
  std::vector<double> total(jobs);
  run_jobs(jobs, threads, [&](std::size_t job) {
    Shard shard(config_, 1, context);
    std::vector<TokenId> inputs(context), targets(context);
    for (std::size_t w = windows * job / jobs; w < windows * (job + 1) / jobs; ++w) {
      for (std::size_t t = 0; t < context; ++t) {
        const std::size_t at = w * context + t;
        inputs[t] = at < stream.size() ? stream[at] : 0;
        targets[t] = at + 1 < stream.size() ? stream[at + 1] : kNoTarget;
      }
      total[job] += shard.loss(weights_.data(), inputs, targets, 0.0f, nullptr);
    }
  });
  return std::accumulate(total.begin(), total.end(), 0.0) / static_cast<double>(stream.size() - 1);
}

Floats Model::logits(std::span<const TokenId> tokens, std::size_t from) const {
  Floats out((tokens.size() - from + 1) * config_.vocab);
  Shard(config_, 1, tokens.size()).logits(weights_.data(), tokens, from - 1, out.data());
  return out;
}

}  // namespace quickstart
