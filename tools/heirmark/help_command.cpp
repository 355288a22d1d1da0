#include <memory>

#include "commands.hpp"
#include "shell.hpp"

namespace heirmark::cli {

void add_help(Command& root) {
  auto topic = std::make_shared<std::vector<std::string>>();
  Command& help = root.add("help", "help on a command, exit codes, or all of it as a man page");
  help.arguments("TOPIC", *topic, "exit-codes, man, or a command such as: audit plan", Need::optional);
  help.example("heirmark help exit-codes");
  help.run([topic, &root]() -> Result<int> {
    if (topic->size() == 1 && topic->front() == "exit-codes") return print(exit_codes_text()), 0;
    if (topic->size() == 1 && topic->front() == "man") return print(man_page(root)), 0;
    const Command* command = &root;
    for (const std::string& name : *topic) {
      command = command->find(name);
      if (command == nullptr) return Error{ErrorCode::usage, "help: no topic \"" + name + "\"; see heirmark --help"};
    }
    return print(help_text(*command)), 0;
  });

  auto shell = std::make_shared<std::string>();
  Command& completion = root.add("completion", "print a completion script for a shell");
  completion.argument("SHELL", *shell, "bash, zsh or fish");
  completion.example("heirmark completion bash > ~/.local/share/bash-completion/completions/heirmark");
  completion.run([shell, &root]() -> Result<int> {
    if (*shell == "bash") return print(bash_completion(root)), 0;
    if (*shell == "zsh") return print(zsh_completion(root)), 0;
    if (*shell == "fish") return print(fish_completion(root)), 0;
    return Error{ErrorCode::usage, "completion: \"" + *shell + "\" is not one of bash, zsh, fish"};
  });
}

}  // namespace heirmark::cli
