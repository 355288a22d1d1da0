// Help, man page and shell completion, all made from the commands' own records.
#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"

namespace heirmark::cli {
namespace {
constexpr std::size_t kRows = 24, kColumns = 100;  ///< one screen
constexpr std::size_t kIndent = 27;  ///< where the right column of help begins

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  std::string word;
  const auto put = [&] {
    if (word.empty()) return;
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    word.clear();
  };
  for (const char c : text) {
    if (c == ' ') put();
    else word += c;
  }
  put();
  return lines;
}

/// "-o,--output" -> {"-o", "--output"}
std::vector<std::string> split_names(const std::string& names) {
  const std::size_t comma = names.find(',');
  if (comma == std::string::npos) return {names};
  return {names.substr(0, comma), names.substr(comma + 1)};
}

std::string left_column(const OptionInfo& option) {
  if (option.argument) return option.value;
  std::string text;
  for (const std::string& name : split_names(option.names)) text += (text.empty() ? "" : ", ") + name;
  return option.value.empty() ? text : text + " " + option.value;
}

void put_row(std::string& out, const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  const auto lines = wrap(right, kColumns - kIndent);
  if (line.size() + 2 > kIndent) {
    // A long left column runs into the right one when both still fit, else takes a line of its own.
    if (lines.size() == 1 && line.size() + 2 + right.size() <= kColumns) {
      out += line + "  " + right + "\n";
      return;
    }
    out += line + "\n";
    line.clear();
  }
  for (const std::string& part : lines) {
    line.resize(std::max(line.size(), kIndent), ' ');
    out += line + part + "\n";
    line.clear();
  }
}

std::string usage_line(const Command& command) {
  std::string line = command.full_name();
  if (!command.commands().empty()) return line + " COMMAND ...";
  const bool any = std::any_of(command.options().begin(), command.options().end(), [](const OptionInfo& o) { return !o.argument && !o.required; });
  if (any) line += " [options]";
  for (const OptionInfo& option : command.options()) {
    if (!option.argument && option.required) line += " " + split_names(option.names).back() + " " + option.value;
  }
  for (const OptionInfo& option : command.options()) {
    if (option.argument) line += option.required ? " " + option.value : " [" + option.value + "]";
  }
  return line;
}

template <class Visit>
void walk(const Command& command, const Visit& visit) {
  visit(command);
  for (const Command& child : command.commands()) walk(child, visit);
}

const std::vector<std::pair<std::string, std::string>>& exit_codes() {
  static const std::vector<std::pair<std::string, std::string>> codes = {
      {"0", "done, whatever the verdict"},
      {"1", "the evidence or the ledger is invalid, or a check of doctor failed"},
      {"2", "wrong usage"},
      {"3", "bad input data; the message names file and line"},
      {"4", "key, passphrase or permission"},
      {"5", "disk, pipe, process, or the device that --device names"},
      {"6", "stopped; the same command goes on"},
      {"7", "--require asked for another outcome"}};
  return codes;
}
}  // namespace

std::string help_text(const Command& command) {
  std::vector<std::string> parts{command.full_name() + " - " + command.summary() + "\n"};
  parts.emplace_back();
  std::string margin = "Usage: ";
  for (const std::string& line : wrap(usage_line(command), kColumns - margin.size())) {
    parts.back() += margin + line + "\n";
    margin = "       ";
  }
  parts.emplace_back();
  for (const Command& child : command.commands()) put_row(parts.back(), child.name(), child.summary());
  if (!command.commands().empty()) parts.emplace_back();
  for (const OptionInfo& option : command.options()) put_row(parts.back(), left_column(option), option.help);
  for (const std::string& note : command.notes()) {
    parts.emplace_back();
    for (const std::string& line : wrap(note, kColumns)) parts.back() += line + "\n";
  }
  parts.emplace_back();
  for (const std::string& example : command.examples()) {
    parts.back() += (9 + example.size() <= kColumns ? "Example: " : "Example:\n  ") + example + "\n";
  }
  std::erase(parts, "");
  // An empty line between the parts, beginning with the last, as far as one screen allows.
  std::size_t rows = 0;
  for (const std::string& part : parts) rows += static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
  std::string out = parts.back();
  for (std::size_t i = parts.size() - 1; i-- > 0;) {
    if (rows < kRows) {
      out.insert(0, "\n");
      ++rows;
    }
    out.insert(0, parts[i]);
  }
  return out;
}

