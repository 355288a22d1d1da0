#include <heirmark/audit.hpp>

#include "fuzz.hpp"
#include "opening.hpp"

using namespace heirmark;

FUZZ_TARGET(ledger) {
  const std::string_view bytes = input.rest();
  const auto ledger = parse_ledger(bytes);
  if (!ledger) return fuzz::check_error(ledger.error(), "ledger.jsonl:");
  // ledger_line writes each line back; the time is not kept by the reader.
  std::string_view left = bytes;
  for (std::size_t i = 0; i < ledger->size(); ++i) {
    const std::string_view line = left.substr(0, left.find('\n') + 1);
    left.remove_prefix(line.size());
    const std::string_view time = line.substr(line.find("\"time\":\"") + 8, 20);
    const auto again = ledger_line((*ledger)[i], i, time);
    fuzz::require(again.ok() && *again == line, "a ledger line comes back");
  }
  fuzz::require(left.empty(), "every line is a response");
  const auto choices = issued_choices(fuzz::opening(0), *ledger);
  if (!choices) return fuzz::check_error(choices.error());
  for (const IssuedChoice& choice : *choices) {
    fuzz::require(choice.response < ledger->size() && choice.position < (*ledger)[choice.response].tokens.size(), "a choice lies in the ledger");
    const auto listed = (*ledger)[choice.response].phat[choice.position].size();
    fuzz::require(choice.choice == -1 || static_cast<std::size_t>(choice.choice) < listed, "a choice is listed");
  }
}
