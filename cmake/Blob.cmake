# cryostat_blob(NAME): every NAME/*.cc and NAME/*.S, and blob/memory_functions.cc, as one freestanding
# position-independent image; checked with libelf and embedded by blob/embed_blob.cc. Gives the library
# NAME_blob with the generated header "blob/NAME_blob.h" (see blob/blob_image.h).
#
# Entry points are the functions with C linkage whose name ends in `_entry`.
# In the parasite only transfer*.cc may use vector registers: its thread entries run on threads whose
# extended state is live.

# _MM_MALLOC_H_INCLUDED and XXH_NO_STDLIB keep headers from wanting malloc of libc.
set(CRYOSTAT_BLOB_OPTIONS
  -std=gnu++20 -ffreestanding -fbuiltin -nostdlib -fPIE -O2
  -fno-exceptions -fno-rtti -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables
  -fno-threadsafe-statics -fno-lto -fno-plt -fvisibility=hidden -fcf-protection=none
  -fomit-frame-pointer -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 -DCRYOSTAT_BLOB=1 -D_MM_MALLOC_H_INCLUDED -DXXH_NO_STDLIB=1
  -Wall -Wextra -Wno-missing-field-initializers)
set(CRYOSTAT_BLOB_LINK_OPTIONS
  -nostdlib -static-pie -fno-lto -Wl,-z,text -Wl,-z,norelro -Wl,-z,noexecstack -Wl,--build-id=none
  -Wl,--no-dynamic-linker -Wl,--gc-sections -Wl,-T,${CMAKE_SOURCE_DIR}/blob/blob.lds)

add_executable(embed_blob ${CMAKE_SOURCE_DIR}/blob/embed_blob.cc)
target_include_directories(embed_blob PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(embed_blob PRIVATE -Wall -Wextra)
target_link_libraries(embed_blob PRIVATE ${LIB_ELF})
set_target_properties(embed_blob PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/blob)

function(cryostat_blob name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/${name}/*.cc ${CMAKE_SOURCE_DIR}/${name}/*.S)
  if(NOT sources)
    add_library(${name}_blob INTERFACE)
    return()
  endif()

  add_executable(${name}_blob_elf ${sources} ${CMAKE_SOURCE_DIR}/blob/memory_functions.cc
    ${CMAKE_SOURCE_DIR}/blob/page_hash_sse2.cc ${CMAKE_SOURCE_DIR}/blob/page_hash_avx2.cc)
  target_include_directories(${name}_blob_elf PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${name}_blob_elf PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:${CRYOSTAT_BLOB_OPTIONS} -ffunction-sections>)
  target_link_options(${name}_blob_elf PRIVATE ${CRYOSTAT_BLOB_LINK_OPTIONS})
  set_target_properties(${name}_blob_elf PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/blob
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/blob/blob.lds)

  set(out ${CMAKE_BINARY_DIR}/gen/blob/${name}_blob)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/gen/blob)
  add_custom_command(
    OUTPUT ${out}.cc ${out}.h
    COMMAND embed_blob ${name} $<TARGET_FILE:${name}_blob_elf> ${out}
    DEPENDS ${name}_blob_elf embed_blob)
  add_library(${name}_blob STATIC ${out}.cc ${out}.h)
  target_include_directories(${name}_blob PUBLIC ${CMAKE_BINARY_DIR}/gen ${CMAKE_SOURCE_DIR})
endfunction()

# The parasite's thread entries run on threads whose extended state is live.
file(GLOB parasite_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/parasite/*.cc)
list(FILTER parasite_sources EXCLUDE REGEX "/transfer[^/]*\\.cc$")
set_source_files_properties(${parasite_sources} ${CMAKE_SOURCE_DIR}/blob/memory_functions.cc
  PROPERTIES COMPILE_OPTIONS -mgeneral-regs-only)
