// Objects of OpenSSL that free themselves.
#pragma once
#include <memory>

namespace heirmark::crypto {
template <auto function>
struct FreeWith {
  template <class T>
  void operator()(T* object) const { function(object); }
};
/// Owned<BIO, BIO_free>
template <class T, auto function>
using Owned = std::unique_ptr<T, FreeWith<function>>;
}  // namespace heirmark::crypto
