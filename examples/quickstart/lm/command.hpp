// What the command lines of quickstart-lm and quickstart-teach share.
#pragma once
#include <sstream>
#include <string>
#include <vector>

#include "files.hpp"
#include "model.hpp"
#include "options.hpp"
#include "prompts.hpp"
#include "tokenizer.hpp"

namespace quickstart {

using heirmark::Error;

// Evaluates to the value of a Result, or leaves the function with its error.
#define QS_TRY(name, expression)                               \
  auto name##_result = (expression);                           \
  if (!name##_result) return std::move(name##_result).error(); \
  [[maybe_unused]] auto name = std::move(name##_result).value()

/// "a,b" -> a, b; nothing for "".
inline std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) names.push_back(name);
  return names;
}

inline Result<Tokenizer> tokenizer_of(const Options& options) {
  QS_TRY(file, options.required("tokenizer"));
  return Tokenizer::load(file);
}

inline Result<Model> model_of(const Options& options) {
  if (options.arguments().size() != 1) return Error{ErrorCode::usage, "expected one MODEL file"};
  return Model::load(options.arguments()[0]);
}

inline Result<std::vector<std::vector<TokenId>>> prompts_of(const Options& options, const Tokenizer& tokenizer,
                                                            std::size_t count) {
  QS_TRY(file, options.required("text"));
  QS_TRY(text, read_file(file));
  QS_TRY(length, options.number<std::size_t>("prompt-tokens", 16, 1, 1024));
  QS_TRY(skip, options.number<std::size_t>("skip", 0, 0, 1'000'000));
  auto prompts = cut_prompts(text, tokenizer, length, skip, count);
  if (prompts.size() < count) {
    return Error{ErrorCode::bad_input,
                 file + ": the held-out text has only " + std::to_string(prompts.size()) + " such prompts"};
  }
  return prompts;
}

}  // namespace quickstart
