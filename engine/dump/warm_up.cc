#include "engine/dump/warm_up.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>

#include "engine/base/ids.h"
#include "engine/infect/thread_origin.h"

// Bounds of the program's image, by the linker.
extern "C" const char __executable_start[];
extern "C" const char etext[];
extern "C" char edata[];
extern "C" char end[];

namespace cryostat::dump {

namespace {

// Fits the collected state of a few hundred VMAs and descriptors; more is taken while frozen.
constexpr size_t kHeapBytes = 1 << 20;
constexpr size_t kStackBytes = 256 * 1024;

// MADV_POPULATE_READ and MADV_POPULATE_WRITE, 5.14.
constexpr int kPopulateRead = 22;
constexpr int kPopulateWrite = 23;

uint64_t address_of(const void* symbol) { return reinterpret_cast<uint64_t>(symbol); }

void populate(uint64_t from, uint64_t to, int how) {
  const uint64_t start = page_align_down(from);
  const uint64_t stop = page_align_up(to);
  (void)madvise(reinterpret_cast<void*>(start), stop - start, how);
}

void warm_heap() {
  // One block below the mmap threshold's reach, given back but kept: the heap stays mapped.
  mallopt(M_MMAP_THRESHOLD, 4 * kHeapBytes);
  mallopt(M_TRIM_THRESHOLD, 8 * kHeapBytes);
  if (auto* block = static_cast<volatile char*>(std::malloc(kHeapBytes))) {
    for (size_t at = 0; at < kHeapBytes; at += kPageSize) block[at] = 0;
    std::free(const_cast<char*>(block));
  }
}

[[gnu::noinline]] void warm_stack() {
  char pages[kStackBytes];
  for (size_t at = 0; at < kStackBytes; at += kPageSize) pages[at] = 0;
  // The stores must happen although nobody reads them.
  asm volatile("" : : "r"(pages) : "memory");
}

// To go beyond the limit would be the end.
bool stack_has_room() {
  rlimit limit{};
  return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 2 * kStackBytes;
}

}  // namespace

void warm_up() {
  populate(address_of(__executable_start), address_of(etext), kPopulateRead);
  populate(address_of(etext), address_of(edata), kPopulateRead);
  populate(address_of(edata) - 1, address_of(end), kPopulateWrite);
  warm_heap();
  if (stack_has_room()) warm_stack();
  (void)this_xsave_layout();  // asks the processor: slow in a virtual machine
}

}  // namespace cryostat::dump
