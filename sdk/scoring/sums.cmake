# The sums of scores: from pairs and subkeys to exact integers. They need no third-party package, so tests/gpu builds them where the room is not built.
set(sums columns.cpp evaluate.cpp bulk.cpp kernel.cpp kernel_portable.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND sums kernel_avx2.cpp kernel_avx512.cpp)
endif()
list(TRANSFORM sums PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
heirmark_simd(${CMAKE_CURRENT_LIST_DIR}/kernel_avx2.cpp -mavx2 -mfma)
heirmark_simd(${CMAKE_CURRENT_LIST_DIR}/kernel_avx512.cpp -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512)
