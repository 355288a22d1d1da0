// The entry that libFuzzer calls. A program has one target linked in.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  heirmark::fuzz::Input input({data, size});
  heirmark::fuzz::targets().at(0).run(input);
  return 0;
}
