#include <heirmark/suspect.hpp>

#include "fuzz.hpp"

FUZZ_TARGET(suspect) { heirmark::fuzz::round_trip<heirmark::SuspectInfo>(input.rest(), "suspect"); }
