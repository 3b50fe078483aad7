// Finds out which pages of a VMA have to be saved, without looking at each one where the kernel can
// do that (PAGEMAP_SCAN, 6.7), else from /proc/pid/pagemap.
#pragma once

#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/page_finder.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

// How pages are found; a choice so that each way can be tested.
enum class PageScanMode : uint8_t { kAuto, kPagemapOnly };

// What an entry of /proc/pid/pagemap stands for.
enum class EntryKind : uint8_t {
  kNone,   // nothing, a page of a file, or a mark that is no page
  kPage,   // a private page, present or swapped out
  kGuard,  // MADV_GUARD_INSTALL
};
EntryKind entry_kind(uint64_t entry);

// Adds `range` at the end, joined to the last one where it goes on with the same sort of pages.
void append_range(const PageRange& range, std::vector<PageRange>& ranges);

class PageScanner : public PageFinder {
 public:
  static Result<PageScanner> open(const TaskHandle& task, PageScanMode mode = PageScanMode::kAuto);

  // Precondition: all threads stopped. Memory used is constant.
  Result<void> scan(const RemoteRange& range, const Visit& visit) override;

  // /proc/pid/pagemap has an entry for every page, mapped or not.
  bool skips_gaps() const override { return mode_ != Mode::kPagemap; }

 private:
  // kScan: the kernel has PAGEMAP_SCAN, but guard ranges look swapped out (6.13, 6.14).
  enum class Mode : uint8_t { kScanWithGuards, kScan, kPagemap };
  PageScanner(UniqueFd pagemap, Mode mode) : pagemap_(std::move(pagemap)), mode_(mode) {}
  Result<void> scan_ioctl(const RemoteRange& range, const Visit& visit);
  Result<void> scan_entries(const RemoteRange& range, const Visit& visit);

  UniqueFd pagemap_;
  Mode mode_;
};

}  // namespace cryostat::memory
