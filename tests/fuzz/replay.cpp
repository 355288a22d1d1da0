// Runs a target over files, with any compiler: test_fuzz TARGET FILE|FOLDER..
// Crashes end the process; an input that takes too long or too much memory is named.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>

#include "fuzz.hpp"

namespace {
namespace fs = std::filesystem;
using namespace heirmark;

constexpr double kSeconds = 1;
constexpr long kMegabytes = 256;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
long peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

int run(const fuzz::Target& target, const std::vector<fs::path>& files) {
  int bad = 0;
  long peak = peak_megabytes();
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in) { std::fprintf(stderr, "%s: cannot be read\n", file.c_str()); return 2; }
    std::fprintf(stderr, "%s\n", file.c_str());  // the last one printed is the one that crashed
    // A copy of the exact size: a read past its end is seen.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    fuzz::Input input(exact);
    const double before = cpu_seconds();
    target.run(input);
    const double took = cpu_seconds() - before;
    const long now = peak_megabytes();
    if (took > kSeconds) { std::fprintf(stderr, "%s: took %.1f s\n", file.c_str(), took); bad = 1; }
    if (now - peak > kMegabytes) { std::fprintf(stderr, "%s: took %ld MB\n", file.c_str(), now - peak); bad = 1; }
    peak = std::max(peak, now);
  }
  return bad;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) { std::fprintf(stderr, "test_fuzz TARGET FILE|FOLDER..\n"); return 2; }
  const auto& all = fuzz::targets();
  const auto found = std::find_if(all.begin(), all.end(), [&](const fuzz::Target& target) { return std::string_view(target.name) == argv[1]; });
  if (found == all.end()) { std::fprintf(stderr, "%s: no such target\n", argv[1]); return 2; }
  std::vector<fs::path> files;
  for (int i = 2; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) { files.emplace_back(argv[i]); continue; }
    for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) { std::fprintf(stderr, "%s: an empty corpus tests nothing\n", argv[1]); return 2; }
  return run(*found, files);
}
