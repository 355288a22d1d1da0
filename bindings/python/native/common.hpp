// What the parts of the extension share: errors, progress, tokens.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <heirmark/result.hpp>
#include <heirmark/subkeys.hpp>
#include <heirmark/types.hpp>

namespace heirmark::python {
namespace nb = nanobind;

/// An Error on its way to Python, where it is an exception of heirmark.errors.
class Failure : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  Error error_;
};
[[noreturn]] inline void fail(ErrorCode code, std::string message) { throw Failure({code, std::move(message)}); }
[[noreturn]] inline void usage(std::string message) { fail(ErrorCode::usage, std::move(message)); }

template <class T>
T take(Result<T> result) {
  if (!result) throw Failure(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// Runs a call of the SDK without the interpreter's lock.
template <class F>
auto unlocked(const F& call) {
  const nb::gil_scoped_release release;
  return call();
}

/// Passes progress to a Python callable. What it raises, or Ctrl-C, stops the work and is raised when the work has stopped.
class Watch {
 public:
  explicit Watch(nb::object callable) : callable_(std::move(callable)) {}
  /// To be called without the lock, from any thread. False stops.
  [[nodiscard]] bool tell(const std::function<nb::object(const nb::object&)>& call);
  [[nodiscard]] std::function<bool(double)> share();
  [[nodiscard]] std::function<bool()> stop();
  /// The result of the work, with the lock.
  template <class T>
  T take(Result<T> result) {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
    return python::take(std::move(result));
  }

 private:
  nb::object callable_;
  std::exception_ptr raised_;
};

/// The object, or a view of it that tells its strides: ctypes' arrays export none, which nanobind does not expect.
nb::object with_strides(nb::handle object);

/// Token ids from an integer array of one dimension or from any iterable of integers; `what` names it in an error.
std::vector<TokenId> tokens_of(nb::handle object, const std::string& what, std::uint32_t vocab = 0);

/// 12 bytes of Python; random ones for None.
RequestId request_id_of(nb::handle object);

/// An integer of Python or of another library, and no array.
inline bool is_integer(nb::handle object) { return PyLong_Check(object.ptr()) || (PyIndex_Check(object.ptr()) && !nb::hasattr(object, "__len__")); }

/// A type's refusal to be pickled or copied through pickle's protocol.
template <class Class>
void never_pickled(Class& type, const char* words) {
  type.def("__reduce_ex__", [words](nb::handle, nb::handle) -> nb::object { throw nb::type_error(words); }, nb::sig("def __reduce_ex__(self, protocol: typing.SupportsIndex) -> str"),
           "Raises TypeError: it holds secrets.");
}

/// Now, YYYY-MM-DDThh:mm:ssZ.
std::string now();
/// A string or bytes-like object, copied.
std::string text_or_bytes(nb::handle object, const char* what);

struct PySubkeys {
  SubkeysFile file;
};

void bind_keys(nb::module_& module);
void bind_sampler(nb::module_& module);
void bind_detect(nb::module_& module);
void bind_audit(nb::module_& module);
void bind_ledger(nb::module_& module);

}  // namespace heirmark::python
