// Whole files in and out, with errors that name the file.
#pragma once
#include <filesystem>
#include <fstream>
#include <heirmark/result.hpp>
#include <sstream>
#include <string>
#include <string_view>

namespace quickstart {

inline heirmark::Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) return heirmark::Error{heirmark::ErrorCode::io, file.string() + ": cannot read"};
  return std::move(text).str();
}

/// Writes to FILE.part, then renames: a reader never sees half a file.
inline heirmark::Result<void> write_file(const std::filesystem::path& file, std::string_view bytes) {
  std::filesystem::path part = file;
  part += ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(part, file, failed);
  if (!out || failed) return heirmark::Error{heirmark::ErrorCode::io, file.string() + ": cannot write"};
  return {};
}

}  // namespace quickstart
