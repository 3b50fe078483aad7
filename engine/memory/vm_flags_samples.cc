#include "engine/memory/vm_flags_samples.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/base/unique_fd.h"
#include "engine/kernel/constants.h"
#include "engine/kernel/userfaultfd.h"
#include "engine/kernel/vma_iterator.h"
#include "engine/memory/unnamed_flags.h"
#include "engine/procfs/task_handle.h"

namespace cryostat::memory {

namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr size_t kBytes = 2 * kPageSize;  // a guard on both pages would leave nothing of a mapping

// Mappings for as long as they are looked at.
class Samples {
 public:
  Samples() = default;
  ~Samples() {
    for (void* const area : areas_) munmap(area, kBytes);
  }
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;

  void make() {
    for (const int protection : {PROT_NONE, PROT_READ, PROT_EXEC, kReadWrite}) {
      map(protection, kPrivate);
      map(protection, kPrivate | MAP_NORESERVE);
      map(protection, MAP_SHARED | MAP_ANONYMOUS);
    }
    map(kReadWrite, kPrivate | MAP_GROWSDOWN);
    map(kReadWrite, MAP_ANONYMOUS | kernel::kMapDroppable);
    map_own_file();
    for (const int advice : {MADV_DONTFORK, MADV_WIPEONFORK, MADV_DONTDUMP, MADV_SEQUENTIAL,
                             MADV_RANDOM, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE})
      if (void* const area = map(kReadWrite, kPrivate)) (void)madvise(area, kBytes, advice);
    if (void* const area = map(kReadWrite, kPrivate))
      (void)madvise(area, kPageSize, kernel::kMadvGuardInstall);
    if (void* const area = map(kReadWrite, kPrivate)) (void)mlock(area, kBytes);
    if (void* const area = map(kReadWrite, kPrivate)) (void)mlock2(area, kBytes, MLOCK_ONFAULT);
    write_protect();
    seal();
  }

 private:
  void* map(int protection, int flags, int fd = -1) {
    void* const area = mmap(nullptr, kBytes, protection, flags, fd, 0);
    if (area == MAP_FAILED) return nullptr;
    areas_.push_back(area);
    return area;
  }

  // A file that is not open for writing can't be mapped for it.
  void map_own_file() {
    const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    if (!file) return;
    map(PROT_READ, MAP_PRIVATE, file.get());
    map(kReadWrite, MAP_PRIVATE, file.get());
    map(PROT_READ, MAP_SHARED, file.get());
  }

  void write_protect() {
    faults_ = UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, kernel::kUserfaultfdFlags)));
    void* const area = map(kReadWrite, kPrivate);
    if (!faults_ || area == nullptr || !kernel::enable_async_write_protect(faults_.get())) return;
    const auto start = reinterpret_cast<uint64_t>(area);
    (void)kernel::register_write_protect(faults_.get(), RemoteAddr(start),
                                         RemoteAddr(start + kBytes));
  }

  // Once for the life of the process: what is sealed stays.
  static void seal() {
    static const bool once = [] {
      void* const area = mmap(nullptr, kPageSize, PROT_READ, kPrivate, -1, 0);
      return area != MAP_FAILED && syscall(kernel::kSysMseal, area, kPageSize, 0) == 0;
    }();
    (void)once;
  }

  std::vector<void*> areas_;
  UniqueFd faults_;
};

}  // namespace

Result<std::vector<VmFlagsSample>> sample_vm_flags(const kernel::VmaIterator& iterator) {
  Samples areas;
  areas.make();
  const ProcDir self = TRY(ProcDir::open("/proc/self"));
  const HostPid pid(getpid());
  const auto before = TRY(iterator.read(pid));
  auto printed = TRY(procfs::parse_smaps(TRY(self.read("smaps"))));
  name_unnamed_flags(printed);
  const auto after = TRY(iterator.read(pid));
  std::vector<VmFlagsSample> samples;
  for (const kernel::KernelVma& area : before) {
    // What another thread of ours mapped meanwhile proves nothing.
    if (std::ranges::find(after, area) == after.end()) continue;
    const auto same = std::ranges::find_if(printed, [&](const procfs::SmapsEntry& entry) {
      return entry.start == area.start && entry.end == area.end;
    });
    if (same != printed.end()) samples.push_back({area.flags, same->flags});
  }
  return samples;
}

}  // namespace cryostat::memory
