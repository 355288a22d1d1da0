// Memory of other libraries, by DLPack and the buffer protocol: read and written where it is.
#pragma once
#include <heirmark/device_sampler.hpp>

#include "common.hpp"

namespace heirmark::python {

/// Logits of an engine, held while a call reads them. Not copied.
struct HeldLogits {
  nb::ndarray<nb::ro> array;
  Logits logits;
};

/// Rows of at least `vocab_size` columns in the memory of `backend`.
HeldLogits logits_of(nb::handle object, std::uint32_t vocab_size, DeviceSampler::Backend backend);

/// Rows, results and workspaces: plain bytes of `backend`, held while a call uses them.
template <class Array>
struct Held {
  Array array;
  void* data = nullptr;
  std::size_t bytes = 0;
};
using HeldBytes = Held<nb::ndarray<>>;
using HeldReadable = Held<nb::ndarray<nb::ro>>;
/// `name` names the object in an error; Array is that of one of the two types above.
template <class Array>
Held<Array> bytes_of(nb::handle object, const std::string& name, DeviceSampler::Backend backend);

/// Refuses memory that is too small for `rows` items, or not aligned.
void check_room(std::size_t bytes, std::size_t rows, std::size_t item, const std::string& name, const void* data);

/// A new structured array of heirmark.layout, and its memory.
struct Structured {
  nb::object array;
  void* data;
};
Structured structured(const char* type, std::size_t count);

/// A new NumPy array and its memory.
template <class T>
std::pair<nb::object, T*> new_array(const char* type, const nb::object& shape) {
  nb::object array = nb::module_::import_("numpy").attr("empty")(shape, type);
  return {array, static_cast<T*>(nb::cast<nb::ndarray<>>(array).data())};
}

}  // namespace heirmark::python
