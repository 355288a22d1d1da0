// The report: one HTML file that a court can read, made from a bag and from nothing else (specs/report.md).
//
//   auto done = heirmark::write_report("case-17/bag", "case-17/report.html");
#pragma once
#include <filesystem>
#include <heirmark/result.hpp>
#include <string>

namespace heirmark {

/// The report on a bag as one self-contained HTML document: no script, no network, no font or image from elsewhere. The
/// bytes depend on the bag's data/ folder alone; opening.json is not read. It repeats the evidence and checks that its
/// parts agree; signatures and statistics are checked by verify_bag. An object that is missing or malformed is
/// `bad_input` (or `io`), objects that contradict each other are `invalid_evidence`; the message names file and field.
[[nodiscard]] Result<std::string> render_report(const std::filesystem::path& bag);

/// Renders and writes `file`: under another name first, then renamed, so that a reader never sees half of it.
[[nodiscard]] Result<void> write_report(const std::filesystem::path& bag, const std::filesystem::path& file);

}  // namespace heirmark
