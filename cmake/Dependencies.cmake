# Debian packages the project builds on (the list for apt is in ./dev). Linked statically where the
# package has an archive, so that the tools start in a millisecond and need nothing at run time.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(PkgConfig REQUIRED)

find_library(LIB_PROTOBUF NAMES libprotobuf.a protobuf REQUIRED)
find_library(LIB_PROGRAM_OPTIONS NAMES libboost_program_options.a boost_program_options REQUIRED)
find_library(LIB_ELF_ARCHIVE NAMES libelf.a)
find_library(LIB_ELF_SHARED NAMES elf REQUIRED)
find_library(LIB_Z NAMES libz.a z REQUIRED)
# libelf.a needs it where Debian built it with zstd.
find_library(LIB_ZSTD NAMES libzstd.a zstd REQUIRED)
set(LIB_ELF ${LIB_ELF_ARCHIVE} ${LIB_Z} ${LIB_ZSTD})
# Needs libelf: before it on the command line.
find_library(LIB_BPF NAMES libbpf.a bpf REQUIRED)
find_library(LIB_LZ4 NAMES liblz4.a lz4 REQUIRED)

# Debian 13's libelf.a leaves symbols undefined (eu_search_tree_init): there libelf is a shared library,
# and the tools can't be linked with -static.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES ${LIB_ELF})
set(CMAKE_REQUIRED_LINK_OPTIONS -static)
check_cxx_source_compiles("
  #include <libelf.h>
  int main() {
    elf_version(EV_CURRENT);
    return elf_end(elf_memory(nullptr, 0));
  }" CRYOSTAT_STATIC_LIBELF)
unset(CMAKE_REQUIRED_LIBRARIES)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(NOT CRYOSTAT_STATIC_LIBELF)
  set(LIB_ELF ${LIB_ELF_SHARED})
  find_library(LIB_BPF_SHARED NAMES bpf REQUIRED)
  set(LIB_BPF ${LIB_BPF_SHARED})
endif()
find_path(TL_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)

add_library(cryostat_elf INTERFACE)
target_link_libraries(cryostat_elf INTERFACE ${LIB_ELF})

add_library(cryostat_deps INTERFACE)
# xxHash is used header-only; the code of fmt is in engine/base/formatting.cc.
target_compile_definitions(cryostat_deps INTERFACE XXH_INLINE_ALL=1 _GNU_SOURCE=1)
target_include_directories(cryostat_deps INTERFACE ${CMAKE_SOURCE_DIR} ${TL_EXPECTED_INCLUDE})
target_compile_options(cryostat_deps INTERFACE -Wall -Wextra -Wno-missing-field-initializers -fno-omit-frame-pointer)
target_link_libraries(cryostat_deps INTERFACE Threads::Threads)
if(CRYOSTAT_SANITIZE)
  # -O0: optimised, the checks take longer to compile than all else together; only libFuzzer needs speed.
  target_compile_options(cryostat_deps INTERFACE -g1 -fsanitize=address,undefined
    -fno-sanitize-recover=undefined -Wno-maybe-uninitialized
    $<IF:$<BOOL:${CRYOSTAT_LIBFUZZER}>,-O1,-O0>)
  target_link_options(cryostat_deps INTERFACE -fsanitize=address,undefined)
  if(CRYOSTAT_LIBFUZZER)
    target_compile_options(cryostat_deps INTERFACE -fsanitize=fuzzer-no-link)
  endif()
else()
  target_link_options(cryostat_deps INTERFACE -static-libgcc -static-libstdc++)
endif()
