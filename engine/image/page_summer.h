// Hashes pages that somebody else wrote into pages.img, while that one writes the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/page_sum.h"

namespace cryostat::image {

// The pages are read back from the page cache, on a thread of its own when there are many: the
// target then copies its pages on one processor and the engine hashes on another.
class PageSummer {
 public:
  // `pages_fd` must outlive the last finish(); `path` is for errors.
  PageSummer(int pages_fd, std::string path) : pages_fd_(pages_fd), path_(std::move(path)) {}

  // Begins with the `count` pages from page `first_index`, which are in the file already.
  // Precondition: finish() was called since the last start().
  void start(uint64_t first_index, size_t count);
  // The sums of those pages, one each, in order; waits for them. Nothing was started: none.
  Result<std::vector<PageSum>> finish();

 private:
  int pages_fd_;
  std::string path_;
  std::future<Result<std::vector<PageSum>>> pending_;
};

}  // namespace cryostat::image
