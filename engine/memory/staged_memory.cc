#include "engine/memory/staged_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/base/ids.h"
#include "engine/base/unique_fd.h"
#include "engine/image/mm_image.h"
#include "engine/memory/stored_pages.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace cryostat::memory {

namespace {

// Below this a system call costs more than the faults it saves.
constexpr uint64_t kPopulateBytes = 8 * kPageSize;
// What one of several readers takes at a time.
constexpr uint32_t kPortionPages = 1024;

void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

// Tasks without huge pages are not to get any with what is staged in them.
class WithoutHugePages {
 public:
  explicit WithoutHugePages(bool wanted)
      : set_(wanted && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0) {}
  WithoutHugePages(const WithoutHugePages&) = delete;
  WithoutHugePages& operator=(const WithoutHugePages&) = delete;
  ~WithoutHugePages() {
    if (set_) prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
  }

 private:
  bool set_;
};

Result<void> read_run(const image::PageRun& run, std::span<const StoreFiles> stores) {
  const std::span<uint8_t> to(static_cast<uint8_t*>(pointer(run.address)),
                              run.page_count * kPageSize);
  if (to.size() >= kPopulateBytes) madvise(to.data(), to.size(), MADV_POPULATE_WRITE);
  return read_stored_pages(stores[run.store], to, run.page_index);
}

}  // namespace

StagedMemory::StagedMemory(StagingPlan plan)
    : plan_(std::move(plan)), states_(plan_.areas.size(), State::kNotYet) {}

const StagingArea* StagedMemory::area_at(uint64_t address, State state) const {
  const auto after = std::upper_bound(
      plan_.areas.begin(), plan_.areas.end(), address,
      [](uint64_t wanted, const StagingArea& area) { return wanted < area.start; });
  if (after == plan_.areas.begin()) return nullptr;
  const auto area = after - 1;
  const bool found =
      address < area->end && states_[static_cast<size_t>(area - plan_.areas.begin())] == state;
  return found ? &*area : nullptr;
}

// Whatever fails here is told when the area is mapped in the task.
void StagedMemory::map(size_t index, const image::MmImage& mm) {
  const StagingArea& area = plan_.areas[index];
  states_[index] = State::kNotFree;
  UniqueFd file;
  int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (area.no_reserve ? MAP_NORESERVE : 0);
  if (area.file_id == 0) {
    flags |= MAP_ANONYMOUS;
  } else {
    const auto& mapped = mm.file(area.file_id);
    const int mode = mapped.writable() ? O_RDWR : O_RDONLY;
    file = UniqueFd(
        open(mapped.fingerprint().path().c_str(), mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) return;
  }
  const uint64_t bytes = area.end - area.start;
  void* const at = mmap(pointer(area.start), bytes, PROT_READ | PROT_WRITE, flags, file.get(),
                        static_cast<off_t>(area.file_offset_bytes));
  if (at == MAP_FAILED) return;
  const bool advised = (!area.huge_page || madvise(at, bytes, MADV_HUGEPAGE) == 0) &&
                       (!area.no_huge_page || madvise(at, bytes, MADV_NOHUGEPAGE) == 0);
  // Before 4.17 the flag is unknown and the address only a hint.
  if (at == pointer(area.start) && advised)
    states_[index] = State::kMapped;
  else
    munmap(at, bytes);
}

Result<void> StagedMemory::stage(size_t node, const image::MmImage& mm,
                                 std::span<const StoreFiles> stores, HugePages huge_pages,
                                 uint32_t readers) {
  if (plan_.reads[node].empty()) return {};
  const WithoutHugePages without(huge_pages == HugePages::kNone);
  PageRuns here;
  for (const image::PageRun& run : plan_.reads[node]) {
    if (const StagingArea* area = area_at(run.address, State::kNotYet))
      map(static_cast<size_t>(area - plan_.areas.data()), mm);
    if (area_at(run.address, State::kMapped) != nullptr) here.push_back(run);
  }
  return fill(here, stores, readers);
}

Result<void> StagedMemory::fill(const PageRuns& runs, std::span<const StoreFiles> stores,
                                uint32_t readers) {
  PageRuns portions;
  for (image::PageRun run : runs) {
    for (; run.page_count > kPortionPages;
         run = part_of(run, run.address + kPortionPages * kPageSize, end_of(run)))
      portions.push_back(part_of(run, run.address, run.address + kPortionPages * kPageSize));
    portions.push_back(run);
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::optional<Error> error;
  const auto read = [&] {
    for (size_t i; (i = next++) < portions.size();) {
      if (auto done = read_run(portions[i], stores); !done) {
        const std::lock_guard lock(mutex);
        if (!error) error.emplace(std::move(done).error());
        next = portions.size();
      }
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (uint32_t i = 1; i < readers && i < portions.size(); ++i) helpers.emplace_back(read);
  } catch (const std::system_error&) {
    // Fewer readers (RLIMIT_NPROC, cgroup limits) are only slower.
  }
  read();
  for (std::thread& helper : helpers) helper.join();
  if (error) return tl::unexpected(std::move(*error));
  return {};
}

uint64_t StagedMemory::bytes_to_read(size_t node) const {
  uint64_t bytes = 0;
  for (const image::PageRun& run : plan_.reads[node]) bytes += run.page_count * kPageSize;
  return bytes;
}

bool StagedMemory::holds(const pb::Vma& vma, bool filled) const {
  if (!can_be_staged(vma, filled)) return false;
  const StagingArea* area = area_at(vma.start(), State::kMapped);
  return area != nullptr && area->fits(vma);
}

}  // namespace cryostat::memory
