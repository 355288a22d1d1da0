// What a signed statement says (specs/evidence.md). Its signature is not checked here.
#pragma once
#include <heirmark/result.hpp>
#include <string_view>

#include "report/case.hpp"

namespace heirmark::report {

/// Reads the DSSE envelope of `object` ("plan", ..) and the in-toto statement in it.
[[nodiscard]] Result<Statement> parse_statement(std::string_view object, std::string_view envelope);

}  // namespace heirmark::report
