#include "kernels.hpp"

#define EIGEN_DONT_PARALLELIZE  // threads are the callers' business
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

namespace quickstart {
namespace {

using Eigen::Index;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Array = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Column = Eigen::ArrayXf;
using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
using View = Eigen::Map<const Matrix>;
using MutableView = Eigen::Map<Matrix>;
using RowView = Eigen::Map<const Row>;
using Stride = Eigen::OuterStride<>;
using Block = Eigen::Map<Matrix, 0, Stride>;

constexpr float kEpsilon = 1e-5f;
constexpr Index kHeadRows = 128;  // positions whose logits are held at once: vocab x 128 floats stay in the cache

Index as_index(std::size_t n) { return static_cast<Index>(n); }

/// cos and sin of position x frequency, for the rotary encoding (pairs are x[i], x[i + half]).
struct Rotary {
  explicit Rotary(Index head_size) : half(head_size / 2) {}
  void grow(Index positions) {
    const Index have = as_index(cosine.size()) / half;
    for (Index t = have; t < positions; ++t) {
      for (Index i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
        cosine.push_back(static_cast<float>(std::cos(angle)));
        sine.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }
  /// Turns one head's vector at position t; direction -1 turns back, which is also the gradient.
  void turn(float* x, Index t, float direction) const {
    const float* c = cosine.data() + t * half;
    const float* s = sine.data() + t * half;
    for (Index i = 0; i < half; ++i) {
      const float a = x[i], b = x[i + half], si = direction * s[i];
      x[i] = a * c[i] - b * si;
      x[i + half] = a * si + b * c[i];
    }
  }
  Index half;
  std::vector<float> cosine, sine;
};

void rms_norm(const Matrix& x, RowView gain, Matrix& y, Column& inverse) {
  inverse = (x.array().square().rowwise().mean() + kEpsilon).rsqrt();
  y.array() = (x.array().colwise() * inverse).rowwise() * gain;
}

/// Adds the input gradient to dx and the gain's to dgain.
void rms_norm_backward(const Matrix& x, RowView gain, const Column& inverse, const Matrix& dy, Matrix& dx,
                       Eigen::Map<Row> dgain, Array& scratch) {
  scratch = dy.array() * x.array();
  dgain += (scratch.colwise() * inverse).colwise().sum();
  const Column dot = (scratch.rowwise() * gain).rowwise().sum() / static_cast<float>(x.cols());
  dx.array() += (dy.array().rowwise() * gain).colwise() * inverse - x.array().colwise() * (inverse.cube() * dot);
}

// GELU in its tanh form: x/2 (1 + tanh(k (x + c x^3))).
constexpr float kGeluK = 0.7978845608f, kGeluC = 0.044715f;

void gelu(const Matrix& x, Matrix& y) {
  const auto a = x.array();
  y.array() = 0.5f * a * (1.0f + (kGeluK * (a + kGeluC * a.cube())).tanh());
}

void gelu_backward(const Matrix& x, Matrix& dy, Array& scratch) {
  const auto a = x.array();
  scratch = (kGeluK * (a + kGeluC * a.cube())).tanh();
  dy.array() *=
      0.5f * (1.0f + scratch) + 0.5f * a * (1.0f - scratch.square()) * (kGeluK * (1.0f + 3.0f * kGeluC * a.square()));
}

/// Where a model's matrices are in its flat weights.
struct Weights {
  Weights(const ModelConfig& c, const Layout& l, const float* w) : config(c), layout(l), data(w) {}
  View matrix(std::size_t at, std::uint32_t rows, std::uint32_t cols) const { return {data + at, rows, cols}; }
  View embedding() const { return matrix(layout.embedding, config.vocab, config.width); }
  View qkv(std::size_t l) const { return matrix(layout.layers[l].qkv, config.width, 3 * config.width); }
  View out(std::size_t l) const { return matrix(layout.layers[l].out, config.width, config.width); }
  View up(std::size_t l) const { return matrix(layout.layers[l].up, config.width, config.hidden); }
  View down(std::size_t l) const { return matrix(layout.layers[l].down, config.hidden, config.width); }
  RowView gain(std::size_t at) const { return {data + at, as_index(config.width)}; }
  const ModelConfig& config;
  const Layout& layout;
  const float* data;
};

}  // namespace

// ---- whole sequences ---------------------------------------------------------------------------------------------

struct Shard::Impl {
  struct LayerState {
    Matrix input, normed1, qkv, attended, middle, normed2, up, active;
    Column inverse1, inverse2;
    std::vector<Matrix> probability;  ///< rows x heads matrices, length x length, lower triangle
  };

