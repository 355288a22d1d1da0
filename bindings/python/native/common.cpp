#include "common.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <sys/random.h>

namespace heirmark::python {

bool Watch::tell(const std::function<nb::object(const nb::object&)>& call) {
  const nb::gil_scoped_acquire lock;
  if (raised_) return false;
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (callable_.is_none()) return true;
    const nb::object answer = call(callable_);
    return !answer.is(nb::handle(Py_False));
  } catch (...) {
    raised_ = std::current_exception();
    return false;
  }
}

std::function<bool(double)> Watch::share() {
  return [this](double share) { return tell([share](const nb::object& callable) { return callable(share); }); };
}

std::function<bool()> Watch::stop() {
  return [this] { return !tell([](const nb::object&) { return nb::none(); }); };
}

namespace {
[[noreturn]] void bad_token(const std::string& what, std::size_t index, const std::string& why) {
  fail(ErrorCode::bad_input, what + "[" + std::to_string(index) + "]: " + why);
}

class TokenList {
 public:
  TokenList(const std::string& what, std::uint32_t vocab) : what_(what), vocab_(vocab) {}
  void reserve(std::size_t count) { tokens_.reserve(count); }
  void add(long long value) {
    if (value < 0 || value >= static_cast<long long>(kNoToken)) bad_token(what_, tokens_.size(), "no token id");
    if (vocab_ != 0 && value >= static_cast<long long>(vocab_)) bad_token(what_, tokens_.size(), "a token id outside the vocabulary of " + std::to_string(vocab_));
    tokens_.push_back(static_cast<TokenId>(value));
  }
  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  std::vector<TokenId> take() { return std::move(tokens_); }

 private:
  const std::string& what_;
  std::uint32_t vocab_;
  std::vector<TokenId> tokens_;
};

template <class T>
void add_all(TokenList& list, const nb::ndarray<nb::ro>& array) {
  const auto* data = static_cast<const T*>(array.data());
  const std::int64_t stride = array.stride(0);
  for (std::size_t i = 0; i < array.shape(0); ++i) {
    const T value = data[static_cast<std::int64_t>(i) * stride];
    if constexpr (sizeof(T) == 8 && std::is_unsigned_v<T>) {
      list.add(value > kNoToken ? -1 : static_cast<long long>(value));
    } else {
      list.add(static_cast<long long>(value));
    }
  }
}

bool add_array(TokenList& list, nb::handle object, const std::string& what) {
  if (PyList_Check(object.ptr()) || PyTuple_Check(object.ptr())) return false;
  nb::ndarray<nb::ro> array;
  if (!nb::try_cast(with_strides(object), array)) return false;
  if (array.device_type() != nb::device::cpu::value && array.device_type() != nb::device::cuda_host::value) usage(what + ": tokens must be in the host's memory");
  if (array.ndim() != 1) usage(what + ": tokens are an array of one dimension, not of " + std::to_string(array.ndim()));
  const auto type = array.dtype();
  const bool is_signed = type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Int);
  if ((!is_signed && type.code != static_cast<std::uint8_t>(nb::dlpack::dtype_code::UInt)) || type.lanes != 1) usage(what + ": tokens are integers");
  list.reserve(array.shape(0));
  switch (type.bits) {
    case 8: is_signed ? add_all<std::int8_t>(list, array) : add_all<std::uint8_t>(list, array); break;
    case 16: is_signed ? add_all<std::int16_t>(list, array) : add_all<std::uint16_t>(list, array); break;
    case 32: is_signed ? add_all<std::int32_t>(list, array) : add_all<std::uint32_t>(list, array); break;
    case 64: is_signed ? add_all<std::int64_t>(list, array) : add_all<std::uint64_t>(list, array); break;
    default: usage(what + ": tokens are integers of 8 to 64 bits");
  }
  return true;
}
}  // namespace

nb::object with_strides(nb::handle object) {
  if (PyObject_CheckBuffer(object.ptr()) != 0 && !nb::hasattr(object, "__dlpack__")) {
    Py_buffer view;
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_RECORDS_RO) != 0) {
      PyErr_Clear();
    } else {
      const bool missing = view.ndim > 0 && view.strides == nullptr;
      PyBuffer_Release(&view);
      if (missing) return nb::module_::import_("builtins").attr("memoryview")(object);
    }
  }
  return nb::borrow(object);
}

std::vector<TokenId> tokens_of(nb::handle object, const std::string& what, std::uint32_t vocab) {
  TokenList list(what, vocab);
  if (add_array(list, object, what)) return list.take();
  if (PyUnicode_Check(object.ptr()) || !nb::isinstance<nb::iterable>(object)) usage(what + ": tokens are an array or an iterable of integers");
  for (const nb::handle item : nb::borrow<nb::iterable>(object)) {
    // __index__ takes integers of every library and no fraction.
    const nb::object whole = nb::steal(PyNumber_Index(item.ptr()));
    if (!whole.is_valid()) {
      PyErr_Clear();
      bad_token(what, list.size(), "no integer");
    }
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    list.add(overflow != 0 ? -1 : value);
  }
  return list.take();
}

std::string now() {
  const std::time_t time = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string text_or_bytes(nb::handle object, const char* what) {
  if (PyUnicode_Check(object.ptr())) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
    if (text == nullptr) {  // the exception that Python has ready holds the text
      PyErr_Clear();
      usage(std::string(what) + ": no UTF-8 text");
    }
    return {text, static_cast<std::size_t>(size)};
  }
  Py_buffer buffer;
  if (PyObject_GetBuffer(object.ptr(), &buffer, PyBUF_SIMPLE) != 0) {
    PyErr_Clear();
    throw nb::type_error((std::string(what) + " is str or bytes").c_str());
  }
  std::string bytes(static_cast<const char*>(buffer.buf), static_cast<std::size_t>(buffer.len));
  PyBuffer_Release(&buffer);
  return bytes;
}

RequestId request_id_of(nb::handle object) {
  RequestId id;
  if (object.is_none()) {
    std::size_t got = 0;
    while (got < id.bytes.size()) {
      const ssize_t n = ::getrandom(id.bytes.data() + got, id.bytes.size() - got, 0);
      if (n > 0) got += static_cast<std::size_t>(n);
      else if (errno != EINTR) fail(ErrorCode::io, "the system's generator gives no random bytes");
    }
    return id;
  }
  const std::string bytes = PyBytes_Check(object.ptr()) ? text_or_bytes(object, "a request id") : std::string();
  if (bytes.size() != id.bytes.size()) usage("a request id is bytes, 12 of them");
  std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
  return id;
}

}  // namespace heirmark::python
