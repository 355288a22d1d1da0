#include "teach.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <heirmark/audit.hpp>
#include <heirmark/sampler.hpp>
#include <numeric>

#include "decoder.hpp"
#include "files.hpp"

namespace quickstart {
namespace {

std::string now() {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

/// The distribution that the sampler draws from, as the ledger writes it: p = floor(2^32 probability) of the top_k
/// tokens, p descending, then id ascending.
std::vector<heirmark::IssuedToken> logged_distribution(std::span<const float> logits, std::uint32_t top_k,
                                                       double& entropy) {
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), TokenId{0});
  const std::size_t count = std::min<std::size_t>(top_k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  const double greatest = static_cast<double>(logits[order[0]]);
  double total = 0.0;
  for (std::size_t i = 0; i < count; ++i) total += std::exp(static_cast<double>(logits[order[i]]) - greatest);
  std::vector<heirmark::IssuedToken> listed;
  for (std::size_t i = 0; i < count; ++i) {
    const double probability = std::exp(static_cast<double>(logits[order[i]]) - greatest) / total;
    if (probability > 0.0) entropy -= probability * std::log(probability);
    const auto p = static_cast<std::uint64_t>(probability * 0x1p32);
    if (p > 0) listed.push_back({order[i], static_cast<std::uint32_t>(std::min<std::uint64_t>(p, 0xFFFFFFFFu))});
  }
  std::stable_sort(listed.begin(), listed.end(), [](const heirmark::IssuedToken& a, const heirmark::IssuedToken& b) {
    return a.p != b.p ? a.p > b.p : a.token < b.token;  // rounding can make two probabilities equal
  });
  return listed;
}

}  // namespace

Result<TeachSummary> teach(const Model& model, TeachRequest request, const std::filesystem::path& ledger) {
  const std::size_t count = request.prompts.size();
  if (count == 0 || request.accounts.empty() || request.top_k == 0) {
    return heirmark::Error{ErrorCode::usage, "teach: no prompts, no accounts, or top_k is 0"};
  }
  const std::size_t prompt_length = request.prompts[0].size();
  const std::uint32_t vocab = model.config().vocab;
  auto sampler = heirmark::Sampler::create(request.profile, std::move(request.subkeys),
                                           {.vocab_size = vocab, .max_rows = count, .threads = request.threads});
  if (!sampler) return std::move(sampler).error();

  std::vector<heirmark::IssuedResponse> responses(count);
  std::vector<heirmark::Sequence> sequences;
  for (std::size_t i = 0; i < count; ++i) {
    if (request.prompts[i].size() != prompt_length || prompt_length == 0) {
      return heirmark::Error{ErrorCode::usage, "teach: prompts must have one length"};
    }
    heirmark::IssuedResponse& response = responses[i];
    // Ids must never repeat under a key; 96 random bits do not.
    if (RAND_bytes(response.request_id.bytes.data(), static_cast<int>(response.request_id.bytes.size())) != 1) {
      return heirmark::Error{ErrorCode::io, "teach: no random bytes"};
    }
    response.account = request.accounts[i % request.accounts.size()];
    response.prompt = request.prompts[i];
    sequences.push_back(
        sampler->begin(response.request_id, response.prompt, static_cast<std::uint32_t>(i % request.accounts.size())));
  }
  std::vector<heirmark::Row> rows;
  for (heirmark::Sequence& sequence : sequences)
    rows.push_back({&sequence, {.temperature = 1.0f, .top_k = request.top_k}});

  TeachSummary summary;
  std::vector<heirmark::Sampled> sampled(count);
  std::vector<TokenId> next(count);
  Decoder decoder(model, count, request.threads);
  for (std::size_t t = 0; t < prompt_length; ++t) {
    for (std::size_t i = 0; i < count; ++i) next[i] = request.prompts[i][t];
    (void)decoder.step(next);
  }
  for (std::uint32_t t = 0; t < request.tokens; ++t) {
    const heirmark::Logits logits{
        .data = decoder.row(0).data(), .dtype = heirmark::DType::float32, .rows = count, .row_stride = vocab};
    if (auto ok = sampler->sample(logits, rows, sampled); !ok) return std::move(ok).error();
    for (std::size_t i = 0; i < count; ++i) {
      if (sampled[i].status == heirmark::RowStatus::marked) {
        ++summary.marked;
      } else if (sampled[i].status == heirmark::RowStatus::issued) {
        ++summary.issued;
      } else {
        return heirmark::Error{ErrorCode::bad_input, "teach: a row was not marked"};
      }
      responses[i].tokens.push_back(sampled[i].token);
      responses[i].phat.push_back(logged_distribution(decoder.row(i), request.top_k, summary.entropy));
      next[i] = sampled[i].token;
    }
    if (t + 1 < request.tokens) (void)decoder.step(next);
  }
  summary.entropy /= static_cast<double>(count) * std::max(1u, request.tokens);

  std::string lines;
  const std::string time = now();
  for (std::size_t i = 0; i < count; ++i) {
    auto line = heirmark::ledger_line(responses[i], i, time);
    if (!line) return std::move(line).error();
    lines += *line;
  }
  if (auto ok = write_file(ledger, lines); !ok) return std::move(ok).error();
  return summary;
}

}  // namespace quickstart
