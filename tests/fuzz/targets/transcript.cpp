#include <heirmark/audit.hpp>

#include "fuzz.hpp"

FUZZ_TARGET(transcript) { heirmark::fuzz::round_trip<heirmark::Transcript>(input.rest(), "transcript"); }