std::string exit_codes_text() {
  std::string out = "Exit codes, the same for every command:\n\n";
  for (const auto& [code, meaning] : exit_codes()) out += "  " + code + "  " + meaning + "\n";
  out += "\nAn error is one line on standard error: heirmark: WHERE: what.\n";
  return out;
}

namespace {
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '-') out += "\\-";
    else if (c == '\\') out += "\\e";
    else if (c == '\'' && (out.empty() || out.back() == '\n')) out += "\\(aq";
    else if (c == '.' && (out.empty() || out.back() == '\n')) out += "\\&.";
    else out += c;
  }
  return out;
}
}  // namespace

std::string man_page(const Command& root) {
  std::string out =
      ".\\\" Made by \"heirmark help man\"; tests/cli checks that it is up to date.\n"
      ".TH HEIRMARK 1 \"\" \"heirmark 0.1\" \"User Commands\"\n.SH NAME\nheirmark \\- " + roff(root.summary()) +
      "\n.SH SYNOPSIS\n.B heirmark\n.I COMMAND\n[options] ...\n.SH DESCRIPTION\n"
      "A provider samples every token of a language model with randomness that a secret key determines.\n"
      "An auditor tests whether text made under a committed key entered the training of another model, and packs\n"
      "plan, transcript and verdict into a bag that anyone can recompute. A result without signal never means that a\n"
      "model was not distilled.\n.PP\nA lone \\- as a file is standard input or standard output. A pipe gets no colours and no bars.\n"
      ".SH COMMANDS\n";
  walk(root, [&out](const Command& command) {
    if (!command.commands().empty()) return;
    out += ".SS " + roff(usage_line(command)) + "\n" + roff(command.summary()) + ".\n";
    for (const OptionInfo& option : command.options()) out += ".TP\n.B " + roff(left_column(option)) + "\n" + roff(option.help) + "\n";
    for (const std::string& note : command.notes()) out += ".PP\n" + roff(note) + "\n";
    for (const std::string& example : command.examples()) out += ".PP\n.EX\n" + roff(example) + "\n.EE\n";
  });
  out += ".SH OPTIONS OF EVERY COMMAND\n";
  for (const OptionInfo& option : root.options()) out += ".TP\n.B " + roff(left_column(option)) + "\n" + roff(option.help) + "\n";
  out += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : exit_codes()) out += ".TP\n.B " + code + "\n" + roff(meaning) + "\n";
  out += ".SH ENVIRONMENT\n.TP\n.B XDG_DATA_HOME\nthe keystore is heirmark/ in it unless \\-\\-keystore names another folder\n"
         ".TP\n.B NO_COLOR\nno colours if it is set\n.PP\nNo secret is ever read from the environment or from the command line.\n"
         ".SH SEE ALSO\nThe specifications, specs/*.md in the source.\n";
  return out;
}

namespace {
/// Every word a shell may offer after this command: its commands, or its options.
std::string words_of(const Command& command) {
  std::string words;
  for (const Command& child : command.commands()) words += (words.empty() ? "" : " ") + child.name();
  for (const OptionInfo& option : command.options()) {
    if (option.argument) continue;
    words += (words.empty() ? "" : " ") + split_names(option.names).back();
  }
  return words.empty() ? "--help" : words + " --help";
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// A name in zsh's _describe and _arguments: colons and brackets have a meaning there.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']') out += '\\';
    out += c;
  }
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}
}  // namespace