  Impl(const ModelConfig& c, std::size_t r, std::size_t t)
      : config(c),
        layout(c),
        rows(as_index(r)),
        length(as_index(t)),
        width(c.width),
        head_size(c.width / c.heads),
        rotary(head_size),
        layers(c.layers) {
    rotary.grow(length);
    for (LayerState& layer : layers) {
      layer.probability.assign(r * c.heads, Matrix());
      for (Matrix& p : layer.probability) p = Matrix::Zero(length, length);
    }
  }

  Block head(Matrix& qkv, Index row, Index h, Index part) const {
    return {qkv.data() + row * length * 3 * width + part * width + h * head_size, length, head_size, Stride(3 * width)};
  }
  Block head_out(Matrix& attended, Index row, Index h) const {
    return {attended.data() + row * length * width + h * head_size, length, head_size, Stride(width)};
  }

  void rotate_all(Matrix& qkv, float direction) const {
    for (Index i = 0; i < rows * length; ++i) {
      for (Index h = 0; h < 2 * config.heads; ++h) {  // queries and keys lie side by side
        rotary.turn(qkv.data() + i * 3 * width + h * head_size, i % length, direction);
      }
    }
  }

  void attend(LayerState& layer) {
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_size));
    const Index reach = config.context;
    for (Index row = 0; row < rows; ++row) {
      for (Index h = 0; h < config.heads; ++h) {
        Matrix& p = layer.probability[static_cast<std::size_t>(row * config.heads + h)];
        scores.noalias() = head(layer.qkv, row, h, 0) * head(layer.qkv, row, h, 1).transpose();
        for (Index t = 0; t < length; ++t) {
          const Index first = std::max<Index>(0, t + 1 - reach), count = t + 1 - first;
          auto s = scores.row(t).segment(first, count).array();
          auto out = p.row(t).segment(first, count).array();
          out = ((s - s.maxCoeff()) * scale).exp();
          out *= 1.0f / out.sum();
        }
        head_out(layer.attended, row, h).noalias() = p * head(layer.qkv, row, h, 2);
      }
    }
  }

