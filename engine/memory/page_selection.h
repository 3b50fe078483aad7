// Finds out which pages of a VMA have to be saved, without looking at each one where the kernel can
// do that (PAGEMAP_SCAN, 6.7), else from /proc/pid/pagemap.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/base/error.h"
#include "engine/base/unique_fd.h"
#include "engine/memory/remote_range.h"

namespace cryostat {
class TaskHandle;
}

namespace cryostat::memory {

// Which pages are wanted.
enum class PageSelection : uint8_t {
  kPrivate,    // present or swapped out, not of a file (so copied on write), not the kernel's zero page
  kGuardOnly,  // none; only guard ranges (shared mappings)
};

// Consecutive pages [start, end).
struct PageRange {
  uint64_t start = 0;
  uint64_t end = 0;
  bool guard = false;  // MADV_GUARD_INSTALL: no content, access faults
};

// How pages are found; a choice so that each way can be tested.
enum class PageScanMode : uint8_t { kAuto, kPagemapOnly };

class PageScanner {
 public:
  static Result<PageScanner> open(const TaskHandle& task, PageScanMode mode = PageScanMode::kAuto);

  // Calls `visit` for the ranges inside `range` that are wanted, ascending, until it fails.
  // Precondition: all threads stopped. Memory used is constant.
  Result<void> scan(const RemoteRange& range, PageSelection selection,
                    const std::function<Result<void>(const PageRange&)>& visit);

  bool uses_pagemap_scan() const { return mode_ != Mode::kPagemap; }

 private:
  enum class Mode : uint8_t { kScanWithGuards, kScan, kPagemap };
  PageScanner(UniqueFd pagemap, Mode mode) : pagemap_(std::move(pagemap)), mode_(mode) {}
  using Visit = std::function<Result<void>(const PageRange&)>;
  Result<void> scan_ioctl(const RemoteRange& range, PageSelection selection, const Visit& visit);
  Result<void> scan_pagemap(const RemoteRange& range, PageSelection selection, const Visit& visit);

  UniqueFd pagemap_;
  Mode mode_;
};

}  // namespace cryostat::memory
