#include "demo_model.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "files.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
/// The finaliser of splitmix64.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

float from_half(std::uint16_t bits) {
  const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
  const int exponent = (bits >> 10) & 31;
  const float fraction = static_cast<float>(bits & 1023u);
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024.0f + fraction, exponent - 25);
}
}  // namespace

DemoModel::DemoModel(std::uint32_t vocab) : vocab_(vocab), by_rank_(vocab) {
  for (std::uint32_t rank = 0; rank < vocab; ++rank) by_rank_[rank] = static_cast<float>(-1.5 * std::log1p(rank));
}

void DemoModel::logits(std::span<const TokenId> tokens, std::span<float> row) const {
  const std::uint64_t a = tokens.size() > 1 ? tokens[tokens.size() - 2] : kNoToken;
  const std::uint64_t b = tokens.empty() ? kNoToken : tokens.back();
  std::uint64_t rank = mixed((a << 32 | b) + 0x9e3779b97f4a7c15ull) % vocab_;
  const std::uint64_t step = 1048583 % vocab_;  // a prime above every vocabulary: each rank occurs once
  for (float& logit : row) {
    logit = by_rank_[rank];
    rank += step;
    if (rank >= vocab_) rank -= vocab_;
  }
}

Result<LogitsReader> LogitsReader::open(const std::string& path, std::uint32_t vocab, DType dtype) {
  LogitsReader reader;
  reader.name_ = input_name(path);
  reader.descriptor_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (reader.descriptor_ < 0) return file_error(reader.name_, errno, Access::read);
  reader.row_.resize(std::size_t{vocab} * (dtype == DType::float32 ? 4 : 2));
  return reader;
}

LogitsReader::LogitsReader(LogitsReader&& other) noexcept
    : name_(std::move(other.name_)), descriptor_(other.descriptor_), rows_(other.rows_), row_(std::move(other.row_)) {
  other.descriptor_ = -1;
}

LogitsReader::~LogitsReader() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

Result<bool> LogitsReader::next() {
  std::size_t got = 0;
  while (got < row_.size()) {
    const ssize_t n = ::read(descriptor_, row_.data() + got, row_.size() - got);
    if (n > 0) got += static_cast<std::size_t>(n);
    else if (n == 0) break;
    else if (errno != EINTR || interrupted()) return file_error(name_, errno, Access::read);
  }
  if (got == 0) return false;
  ++rows_;
  if (got < row_.size()) {
    return Error{ErrorCode::bad_input, name_ + ":" + std::to_string(rows_) + ": the row of logits is cut short (" + std::to_string(got) + " of " +
                                           std::to_string(row_.size()) + " bytes)"};
  }
  return true;
}

std::vector<float> decoded(const void* row, DType dtype, std::uint32_t vocab) {
  std::vector<float> out(vocab);
  if (dtype == DType::float32) {
    std::memcpy(out.data(), row, std::size_t{vocab} * 4);
    return out;
  }
  std::vector<std::uint16_t> bits(vocab);
  std::memcpy(bits.data(), row, std::size_t{vocab} * 2);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    out[i] = dtype == DType::float16 ? from_half(bits[i]) : std::bit_cast<float>(static_cast<std::uint32_t>(bits[i]) << 16);
  }
  return out;
}

std::vector<IssuedToken> logged_distribution(std::span<const float> row, const SamplingParams& params, std::size_t top) {
  // The same order of operations as the sampler's (specs/marks.md).
  struct Candidate { TokenId token; float logit; double mass; };
  float highest = -std::numeric_limits<float>::infinity();
  for (const float logit : row) highest = std::max(highest, std::isnan(logit) ? highest : logit);
  std::vector<Candidate> kept;
  for (std::size_t v = 0; v < row.size(); ++v) {
    if (!std::isfinite(row[v])) continue;
    const double e = std::exp((static_cast<double>(row[v]) - static_cast<double>(highest)) / static_cast<double>(params.temperature));
    if (params.min_p > 0 && e < static_cast<double>(params.min_p)) continue;
    kept.push_back({static_cast<TokenId>(v), row[v], e});
  }
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); });
  if (params.top_k > 0 && kept.size() > params.top_k) kept.resize(params.top_k);
  double total = 0;
  for (const Candidate& candidate : kept) total += candidate.mass;
  if (params.top_p < 1) {
    double before = 0;
    std::size_t count = 0;
    while (count < kept.size() && (count == 0 || before < static_cast<double>(params.top_p) * total)) before += kept[count++].mass;
    kept.resize(count);
    total = before;
  }
  std::vector<IssuedToken> out;
  for (const Candidate& candidate : kept) {
    if (out.size() == top) break;
    const double scaled = std::floor(candidate.mass / total * 0x1p32);
    if (scaled < 1) break;
    out.push_back({candidate.token, static_cast<std::uint32_t>(std::min(scaled, 4294967295.0))});
  }
  std::sort(out.begin(), out.end(), [](const IssuedToken& a, const IssuedToken& b) { return a.p > b.p || (a.p == b.p && a.token < b.token); });
  return out;
}

}  // namespace heirmark::cli
