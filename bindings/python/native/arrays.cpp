#include "arrays.hpp"

namespace heirmark::python {
namespace {

std::string shape_text(const nb::ndarray<nb::ro>& array) {
  std::string text = "[";
  for (std::size_t i = 0; i < array.ndim(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(array.shape(i));
  return text + "]";
}

/// Why an object is no array: what its own export says, or that it has none.
[[noreturn]] void not_an_array(nb::handle object, const std::string& name) {
  std::string words = ": no array that DLPack or the buffer protocol can hand over";
  if (nb::hasattr(object, "__dlpack__")) {
    try {
      object.attr("__dlpack__")();
    } catch (nb::python_error& error) {
      words += " (" + nb::cast<std::string>(nb::str(error.value())) + ")";
    }
  }
  usage(name + words);
}

void check_device(const nb::ndarray<nb::ro>& array, DeviceSampler::Backend backend, const std::string& name) {
  const int type = array.device_type();
  if (backend == DeviceSampler::Backend::cpu) {
    if (type != nb::device::cpu::value && type != nb::device::cuda_host::value) usage(name + ": on a device, and the sampler is the CPU's");
  } else if (type != nb::device::cuda::value && type != nb::device::cuda_managed::value) {
    usage(name + ": in the host's memory, and the sampler is a device's");
  }
}

bool is_numpy(nb::handle object) { return nb::isinstance(object, nb::module_::import_("numpy").attr("ndarray")); }

}  // namespace

HeldLogits logits_of(nb::handle object, std::uint32_t vocab_size, DeviceSampler::Backend backend) {
  HeldLogits out;
  bool as_bits = false;
  if (!nb::try_cast(with_strides(object), out.array)) {
    // NumPy has no bfloat16 of its own and exports none: the bits of ml_dtypes' type, which may lie the other way round.
    if (is_numpy(object) && nb::cast<std::string>(object.attr("dtype").attr("name")) == "bfloat16" && nb::cast<bool>(object.attr("dtype").attr("isnative")))
      as_bits = nb::try_cast(object.attr("view")("uint16"), out.array);
    if (!as_bits) not_an_array(object, "logits");
  }
  const nb::ndarray<nb::ro>& array = out.array;
  const auto type = array.dtype();
  const auto is = [&type](nb::dlpack::dtype_code code, int bits) { return type.code == static_cast<std::uint8_t>(code) && type.bits == bits && type.lanes == 1; };
  if (as_bits || is(nb::dlpack::dtype_code::Bfloat, 16)) {
    out.logits.dtype = DType::bfloat16;
  } else if (is(nb::dlpack::dtype_code::Float, 32)) {
    out.logits.dtype = DType::float32;
  } else if (is(nb::dlpack::dtype_code::Float, 16)) {
    out.logits.dtype = DType::float16;
  } else {
    usage("logits: float32, bfloat16 or float16, not another type of " + std::to_string(type.bits) + " bits");
  }
  check_device(array, backend, "logits");
  if (array.ndim() != 1 && array.ndim() != 2) usage("logits: of the shape [rows, columns] or [columns], not " + shape_text(array));
  const std::size_t columns = array.shape(array.ndim() - 1);
  out.logits.rows = array.ndim() == 1 ? 1 : array.shape(0);
  if (columns < vocab_size) usage("logits: " + std::to_string(columns) + " columns, and the vocabulary has " + std::to_string(vocab_size));
  if (out.logits.rows == 0) return out;
  if (columns > 1 && array.stride(array.ndim() - 1) != 1) usage("logits: the columns of a row must lie side by side; this stride is " + std::to_string(array.stride(array.ndim() - 1)));
  out.logits.row_stride = columns;
  if (out.logits.rows > 1) {
    if (array.stride(0) < static_cast<std::int64_t>(columns)) usage("logits: rows overlap or run backwards; their stride is " + std::to_string(array.stride(0)));
    out.logits.row_stride = static_cast<std::size_t>(array.stride(0));
  }
  out.logits.data = array.data();
  return out;
}

template <class Array>
Held<Array> bytes_of(nb::handle object, const std::string& name, DeviceSampler::Backend backend) {
  Held<Array> out;
  nb::object plain = with_strides(object);
  if (is_numpy(object) && !object.attr("dtype").attr("names").is_none()) {
    try {
      plain = object.attr("view")("uint8");  // a structured array
    } catch (nb::python_error&) {
      usage(name + ": the items must lie side by side");
    }
  }
  if (!nb::try_cast(plain, out.array)) {
    nb::ndarray<nb::ro> readable;
    if (nb::try_cast(plain, readable)) usage(name + ": cannot be written to");
    not_an_array(object, name);
  }
  check_device(nb::ndarray<nb::ro>(out.array), backend, name);
  std::int64_t expected = 1;
  out.bytes = (static_cast<std::size_t>(out.array.dtype().bits) * out.array.dtype().lanes + 7) / 8;
  for (std::size_t i = out.array.ndim(); i-- > 0;) {
    if (out.array.size() != 0 && out.array.shape(i) != 1 && out.array.stride(i) != expected) usage(name + ": the items must lie side by side");
    expected *= static_cast<std::int64_t>(out.array.shape(i));
  }
  out.bytes *= static_cast<std::size_t>(expected);
  out.data = const_cast<void*>(static_cast<const void*>(out.array.data()));
  return out;
}
template HeldBytes bytes_of<nb::ndarray<>>(nb::handle, const std::string&, DeviceSampler::Backend);
template HeldReadable bytes_of<nb::ndarray<nb::ro>>(nb::handle, const std::string&, DeviceSampler::Backend);

void check_room(std::size_t bytes, std::size_t rows, std::size_t item, const std::string& name, const void* data) {
  if (bytes < rows * item) usage(name + ": " + std::to_string(bytes) + " bytes, and " + std::to_string(rows) + " rows need " + std::to_string(rows * item));
  if (reinterpret_cast<std::uintptr_t>(data) % 4 != 0) usage(name + ": not aligned to 4 bytes");
}

Structured structured(const char* type, std::size_t count) {
  const nb::object dtype = nb::module_::import_("heirmark.layout").attr(type);
  nb::object array = nb::module_::import_("numpy").attr("zeros")(count, dtype);
  return {array, bytes_of<nb::ndarray<>>(array, type, DeviceSampler::Backend::cpu).data};
}

}  // namespace heirmark::python
