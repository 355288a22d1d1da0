#include "fuzz.hpp"

#include <unistd.h>

#include <fstream>

namespace heirmark::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

Scratch::Scratch() {
  const std::filesystem::path memory = "/dev/shm";
  const auto home = access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  path_ = home / ("heirmark-fuzz-" + std::to_string(getpid()));
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path Scratch::write(const std::string& name, std::string_view bytes) const {
  const auto path = path_ / name;
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

}  // namespace heirmark::fuzz
