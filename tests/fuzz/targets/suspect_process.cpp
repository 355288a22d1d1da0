// The same with a real process that prints any bytes and ends: lines, pipes, a closed end.
#include <heirmark/suspect.hpp>

#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(suspect_process) {
  static const fuzz::Scratch scratch;
  const auto path = scratch.write("replies", input.rest());
  ProcessSuspect::Options options;
  options.hello_timeout = options.reply_timeout = std::chrono::seconds(20);
  options.max_line = 4096;
  auto suspect = ProcessSuspect::start({"/bin/cat", path.string()}, options);
  fuzz::require(suspect.ok(), "cat starts");
  const auto hello = (*suspect)->hello();
  if (!hello) return fuzz::check_error(hello.error(), "the suspect");
  const GenerateRequest prompt{{0}, 2, 9};
  const auto texts = (*suspect)->generate({&prompt, 1}, 1000);
  if (!texts) fuzz::check_error(texts.error());
  const auto positions = (*suspect)->score({{0, 0}, 1, 1, 1, 9});
  if (!positions) fuzz::check_error(positions.error());
}
