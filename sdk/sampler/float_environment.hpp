// An engine may run with denormals flushed to zero or another rounding mode. Tokens must not depend on that.
#pragma once
#include <cfenv>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace heirmark::sampler {

/// IEEE's default arithmetic while it lives; then what was there before.
class FloatEnvironment {
 public:
  FloatEnvironment() {
#if defined(__x86_64__)
    constexpr unsigned kDefault = 0x1F80;  // round to nearest, denormals kept, exceptions masked
    before_ = _mm_getcsr();
    _mm_setcsr(kDefault);
#else
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
#endif
  }
  ~FloatEnvironment() {
#if defined(__x86_64__)
    _mm_setcsr(before_);
#else
    std::fesetenv(&before_);
#endif
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  unsigned before_ = 0;
#else
  std::fenv_t before_{};
#endif
};

}  // namespace heirmark::sampler
