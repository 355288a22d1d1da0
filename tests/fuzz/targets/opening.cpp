#include <heirmark/keys.hpp>

#include "fuzz.hpp"

FUZZ_TARGET(opening) { heirmark::fuzz::round_trip<heirmark::Opening>(input.rest(), "opening"); }
