// One of each operation that the kernels are made of, in C++: the emulator runs what nvcc makes of it, the test what the host's compiler does.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define HEIRMARK_BOTH __host__ __device__ inline
#else
#define HEIRMARK_BOTH inline
#endif

namespace heirmark::emulator {

inline constexpr unsigned kResults = 48;

template <class To, class From>
HEIRMARK_BOTH To bits_as(From from) {
  To to;
  static_assert(sizeof to == sizeof from);
  memcpy(&to, &from, sizeof to);
  return to;
}

/// From three words of any bits, kResults words. No operation whose result C++ or PTX leaves open; NaNs are told apart from numbers alone.
HEIRMARK_BOTH void arithmetic(const std::uint64_t* in, std::uint64_t* out) {
  const std::uint64_t a = in[0], b = in[1], c = in[2];
  const auto a32 = static_cast<std::uint32_t>(a), b32 = static_cast<std::uint32_t>(b);
  const auto sa = static_cast<std::int64_t>(a), sb = static_cast<std::int64_t>(b);
  const auto sa32 = static_cast<std::int32_t>(a32), sb32 = static_cast<std::int32_t>(b32);
  const auto n = static_cast<unsigned>(c % 64), n32 = static_cast<unsigned>(c % 32);
  unsigned k = 0;
  out[k++] = a + b;
  out[k++] = a - b;
  out[k++] = a * b + c;
  out[k++] = b == 0 ? 0 : a / b;
  out[k++] = b == 0 ? 0 : a % b;
  out[k++] = b32 == 0 ? 0 : a32 / b32;
  out[k++] = b32 == 0 ? 0 : a32 % b32;
  out[k++] = b % 7 == 0 ? 1 : a / (b % 7);
  out[k++] = static_cast<std::uint64_t>(sb32 == 0 || sb32 == -1 ? 0 : sa32 / sb32);
  out[k++] = static_cast<std::uint64_t>(sa >> n);
  out[k++] = a >> n;
  out[k++] = a << n;
  out[k++] = static_cast<std::uint64_t>(static_cast<std::int64_t>(sa32 >> n32));
  out[k++] = std::uint64_t{a32 << n32 | (n32 == 0 ? 0 : a32 >> (32 - n32))};
  out[k++] = static_cast<std::uint64_t>(static_cast<unsigned __int128>(a) * b >> 64);
  out[k++] = static_cast<std::uint64_t>((static_cast<unsigned __int128>(a) * b + c) >> 64);
  out[k++] = static_cast<std::uint64_t>((((static_cast<unsigned __int128>(a) << 64) | b) - ((static_cast<unsigned __int128>(c) << 64) | a)) >> 64);
  out[k++] = std::uint64_t{a32} * b32;
  out[k++] = static_cast<std::uint64_t>(std::int64_t{sa32} * sb32);
  out[k++] = sa < sb ? 1 : 0;
  out[k++] = a < b ? 1 : 0;
  out[k++] = a < b ? a : b;
  out[k++] = static_cast<std::uint64_t>(sa > sb ? sa : sb);
  out[k++] = (sa32 < 0 ? 0u - a32 : a32) ^ (sa < 0 ? 0 - a : a);
  out[k++] = (a & b) | (~a & c);
  out[k++] = a ^ b ^ c;
  out[k++] = static_cast<std::uint8_t>(a) | std::uint64_t{static_cast<std::uint16_t>(b)} << 16;
  out[k++] = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int16_t>(a)));
  out[k++] = (a32 & 0xFF) << 24 | (a32 & 0xFF00) << 8 | (a32 >> 8 & 0xFF00) | a32 >> 24;
  const auto of_double = [](double x) { return x != x ? ~std::uint64_t{0} : bits_as<std::uint64_t>(x); };
  const auto of_float = [](float x) { return x != x ? ~std::uint64_t{0} : std::uint64_t{bits_as<std::uint32_t>(x)}; };
  const double x = bits_as<double>(a), y = bits_as<double>(b), near = static_cast<double>(sa) * 0x1p-40;
  const float f = bits_as<float>(a32), g = bits_as<float>(b32), near_f = static_cast<float>(sb32) * 0x1p-20f;
  out[k++] = of_double(x + y);
  out[k++] = of_double(x * y);
  out[k++] = of_double(x / y);
  out[k++] = of_float(f + g);
  out[k++] = of_float(f * g);
  out[k++] = of_float(f / g);
  out[k++] = of_float(static_cast<float>(x));
  out[k++] = of_double(static_cast<double>(f));
  out[k++] = of_double(static_cast<double>(a));
  out[k++] = of_double(static_cast<double>(sa32));
  out[k++] = of_float(static_cast<float>(b32));
  out[k++] = near >= 0 ? static_cast<std::uint64_t>(near) : 0;
  out[k++] = near_f >= 0 ? static_cast<std::uint32_t>(near_f) : 0;
  out[k++] = (x < y ? 1u : 0u) | (x <= y ? 2u : 0u) | (x > y ? 4u : 0u) | (x == y ? 8u : 0u) | (x != y ? 16u : 0u);
  out[k++] = (!(f < g) ? 1u : 0u) | (!(f <= g) ? 2u : 0u) | (!(f > g) ? 4u : 0u) | (f != f ? 8u : 0u);
  out[k++] = of_float(f < g ? f : g);
  while (k < kResults) out[k++] = 0;
}

}  // namespace heirmark::emulator
