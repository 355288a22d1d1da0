// Files: read with a bound, write so that a reader sees the old bytes or the new ones and never a part.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

namespace heirmark::files {

/// The whole file, at most max_size bytes. A missing or unreadable file is `io`... and one that is too large `bad_input`.
[[nodiscard]] Result<std::string> read(const std::filesystem::path& path, std::uint64_t max_size = std::uint64_t{1} << 33);

/// Writes to a temporary name beside `path`, fsyncs, renames, fsyncs the folder. On failure the old file is as it was.
[[nodiscard]] Result<void> write_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);
/// The same, but fails with `usage` when the file exists: two makers cannot both win.
[[nodiscard]] Result<void> write_new(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);
/// Appends in one write and fsyncs.
[[nodiscard]] Result<void> append(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);

}  // namespace heirmark::files
