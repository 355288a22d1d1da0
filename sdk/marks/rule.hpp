// What a row asks of its scheme, without the profile's name: the parameters of the choice of a bin.
#pragma once
#include <cstdint>

#include "core/stream.hpp"

namespace heirmark::marks {

/// How the masses of the bins are changed before the race. `race` leaves them: gumbel, issuance, mode off.
enum class RuleKind : std::uint8_t { race, greenlist, tournament };

struct Rule {
  RuleKind kind = RuleKind::race;
  std::uint32_t gamma = 0;  ///< greenlist: a bin is green iff its word is below
  double delta = 0;         ///< greenlist: nats
  int layers = 0;           ///< tournament
};

/// Temperature and truncation of a row, in the order of application.
struct Filter {
  double temperature = 1;
  double min_p = 0;         ///< 0: off
  std::uint32_t top_k = 0;  ///< 0: off
  double top_p = 1;         ///< 1: off
};

/// Row keys (HChaCha20 of a subkey and a context). `noise` drives the race and the inner draw; `mark` gives the window words of
/// greenlist and tournament. For a race it is not read.
struct RowKeys { core::KeyWords noise{}, mark{}; };

/// The outcome of a row.
struct Draw {
  std::uint32_t bin = 0;
  std::uint32_t token = 0xFFFFFFFFu;
};

}  // namespace heirmark::marks
