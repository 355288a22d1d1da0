// A command and its options. One file (command.cpp) knows the parser library; help, man page and completion are made from the
// same records, so they cannot disagree with what is parsed.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <heirmark/result.hpp>

namespace CLI { class App; }

namespace heirmark::cli {

/// What help says of one option or argument.
struct OptionInfo {
  std::string names;   ///< "-o,--output", or "FILE" for an argument
  std::string value;   ///< "FILE"; empty for a flag
  std::string help;
  std::vector<std::string> choices;  ///< the only values, if it has such
  bool required = false;
  bool argument = false;
};

enum class Need : std::uint8_t { optional, required };

/// A subcommand, or a group of them. What an option writes to must outlive the command.
class Command {
 public:
  Command(CLI::App& app, std::string name, std::string summary);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  Command& add(const std::string& name, const std::string& summary);  ///< a subcommand

  Command& flag(const std::string& names, bool& out, const std::string& help);
  Command& text(const std::string& names, const std::string& value, std::string& out, const std::string& help, Need need = Need::optional);
  Command& texts(const std::string& names, const std::string& value, std::vector<std::string>& out, const std::string& help);
  Command& choice(const std::string& names, const std::vector<std::string>& choices, std::string& out, const std::string& help);
  Command& whole(const std::string& names, const std::string& value, std::uint64_t& out, std::uint64_t low, std::uint64_t high, const std::string& help);
  Command& real(const std::string& names, const std::string& value, double& out, double low, double high, const std::string& help);
  Command& argument(const std::string& name, std::string& out, const std::string& help, Need need = Need::required);
  Command& arguments(const std::string& name, std::vector<std::string>& out, const std::string& help, Need need = Need::required);
  Command& example(const std::string& line);   ///< shown at the end of help
  Command& note(const std::string& line);      ///< shown before the example
  Command& run(std::function<Result<int>()> action);

  [[nodiscard]] bool was_given(const std::string& name) const;  ///< after parsing
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& summary() const noexcept { return summary_; }
  [[nodiscard]] std::string full_name() const;                  ///< "heirmark audit plan"
  [[nodiscard]] const std::deque<Command>& commands() const noexcept { return commands_; }
  [[nodiscard]] const std::vector<OptionInfo>& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<std::string>& examples() const noexcept { return examples_; }
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
  [[nodiscard]] const Command* find(const std::string& name) const noexcept;
  [[nodiscard]] const Command* parent() const noexcept { return parent_; }

 private:
  friend Result<int> run_command_line(Command& root, int argc, char** argv);
  const Command& chosen() const;  ///< the deepest command on the command line
  CLI::App& app_;
  Command* parent_ = nullptr;
  std::string name_, summary_;
  std::deque<Command> commands_;
  std::vector<OptionInfo> options_;
  std::vector<std::string> examples_, notes_;
  std::function<Result<int>()> action_;
};

/// Parses and runs. A command line that makes no sense is ErrorCode::usage, --help prints and returns 0.
[[nodiscard]] Result<int> run_command_line(Command& root, int argc, char** argv);

// help.cpp
[[nodiscard]] std::string help_text(const Command& command);
[[nodiscard]] std::string exit_codes_text();
[[nodiscard]] std::string man_page(const Command& root);
[[nodiscard]] std::string bash_completion(const Command& root);
[[nodiscard]] std::string zsh_completion(const Command& root);
[[nodiscard]] std::string fish_completion(const Command& root);

}  // namespace heirmark::cli
