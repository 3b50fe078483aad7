#include "engine/kernel/pagemap_scan.h"

#include <fmt/format.h>

#include <cerrno>

namespace cryostat::kernel {

Result<PageAnswer> scan_pages(int pagemap_fd, const PageQuery& query,
                              std::span<PageRegion> regions) {
  PagemapScanArg arg{};
  arg.size = sizeof(arg);
  arg.flags = query.flags;
  arg.start = query.start.value;
  arg.end = query.end.value;
  arg.vec = reinterpret_cast<uint64_t>(regions.data());
  arg.vec_len = regions.size();
  arg.max_pages = query.max_pages;
  arg.category_inverted = query.inverted;
  arg.category_mask = query.all_of;
  arg.category_anyof_mask = query.any_of;
  arg.return_mask = query.report;
  const int count = ioctl(pagemap_fd, kPagemapScanIoctl, &arg);
  if (count < 0) {
    return fail_errno(fmt::format("scan pages {:#x}-{:#x}", query.start.value, query.end.value));
  }
  return PageAnswer{static_cast<size_t>(count), RemoteAddr(arg.walk_end)};
}

}  // namespace cryostat::kernel
