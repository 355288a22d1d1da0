// The entry that libFuzzer calls. The environment variable FUZZ_TARGET names the target: libFuzzer's own sub-processes inherit it.
#include <algorithm>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const heirmark::fuzz::Run run = [] {
    const char* name = std::getenv("FUZZ_TARGET");
    const auto& all = heirmark::fuzz::targets();
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& target) { return name != nullptr && std::string_view(target.name) == name; });
    heirmark::fuzz::require(found != all.end(), "FUZZ_TARGET names a target", name == nullptr ? "" : name);
    return found->run;
  }();
  heirmark::fuzz::Input input({data, size});
  run(input);
  return 0;
}
