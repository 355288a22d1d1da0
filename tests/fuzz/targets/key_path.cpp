#include <heirmark/keys.hpp>

#include "fuzz.hpp"

using namespace heirmark;

FUZZ_TARGET(key_path) {
  const std::string_view text = input.rest();
  const auto path = KeyPath::parse(text);
  if (!path) return fuzz::check_error(path.error(), "key path");
  fuzz::require(path->text() == text && is_key_name(path->family), "a path comes back");
  const KeyPath next = path->next_epoch();
  // The month after 9999-12 has no name of the form; every other has, and it is later.
  if (path->epoch != "9999-12") fuzz::require(KeyPath::parse(next.text()).ok() && next.epoch > path->epoch, "the next epoch is later", next.epoch);
}