  void attend_backward(LayerState& layer) {
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_size));
    const Index reach = config.context;
    dscores.setZero(length, length);
    for (Index row = 0; row < rows; ++row) {
      for (Index h = 0; h < config.heads; ++h) {
        const Matrix& p = layer.probability[static_cast<std::size_t>(row * config.heads + h)];
        const Block dout = head_out(dattended, row, h);
        scores.noalias() = dout * head(layer.qkv, row, h, 2).transpose();
        for (Index t = 0; t < length; ++t) {
          const Index first = std::max<Index>(0, t + 1 - reach), count = t + 1 - first;
          const auto pr = p.row(t).segment(first, count).array();
          const auto dp = scores.row(t).segment(first, count).array();
          dscores.row(t).segment(first, count).array() = pr * (dp - (pr * dp).sum()) * scale;
        }
        head(dqkv, row, h, 0).noalias() = dscores * head(layer.qkv, row, h, 1);
        head(dqkv, row, h, 1).noalias() = dscores.transpose() * head(layer.qkv, row, h, 0);
        head(dqkv, row, h, 2).noalias() = p.transpose() * dout;
      }
    }
  }

  /// Fills every layer's state and `final_normed`.
  void forward(const Weights& w, std::span<const TokenId> inputs) {
    const Index n = rows * length;
    stream.resize(n, width);
    const View embedding = w.embedding();
    for (Index i = 0; i < n; ++i) stream.row(i) = embedding.row(inputs[static_cast<std::size_t>(i)]);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      LayerState& layer = layers[l];
      layer.input = stream;
      rms_norm(stream, w.gain(layout.layers[l].norm1), layer.normed1, layer.inverse1);
      layer.qkv.noalias() = layer.normed1 * w.qkv(l);
      rotate_all(layer.qkv, 1.0f);
      layer.attended.resize(n, width);
      attend(layer);
      stream.noalias() += layer.attended * w.out(l);
      layer.middle = stream;
      rms_norm(stream, w.gain(layout.layers[l].norm2), layer.normed2, layer.inverse2);
      layer.up.noalias() = layer.normed2 * w.up(l);
      gelu(layer.up, layer.active);
      stream.noalias() += layer.active * w.down(l);
    }
    rms_norm(stream, w.gain(layout.final_norm), final_normed, final_inverse);
  }

  /// Loss over the final states; with a gradient, also fills `dnormed` (of final_normed) and adds to the embedding's.
  double head_loss(const Weights& w, std::span<const TokenId> targets, float scale, float* gradient) {
    const Index n = rows * length;
    const View embedding = w.embedding();
    double total = 0.0;
    if (gradient != nullptr) dnormed.resize(n, width);
    for (Index begin = 0; begin < n; begin += kHeadRows) {
      const Index count = std::min(kHeadRows, n - begin);
      const auto state = final_normed.middleRows(begin, count);
      logits.noalias() = state * embedding.transpose();
      for (Index i = 0; i < count; ++i) {
        auto row = logits.row(i).array();
        const TokenId target = targets[static_cast<std::size_t>(begin + i)];
        if (target == kNoTarget) {
          row.setZero();
          continue;
        }
        const float greatest = row.maxCoeff(), wanted = row(target);
        row = (row - greatest).exp();
        const float sum = row.sum();
        total += std::log(static_cast<double>(sum)) - static_cast<double>(wanted - greatest);
        row *= scale / sum;
        row(target) -= scale;
      }
      if (gradient == nullptr) continue;
      dnormed.middleRows(begin, count).noalias() = logits * embedding;
      MutableView(gradient + layout.embedding, config.vocab, config.width).noalias() += logits.transpose() * state;
    }
    return total;
  }

  void backward(const Weights& w, std::span<const TokenId> inputs, float* gradient) {
    const auto grad = [&](std::size_t at, Index r, Index c) { return MutableView(gradient + at, r, c); };
    const auto grad_gain = [&](std::size_t at) { return Eigen::Map<Row>(gradient + at, width); };
    const Index hidden = config.hidden;
    dstream.setZero(rows * length, width);
    dattended.resize(rows * length, width);
    dqkv.resize(rows * length, 3 * width);
    rms_norm_backward(stream, w.gain(layout.final_norm), final_inverse, dnormed, dstream, grad_gain(layout.final_norm),
                      scratch);
    for (std::size_t l = layers.size(); l-- > 0;) {
      LayerState& layer = layers[l];
      const Layout::Layer& at = layout.layers[l];
      grad(at.down, hidden, width).noalias() += layer.active.transpose() * dstream;
      dup.noalias() = dstream * w.down(l).transpose();
      gelu_backward(layer.up, dup, scratch);
      grad(at.up, width, hidden).noalias() += layer.normed2.transpose() * dup;
      dnormed.noalias() = dup * w.up(l).transpose();
      rms_norm_backward(layer.middle, w.gain(at.norm2), layer.inverse2, dnormed, dstream, grad_gain(at.norm2), scratch);
      grad(at.out, width, width).noalias() += layer.attended.transpose() * dstream;
      dattended.noalias() = dstream * w.out(l).transpose();
      attend_backward(layer);
      rotate_all(dqkv, -1.0f);
      grad(at.qkv, width, 3 * width).noalias() += layer.normed1.transpose() * dqkv;
      dnormed.noalias() = dqkv * w.qkv(l).transpose();
      rms_norm_backward(layer.input, w.gain(at.norm1), layer.inverse1, dnormed, dstream, grad_gain(at.norm1), scratch);
    }
    for (Index i = 0; i < rows * length; ++i) {
      grad(layout.embedding, config.vocab, width).row(inputs[static_cast<std::size_t>(i)]) += dstream.row(i);
    }
  }

  ModelConfig config;
  Layout layout;
  Index rows, length, width, head_size;
  Rotary rotary;
  std::vector<LayerState> layers;
  Matrix stream, final_normed, logits, scores;
  Column final_inverse;
  Matrix dstream, dnormed, dattended, dqkv, dup, dscores;
  Array scratch;
};

Shard::Shard(const ModelConfig& config, std::size_t rows, std::size_t length)
    : impl_(std::make_unique<Impl>(config, rows, length)) {}
Shard::~Shard() = default;
Shard::Shard(Shard&&) noexcept = default;

double Shard::loss(const float* weights, std::span<const TokenId> inputs, std::span<const TokenId> targets, float scale,
                   float* gradient) {
  const Weights w(impl_->config, impl_->layout, weights);
  impl_->forward(w, inputs);
  const double total = impl_->head_loss(w, targets, scale, gradient);
  if (gradient != nullptr) impl_->backward(w, inputs, gradient);
  return total;
}

void Shard::logits(const float* weights, std::span<const TokenId> inputs, std::size_t first, float* out) {
  const Weights w(impl_->config, impl_->layout, weights);
  impl_->forward(w, inputs);
  const Index count = impl_->length - as_index(first);
  MutableView(out, count, impl_->config.vocab).noalias() =
      impl_->final_normed.bottomRows(count) * w.embedding().transpose();
}

// ---- one token at a time -----------------------------------------------------------------------------------------

struct StepShard::Impl {
  Impl(const ModelConfig& c, std::size_t r)
      : config(c),
        layout(c),
        rows(as_index(r)),
        width(c.width),
        head_size(c.width / c.heads),
        rotary(head_size),
        cache(c.layers) {
    for (Cache& layer : cache) {
      layer.keys = Matrix::Zero(rows * config.context, width);
      layer.values = Matrix::Zero(rows * config.context, width);
    }
  }

