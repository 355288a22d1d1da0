// HEIRMARK_HD marks a function that the CPU and the GPU both run, from one source. HEIRMARK_HD_INLINE also keeps it out of
// the object file: a file compiled for one instruction set must not leave a copy that other files could be linked to.
// HEIRMARK_HD_COLD is for templates that few rows need: apart, they cost the others no registers. HEIRMARK_UNROLL(n) stands before a loop, so that the
// GPU holds its arrays in registers, or n times at once.
#pragma once
#if defined(__CUDACC__)
#define HEIRMARK_HD __host__ __device__
#define HEIRMARK_HD_INLINE __host__ __device__ __forceinline__
#define HEIRMARK_HD_COLD __host__ __device__ __noinline__
#define HEIRMARK_PRAGMA(text) _Pragma(#text)
#define HEIRMARK_UNROLL(n) HEIRMARK_PRAGMA(unroll n)
#else
#define HEIRMARK_HD
#define HEIRMARK_HD_INLINE inline __attribute__((always_inline))
#define HEIRMARK_HD_COLD __attribute__((noinline))
#define HEIRMARK_UNROLL(n)
#endif
