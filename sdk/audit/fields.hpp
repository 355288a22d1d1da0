// The field reader, for rooms that may include audit but not suspect.
#pragma once
#include "suspect/fields.hpp"