  /// Attention of the newest position over the ring of cached ones. The order in the ring does not matter to a sum.
  void attend(std::size_t l) {
    Cache& layer = cache[l];
    const Index slot = position % config.context, count = std::min<Index>(position + 1, config.context);
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_size));
    attended.resize(rows, width);
    for (Index row = 0; row < rows; ++row) {
      float* at = qkv.data() + row * 3 * width;
      for (Index h = 0; h < 2 * config.heads; ++h) rotary.turn(at + h * head_size, position, 1.0f);
      const Index base = row * config.context;
      layer.keys.row(base + slot) = Eigen::Map<const Eigen::RowVectorXf>(at + width, width);
      layer.values.row(base + slot) = Eigen::Map<const Eigen::RowVectorXf>(at + 2 * width, width);
      for (Index h = 0; h < config.heads; ++h) {
        const Eigen::Map<const Eigen::VectorXf> query(at + h * head_size, head_size);
        scores.noalias() = layer.keys.block(base, h * head_size, count, head_size) * query;
        scores.array() = ((scores.array() - scores.maxCoeff()) * scale).exp();
        scores *= 1.0f / scores.sum();
        attended.row(row).segment(h * head_size, head_size).noalias() =
            scores.transpose() * layer.values.block(base, h * head_size, count, head_size);
      }
    }
  }

  void step(const Weights& w, std::span<const TokenId> tokens, float* logits) {
    rotary.grow(position + 1);
    stream.resize(rows, width);
    const View embedding = w.embedding();
    for (Index i = 0; i < rows; ++i) stream.row(i) = embedding.row(tokens[static_cast<std::size_t>(i)]);
    for (std::size_t l = 0; l < cache.size(); ++l) {
      rms_norm(stream, w.gain(layout.layers[l].norm1), normed, inverse);
      qkv.noalias() = normed * w.qkv(l);
      attend(l);
      stream.noalias() += attended * w.out(l);
      rms_norm(stream, w.gain(layout.layers[l].norm2), normed, inverse);
      up.noalias() = normed * w.up(l);
      gelu(up, active);
      stream.noalias() += active * w.down(l);
    }
    rms_norm(stream, w.gain(layout.final_norm), normed, inverse);
    MutableView(logits, rows, config.vocab).noalias() = normed * embedding.transpose();
    ++position;
  }

  struct Cache {
    Matrix keys, values;  ///< (row x context) x width, a ring along the context; keys already turned
  };
  ModelConfig config;
  Layout layout;
  Index rows, width, head_size;
  Rotary rotary;
  std::vector<Cache> cache;
  Index position = 0;
  Matrix stream, normed, qkv, attended, up, active;
  Eigen::VectorXf scores;
  Column inverse;
};

StepShard::StepShard(const ModelConfig& config, std::size_t rows) : impl_(std::make_unique<Impl>(config, rows)) {}
StepShard::~StepShard() = default;
StepShard::StepShard(StepShard&&) noexcept = default;

void StepShard::step(const float* weights, std::span<const TokenId> tokens, float* logits) {
  impl_->step(Weights(impl_->config, impl_->layout, weights), tokens, logits);
}

// ---- the optimizer -----------------------------------------------------------------------------------------------

void adam_update(const AdamStep& step, std::span<float> weights, std::span<const float> gradient,
                 std::span<float> first, std::span<float> second) {
  using Vector = Eigen::Map<Column>;
  const Index n = as_index(weights.size());
  Vector w(weights.data(), n), m(first.data(), n), v(second.data(), n);
  const Eigen::Map<const Column> g(gradient.data(), n);
  m = step.beta1 * m + (1.0f - step.beta1) * step.gradient_scale * g;
  v = step.beta2 * v + (1.0f - step.beta2) * (step.gradient_scale * g).square();
  w -= step.rate * (m / step.correction1 / ((v / step.correction2).sqrt() + 1e-8f) + step.decay * w);
}

void add_to(std::span<float> sum, std::span<const float> part) {
  Eigen::Map<Column>(sum.data(), as_index(sum.size())) += Eigen::Map<const Column>(part.data(), as_index(part.size()));
}

double square_sum(std::span<const float> values) {
  double total = 0.0;  // in pieces, so that float sums stay accurate
  for (std::size_t at = 0; at < values.size(); at += 4096) {
    const std::size_t n = std::min<std::size_t>(4096, values.size() - at);
    total += static_cast<double>(Eigen::Map<const Column>(values.data() + at, as_index(n)).square().sum());
  }
  return total;
}

}  // namespace quickstart
