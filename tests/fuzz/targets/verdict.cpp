#include <heirmark/audit.hpp>

#include "fuzz.hpp"

FUZZ_TARGET(verdict) { heirmark::fuzz::round_trip<heirmark::Verdict>(input.rest(), "verdict"); }