std::string bash_completion(const Command& root) {
  std::string cases, values, groups;
  walk(root, [&](const Command& command) {
    if (!command.commands().empty()) groups += (groups.empty() ? "" : " | ") + shell_quoted(command.full_name());
    cases += "    " + shell_quoted(command.full_name()) + ") words=" + shell_quoted(words_of(command)) + " ;;\n";
    for (const OptionInfo& option : command.options()) {
      if (option.choices.empty() || option.argument) continue;
      values += "    " + shell_quoted(command.full_name() + " " + split_names(option.names).back()) + ") words=" + shell_quoted(joined(option.choices)) + " ;;\n";
    }
  });
  return "# bash completion for heirmark; made by \"heirmark completion bash\".\n"
         "_heirmark() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path=heirmark words='' word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case $path in " + groups + ") ;; *) break ;; esac\n"
         "    case $word in -*) break ;; *) path=\"$path $word\" ;; esac\n"
         "  done\n"
         "  case \"$path $previous\" in\n" + values +
         "  esac\n"
         "  if [ -n \"$words\" ]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case $path in\n" + cases +
         "  esac\n"
         "  case $current in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
         "    *) COMPREPLY=($(compgen -W \"${words%%--*}\" -- \"$current\") $(compgen -f -- \"$current\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _heirmark heirmark\n";
}

std::string zsh_completion(const Command& root) {
  std::string functions;
  walk(root, [&functions](const Command& command) {
    std::string name = command.full_name();
    std::replace(name.begin(), name.end(), ' ', '_');
    functions += "_" + name + "_() {\n";
    if (command.commands().empty()) {
      functions += "  _arguments";
      for (const OptionInfo& option : command.options()) {
        if (option.argument) continue;
        functions += " \\\n    " + shell_quoted(split_names(option.names).back() + "[" + zsh_text(option.help) + "]" +
                                                (option.value.empty() ? "" : ":" + zsh_text(option.value) + ":" +
                                                     (option.choices.empty() ? "_files" : "(" + joined(option.choices) + ")")));
      }
      functions += " \\\n    '--help[show help]' '*:file:_files'\n";
    } else {
      functions += "  local -a commands=(";
      for (const Command& child : command.commands()) functions += "\n    " + shell_quoted(child.name() + ":" + zsh_text(child.summary()));
      functions += ")\n  if ((CURRENT == 2)); then\n    _describe command commands\n  else\n    local next=$words[2]\n    shift words\n"
                   "    ((CURRENT--))\n    (($+functions[_" + name + "_${next}_])) && _" + name + "_${next}_\n  fi\n";
    }
    functions += "}\n";
  });
  return "#compdef heirmark\n# zsh completion for heirmark; made by \"heirmark completion zsh\".\n" + functions + "_heirmark_ \"$@\"\n";
}

std::string fish_completion(const Command& root) {
  std::string out = "# fish completion for heirmark; made by \"heirmark completion fish\".\n";
  walk(root, [&out](const Command& command) {
    std::string condition = "__fish_use_subcommand";
    if (command.parent() != nullptr) {
      condition = "__fish_seen_subcommand_from " + command.name();
      if (command.parent()->parent() != nullptr) condition += "; and __fish_seen_subcommand_from " + command.parent()->name();
    }
    if (!command.commands().empty() && command.parent() != nullptr) {
      std::string names;
      for (const Command& child : command.commands()) names += " " + child.name();
      condition += "; and not __fish_seen_subcommand_from" + names;
    }
    for (const Command& child : command.commands()) {
      out += "complete -c heirmark -f -n " + shell_quoted(condition) + " -a " + child.name() + " -d " + shell_quoted(child.summary()) + "\n";
    }
    if (command.parent() == nullptr) return;
    for (const OptionInfo& option : command.options()) {
      if (option.argument) continue;
      out += "complete -c heirmark -n " + shell_quoted(condition) + " -l " + split_names(option.names).back().substr(2) +
             (option.value.empty() ? "" : option.choices.empty() ? " -r" : " -x -a " + shell_quoted(joined(option.choices))) + " -d " +
             shell_quoted(option.help) + "\n";
    }
  });
  return out;
}

}  // namespace heirmark::cli
