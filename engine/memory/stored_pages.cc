#include "engine/memory/stored_pages.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/ids.h"

namespace cryostat::memory {

namespace {

// Checksums are taken while the pages still lie in the processor's cache.
constexpr size_t kPortionBytes = 512 << 10;

Result<void> read_portion(const StoreFiles& store, std::span<uint8_t> to, uint64_t page_index) {
  for (size_t done = 0; done < to.size();) {
    const ssize_t got = pread(store.pages_fd, to.data() + done, to.size() - done,
                              static_cast<off_t>(page_index * kPageSize + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read pages.img");
    if (got == 0) return fail(ErrorKind::kImages, "pages.img is truncated");
    done += static_cast<size_t>(got);
  }
  for (size_t at = 0; at < to.size(); at += kPageSize, ++page_index)
    if (page_index >= store.sums.size() || image::page_sum(&to[at]) != store.sums[page_index])
      return fail(
          ErrorKind::kImages,
          fmt::format("pages.img: page {} is damaged: its checksum does not hold", page_index));
  return {};
}

}  // namespace

Result<void> read_stored_pages(const StoreFiles& store, std::span<uint8_t> to,
                               uint64_t page_index) {
  while (!to.empty()) {
    const size_t bytes = std::min(to.size(), kPortionBytes);
    TRY(read_portion(store, to.first(bytes), page_index));
    to = to.subspan(bytes);
    page_index += bytes / kPageSize;
  }
  return {};
}

}  // namespace cryostat::memory
