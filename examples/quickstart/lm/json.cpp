// Boost.JSON is header-only here: its sources are compiled in this file and in no other.
#include <boost/json/src.hpp>
