// Result<T>: the one way a call of the SDK reports failure. No exception crosses the API.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace heirmark {

/// What kind of thing went wrong. The values are the command's exit codes (specs/cli.md).
enum class ErrorCode : std::uint8_t {
  invalid_evidence = 1,  ///< evidence that does not check out
  usage = 2,             ///< a call or command line that makes no sense: a bug or typo of the caller
  bad_input = 3,         ///< data that is malformed, truncated or out of range; the message names file, line or field
  key = 4,               ///< wrong passphrase, unknown key, missing permission
  io = 5,                ///< disk, pipe, process or device failure
  stopped = 6,           ///< interrupted; the same call again goes on
};

/// An error: a stable code and one line for a person. Messages never hold a secret.
struct Error {
  ErrorCode code = ErrorCode::bad_input;
  std::string message;
  /// The same error with where it happened put before: "WHERE: message".
  [[nodiscard]] Error at(std::string_view where) const { return {code, std::string(where) + ": " + message}; }
};

/// Either a value or an Error. Reading the value of a failed Result ends the process: check first, or use value_or.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  [[nodiscard]] Error error() && { return std::move(*std::get_if<1>(&state_)); }
  [[nodiscard]] T& value() & { return require(), *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& { return require(), *std::get_if<0>(&state_); }
  [[nodiscard]] T value() && { return require(), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  template <class U>
  [[nodiscard]] T value_or(U&& other) const& { return ok() ? value() : static_cast<T>(std::forward<U>(other)); }

 private:
  void require() const noexcept { if (!ok()) std::abort(); }
  std::variant<T, Error> state_;
};

/// A call that returns nothing but may fail.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] bool ok() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const& noexcept { return *error_; }
  [[nodiscard]] Error error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace heirmark
