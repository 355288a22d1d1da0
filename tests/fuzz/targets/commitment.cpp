#include <heirmark/keys.hpp>

#include "fuzz.hpp"

FUZZ_TARGET(commitment) { heirmark::fuzz::round_trip<heirmark::Commitment>(input.rest(), "commitment"); }
