#include "command.hpp"

#include <CLI/CLI.hpp>

#include <utility>

#include "shell.hpp"

namespace heirmark::cli {
namespace {
/// The longest of "-o,--output" without its dashes' comma: the name CLI11 finds it by.
std::string long_name(const std::string& names) {
  const std::size_t comma = names.rfind(',');
  return comma == std::string::npos ? names : names.substr(comma + 1);
}

/// CLI11's words can hold line feeds; an error is one line.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}
/// What was not expected. Options come first: the word after an unknown one may be a secret that nobody should repeat.
std::string unexpected(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.size() > 1 && word.front() == '-') return "unknown option " + word.substr(0, word.find('='));
  }
  return words.empty() ? "too many words" : "\"" + words.front() + "\" is not expected here";
}
}  // namespace

Command::Command(CLI::App& app, std::string name, std::string summary)
    : app_(app), name_(std::move(name)), summary_(std::move(summary)) {
  app_.set_help_flag("-h,--help");
  app_.fallthrough();
}

Command& Command::add(const std::string& name, const std::string& summary) {
  app_.require_subcommand(1);
  Command& child = commands_.emplace_back(*app_.add_subcommand(name, summary), name, summary);
  child.parent_ = this;
  return child;
}

Command& Command::flag(const std::string& names, bool& out, const std::string& help) {
  app_.add_flag(names, out);
  options_.push_back({names, "", help, {}, false, false});
  return *this;
}

Command& Command::text(const std::string& names, const std::string& value, std::string& out, const std::string& help, Need need) {
  app_.add_option(names, out)->required(need == Need::required)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  options_.push_back({names, value, help, {}, need == Need::required, false});
  return *this;
}

Command& Command::texts(const std::string& names, const std::string& value, std::vector<std::string>& out, const std::string& help) {
  app_.add_option(names, out)->allow_extra_args(false);
  options_.push_back({names, value, help, {}, false, false});
  return *this;
}

Command& Command::choice(const std::string& names, const std::vector<std::string>& choices, std::string& out, const std::string& help) {
  const auto one_of = [choices](const std::string& given) {
    std::string known;
    for (const std::string& choice : choices) {
      if (choice == given) return std::string();
      known += (known.empty() ? "" : ", ") + choice;
    }
    return "\"" + given + "\" is not one of " + known;
  };
  app_.add_option(names, out)->check(one_of);
  std::string value;
  for (const std::string& choice : choices) value += (value.empty() ? "" : "|") + choice;
  options_.push_back({names, value, help, choices, false, false});
  return *this;
}

Command& Command::whole(const std::string& names, const std::string& value, std::uint64_t& out, std::uint64_t low, std::uint64_t high,
                        const std::string& help) {
  const auto in_range = [low, high](const std::string& given) {
    const std::string range = "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    std::uint64_t number = 0;
    for (const char c : given) {
      if (c < '0' || c > '9' || number > high / 10) return "\"" + given + "\" is not " + range;
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (given.empty() || number < low || number > high) return "\"" + given + "\" is not " + range;
    return std::string();
  };
  // A leading zero would mean octal to the parser's own conversion.
  app_.add_option_function<std::string>(names, [&out](const std::string& given) {
        out = 0;
        for (const char c : given) out = out * 10 + static_cast<std::uint64_t>(c - '0');
      })->check(in_range);
  options_.push_back({names, value, help, {}, false, false});
  return *this;
}

Command& Command::real(const std::string& names, const std::string& value, double& out, double low, double high, const std::string& help) {
  const auto in_range = [low, high](const std::string& given) {
    char text[96];
    std::snprintf(text, sizeof text, " is not a number from %g to %g", low, high);
    char* end = nullptr;
    const double number = std::strtod(given.c_str(), &end);
    const bool good = !given.empty() && end == given.c_str() + given.size() && number >= low && number <= high;
    return good ? std::string() : "\"" + given + "\"" + text;
  };
  app_.add_option(names, out)->check(in_range);
  options_.push_back({names, value, help, {}, false, false});
  return *this;
}

Command& Command::argument(const std::string& name, std::string& out, const std::string& help, Need need) {
  app_.add_option(name, out)->required(need == Need::required);
  options_.push_back({name, name, help, {}, need == Need::required, true});
  return *this;
}

Command& Command::arguments(const std::string& name, std::vector<std::string>& out, const std::string& help, Need need) {
  app_.add_option(name, out)->required(need == Need::required);
  options_.push_back({name, name + "...", help, {}, need == Need::required, true});
  return *this;
}

Command& Command::example(const std::string& line) { return examples_.push_back(line), *this; }
Command& Command::note(const std::string& line) { return notes_.push_back(line), *this; }
Command& Command::run(std::function<Result<int>()> action) { return action_ = std::move(action), *this; }

bool Command::was_given(const std::string& name) const { return app_.count(long_name(name)) > 0; }

std::string Command::full_name() const { return parent_ == nullptr ? name_ : parent_->full_name() + " " + name_; }

const Command* Command::find(const std::string& name) const noexcept {
  for (const Command& command : commands_) {
    if (command.name_ == name) return &command;
  }
  return nullptr;
}

const Command& Command::chosen() const {
  const auto parsed = app_.get_subcommands();
  if (parsed.empty()) return *this;
  const Command* child = find(parsed.front()->get_name());
  return child == nullptr ? *this : child->chosen();
}

Result<int> run_command_line(Command& root, int argc, char** argv) {
  try {
    root.app_.set_version_flag("--version", "heirmark " HEIRMARK_VERSION);
    root.app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(help_text(root.chosen()));
    return 0;
  } catch (const CLI::CallForVersion&) {
    print("heirmark " HEIRMARK_VERSION "\n");
    return 0;
  } catch (const CLI::ParseError& error) {
    const Command& command = root.chosen();
    if (argc < 2) return print(help_text(root)), 2;
    std::string where = command.full_name();
    std::string what = one_line(error.what());
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) what = unexpected(root.app_.remaining(true));
    if (!command.commands_.empty() && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) {
      const auto words = root.app_.remaining(true);
      what = words.empty() ? "which command?" : words.front().rfind('-', 0) == 0 ? unexpected(words) : "\"" + words.front() + "\" is no command";
    }
    const std::string program = root.name_ + " ";
    const std::string help = "; see " + where + " --help";
    if (where.rfind(program, 0) == 0) what = where.substr(program.size()) + ": " + what;
    return Error{ErrorCode::usage, what + help};
  }
  const Command& command = root.chosen();
  if (!command.action_) return print(help_text(command)), 0;
  return command.action_();
}

}  // namespace heirmark::cli
