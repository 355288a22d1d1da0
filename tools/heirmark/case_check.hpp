// A case is looked at before anything is spent on it.
#pragma once
#include <filesystem>

#include <heirmark/evidence.hpp>

namespace heirmark::cli {

/// An error that names the case and what is wrong with it, as `verify` would say, if anything is. Notes go to standard error.
[[nodiscard]] Result<void> sound(const std::string& what, const Result<VerifyReport>& checked);

/// Packs a case whose verdict is signed into its bag, checks that as `verify` will but for computing the verdict again, and writes the report.
[[nodiscard]] Result<void> pack(const std::filesystem::path& folder);

}  // namespace heirmark::cli
