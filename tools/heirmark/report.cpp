#include <heirmark/report.hpp>

#include <memory>

#include "commands.hpp"
#include "files.hpp"
#include "shell.hpp"

namespace heirmark::cli {

void add_report(Command& root) {
  struct Arguments { std::string bag, output = "report.html"; };
  auto arguments = std::make_shared<Arguments>();
  Command& report = root.add("report", "write the report on a bag as one HTML file");
  report.argument("BAG", arguments->bag, "folder of a bag");
  report.text("-o,--output", "FILE", arguments->output, "[report.html]; - for standard output");
  report.note("The report repeats the evidence; heirmark verify checks it.");
  report.example("heirmark report case-17/bag -o report.html");
  report.run([arguments]() -> Result<int> {
    tell("reading " + arguments->bag);
    const auto html = render_report(arguments->bag);
    if (!html) return html.error().at(arguments->bag);
    if (auto done = write_file(arguments->output, *html); !done) return done.error();
    if (arguments->output != "-") inform("wrote      " + arguments->output);
    return 0;
  });
}

}  // namespace heirmark::cli
