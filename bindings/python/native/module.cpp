// heirmark._core: the public C++ API for Python. Nothing is decided here; heirmark/__init__.py says what of it is public.
#include "common.hpp"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  using namespace heirmark::python;
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Failure& failure) {
      const nb::object by_code = nb::module_::import_("heirmark.errors").attr("BY_CODE");
      const nb::object type = by_code[nb::int_(static_cast<int>(failure.error().code))];
      PyErr_SetString(type.ptr(), failure.what());
    }
  });
  module.attr("__version__") = HEIRMARK_VERSION;
  bind_keys(module);
  bind_sampler(module);
  bind_detect(module);
  bind_audit(module);
  bind_ledger(module);
}
