// What --explain prints: the formula, the counts and the null behind a p-value (specs/statistics.md).
#pragma once
#include <cstdint>
#include <string>

#include <heirmark/audit.hpp>
#include <heirmark/profile.hpp>

namespace heirmark::cli {

/// The null of C1 over n pairs and the formula of p_prf; `weights` says where weights come from, empty when all are 1.
[[nodiscard]] std::string null_words(const Profile& profile, const std::string& weights, std::uint64_t n);

/// How the verdict's numbers came about, channel by channel, then the headline.
void print_explanation(const Verdict& verdict, const Plan& plan);

}  // namespace heirmark::cli
