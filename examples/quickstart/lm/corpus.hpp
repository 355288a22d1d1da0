// Cuts the corpus into the parts that the teacher, the students and the prompts come from: no line is in two parts.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quickstart {

enum class Part { teacher, student, held_out };

/// "teacher", "student" or "held-out".
inline std::optional<Part> part_named(std::string_view name) {
  if (name == "teacher") return Part::teacher;
  if (name == "student") return Part::student;
  if (name == "held-out") return Part::held_out;
  return std::nullopt;
}

/// The lines of one part, each with its newline. Blocks of 64 lines take turns, so that every part sees every book:
/// of 16 blocks the teacher has 8, the students have 7, and one is held out.
inline std::vector<std::string_view> lines_of(std::string_view text, Part part) {
  std::vector<std::string_view> lines;
  for (std::size_t number = 0; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end == std::string_view::npos ? end : end + 1);
    text.remove_prefix(line.size());
    const std::size_t block = number / 64 % 16;
    const Part owner = block == 15 ? Part::held_out : block % 2 == 0 ? Part::teacher : Part::student;
    if (owner == part) lines.push_back(line);
  }
  return lines;
}

inline std::string text_of(std::string_view text, Part part) {
  std::string out;
  for (const std::string_view line : lines_of(text, part)) out += line;
  return out;
}

}  // namespace quickstart
