#include "device.hpp"

namespace heirmark::cli {

void add_device_option(Command& command, std::string& out) {
  command.choice("--device", {"cpu", "cuda"}, out, "where C1's pairs are scored; the numbers are the same [cpu]");
}

Result<Device> usable_device(const std::string& name) {
  const auto device = parse_device(name);
  if (!device) return device.error();
  if (auto there = check_device(*device); !there) return there.error();
  return *device;
}

}  // namespace heirmark::cli
