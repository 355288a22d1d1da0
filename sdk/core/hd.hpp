// HEIRMARK_HD marks a function that the CPU and the GPU both run, from one source. HEIRMARK_HD_INLINE also keeps it out of
// the object file: a file compiled for one instruction set must not leave a copy that other files could be linked to.
#pragma once
#if defined(__CUDACC__)
#define HEIRMARK_HD __host__ __device__
#define HEIRMARK_HD_INLINE __host__ __device__ __forceinline__
#else
#define HEIRMARK_HD
#define HEIRMARK_HD_INLINE inline __attribute__((always_inline))
#endif
