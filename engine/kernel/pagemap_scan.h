// The PAGEMAP_SCAN ioctl (Documentation/admin-guide/mm/pagemap.rst, kernel 6.7) and the 64-bit
// entries of /proc/<pid>/pagemap behind it.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/base/ids.h"

namespace cryostat::kernel {

// Page categories, as bits of a mask.
enum PageCategory : uint64_t {
  kPageIsWpAllowed = 1 << 0,
  kPageIsWritten = 1 << 1,
  kPageIsFile = 1 << 2,  // file-backed (not anonymous, not copied on write)
  kPageIsPresent = 1 << 3,
  kPageIsSwapped = 1 << 4,
  kPageIsPfnZero = 1 << 5,  // the shared zero page
  kPageIsHuge = 1 << 6,     // mapped by a PMD
  kPageIsSoftDirty = 1 << 7,
  kPageIsGuard = 1 << 8,  // 6.15
};

// struct page_region
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
static_assert(sizeof(PageRegion) == 24);

// struct pm_scan_arg
struct PagemapScanArg {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
static_assert(sizeof(PagemapScanArg) == 96);

inline constexpr unsigned long kPagemapScanIoctl = _IOWR('f', 16, PagemapScanArg);
inline constexpr uint64_t kPmScanWpMatching = 1 << 0;
inline constexpr uint64_t kPmScanCheckWpAsync = 1 << 1;

// Which pages of [start, end) to report: pages whose categories, after flipping `inverted`, have
// all of `all_of` and at least one of `any_of` (when not 0). Regions carry the categories in
// `report` and are split where those change.
struct PageQuery {
  RemoteAddr start;
  RemoteAddr end;
  uint64_t inverted = 0;
  uint64_t all_of = 0;
  uint64_t any_of = 0;
  uint64_t report = 0;
  uint64_t flags = 0;
  uint64_t max_pages = 0;  // 0: no limit
};

struct PageAnswer {
  size_t region_count = 0;  // filled in `regions`
  RemoteAddr walk_end;      // where the scan stopped: the next start; `end` when all was seen
};

// One ioctl on an open /proc/<pid>/pagemap. ENOTTY (kFailed) when the kernel has no PAGEMAP_SCAN.
Result<PageAnswer> scan_pages(int pagemap_fd, const PageQuery& query,
                              std::span<PageRegion> regions);

// Bits of a /proc/<pid>/pagemap entry.
inline constexpr uint64_t kPagemapPresent = uint64_t{1} << 63;
inline constexpr uint64_t kPagemapSwapped = uint64_t{1} << 62;
inline constexpr uint64_t kPagemapFile = uint64_t{1} << 61;   // file page or shared anonymous
inline constexpr uint64_t kPagemapGuard = uint64_t{1} << 58;  // 6.15
inline constexpr uint64_t kPagemapUffdWp = uint64_t{1} << 57;
inline constexpr uint64_t kPagemapExclusive = uint64_t{1} << 56;
inline constexpr uint64_t kPagemapSoftDirty = uint64_t{1} << 55;
inline constexpr uint64_t kPagemapPfnMask = (uint64_t{1} << 55) - 1;  // 0 without CAP_SYS_ADMIN

}  // namespace cryostat::kernel
