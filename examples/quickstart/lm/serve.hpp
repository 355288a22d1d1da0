// The suspect process: JSON Lines on standard input and output, one reply per request, in order.
#pragma once
#include <iosfwd>
#include <string>

#include "model.hpp"

namespace quickstart {

/// The reply to one request line, without a newline. A malformed request gives {"error": ...}.
[[nodiscard]] std::string answer(const Model& model, const std::string& name, const std::string& line,
                                 unsigned threads);

/// Answers until the input ends. Each reply is flushed.
void serve(const Model& model, const std::string& name, std::istream& in, std::ostream& out, unsigned threads);

}  // namespace quickstart
