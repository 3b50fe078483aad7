// Gathers pages in a buffer of fixed size and stores those that are not zero.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/page_sum.h"
#include "engine/memory/page_transfer.h"

namespace cryostat::memory {

class ParentContent;

// True when all 4096 bytes are zero.
bool is_zero_page(const void* page);

// The buffer is filled from outside (process_vm_readv, pread), then store() is told which pages it
// holds.
class PageSink {
 public:
  explicit PageSink(image::PageStoreWriter& store);
  ~PageSink();

  // As many whole pages as store() takes at once.
  std::span<uint8_t> buffer() { return {buffer_.get(), kBufferPages * 4096}; }
  // The first bytes of the buffer are the pages of `runs`, one after the other. Their order in the
  // buffer is given up. Appends where they went to `stored`.
  Result<void> store(std::span<const PageRun> runs, std::vector<StoredRun>& stored);

  // From now on pages that `parent` has at the same address are not stored but become in-parent
  // runs. nullptr: no more.
  void compare_with(ParentContent* parent) { parent_ = parent; }

  static constexpr uint32_t kBufferPages = 64;  // stays in the second level cache

 private:
  struct FreeBuffer {
    void operator()(uint8_t* buffer) const { std::free(buffer); }
  };
  static bool is_stored(uint64_t place);
  Result<uint64_t> place_of(const uint8_t* page, uint64_t address, uint64_t index);

  image::PageStoreWriter& store_;
  ParentContent* parent_ = nullptr;
  std::vector<image::PageSum> sums_;               // of the pages that are stored
  std::unique_ptr<uint8_t[], FreeBuffer> buffer_;  // aligned for O_DIRECT
};

}  // namespace cryostat::memory
