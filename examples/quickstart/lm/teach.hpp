// The teacher at work: responses sampled by heirmark, and the ledger that the provider keeps of them.
#pragma once
#include <filesystem>
#include <heirmark/keys.hpp>
#include <string>
#include <vector>

#include "model.hpp"

namespace quickstart {

struct TeachRequest {
  heirmark::Profile profile;
  heirmark::Subkeys subkeys;                  ///< one issuance subkey for each account, in the order of `accounts`
  std::vector<std::string> accounts;          ///< take turns
  std::vector<std::vector<TokenId>> prompts;  ///< one for each response, all of one length
  std::uint32_t tokens = 112;                 ///< of each response
  std::uint32_t top_k = 16;                   ///< the sampler keeps so many tokens, and the ledger lists all of them
  unsigned threads = 2;
};

struct TeachSummary {
  std::size_t marked = 0, issued = 0;  ///< positions with the window mark, and with issuance randomness
  double entropy = 0.0;                ///< of the sampled distributions, nats per token
};

/// Samples all responses in one batch, at temperature 1, and writes the ledger (specs/formats.md).
[[nodiscard]] Result<TeachSummary> teach(const Model& model, TeachRequest request, const std::filesystem::path& ledger);

}  // namespace quickstart
