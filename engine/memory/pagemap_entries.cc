#include "engine/memory/pagemap_entries.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/ids.h"

namespace cryostat::memory {

Result<void> read_pagemap_entries(int pagemap, uint64_t address, std::span<uint64_t> entries) {
  if (entries.empty()) return fail_errno(EINVAL, fmt::format("read pagemap at {:x}", address));
  auto bytes = std::as_writable_bytes(entries);
  auto offset = static_cast<off_t>(address / kPageSize * sizeof(uint64_t));
  while (!bytes.empty()) {
    const ssize_t got = pread(pagemap, bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return fail_errno(got < 0 ? errno : EIO, fmt::format("read pagemap at {:x}", address));
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += got;
  }
  return {};
}

}  // namespace cryostat::memory
