// Reads a vDSO image (vdso(7)): its exported functions and its build-id.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace cryostat::arch {

struct VdsoSymbol {
  std::string name;     // "__vdso_clock_gettime"
  uint64_t offset = 0;  // of its first byte in the image, which is mapped as it is
  uint64_t size_bytes = 0;
};

struct Vdso {
  std::vector<VdsoSymbol> functions;    // defined, in the order of the symbol table
  std::vector<unsigned char> build_id;  // empty when it has none
  const VdsoSymbol* find(std::string_view name) const;
};

// `image`: all bytes of the [vdso] area of this or another machine. kFailed when it is not a 64-bit
// x86 ELF image; every offset returned lies inside `image`.
Result<Vdso> parse_vdso(std::span<const unsigned char> image);

// The end of what the image holds, from its start, which may be all that is there yet: what its
// program headers load, and the section headers, which kernels leave behind it and which may reach
// into a page of their own (6.1); nullopt when the bytes are not an ELF image.
std::optional<uint64_t> used_vdso_bytes(std::span<const unsigned char> image);

}  // namespace cryostat::arch
