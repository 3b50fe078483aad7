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

  // Calls `visit` for the ranges inside `range` that have to be saved, ascending, until it fails:
  // private pages that are present or swapped out, not of a file (so copied on write) and not the
  // kernel's zero page; and guard ranges. Precondition: all threads stopped. Memory used is
  // constant.
  using Visit = std::function<Result<void>(const PageRange&)>;
  Result<void> scan(const RemoteRange& range, const Visit& visit);

  bool uses_pagemap_scan() const { return mode_ != Mode::kPagemap; }

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
