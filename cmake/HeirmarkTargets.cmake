# The rules every target follows: language level, warnings, floating-point contract, and the three kinds of
# target this project has (a room of the sdk, a test executable, a program).
include(GNUInstallDirs)

add_library(heirmark_build INTERFACE)
target_compile_features(heirmark_build INTERFACE cxx_std_20)
# -ffp-contract=off: an fma that one compiler fuses and another does not would give two tokens for one row. Where an
# fma is wanted the source says std::fma.
target_compile_options(heirmark_build INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -fvisibility=hidden -fvisibility-inlines-hidden
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast -Wcast-align>
  # GCC 12 sees impossible overlaps and writes inside std::string and std::vector (GCC bugs 105651, 105329).
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict -Wno-stringop-overflow>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${HEIRMARK_WERROR}>>:-Werror>)
foreach(sanitizer IN LISTS HEIRMARK_SANITIZE)
  target_compile_options(heirmark_build INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${sanitizer} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(heirmark_build INTERFACE -fsanitize=${sanitizer})
endforeach()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# heirmark_room(NAME SOURCES ... [USES rooms...] [PRIVATE libs...])
# One folder of sdk/ is one static library heirmark::NAME. USES are the rooms it may include (checked against
# sdk/rooms.txt by tools/dev/check_arrows). A room's private headers are included as "room/file.hpp".
function(heirmark_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;PRIVATE" ${ARGN})
  set(target heirmark_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(heirmark::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/sdk/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/sdk)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:heirmark_build>)
  foreach(room IN LISTS ARG_USES)
    target_link_libraries(${target} PRIVATE heirmark_${room})
  endforeach()
  target_link_libraries(${target} PRIVATE ${ARG_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY HEIRMARK_ROOMS ${target})
  install(TARGETS ${target} EXPORT heirmark ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/heirmark)
endfunction()

# heirmark_simd(FILE FLAGS...): code for one instruction set sits in a file named for it.
function(heirmark_simd file)
  set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
endfunction()
