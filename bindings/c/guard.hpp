// What both C libraries do with failures: codes, one line per thread, no exception across the ABI. Each library has its own last line.
#pragma once
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include <heirmark/result.hpp>

#include "heirmark.h"

namespace heirmark::c {

inline thread_local std::string last_error;

inline heirmark_status fail(heirmark_status status, std::string_view message) noexcept {
  try {
    last_error.assign(message);
  } catch (...) {
    last_error.clear();
  }
  return status;
}
inline heirmark_status usage(std::string_view message) noexcept { return fail(HEIRMARK_USAGE, message); }
inline heirmark_status failed(const Error& error) noexcept { return fail(static_cast<heirmark_status>(error.code), error.message); }
inline heirmark_status done(const Result<void>& result) noexcept { return result.ok() ? HEIRMARK_OK : failed(result.error()); }

template <class F>
heirmark_status guarded(const F& call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(HEIRMARK_INTERNAL, "out of memory");
  } catch (const std::exception& error) {
    return fail(HEIRMARK_INTERNAL, error.what());
  } catch (...) {
    return fail(HEIRMARK_INTERNAL, "an unknown fault");
  }
}

}  // namespace heirmark::c
