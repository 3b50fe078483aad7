// A freestanding program embedded in the tools (cmake/Blob.cmake builds, checks and embeds it).
//
// The generated header "blob/NAME_blob.h" declares, in namespace cryostat::NAME_blob:
//   const BlobImage& image();
//   inline constexpr uint64_t <function>_entry = <offset>;   // one for every entry point
#pragma once

#include <cstddef>
#include <span>

namespace cryostat {

// A flat image, loadable at any page boundary as it is: it holds no relocation.
struct BlobImage {
  std::span<const unsigned char> bytes;  // whole pages, zeroed bss included
  size_t text_bytes;  // [0, text_bytes): code and constants, to be mapped r-x; whole pages
                      // [text_bytes, bytes.size()): data and bss, to be mapped rw-
};

}  // namespace cryostat
