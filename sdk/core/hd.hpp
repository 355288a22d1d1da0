// HEIRMARK_HD marks a function that the CPU and the GPU both run, from one source.
#pragma once
#if defined(__CUDACC__)
#define HEIRMARK_HD __host__ __device__
#else
#define HEIRMARK_HD
#endif
