// --device, of the commands that score.
#pragma once
#include <string>

#include <heirmark/detect.hpp>

#include "command.hpp"

namespace heirmark::cli {

void add_device_option(Command& command, std::string& out);
/// The device of that name, once it is known that it can be used: a command fails before its work, not after.
[[nodiscard]] Result<Device> usable_device(const std::string& name);

}  // namespace heirmark::cli
